"""A picture as SVG: light and dark as the reader's system is, with words for who can't see it.

Where the boxes stand is Graphviz's work. What they look like is said in ``style.css`` beside this
file, by the same classes in a file of its own and within the page of a run.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from underlay.report.topology.sizes import HEAD, LINE, PADDING, size_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.report.topology.layout import Box, Layout, Point
    from underlay.report.topology.picture import Group, Item, Line, Picture

TITLE_DOWN, TITLE_UP = 19, 12
# How far a bar keeps from each side of a cable that passes it, and its words as well.
SLIT = 5
STRIPE = 4
# Drivers that are alike in what they do to frames have a colour in common.
FAMILIES = {
    "macvlan": "mac",
    "macvtap": "mac",
    "ipvlan": "ip",
    "ipvtap": "ip",
    "bridge": "bridge",
    "vlan": "vlan",
    "vxlan": "overlay",
    "nvgre": "overlay",
}


def svg_text(picture: Picture, layout: Layout, *, alone: bool = True) -> str:
    """Return ``picture`` as SVG; not ``alone`` it has no style, which its page has then.

    A page scales it to its own width, but to no less than half: smaller text can't be read.
    """
    size = f"{layout.width:.0f} {layout.height:.0f}"
    wide, tall = size.split()
    least = "" if alone else f' style="min-width: {layout.width / 2:.0f}px"'
    name = f"lab-{''.join(c if c.isalnum() else '-' for c in picture.lab)}"
    told = " ".join((picture.words, *(item.words + "." for item in picture.inside(""))))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lab" viewBox="0 0 {size}" '
        f'width="{wide}" height="{tall}"{least} role="img" aria-labelledby="{name}-t {name}-d">',
        f'<title id="{name}-t">{escape(f"The lab {picture.lab}")}</title>',
        f'<desc id="{name}-d">{escape(told)}</desc>',
    ]
    if alone:
        parts += [
            f"<style>\n{style()}</style>",
            '<rect class="ground" width="100%" height="100%"/>',
        ]
    parts += [_group(group, layout.groups[group.id]) for group in picture.groups]
    # Cables lie upon the bars that they pass, all else upon what it is tied to.
    bars = picture.inside("")
    parts += [_item(bar, layout.items[bar.id], _passed(bar, picture, layout)) for bar in bars]
    parts += [_line(line, layout, bars) for line in picture.lines]
    parts += [_title(group, layout.groups[group.id]) for group in picture.groups]
    parts += [_item(item, layout.items[item.id]) for item in picture.items if item.group]
    return "\n".join([*parts, "</svg>"]) + "\n"


def style() -> str:
    """Return how the classes of the picture look."""
    return (files("underlay.report.topology") / "style.css").read_text(encoding="utf-8")


def _group(group: Group, box: Box) -> str:
    words = f"{group.kind} {group.name} {group.note}".strip()
    return (
        f'<g class="machine {group.kind}" data-id={quoteattr(group.id)}>'
        f"<title>{escape(words)}</title>{_rect(box, 10)}</g>"
    )


def _title(group: Group, box: Box) -> str:
    """The machine's name, at the side that no cable comes to."""
    note = f'<tspan class="note" dx="8">{escape(group.note)}</tspan>' if group.note else ""
    y = box.y + (box.height - TITLE_UP if group.kind == "node" else TITLE_DOWN)
    return _text(box.x + 12, y, group.name, f"title {group.kind}", note)


def _passes(line: Line, bar: Item, layout: Layout) -> bool:
    """Whether a cable leads over a segment's bar to another one's."""
    if line.tie != "cable" or bar.id in (line.one, line.other):
        return False
    (x, top), (_, bottom) = layout.lines[line.id][0], layout.lines[line.id][-1]
    box = layout.items[bar.id]
    return box.x <= x <= box.x + box.width and top < box.y < bottom


def _passed(bar: Item, picture: Picture, layout: Layout) -> list[float]:
    """Return where other segments' cables pass a bar, from left to right."""
    lines = (line for line in picture.lines if _passes(line, bar, layout))
    return sorted(layout.lines[line.id][0][0] for line in lines)


def _slits(line: Line, bars: tuple[Item, ...], layout: Layout) -> str:
    """Cut the bars that a cable passes, so that it doesn't look plugged into them."""
    cut = ""
    for bar in (bar for bar in bars if _passes(line, bar, layout)):
        box, x = layout.items[bar.id], layout.lines[line.id][0][0]
        cut += (
            f'<rect class="slit" x="{x - SLIT:.1f}" y="{box.y - 1:.1f}" '
            f'width="{2 * SLIT}" height="{box.height + 2:.1f}"/>'
        )
    return cut


def _line(line: Line, layout: Layout, bars: tuple[Item, ...]) -> str:
    start, *rest = layout.lines[line.id]
    curve = f"M{_point(start)}C{' '.join(_point(point) for point in rest)}"
    label = ""
    if line.id in layout.labels:
        x, y = layout.labels[line.id]
        label = _text(x, y + 4, line.label, f"label {line.tie}")
    ports = ""
    if line.tie == "cable":
        x, y = layout.lines[line.id][0 if line.one.startswith("segment ") else -1]
        ports = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
    return (
        f'<g class="tie {line.tie}" data-id={quoteattr(line.id)} data-one={quoteattr(line.one)} '
        f'data-other={quoteattr(line.other)}>{_slits(line, bars, layout)}<path d="{curve}"/>'
        f"{ports}{label}</g>"
    )


def _words_at(item: Item, box: Box, passed: Iterable[float]) -> float:
    """Return where a bar's words begin: in its first gap between cables that is wide enough."""
    begin, need = box.x, size_of(item).width
    for x in passed:
        if begin + need <= x - SLIT:
            return begin
        begin = x + SLIT
    return begin if begin + need <= box.x + box.width else box.x


def _item(item: Item, box: Box, passed: Iterable[float] = ()) -> str:
    family = FAMILIES.get(item.driver, "other") if item.driver else ""
    classes = f"item {item.kind} {family}".strip()
    x = _words_at(item, box, passed) + PADDING + (STRIPE if item.rows else 0)
    y = box.y + HEAD - 3
    parts = [
        f'<g class="{classes}" data-id={quoteattr(item.id)}>',
        f"<title>{escape(item.words)}</title>",
        _rect(box, 6),
    ]
    if item.rows:
        top, tall = box.y + 7, box.height - 14
        parts.append(f'<path class="stripe" d="M{box.x + STRIPE:.1f} {top:.1f}v{tall:.1f}"/>')
    parts.append(_text(x, y, item.name, "name"))
    for number, text in enumerate(item.lines, 1):
        parts.append(_text(x, y + LINE * number, text, "line"))
    top = box.y + HEAD + LINE * len(item.lines) + 7
    for number, row in enumerate(item.rows):
        down = top + LINE * number
        parts.append(
            f'<g class="row" data-id={quoteattr(row.id)}>'
            f'<rect x="{box.x + STRIPE + 4:.1f}" y="{down:.1f}" '
            f'width="{box.width - STRIPE - 8:.1f}" height="{LINE}" rx="3"/>'
            f"{_text(x, down + 12, row.name, 'end')}"
            f"{_text(box.x + box.width - PADDING, down + 12, row.address, 'address')}</g>"
        )
    return "".join([*parts, "</g>"])


def _rect(box: Box, radius: int) -> str:
    return (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="{radius}"/>'
    )


def _text(x: float, y: float, text: str, kind: str, more: str = "") -> str:
    if not text:
        return ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}{more}</text>'


def _point(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"
