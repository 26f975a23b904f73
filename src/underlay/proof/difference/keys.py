"""Which keys of two lab files differ, each with its line in either.

Items of lists have no names. Those that are alike in both files are matched first, so that an
item that comes or goes doesn't make all that follow it differ.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from underlay.lab.text import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.lab.text import LabText, Place


class Nothing:
    """Stands for a key that isn't there; YAML has null for one that is there and says nothing."""

    def __repr__(self) -> str:
        """Return the word that people read."""
        return "nothing"


NOTHING = Nothing()


@dataclass(frozen=True)
class KeyChange:
    """A key whose value differs.

    ``path`` is dotted; items of lists count from 0, in the file that has them. ``old`` and
    ``new`` are plain YAML values, NOTHING where the key isn't there; its line is 0 then.
    """

    path: str
    old: Any
    new: Any
    old_line: int
    new_line: int


def differing_keys(old: LabText, new: LabText) -> list[KeyChange]:
    """Return the keys that differ between two lab files, in the order of ``new``, then ``old``."""
    found = []
    for before, now in _places(old.data, new.data, (), ()):
        there = now if now is not None else before
        found.append(
            KeyChange(
                path=dotted(there or ()),
                old=NOTHING if before is None else _at(old.data, before),
                new=NOTHING if now is None else _at(new.data, now),
                old_line=0 if before is None else old.key_mark(before).line,
                new_line=0 if now is None else new.key_mark(now).line,
            )
        )
    # Those that are gone have no place in the new file.
    return sorted(found, key=lambda one: (not one.new_line, one.new_line or one.old_line))


def _places(
    old: Any, new: Any, before: Place, now: Place
) -> Iterator[tuple[Place | None, Place | None]]:
    """Yield the places that differ: in the old file and in the new, None where it isn't there."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*new, *old]):
            if key not in new:
                yield (*before, key), None
            elif key not in old:
                yield None, (*now, key)
            else:
                yield from _places(old[key], new[key], (*before, key), (*now, key))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(old, new, before, now)
    elif type(old) is not type(new) or old != new:
        yield before, now


def _of_lists(
    old: list[Any], new: list[Any], before: Place, now: Place
) -> Iterator[tuple[Place | None, Place | None]]:
    was, is_now = ([json.dumps(item, sort_keys=True) for item in items] for items in (old, new))
    for _, i1, i2, j1, j2 in SequenceMatcher(None, was, is_now, autojunk=False).get_opcodes():
        both = min(i2 - i1, j2 - j1)
        for n in range(both):
            yield from _places(old[i1 + n], new[j1 + n], (*before, i1 + n), (*now, j1 + n))
        yield from (((*before, i), None) for i in range(i1 + both, i2))
        yield from ((None, (*now, j)) for j in range(j1 + both, j2))


def _at(data: Any, place: Place) -> Any:
    for step in place:
        data = data[step]
    return data
