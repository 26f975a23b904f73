"""The matrix as text: a row asks, a column answers, one sign for all three protocols.

Where it is folded, a sign stands for a block of pairs. A block of which only some differ or
weren't measured says how many of how many; `odd.py` names those below the matrix. What is only
predicted is drawn in the same way, with signs of its own.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from rich.text import Text

from underlay.report.odd import odd_ones, troubled_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from underlay.expect import End, Expectation
    from underlay.verdict import Cell, Verdict

# More rows or columns than this are folded: first by node, then by network.
MOST = 24
# So are those whose columns would stand in more parts than this below each other.
PARTS = 2
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
# The same signs where nothing was measured.
TO_BE_REACHABLE = replace(REACHABLE, meaning="reachable")
TO_BE_UNREACHABLE = replace(UNREACHABLE, meaning="unreachable")
TO_BE_MIXED = replace(MIXED, meaning="some of each")


class Asked(Protocol):
    """What is drawn: anything about who asks whom."""

    @property
    def source(self) -> str:
        """The row's end."""

    @property
    def destination(self) -> str:
        """The column's end."""


_Asked = TypeVar("_Asked", bound=Asked)


@dataclass(frozen=True)
class _Heading:
    """A row or column: the group that it stands in, its short label there, its full one."""

    group: str
    short: str
    label: str


@dataclass(frozen=True)
class _Block:
    """What stands where a row meets a column; ``some`` of ``of`` pairs, or 0 of 0 for all.

    ``mark`` is a style beside the sign's own.
    """

    sign: Sign
    some: int = 0
    of: int = 0
    mark: str = ""

    @property
    def style(self) -> str:
        """The styles of the sign and of the mark."""
        return f"{self.sign.style} {self.mark}".strip()

    def text(self, ascii_only: bool) -> str:
        """Return the sign, with how many pairs have it where not all have."""
        return self.sign.text(ascii_only) + (f"{self.some}/{self.of}" if self.of else "")


@dataclass(frozen=True)
class _Form:
    """How a matrix is drawn: in how many columns of text, in which signs, and whether unfolded."""

    width: int
    ascii_only: bool
    wide: bool

    @property
    def room(self) -> int:
        """The columns of text that a line of the matrix may have."""
        return sys.maxsize if self.wide else self.width


_Shown = dict[tuple[_Heading, _Heading], _Block]


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


def matrix(
    verdict: Verdict,
    ends: Sequence[End],
    *,
    width: int = 100,
    ascii_only: bool = False,
    wide: bool = False,
    marked: Collection[tuple[str, str]] = (),
    mark: str = "reverse",
) -> Text:
    """Return the matrix of ``verdict``, grouped by network and, where large, folded.

    Columns that don't fit in ``width`` stand below the others, beside the same rows; twelve
    containers and three nodes need some 70. Where that takes more than two parts, it is folded as
    well. ``wide`` it has a column for each end, whatever that takes. The legend names the signs
    that occur, so it can be read without colour. What stands for any of the ``marked`` pairs has
    the style ``mark`` as well.
    """

    def block_of(cells: list[Cell]) -> _Block:
        block = _block(cells)
        here = any((cell.source, cell.destination) in marked for cell in cells)
        return replace(block, mark=mark) if here else block

    form = _Form(width, ascii_only, wide=wide)
    lines, counted = _grid(verdict.reach, ends, block_of, SIGNS, form)
    if counted:
        signs = {"differs": DIFFERS, "not measured": NOT_MEASURED}
        for odd in odd_ones(verdict, ends):
            sign = signs[odd.what]
            lines.append(Text(f"{sign.text(ascii_only)} {odd.words}", sign.style))
    return _joined(lines)


def predicted_matrix(
    cells: Iterable[Expectation],
    ends: Sequence[End],
    *,
    width: int = 100,
    ascii_only: bool = False,
    wide: bool = False,
) -> Text:
    """Return the matrix of what is to be expected, drawn as that of a verdict.

    ``cells`` are those about reachability.
    """
    signs = (TO_BE_REACHABLE, TO_BE_UNREACHABLE, TO_BE_MIXED)
    form = _Form(width, ascii_only, wide=wide)
    lines, _ = _grid(cells, ends, lambda some: _Block(predicted_sign(some)), signs, form)
    return _joined(lines)


def predicted_sign(cells: Iterable[Expectation]) -> Sign:
    """Return the one sign for what is to be expected of these cells."""
    words = {cell.reachable for cell in cells}
    if len(words) > 1:
        return TO_BE_MIXED
    return TO_BE_REACHABLE if True in words else TO_BE_UNREACHABLE


def _grid(
    cells: Iterable[_Asked],
    ends: Sequence[End],
    block_of: Callable[[list[_Asked]], _Block],
    signs: Sequence[Sign],
    form: _Form,
) -> tuple[list[Text], bool]:
    """Return the lines of a matrix with its legend, and whether any block is counted in part."""
    groups = _in_order(end.network for end in ends if end.network)
    ends = sorted(ends, key=lambda end: groups.index(end.network) if end.network else len(groups))
    row_of, column_of = _folding(ends, form)
    by_name = {end.name: end for end in ends}
    rows = _in_order(row_of(end) for end in ends)
    columns = _in_order(column_of(a, b) for b in ends for a in ends)
    blocks: dict[tuple[_Heading, _Heading], list[_Asked]] = defaultdict(list)
    for cell in cells:
        source, destination = by_name[cell.source], by_name[cell.destination]
        blocks[row_of(source), column_of(source, destination)].append(cell)
    shown = {place: block_of(cells) for place, cells in blocks.items()}
    columns = [c for c in columns if any((row, c) in shown for row in rows)]
    rows = [row for row in rows if any((row, c) in shown for c in columns)]

    lines: list[Text] = []
    for panel in _panels(rows, columns, shown, form.room):
        lines += [*([Text()] if lines else []), *_drawn(rows, panel, shown, form.ascii_only)]
    lines += [Text(), *_legend(columns, shown, signs, form.width, form.ascii_only)]
    return lines, any(block.of for block in shown.values())


def _joined(lines: list[Text]) -> Text:
    for line in lines:
        line.rstrip()
    return Text("\n", no_wrap=True).join(lines)


def _block(cells: list[Cell]) -> _Block:
    sign = sign_of(cells)
    if sign not in (DIFFERS, NOT_MEASURED):
        return _Block(sign)
    pairs = {(cell.source, cell.destination) for cell in cells}
    some = len(troubled_pairs(cells, "differs" if sign is DIFFERS else "not measured"))
    return _Block(sign) if some == len(pairs) else _Block(sign, some, len(pairs))


def _wide(column: _Heading, rows: list[_Heading], shown: _Shown, least: int) -> int:
    """Return the columns of text that a column of the matrix takes, its gap included."""
    texts = (shown[row, column].text(ascii_only=False) for row in rows if (row, column) in shown)
    return max((least, *map(len, texts))) + 1


def _panels(
    rows: list[_Heading], columns: list[_Heading], shown: _Shown, width: int
) -> list[list[_Heading]]:
    """Cut the columns into parts that fit beside the rows' labels, at a group where one can."""
    room = width - max((len(row.label) for row in rows), default=0) - 1
    least = max((len(column.short) for column in columns), default=0)
    wide = {column: _wide(column, rows, shown, least) for column in columns}
    groups = [
        [column for column in columns if column.group == group]
        for group in _in_order(column.group for column in columns)
    ]
    panels: list[list[_Heading]] = [[]]
    left = room
    for group in groups:
        needed = 1 + sum(wide[column] for column in group)
        if panels[-1] and needed > left:
            panels.append([])
            left = room
        left -= 1
        for column in group:
            if panels[-1] and wide[column] > left:
                panels.append([])
                left = room - 1
            panels[-1].append(column)
            left -= wide[column]
    return panels


def _drawn(
    rows: list[_Heading], columns: list[_Heading], shown: _Shown, ascii_only: bool
) -> list[Text]:
    left = max((len(row.label) for row in rows), default=0) + 1
    least = max((len(column.short) for column in columns), default=0)
    wide = [_wide(column, rows, shown, least) for column in columns]
    starts = [n == 0 or column.group != columns[n - 1].group for n, column in enumerate(columns)]

    groups = Text(" " * left)
    rooms: dict[str, int] = defaultdict(lambda: 1)
    for w, column in zip(wide, columns, strict=True):
        rooms[column.group] += w
    for shown_as, room in zip(cut_to(rooms, ascii_only), rooms.values(), strict=True):
        groups.append(f"  {shown_as}"[:room].ljust(room), "bold")
    shorts = Text(" " * left)
    for start, column, w in zip(starts, columns, wide, strict=True):
        shorts.append(f"{' ' * start}{column.short:>{w}}", "bold")
    lines = [groups, shorts]

    group = rows[0].group if rows else ""
    for row in rows:
        if row.group != group:
            lines.append(Text())
        group = row.group
        line = Text(f"{row.label:<{left}}")
        for start, column, w in zip(starts, columns, wide, strict=True):
            block = shown.get((row, column))
            text = block.text(ascii_only) if block else ""
            line.append(f"{' ' * start}{text:>{w}}", block.style if block else "")
        lines.append(line)
    return lines


def cut_to(rooms: dict[str, int], ascii_only: bool) -> list[str]:
    """Return the names of groups, each in its columns of text less the two it is indented by.

    A name that is cut says so: vlan10 cut to vlan1 would name another network. Where two are alike
    then, they are cut in the middle.
    """
    sign = "~" if ascii_only else "…"
    lefts = {name: max(1, room - 2) for name, room in rooms.items()}
    short = [name if len(name) <= left else name[: left - 1] + sign for name, left in lefts.items()]
    found = []
    for (name, left), tried in zip(lefts.items(), short, strict=True):
        if tried != name and short.count(tried) > 1 and left > 1:
            end = max(1, left // 2)
            found.append(name[: left - 1 - end] + sign + name[-end:])
        else:
            found.append(tried)
    return found


def _legend(
    columns: list[_Heading], shown: _Shown, signs: Sequence[Sign], width: int, ascii_only: bool
) -> list[Text]:
    """Name the signs that occur, and read one block out where some of it is counted."""
    lines = [Text()]
    there = {block.sign for block in shown.values()}
    for sign in (sign for sign in signs if sign in there):
        words = Text.assemble((sign.text(ascii_only), sign.style), f" {sign.meaning}")
        if lines[-1] and len(lines[-1]) + len(words) + 3 > width:
            lines.append(Text())
        lines[-1].append("   " if lines[-1] else "")
        lines[-1].append_text(words)
    counted = next((block for block in shown.values() if block.of), None)
    if counted:
        verb = "differs" if counted.some == 1 else "differ"
        if counted.sign is NOT_MEASURED:
            verb = "wasn't measured" if counted.some == 1 else "weren't measured"
        read = f"{counted.some} of the {counted.of} pairs there {verb}"
        lines.append(Text(f"{counted.text(ascii_only)}: {read}"))
    if any(column.short == SAME_NODE for column in columns):
        lines.append(Text(f"{SAME_NODE}, {OTHER_NODE}: whether both are on one node"))
    return lines


def _folding(
    ends: Sequence[End], form: _Form
) -> tuple[Callable[[End], _Heading], Callable[[End, End], _Heading]]:
    """Return how an end becomes a row, and how a pair's destination becomes a column."""
    if form.wide or len(ends) <= MOST:
        shorts = _shorts(ends)
        longest = max((len(end.name) for end in ends), default=0)

        def end_row(end: End) -> _Heading:
            where = f"  {end.node}" if end.kind == "container" else ""
            label = f"{end.name:<{longest}}{where}"
            return _Heading(end.network or NODES, shorts[end.name], label)

        every = [end_row(end) for end in ends]
        if form.wide or len(_panels(every, every, {}, form.room)) <= PARTS:
            return end_row, lambda _, end: end_row(end)

    nodes = _in_order(end.node for end in ends)
    numbers = dict(zip(nodes, _told_apart(nodes), strict=True))

    def node_row(end: End) -> _Heading:
        if end.kind != "container":
            return _Heading(NODES, numbers[end.node], end.node)
        return _Heading(end.network, numbers[end.node], f"{end.network} on {end.node}")

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
        tried = _told_apart([end.space for end in group])
        labels |= {end.name: label for end, label in zip(group, tried, strict=True)}
    return labels


def _told_apart(names: Sequence[str]) -> list[str]:
    """Return what follows each name's last hyphen, or numbers where that is alike for two."""
    tried = [name.rpartition("-")[2] for name in names]
    alike = len(set(tried)) < len(tried)
    return [str(number) for number in range(1, len(names) + 1)] if alike else tried


def _in_order(items: Iterable[_T]) -> list[_T]:
    return list(dict.fromkeys(items))
