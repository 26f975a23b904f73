"""A picture in Mermaid's language, which forges and wikis draw themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from underlay.report.topology.picture import Item, Picture

STYLES = (
    "classDef segment fill:#dcebf2,stroke:#1f6f8b,color:#12303c",
    "classDef network fill:#f4f1e8,stroke:#8a7f5c,color:#2d2a1f",
)


def mermaid_text(picture: Picture) -> str:
    """Return ``picture`` as a flowchart."""
    ids = {item.id: f"i{number}" for number, item in enumerate(picture.items)}
    lines = ["---", f"title: {escaped(picture.lab)}", "---", "flowchart TB"]
    for number, group in enumerate(picture.groups):
        title = f"{group.name} · {group.note}" if group.note else group.name
        lines.append(f'  subgraph g{number}["{escaped(title)}"]')
        lines += [f"    {_node(item, ids)}" for item in picture.inside(group.id)]
        lines.append("  end")
    lines += [f"  {_node(item, ids)}" for item in picture.inside("")]
    for line in picture.lines:
        arrow = "-.-" if line.tie == "same" else "---"
        label = f'|"{escaped(line.label)}"|' if line.label else ""
        lines.append(f"  {ids[line.one]} {arrow}{label} {ids[line.other]}")
    lines += [f"  {style}" for style in STYLES]
    for kind in ("segment", "network"):
        some = [ids[item.id] for item in picture.items if item.kind == kind]
        lines += [f"  class {','.join(some)} {kind}"] if some else []
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return ``text`` as Mermaid takes it within quotes: what it would read as its own is named."""
    for sign, name in (("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(sign, name)
    return text


def _node(item: Item, ids: dict[str, str]) -> str:
    rows = (f"{row.name} {row.address}".strip() for row in item.rows)
    words = "<br/>".join(map(escaped, (item.name, *item.lines, *rows)))
    start, end = ("[[", "]]") if item.kind == "segment" else ("[", "]")
    return f'{ids[item.id]}{start}"{words}"{end}'
