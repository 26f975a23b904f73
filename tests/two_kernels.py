"""What two kernels showed of one lab, cell by cell: whether it is the same, stops included."""

from __future__ import annotations

from collections.abc import Iterable

from underlay.expect import Expectation

# How many cells are named; the first ones are enough to look for the cause.
NAMED = 10


def disagreements(
    cells: Iterable[Expectation], here: Iterable[str], there: Iterable[str]
) -> list[str]:
    """Return a line for each cell that was seen otherwise ``here`` than ``there``.

    What was seen is a word of ``proof.SIGNS`` for each of ``cells``: "reachable", or where a
    request stopped. Two such places may differ only where the cell itself has several (``also``),
    and both are among them. In these few cells moments decide, not a kernel's rules: whether the
    other end's own ARP has just told the asker where it is, whether another protocol of the pair
    has looked for the neighbour before, whether a bridge without ports has its queue yet. Every
    other stop is what a rule says that a kernel does, and that must hold on each of them. Raises
    ValueError where the three aren't of the same cells.
    """
    return [
        f"{cell.source} to {cell.destination} by {cell.protocol}{cell.family}: {one}, not {other}"
        for cell, one, other in zip(cells, here, there, strict=True)
        if one != other and not {one, other} <= several(cell)
    ]


def several(cell: Expectation) -> set[str]:
    """Return where ``cell`` may be seen to stop, if that is more than one place."""
    return {cell.stop, *cell.also} if cell.also and not cell.reachable else set()


def told(lines: list[str]) -> str:
    """Return ``lines`` as one text: their number, and the first of them."""
    return "\n".join((f"{len(lines)} cells were seen otherwise", *lines[:NAMED]))
