"""A picture as a file of diagrams.net (draw.io), to be moved about by hand there.

Machines are containers whose boxes stand below each other. Where it all goes is for whoever opens
it: draw.io has layouts of its own, and no program is needed here.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from underlay.report.topology.sizes import Size, size_of

if TYPE_CHECKING:
    from underlay.report.topology.picture import Item, Line, Picture

GAP, TOP = 24, 34
GROUP = (
    "swimlane;startSize=26;rounded=1;html=0;fillColor=none;strokeColor=#98a2ad;"
    "align=left;spacingLeft=8;"
)
BOX = "rounded=1;html=0;whiteSpace=wrap;fillColor=#ffffff;strokeColor=#5b6773;"
FILLS = {"segment": "#dcebf2", "network": "#f4f1e8"}
EDGE = "endArrow=none;html=0;edgeStyle=orthogonalEdgeStyle;rounded=1;"


def drawio_text(picture: Picture) -> str:
    """Return ``picture`` as a diagram: hosts above, then switches, then nodes side by side."""
    file = ET.Element("mxfile", {"host": "underlay"})
    diagram = ET.SubElement(file, "diagram", {"id": "lab", "name": picture.lab})
    model = ET.SubElement(diagram, "mxGraphModel", {"grid": "1", "page": "0"})
    sheet = _Sheet(ET.SubElement(model, "root"))
    top = sheet.machines(picture, "host", 0.0)
    top = sheet.row(picture.inside(""), top)
    sheet.machines(picture, "node", top)
    for line in picture.lines:
        sheet.line(line)
    ET.indent(file)
    return ET.tostring(file, encoding="unicode") + "\n"


class _Sheet:
    """The cells of the diagram under way; the first two are what draw.io has below all others."""

    def __init__(self, root: ET.Element) -> None:
        self._root = root
        self._numbers = count(2)
        self._ids: dict[str, str] = {}
        ET.SubElement(root, "mxCell", {"id": "0"})
        ET.SubElement(root, "mxCell", {"id": "1", "parent": "0"})

    def row(self, items: tuple[Item, ...], top: float) -> float:
        """Put boxes side by side, and return where the next row begins."""
        left = 0.0
        for item in items:
            size = self._box(item, "1", left, top)
            left += size.width + GAP
        tallest = max((size_of(item).height for item in items), default=0.0)
        return top + tallest + 2 * GAP if items else top

    def machines(self, picture: Picture, kind: str, top: float) -> float:
        """Put the machines of one kind side by side, and return where the next row begins."""
        left = lowest = 0.0
        for group in (one for one in picture.groups if one.kind == kind):
            items = picture.inside(group.id)
            wide = max((size_of(item).width for item in items), default=80) + 2 * GAP
            title = f"{group.name} · {group.note}" if group.note else group.name
            cell, id = self._cell(title, GROUP, "1")
            down = float(TOP)
            for item in items:
                down += self._box(item, id, GAP, down).height + GAP
            _geometry(cell, left, top, wide, down)
            left, lowest = left + wide + GAP, max(lowest, top + down)
        return lowest + 2 * GAP if lowest else top

    def line(self, line: Line) -> None:
        """Tie two boxes together."""
        words = {
            "id": str(next(self._numbers)),
            "value": line.label,
            "style": EDGE + ("dashed=1;" if line.tie == "same" else ""),
            "edge": "1",
            "parent": "1",
            "source": self._ids[line.one],
            "target": self._ids[line.other],
        }
        edge = ET.SubElement(self._root, "mxCell", words)
        ET.SubElement(edge, "mxGeometry", {"relative": "1", "as": "geometry"})

    def _box(self, item: Item, parent: str, x: float, y: float) -> Size:
        rows = (f"{row.name} {row.address}".strip() for row in item.rows)
        style = BOX.replace("#ffffff", FILLS.get(item.kind, "#ffffff"))
        cell, id = self._cell("\n".join((item.name, *item.lines, *rows)), style, parent)
        self._ids[item.id] = id
        size = size_of(item)
        _geometry(cell, x, y, size.width, size.height)
        return size

    def _cell(self, value: str, style: str, parent: str) -> tuple[ET.Element, str]:
        id = str(next(self._numbers))
        words = {"id": id, "value": value, "style": style, "vertex": "1", "parent": parent}
        return ET.SubElement(self._root, "mxCell", words), id


def _geometry(cell: ET.Element, x: float, y: float, width: float, height: float) -> None:
    numbers = {"x": x, "y": y, "width": width, "height": height}
    told = {name: f"{value:g}" for name, value in numbers.items()}
    ET.SubElement(cell, "mxGeometry", {**told, "as": "geometry"})
