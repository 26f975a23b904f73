"""What becomes of each cell between two labs, by their predictions alone.

Both are asked by the protocols and checks of either: a port that only the new lab asks for is
compared with what the old lab would have answered there.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Literal

from underlay.expect import Prediction, asked_as, ends
from underlay.proof.difference.reach import reached

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from underlay.expect import End, Expectation, Pair
    from underlay.expect.alike import Alike
    from underlay.plan import Plan

# gained: reachable now, and wasn't, or wasn't there. lost: the other way round. changed: in both
# labs, unreachable for another reason or with another value. came and went: what isn't reachable,
# and values, in one of the labs only.
What = Literal["gained", "lost", "changed", "came", "went"]
Scope = Literal["stays", "comes", "goes"]
WHAT: tuple[What, ...] = ("lost", "changed", "gained", "went", "came")


@dataclass(frozen=True)
class Side:
    """One of the two labs that are compared: what it is predicted by, and its ends by name."""

    prediction: Prediction
    ends: Mapping[str, End]


@dataclass(frozen=True)
class Change:
    """A cell that isn't as before. One of ``old`` and ``new`` is None where it isn't there.

    ``stays`` says that both of its ends are in both labs. ``source`` and ``destination`` are
    named as in the new lab, or else as in the old one.
    """

    what: What
    source: str
    destination: str
    stays: bool
    old: Expectation | None
    new: Expectation | None

    @property
    def scope(self) -> Scope:
        """Whether its ends are in both labs, or one of them comes or goes."""
        if self.stays:
            return "stays"
        return "goes" if self.new is None else "comes"

    @property
    def cell(self) -> Expectation:
        """The cell in the new lab, or else in the old one."""
        found = self.new or self.old
        assert found is not None
        return found


@dataclass(frozen=True)
class Difference:
    """Two labs compared, cell by cell.

    ``cells`` is how many there are in either. ``come`` and ``go`` are the ends that only one of
    the labs has; ``moved`` those whose name, node or address is another, before and now.
    ``names`` are those that ends of the old lab have in the new one, of all that stay.
    """

    old: Side
    new: Side
    cells: int
    changes: tuple[Change, ...]
    come: tuple[End, ...]
    go: tuple[End, ...]
    moved: tuple[tuple[End, End], ...]
    names: Mapping[str, str]

    def of(self, what: What) -> int:
        """Return how many cells are ``what``."""
        return sum(change.what == what for change in self.changes)

    @property
    def lost(self) -> int:
        """How many cells were reachable and aren't any more."""
        return self.of("lost")

    @property
    def same(self) -> int:
        """How many cells are as before."""
        return self.cells - len(self.changes)

    @property
    def any(self) -> bool:
        """Whether any cell, or any end, isn't as before."""
        return bool(self.changes or self.come or self.go or self.moved)


def compare(old: Plan, new: Plan) -> Difference:
    """Return what changes from the lab planned as ``old`` to the one planned as ``new``."""
    protocols = tuple(dict.fromkeys((*old.protocols, *new.protocols)))
    checks = tuple(dict.fromkeys((*old.checks, *new.checks)))
    before, now = (_side(replace(p, protocols=protocols, checks=checks)) for p in (old, new))
    names, moved = _matched(before, now)
    known = {names.get(name, name) for name in before.ends}
    come = tuple(end for name, end in now.ends.items() if name not in known)
    go = tuple(end for name, end in before.ends.items() if name not in names)
    # Equal plans have equal predictions: a comment that differs needs none.
    same = before.prediction.plan == now.prediction.plan
    count, changes = (now.prediction.count, ()) if same else _changes(before, now, names)
    return Difference(before, now, count, changes, come, go, moved, names)


def _side(plan: Plan) -> Side:
    return Side(Prediction(plan), {end.name: end for end in ends(plan)})


def _matched(old: Side, new: Side) -> tuple[dict[str, str], tuple[tuple[End, End], ...]]:
    """Return the new name of each old end that stays, and the ends that are moved.

    A container that joins a second network gets other names for its ends, and one of a given
    name that is put into another network keeps it: both stay who they are.
    """
    there = {_who(end): end for end in new.ends.values()}
    found = {end.name: there[_who(end)] for end in old.ends.values() if _who(end) in there}
    taken = {end.name for end in found.values()}
    for end in old.ends.values():
        alike = new.ends.get(end.name)
        if end.name not in found and alike and alike.name not in taken and alike.kind == end.kind:
            found[end.name] = alike
    found |= _renamed(old, new, found)
    # An interface's name says nothing about who reaches whom.
    moved = tuple(
        (end, found[end.name])
        for end in old.ends.values()
        if end.name in found
        and replace(end, interface="") != replace(found[end.name], interface="")
    )
    return {name: found[name].name for name in old.ends if name in found}, moved


def _renamed(old: Side, new: Side, found: Mapping[str, End]) -> dict[str, End]:
    """Return the ends of containers that are called otherwise now, and are the same in all else.

    A container is known by all of its ends: by their node, network and addresses. Where two are
    alike in that, nobody knows which of them it is.
    """
    known = {old.ends[name].space for name in found}, {end.space for end in found.values()}
    gone, come = (
        _by_looks(end for end in side.ends.values() if end.space not in spaces)
        for side, spaces in zip((old, new), known, strict=True)
    )
    made: dict[str, End] = {}
    for looks, spaces in gone.items():
        there = come.get(looks, [])
        if len(spaces) == len(there) == 1:
            made |= {one.name: now for one, now in zip(spaces[0], there[0], strict=True)}
    return made


Looks = tuple[tuple[object, ...], ...]


def _by_looks(ends_: Iterable[End]) -> dict[Looks, list[list[End]]]:
    """Return containers, each as its ends in an order of their own, by all but their names."""
    spaces: dict[str, list[End]] = defaultdict(list)
    for end in ends_:
        if end.kind == "container" and (end.address or end.address6):
            spaces[end.space].append(end)
    found: dict[Looks, list[list[End]]] = defaultdict(list)
    for own in spaces.values():
        own.sort(key=_looks)
        found[tuple(map(_looks, own))].append(own)
    return found


def _looks(end: End) -> tuple[str, str, str, str, bool]:
    return end.node, end.network, end.address, end.address6, end.further


def _who(end: End) -> tuple[str, str, str, str]:
    further = (end.address or end.address6) if end.further else ""
    return end.kind, end.space, end.network, further


Place = tuple[str, str, str, int]


def _changes(old: Side, new: Side, names: Mapping[str, str]) -> tuple[int, tuple[Change, ...]]:
    """Return how many cells there are, and those that aren't as before, in the matrix's order."""
    before, now = old.prediction, new.prediction
    reach = reached(before, now, names, lambda cells: _what(*cells) is not None)
    gone = [_change(cell, None, names, stays=False) for cell, _ in reach.gone if cell]
    come = new.ends.keys() - {*names.values()}
    changed = [
        _change(*cells, names, stays=not come & {cells.new.source, cells.new.destination})
        for cells in reach.now
        if cells.new
    ]
    left = [_change(cell, None, names, stays=True) for cell, _ in reach.left if cell]
    values = _values(old, new, names)
    changes = chain(gone, values.gone, changed, values.changed, left, values.left)
    return reach.count + values.count, tuple(changes)


@dataclass(frozen=True)
class _Values:
    """How many cells of kind value there are in either lab, and those that aren't as before."""

    count: int
    gone: list[Change]
    changed: list[Change]
    left: list[Change]


def _values(old: Side, new: Side, names: Mapping[str, str]) -> _Values:
    # A broadcast's destination is a network, which is called as it is in both.
    gone = old.ends.keys() - names.keys()
    come = new.ends.keys() - {*names.values()}
    before: dict[Place, Expectation] = {}
    # A list of who hears something names ends; nobody is another one by another name.
    called = {name: now for name, now in names.items() if name != now}
    lost: list[Change] = []
    for cell in old.prediction.values:
        if cell.source in gone or cell.destination in gone:
            lost.append(_change(cell, None, names, stays=False))
        else:
            before[_place(cell, names)] = _as_called(cell, called)
    changed: list[Change] = []
    for cell in new.prediction.values:
        stays = cell.source not in come and cell.destination not in come
        earlier = before.pop(_place(cell, {}), None) if stays else None
        if _what(earlier, cell) is not None:
            changed.append(_change(earlier, cell, names, stays=stays))
    left = [
        Change(_only(cell, "lost", "went"), source, destination, True, cell, None)
        for (source, destination, *_), cell in before.items()
    ]
    count = len(lost) + len(new.prediction.values) + len(before)
    return _Values(count, lost, changed, left)


def _place(cell: Expectation, names: Mapping[str, str]) -> Place:
    source = names.get(cell.source, cell.source)
    destination = names.get(cell.destination, cell.destination)
    return source, destination, cell.protocol, cell.family


def _change(
    old: Expectation | None, new: Expectation | None, names: Mapping[str, str], *, stays: bool
) -> Change:
    """Return what became of a cell, which isn't as before."""
    what = _what(old, new)
    assert what is not None
    if new is not None:
        return Change(what, new.source, new.destination, stays, old, new)
    assert old is not None
    source, destination, *_ = _place(old, names)
    return Change(what, source, destination, stays, old, None)


def _what(old: Expectation | None, new: Expectation | None) -> What | None:
    """Return what became of a cell that is in either lab, None where it is as before."""
    if new is None:
        return None if old is None else _only(old, "lost", "went")
    if old is None:
        return _only(new, "gained", "came")
    if new.kind == "value":
        return None if old.value == new.value else "changed"
    if old.reachable != new.reachable:
        return "gained" if new.reachable else "lost"
    if new.reachable or (old.stop, old.rule) == (new.stop, new.rule):
        return None
    return "changed"


def _as_called(cell: Expectation, called: Mapping[str, str]) -> Expectation:
    """Return a cell of the old lab with the new names in its value: who hears something."""
    if not called or isinstance(cell.value, str):
        return cell
    return replace(cell, value=tuple(sorted(called.get(one, one) for one in cell.value)))


def _only(cell: Expectation, reachable: What, otherwise: What) -> What:
    """Return what became of a cell that is in one of the labs only."""
    return reachable if cell.kind == "reach" and cell.reachable else otherwise


def counted(difference: Difference) -> Iterator[tuple[str, str, str, Scope, int]]:
    """Yield how many cells of reachability in either lab fare alike, each cell in one of them.

    They are told by the ends of one of them, how it is asked, and their scope.
    """
    new, stay = difference.new.prediction, {*difference.names.values()}
    stays = [end for end in new.ends if end.name in stay]
    come = [end for end in new.ends if end.name not in stay]
    scopes: tuple[tuple[Scope, Iterable[Alike[Pair]]], ...] = (
        ("stays", new.alike(stays, stays)),
        ("comes", chain(new.alike(come), new.alike(stays, come))),
    )
    for scope, all_alike in scopes:
        for one in all_alike:
            names = one.first.source.name, one.first.destination.name
            for protocol in new.protocols:
                yield *names, asked_as(protocol, one.first.family), scope, one.count
    # A cell of the old lab alone is no longer there, which is a change.
    for change in difference.changes:
        if change.new is None and change.cell.kind == "reach":
            asked = asked_as(change.cell.protocol, change.cell.family)
            yield change.source, change.destination, asked, change.scope, 1
