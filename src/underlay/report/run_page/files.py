"""The files that a lab's nodes were given, where the cache of rendered ones still has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.render import cached_entry, rendered_files
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.plan import Plan

# Bytes of all files; a page is to be sent around.
MOST = 400_000


def files_of(plan: Plan) -> dict[str, str]:
    """Return the text of each file by its path, node first; none where the cache has them no more.

    Nothing is rendered for it. Of nodes that have a user's own files none are returned: a page is
    shown to others, and nobody has looked at what is in those.
    """
    if any(node.own for node in plan.nodes):
        return {}
    entry = cached_entry(plan, list(_keys(plan.lab)), paths.cache() / "files")
    if entry is None:
        return {}
    found: dict[str, str] = {}
    try:
        for path in rendered_files(entry):
            found[str(path)] = (entry / path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    return found if sum(map(len, found.values())) <= MOST else {}


def _keys(lab: str) -> Iterator[str]:
    """Yield the public keys by which a lab may have been rendered."""
    keys = paths.cache() / "keys"
    for file in (paths.state(lab) / "key.pub", keys / f"{lab}.pub", keys / "_check.pub"):
        try:
            yield file.read_text(encoding="utf-8").strip()
        except OSError:
            continue
