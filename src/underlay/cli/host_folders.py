"""Hosts' folders as people name them: each for itself, or all of them by the one above."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from underlay.cli.console import err
from underlay.errors import BadInput


def named_pairs(words: Sequence[str]) -> list[str]:
    """Return NAME=DIR for each host that ``words`` name; a host is called as its folder.

    A word is NAME=DIR, a host's folder, or a folder that holds one for each host; what is taken
    for the last is said on stderr. Raises BadInput for what isn't there, and for a file.
    """
    from underlay.fleet import host_pairs

    found: list[str] = []
    for word in words:
        if "=" in word:
            found.append(word)
            continue
        folder = Path(word).expanduser()
        if not folder.exists():
            hint = "name a folder for each host, such as hosts/*"
            raise BadInput(f"{word} is not there", hint=hint)
        if not folder.is_dir():
            hint = f"NAME={word} says whose file that is"
            raise BadInput(f"{word} is a file, expected a host's folder", hint=hint)
        pairs = host_pairs(word)
        if len(pairs) > 1 or pairs[0].partition("=")[2] != word:
            names = ", ".join(pair.partition("=")[0] for pair in pairs)
            one = f"{folder.resolve().name}={word}"
            err.print(f"{word}: a folder for each host: {names} ({one} takes it for one host's)")
        found += pairs
    return found
