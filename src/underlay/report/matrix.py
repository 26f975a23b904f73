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
MIXED = Sign("◐", "%", "green", "some reachable, some not, all as expected")
DIFFERS = Sign("✗", "X", "bold red", "differs")
NOT_MEASURED = Sign("?", "?", "bold yellow", "not measured")
SIGNS = (REACHABLE, UNREACHABLE, MIXED, DIFFERS, NOT_MEASURED)


@dataclass(frozen=True)
class _Heading:
    """A row or column: the group that it stands in, its short label there, its full one."""

    group: str
    short: str
    label: str


_Row = _Heading
_Column = _Heading


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
    row_of, column_of = _folding(ends)
    by_name = {end.name: end for end in ends}
    # Ends keep their order within a group; groups come in order of first appearance.
    rows = _in_order(row_of(end) for end in ends)
    columns = _in_order(column_of(a, b) for b in ends for a in ends)
    found: dict[tuple[_Row, _Column], list[Cell]] = defaultdict(list)
    for cell in verdict.cells:
        source, destination = by_name[cell.source], by_name[cell.destination]
        found[row_of(source), column_of(source, destination)].append(cell)
    signs = {place: sign_of(cells) for place, cells in found.items()}
    columns = [c for c in columns if any((row, c) in signs for row in rows)]
    return _drawn(rows, columns, signs, ascii_only)


def _drawn(
    rows: list[_Row],
    columns: list[_Column],
    signs: dict[tuple[_Row, _Column], Sign],
    ascii_only: bool,
) -> Text:
    left = max((len(row.label) for row in rows), default=0) + 1
    wide = max((len(column.short) for column in columns), default=0) + 1
    text = Text(no_wrap=True)
    groups = _in_order(column.group for column in columns)
    text.append(" " * left)
    for group in groups:
        room = wide * sum(column.group == group for column in columns)
        text.append(f"  {group[: room - 1]:<{room - 1}} ", "bold")
    text.append("\n" + " " * left)
    for before, column in zip([None, *columns], columns, strict=False):
        gap = "" if before and before.group == column.group else " "
        text.append(f"{gap}{column.short:>{wide}}", "bold")
    last = rows[0].group if rows else ""
    for row in rows:
        text.append("\n" if row.group == last else "\n\n")
        last = row.group
        text.append(f"{row.label:<{left}}")
        for before, column in zip([None, *columns], columns, strict=False):
            gap = "" if before and before.group == column.group else " "
            sign = signs.get((row, column))
            shown = sign.text(ascii_only) if sign else ""
            text.append(f"{gap}{shown:>{wide}}", sign.style if sign else "")
    text.append("\n\n")
    for position, sign in enumerate(s for s in SIGNS if s in signs.values()):
        text.append("   " if position else "")
        text.append(sign.text(ascii_only), sign.style)
        text.append(f" {sign.meaning}")
    return text


def _folding(
    ends: Sequence[End],
) -> tuple[Callable[[End], _Row], Callable[[End, End], _Column]]:
    """Return how an end becomes a row, and how a pair's destination becomes a column."""
    if len(ends) <= MOST:
        shorts = _shorts(ends)

        def end_row(end: End) -> _Heading:
            where = f"  {end.node}" if end.kind == "container" else ""
            wide = max(len(other.name) for other in ends)
            return _Heading(end.network or NODES, shorts[end.name], f"{end.name:<{wide}}{where}")

        return end_row, lambda _, end: end_row(end)

    def node_row(end: End) -> _Heading:
        if end.kind == "node":
            return _Heading(NODES, _suffix(end.node), end.node)
        return _Heading(end.network, _suffix(end.node), f"{end.network} on {end.node}")

    if len({node_row(end) for end in ends}) <= MOST:
        return node_row, lambda _, end: node_row(end)

    def network_row(end: End) -> _Heading:
        return _Heading(NODES, "", NODES) if end.kind == "node" else _Heading("", "", end.network)

    def network_column(source: End, end: End) -> _Heading:
        where = "same" if source.node == end.node else "other"
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
