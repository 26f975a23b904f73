"""Hosts' folders as people name them: each for itself, or all of them by the one above."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from underlay.cli.console import err
from underlay.errors import BadInput, listed


def named_pairs(words: Sequence[str], verb: str) -> list[str]:
    """Return NAME=DIR for each host that ``words`` name; a host is called as its folder.

    A word is NAME=DIR, a host's folder, or a folder that holds one for each host; what is taken
    for the last is said on stderr. ``verb`` is who asks. Raises BadInput for what isn't there, for
    a file, and for a folder that is too high: those in it are folders of hosts' folders.
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
        _refuse_too_high(pairs, verb)
        if len(pairs) > 1 or pairs[0].partition("=")[2] != word:
            names = ", ".join(pair.partition("=")[0] for pair in pairs)
            one = f"{folder.resolve().name}={word}"
            err.print(f"{word}: a folder for each host: {names} ({one} takes it for one host's)")
        found += pairs
    return found


def _refuse_too_high(pairs: Sequence[str], verb: str) -> None:
    from underlay.fleet import hosts_inside

    for pair in pairs:
        name, _, folder = pair.partition("=")
        hosts = hosts_inside(folder)
        if len(hosts) > 1:
            path = str(Path(folder))
            raise BadInput(
                f"{path} is a folder of hosts' folders ({listed(hosts)}), expected one host's",
                hint=f"underlay {verb} {shlex.quote(path)}; {name}={path} takes it for one host's",
            )
