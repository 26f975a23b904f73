"""Which keys of two lab files differ, each with its line in either.

Items of lists have no names. Those that are alike in both files are matched first, so that an
item that comes or goes doesn't make all that follow it differ.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, NamedTuple

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
    ``place`` is where it stands in the old file, or would stand there. ``old_file`` and
    ``new_file`` are the hosts' files that it stems from, empty where the lab file says it.
    """

    path: str
    old: Any
    new: Any
    old_line: int
    new_line: int
    place: Place
    old_file: str = ""
    new_file: str = ""


class _Places(NamedTuple):
    """Where a key stands in the old file and in the new, and whether it does."""

    old: Place
    new: Place
    in_old: bool = True
    in_new: bool = True


def differing_keys(old: LabText, new: LabText) -> list[KeyChange]:
    """Return the keys that differ between two lab files, in the order of ``new``, then ``old``."""
    found = [
        KeyChange(
            path=dotted(there.new if there.in_new else there.old),
            old=_at(old.data, there.old) if there.in_old else NOTHING,
            new=_at(new.data, there.new) if there.in_new else NOTHING,
            old_line=old.key_mark(there.old).line if there.in_old else 0,
            new_line=new.key_mark(there.new).line if there.in_new else 0,
            place=there.old,
            old_file=_elsewhere(old, there.old) if there.in_old else "",
            new_file=_elsewhere(new, there.new) if there.in_new else "",
        )
        for there in _differing(old.data, new.data, _Places((), ()))
    ]
    # Those that are gone have no place in the new file.
    return sorted(found, key=lambda one: (not one.new_line, one.new_line or one.old_line))


def _differing(old: Any, new: Any, at: _Places) -> Iterator[_Places]:
    """Yield the places at which ``old`` and ``new`` differ, which stand ``at`` a place."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*new, *old]):
            there = _Places((*at.old, key), (*at.new, key), key in old, key in new)
            if there.in_old and there.in_new:
                yield from _differing(old[key], new[key], there)
            else:
                yield there
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(old, new, at)
    elif type(old) is not type(new) or old != new:
        yield at


def _of_lists(old: list[Any], new: list[Any], at: _Places) -> Iterator[_Places]:
    was, is_now = ([json.dumps(item, sort_keys=True) for item in items] for items in (old, new))
    for _, i1, i2, j1, j2 in SequenceMatcher(None, was, is_now, autojunk=False).get_opcodes():
        both = min(i2 - i1, j2 - j1)
        for i, j in zip(range(i1, i1 + both), range(j1, j1 + both), strict=True):
            yield from _differing(old[i], new[j], _Places((*at.old, i), (*at.new, j)))
        for i in range(i1 + both, i2):
            yield _Places((*at.old, i), at.new, in_new=False)
        for j in range(j1 + both, j2):
            yield _Places((*at.old, i2), (*at.new, j), in_old=False)


def _elsewhere(text: LabText, place: Place) -> str:
    """Return the file that a key stems from, nothing where that is the lab file."""
    file = text.spot(place).file
    return "" if file == text.file else file


def _at(data: Any, place: Place) -> Any:
    for step in place:
        data = data[step]
    return data
