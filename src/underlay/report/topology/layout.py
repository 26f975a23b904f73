"""Where the boxes of a picture stand.

What is in a machine is laid out by Graphviz's ``dot``, a program of its own that gets the graph on
its standard input. Machines stay in the plan's order, as ``dot`` keeps it where nothing ties them
together: nodes in a row below, hosts in one above, and between them each segment as a bar as long
as it takes for all of its cables to lead straight down or up.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from underlay.errors import BadInput, Infrastructure
from underlay.report.topology.dot import POINTS, dot_text
from underlay.report.topology.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.report.topology.picture import Item, Line, Picture

PROGRAM = "dot"
# s; a lab of a hundred nodes that are all different took six.
DEADLINE = 60
# Pixels: around all of it, between bars, between bars and machines, beyond a bar's last cable.
MARGIN, BETWEEN, CABLE, BEYOND = 14, 18, 40, 26
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle, by its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def moved(self, x: float, y: float) -> Box:
        """Return it elsewhere."""
        return replace(self, x=self.x + x, y=self.y + y)


@dataclass
class Layout:
    """Where everything is, in pixels from the upper left; lines are Bézier curves.

    ``items``, ``groups`` and ``lines`` are known by their ids, ``labels`` are the middles of lines'
    labels. Of a cable a label begins there.
    """

    width: float = 0.0
    height: float = 0.0
    items: dict[str, Box] = field(default_factory=dict)
    groups: dict[str, Box] = field(default_factory=dict)
    lines: dict[str, tuple[Point, ...]] = field(default_factory=dict)
    labels: dict[str, Point] = field(default_factory=dict)


def dot_is_there() -> bool:
    """Whether Graphviz is installed."""
    return shutil.which(PROGRAM) is not None


def layout_of(picture: Picture) -> Layout:
    """Return where the parts of ``picture`` stand.

    Raises BadInput where ``dot`` isn't installed, and Infrastructure where it fails.
    """
    if not dot_is_there():
        raise BadInput(
            "Graphviz isn't installed: its program dot lays out what --format svg draws",
            hint="apt install graphviz\n--format mermaid, drawio and dot do without it",
        )
    layout = Layout()
    down = float(MARGIN)
    hosts = _laid_out(picture, "host")
    nodes = _laid_out(picture, "node")
    wide = max(hosts.width, nodes.width)
    _take(layout, hosts, MARGIN + (wide - hosts.width) / 2, down)
    down += hosts.height + CABLE if hosts.height else 0
    bars = picture.inside("")
    tall = [size_of(item).height for item in bars]
    below = down + sum(tall) + BETWEEN * max(0, len(bars) - 1) + (CABLE if bars else 0)
    _take(layout, nodes, MARGIN + (wide - nodes.width) / 2, below)
    for item, height in zip(bars, tall, strict=True):
        layout.items[item.id] = _bar(item, picture, layout, down, wide)
        down += height + BETWEEN
    for line in (one for one in picture.lines if one.tie == "cable"):
        _draw_cable(line, picture, layout)
    right = max((box.x + box.width for box in layout.items.values()), default=0.0)
    layout.width = max(wide + MARGIN, right) + MARGIN
    layout.height = (below + nodes.height if nodes.height else down) + MARGIN
    return layout


def _laid_out(picture: Picture, kind: str) -> Layout:
    """Return the layout of the machines of one kind, from a corner of their own."""
    groups = tuple(group for group in picture.groups if group.kind == kind)
    ids = {group.id for group in groups}
    items = tuple(item for item in picture.items if item.group in ids)
    known = {item.id for item in items}
    lines = tuple(line for line in picture.lines if {line.one, line.other} <= known)
    if not groups:
        return Layout()
    return _read(_run(dot_text(replace(picture, groups=groups, items=items, lines=lines))))


def _run(text: str) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [PROGRAM, "-Tjson"],
            input=text,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise Infrastructure(f"dot has laid out nothing within {DEADLINE} s") from error
    except subprocess.CalledProcessError as error:
        raise Infrastructure("dot failed", detail=error.stderr.strip()) from error
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _read(told: dict[str, Any]) -> Layout:
    """Return what ``dot -Tjson`` says, whose points count from the lower left."""
    boxes = [_numbers(one["bb"]) for one in told["objects"] if "bb" in one]
    left, high = min(box[0] for box in boxes), max(box[3] for box in boxes)
    width = max(box[2] for box in boxes) - left
    height = high - min(box[1] for box in boxes)
    layout = Layout(width, height)

    def placed(text: str) -> Point:
        x, y = _numbers(text)
        return x - left, high - y

    for one in told["objects"]:
        if "bb" in one:
            box = _numbers(one["bb"])
            layout.groups[one["id"]] = Box(
                box[0] - left, high - box[3], box[2] - box[0], box[3] - box[1]
            )
        elif "pos" in one:
            x, y = placed(one["pos"])
            wide, tall = float(one["width"]) * POINTS, float(one["height"]) * POINTS
            layout.items[one["name"]] = Box(x - wide / 2, y - tall / 2, wide, tall)
    for one in (edge for edge in told.get("edges", ()) if "id" in edge):
        layout.lines[one["id"]] = tuple(map(placed, one["pos"].split()))
        if "lp" in one:
            layout.labels[one["id"]] = placed(one["lp"])
    return layout


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split(",")]


def _take(layout: Layout, part: Layout, x: float, y: float) -> None:
    """Put a part into the whole, with its corner there."""
    layout.items |= {id: box.moved(x, y) for id, box in part.items.items()}
    layout.groups |= {id: box.moved(x, y) for id, box in part.groups.items()}
    layout.lines |= {
        id: tuple((px + x, py + y) for px, py in points) for id, points in part.lines.items()
    }
    layout.labels |= {id: (px + x, py + y) for id, (px, py) in part.labels.items()}


def _bar(item: Item, picture: Picture, layout: Layout, y: float, wide: float) -> Box:
    """Return a segment's bar: as long as its cables need it, and its words."""
    size = size_of(item)
    ends = list(_cable_ends(item.id, picture, layout))
    left = min(ends, default=MARGIN + wide / 2) - BEYOND
    right = max(max(ends, default=left) + BEYOND, left + size.width)
    return Box(max(MARGIN, left), y, right - left, size.height)


def _cable_ends(segment: str, picture: Picture, layout: Layout) -> Iterable[float]:
    for line in picture.lines:
        if line.tie == "cable" and segment in (line.one, line.other):
            card = layout.items[line.other if line.one == segment else line.one]
            yield card.x + card.width / 2


def _draw_cable(line: Line, picture: Picture, layout: Layout) -> None:
    """A straight line between a card and its segment; a label stands beside the card."""
    upper, lower = layout.items[line.one], layout.items[line.other]
    from_host = not line.one.startswith("segment ")
    card = upper if from_host else lower
    x = card.x + card.width / 2
    top, bottom = upper.y + upper.height, lower.y
    layout.lines[line.id] = ((x, top), (x, top), (x, bottom), (x, bottom))
    if line.label:
        machine = next(
            item.group for item in picture.items if item.id in (line.one, line.other) and item.group
        )
        box = layout.groups[machine]
        y = box.y + box.height + CABLE / 2 if from_host else box.y - CABLE / 2
        layout.labels[line.id] = (x + 7, y)
