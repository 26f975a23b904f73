"""Which of the differing keys makes cells change: each is tried alone in the old lab.

A key that differs beside others may have nothing to do with what is lost. The old lab with that
one key as in the new file is predicted, and what changes there is the key's own doing.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.errors import UnderlayError
from underlay.lab.text import LabText
from underlay.lint.read import lab_of_text
from underlay.plan import make_plan
from underlay.proof.difference.cells import compare
from underlay.proof.difference.keys import NOTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.lint import Loaded
    from underlay.plan import Plan
    from underlay.proof.difference.blocks import Group
    from underlay.proof.difference.cells import Change
    from underlay.proof.difference.keys import KeyChange

# What is beyond that isn't tried: a difference is to be there in about a second.
MOST_KEYS = 8
MOST_CELLS = 12_000
# Keys that say nothing about who reaches whom.
IDLE = ("name", "description", "expect")

# A cell by its names, in the old lab where it has been there, and what became of it.
Deed = tuple[str, ...]


@dataclass(frozen=True)
class GroupKeys:
    """The keys that ``alone`` change cells of a group as they are changed.

    ``together`` says that there are cells of it which only several keys together change so.
    """

    alone: tuple[KeyChange, ...]
    together: bool = False


def keys_of_groups(
    old: Loaded, keys: Sequence[KeyChange], groups: Sequence[Group], cells: int
) -> tuple[GroupKeys, ...] | None:
    """Return for each of ``groups`` which of the differing ``keys`` make it.

    Returns None where it would take too long to know: there are ``cells`` to predict for each.
    """
    able = [key for key in keys if key.place and key.place[0] not in IDLE]
    if len(able) == 1:
        return tuple(GroupKeys((able[0],)) for _ in groups)
    if not able or len(able) > MOST_KEYS or len(able) * cells > MOST_CELLS:
        return None
    done = [_alone(old, key) for key in able]
    found = []
    for group in groups:
        wanted = {_deed(change) for block in group.blocks for change in block.changes}
        alone = tuple(key for key, deeds in zip(able, done, strict=True) if deeds & wanted)
        found.append(GroupKeys(alone, together=not wanted <= set().union(*done)))
    return tuple(found)


def _alone(old: Loaded, key: KeyChange) -> set[Deed]:
    """Return what becomes of cells by ``key`` alone; nothing where that makes no lab."""
    plan = _with(old, key)
    return {_deed(change) for change in compare(old.plan, plan).changes} if plan else set()


def _with(old: Loaded, key: KeyChange) -> Plan | None:
    """Return the plan of the old lab with one key as in the new one, None where it is no lab."""
    data = deepcopy(old.text.data)
    parent: Any = data
    for step in key.place[:-1]:
        parent = parent[step]
    last: Any = key.place[-1]
    if key.new is NOTHING:
        del parent[last]
    elif key.old is NOTHING and isinstance(parent, list):
        parent.insert(last, key.new)
    else:
        parent[last] = key.new
    text = LabText(old.text.file, data, old.text.keys, old.text.values)
    try:
        return replace(make_plan(lab_of_text(text, Path())), lab=old.plan.lab)
    except UnderlayError:
        return None


def _deed(change: Change) -> Deed:
    cell = change.old or change.cell
    place = (cell.source, cell.destination, cell.protocol, str(cell.family))
    now = (change.new.stop, change.new.rule) if change.new else ()
    return (change.what, *place, *now)
