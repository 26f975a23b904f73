"""The matrix as text: a row asks, a column answers, one sign for all three protocols."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from underlay.expect import End
    from underlay.verdict import Cell, Verdict

# More rows or columns than this are folded: first by node, then by network.
MOST = 24
NODES = "nodes"
SAME_NODE, OTHER_NODE = "same", "other"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Sign:
    """A sign of the matrix, its stand-in where only ASCII can be printed, and its meaning."""

    sign: str
    ascii: str
    style: str
    meaning: str

    def text(self, ascii_only: bool) -> str:
        """Return the sign itself."""
        return self.ascii if ascii_only else self.sign


REACHABLE = Sign("●", "o", "green", "reachable, as expected")
UNREACHABLE = Sign("·", ".", "dim", "unreachable, as expected")
MIXED = Sign("◐", "%", "green", "some of each, as expected")
DIFFERS = Sign("✗", "X", "bold red", "differs")
NOT_MEASURED = Sign("?", "?", "bold yellow", "not measured")
SIGNS = (REACHABLE, UNREACHABLE, MIXED, DIFFERS, NOT_MEASURED)


@dataclass(frozen=True)
class _Heading:
    """A row or column: the group that it stands in, its short label there, its full one."""

    group: str
    short: str
    label: str


def sign_of(cells: Iterable[Cell]) -> Sign:
    """Return the one sign for these cells; the worst news wins."""
    kinds = set()
    for cell in cells:
        if cell.differs:
            return DIFFERS
        kinds.add(cell.observed)
    if "not_measured" in kinds:
        return NOT_MEASURED
    if len(kinds) > 1:
        return MIXED
    return REACHABLE if "reachable" in kinds else UNREACHABLE


def matrix(verdict: Verdict, ends: Sequence[End], *, ascii_only: bool = False) -> Text:
    """Return the matrix of ``verdict``, grouped by network and, where large, folded.

    The lines are not wrapped; twelve containers and three nodes need some 70
    columns. The legend names the signs that occur, so it can be read without colour.
    """
    groups = _in_order(end.network for end in ends if end.network)
    ends = sorted(ends, key=lambda end: groups.index(end.network) if end.network else len(groups))
    row_of, column_of = _folding(ends)
    by_name = {end.name: end for end in ends}
    rows = _in_order(row_of(end) for end in ends)
    columns = _in_order(column_of(a, b) for b in ends for a in ends)
    found: dict[tuple[_Heading, _Heading], list[Cell]] = defaultdict(list)
    for cell in verdict.reach:
        source, destination = by_name[cell.source], by_name[cell.destination]
        found[row_of(source), column_of(source, destination)].append(cell)
    signs = {place: sign_of(cells) for place, cells in found.items()}
    columns = [c for c in columns if any((row, c) in signs for row in rows)]
    return _drawn(rows, columns, signs, ascii_only)


def _drawn(
    rows: list[_Heading],
    columns: list[_Heading],
    signs: dict[tuple[_Heading, _Heading], Sign],
    ascii_only: bool,
) -> Text:
    left = max((len(row.label) for row in rows), default=0) + 1
    wide = max((len(column.short) for column in columns), default=0) + 1
    starts = [n == 0 or column.group != columns[n - 1].group for n, column in enumerate(columns)]

    groups = Text(" " * left)
    for group in _in_order(column.group for column in columns):
        room = 1 + wide * sum(column.group == group for column in columns)
        groups.append(f"  {group}"[:room].ljust(room), "bold")
    shorts = Text(" " * left)
    for start, column in zip(starts, columns, strict=True):
        shorts.append(f"{' ' * start}{column.short:>{wide}}", "bold")
    lines = [groups, shorts]

    group = rows[0].group if rows else ""
    for row in rows:
        if row.group != group:
            lines.append(Text())
        group = row.group
        line = Text(f"{row.label:<{left}}")
        for start, column in zip(starts, columns, strict=True):
            sign = signs.get((row, column))
            shown = sign.text(ascii_only) if sign else ""
            line.append(f"{' ' * start}{shown:>{wide}}", sign.style if sign else "")
        lines.append(line)

    legend = Text()
    for sign in (sign for sign in SIGNS if sign in signs.values()):
        legend.append("   " if legend else "")
        legend.append(sign.text(ascii_only), sign.style)
        legend.append(f" {sign.meaning}")
    lines += [Text(), legend]
    if any(column.short == SAME_NODE for column in columns):
        lines.append(Text(f"{SAME_NODE}, {OTHER_NODE}: whether both are on one node"))
    for line in lines:
        line.rstrip()
    return Text("\n", no_wrap=True).join(lines)


def _folding(
    ends: Sequence[End],
) -> tuple[Callable[[End], _Heading], Callable[[End, End], _Heading]]:
    """Return how an end becomes a row, and how a pair's destination becomes a column."""
    if len(ends) <= MOST:
        shorts = _shorts(ends)
        wide = max((len(end.name) for end in ends), default=0)

        def end_row(end: End) -> _Heading:
            where = f"  {end.node}" if end.kind == "container" else ""
            return _Heading(end.network or NODES, shorts[end.name], f"{end.name:<{wide}}{where}")

        return end_row, lambda _, end: end_row(end)

    def node_row(end: End) -> _Heading:
        if end.kind != "container":
            return _Heading(NODES, _suffix(end.node), end.node)
        return _Heading(end.network, _suffix(end.node), f"{end.network} on {end.node}")

    if len({node_row(end) for end in ends}) <= MOST:
        return node_row, lambda _, end: node_row(end)

    def network_row(end: End) -> _Heading:
        if end.kind != "container":
            return _Heading(NODES, "", NODES)
        return _Heading("", "", end.network)

    def network_column(source: End, end: End) -> _Heading:
        where = SAME_NODE if source.node == end.node else OTHER_NODE
        return _Heading(end.network or NODES, where, where)

    return network_row, network_column


def _shorts(ends: Sequence[End]) -> dict[str, str]:
    """Label each end within its group: lannet-1a is 1a, core-01 is 01; by number if that fails."""
    labels: dict[str, str] = {}
    groups: dict[str, list[End]] = defaultdict(list)
    for end in ends:
        groups[end.network].append(end)
    for group in groups.values():
        tried = [_suffix(end.space) for end in group]
        if len(set(tried)) < len(tried):
            tried = [str(number) for number in range(1, len(group) + 1)]
        labels |= {end.name: label for end, label in zip(group, tried, strict=True)}
    return labels


def _suffix(name: str) -> str:
    return name.rpartition("-")[2]


def _in_order(items: Iterable[_T]) -> list[_T]:
    return list(dict.fromkeys(items))
