"""A picture in the language of Graphviz, as text that ``dot`` lays out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.report.topology.sizes import NAME, TEXT, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.report.topology.picture import Group, Item, Line, Picture

# Graphviz counts sizes of boxes in inches, of 72 points each.
POINTS = 72
HEAD = f"""\
  graph [rankdir=TB, nodesep=0.22, ranksep=0.42, fontname="Helvetica",
         fontsize={NAME + 1}, labeljust=l, style=rounded, color="#98a2ad"]
  node [shape=box, style=rounded, fixedsize=true, fontname="Helvetica", fontsize={TEXT},
        color="#5b6773"]
  edge [dir=none, fontname="Helvetica", fontsize={TEXT + 2}, color="#5b6773"]
"""


def dot_text(picture: Picture) -> str:
    """Return ``picture`` as a graph of Graphviz's; boxes have the ids of its items."""
    lines = [f"graph {quoted(picture.lab)} {{", HEAD.rstrip()]
    for number, group in enumerate(picture.groups):
        title = f"{group.name} · {group.note}" if group.note else group.name
        lines += [
            f"  subgraph cluster_{number} {{",
            f"    graph [id={quoted(group.id)}, label={quoted(title)}, labelloc={_side(group)}]",
            *(f"    {_node(item)}" for item in picture.inside(group.id)),
            *_in_order(picture.inside(group.id)),
            "  }",
        ]
    lines += [f"  {_node(item)}" for item in picture.inside("")]
    lines += [f"  {_edge(line)}" for line in picture.lines]
    return "\n".join([*lines, "}"]) + "\n"


def quoted(text: str) -> str:
    """Return ``text`` as a string of DOT."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _side(group: Group) -> str:
    """Where a machine's name stands: cables come to nodes from above, and to hosts from below."""
    return "b" if group.kind == "node" else "t"


def _in_order(items: tuple[Item, ...]) -> Iterator[str]:
    """Yield what keeps a machine's cards in their order: unseen edges lead from left to right."""
    cards = [quoted(item.id) for item in items if item.kind == "nic"]
    if len(cards) > 1:
        yield f"    {{ rank=same; edge [style=invis]; {' -- '.join(cards)} }}"


def _node(item: Item) -> str:
    size = size_of(item)
    rows = [f"{row.name} {row.address}".strip() for row in item.rows]
    label = "\\n".join(quoted(word)[1:-1] for word in (item.name, *item.lines, *rows))
    return (
        f'{quoted(item.id)} [label="{label}", '
        f"width={size.width / POINTS:.3f}, height={size.height / POINTS:.3f}]"
    )


def _edge(line: Line) -> str:
    told = [f"id={quoted(line.id)}"]
    told += [f"label={quoted(line.label)}"] if line.label else []
    told += ["style=dashed", "constraint=false"] if line.tie == "same" else []
    return f"{quoted(line.one)} -- {quoted(line.other)} [{', '.join(told)}]"
