"""How large the boxes of a picture are, in pixels, before any font has measured them.

Fonts differ from machine to machine. Widths are those of the widest usual ones, so that text fits
everywhere, and the same picture has the same size on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from underlay.report.topology.picture import Item

NAME = 13
TEXT = 11
# Of a font's size: the width of a letter of DejaVu Sans, bold, and of a monospaced font.
LETTER, FIXED = 0.64, 0.605
LINE = 16
HEAD = 20
PADDING = 9
LEAST = 84
# Between a container's name and its address.
GAP = 14


class Size(NamedTuple):
    """Width and height of a box."""

    width: float
    height: float


def text_width(text: str, size: int, *, fixed: bool = False) -> float:
    """Return how wide ``text`` is at most."""
    return len(text) * size * (FIXED if fixed else LETTER)


def size_of(item: Item) -> Size:
    """Return the size of an item's box."""
    widths = [text_width(item.name, NAME)]
    widths += [text_width(line, TEXT) for line in item.lines]
    names = max((text_width(row.name, TEXT) for row in item.rows), default=0.0)
    addresses = max((text_width(row.address, TEXT, fixed=True) for row in item.rows), default=0.0)
    widths.append(names + (GAP + addresses if addresses else 0))
    rows = len(item.rows)
    height = HEAD + LINE * len(item.lines) + (LINE * rows + 8 if rows else 0) + PADDING
    return Size(round(max(LEAST, *widths) + 2 * PADDING), height)
