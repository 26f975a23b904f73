"""The verb ``graph``: a lab as a picture, before anything of it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from underlay.cli.carried_over import tell_remarks
from underlay.cli.lint_errors import tell_errors
from underlay.cli.options import LabFile
from underlay.cli.to_write import write
from underlay.cli.which_lab import DEFAULT_LAB, resolve_lab
from underlay.errors import BadInput

if TYPE_CHECKING:
    from underlay.plan import Plan

GROUP = "Files"
ORDER = 23

Format = Literal["svg", "mermaid", "drawio", "dot"]
# What a file's name ends in where --format doesn't say it.
ENDINGS: dict[str, Format] = {
    ".svg": "svg",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".drawio": "drawio",
    ".dot": "dot",
    ".gv": "dot",
}


def command(
    lab: LabFile = None,
    shape: Annotated[
        Format | None,
        typer.Option("--format", help="The picture's language; that of FILE's ending, or svg."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write it there instead of stdout."),
    ] = None,
) -> None:
    """Draw a lab from its file, without starting a node.

    The picture shows nodes with their cards, bonds, VLANs, bridges, tunnels and shims, networks
    with their containers, external hosts, and each segment with what its switch does. More than
    eight containers of a network on a node are one line; of more than six nodes, those that are
    alike are one box. Graphviz (`apt install graphviz`) lays out svg; the other formats need
    no program. Forges and wikis draw mermaid themselves, drawio opens in diagrams.net, and dot is
    Graphviz's own language. Exit code 0; 2 where the file can't be read as a lab, or
    FILE's ending says none of these formats.

    Example:
      underlay graph -o coreos.svg
      underlay graph bond --format mermaid
      underlay graph labs/trunk-native.yml -o trunk.drawio
    """
    from underlay.lint import load

    shape = shape or _format_of(output)
    loaded = load(resolve_lab(lab))
    text = _text(loaded.plan, shape)
    if output is None:
        print(text, end="")
    else:
        write(output.expanduser(), text)
    tell_errors(loaded, lab or DEFAULT_LAB)
    tell_remarks(loaded, lab or DEFAULT_LAB)


def _format_of(output: Path | None) -> Format:
    """Return the language that the ending of a file's name says, svg without a file.

    :raises BadInput: if it says none of them.
    """
    if output is None:
        return "svg"
    found = ENDINGS.get(output.suffix.lower())
    if found is None:
        ending = f"'{output.suffix}'" if output.suffix else "a name without an ending"
        raise BadInput(
            f"{output}: {ending} says none of the formats of a picture",
            hint="End it in .svg, .mmd (mermaid), .drawio or .dot, or name one with --format.",
        )
    return found


def _text(plan: Plan, shape: Format) -> str:
    from underlay.report.topology.drawing import picture_of

    picture = picture_of(plan)
    if shape == "mermaid":
        from underlay.report.topology.mermaid import mermaid_text

        return mermaid_text(picture)
    if shape == "drawio":
        from underlay.report.topology.drawio import drawio_text

        return drawio_text(picture)
    if shape == "dot":
        from underlay.report.topology.dot import dot_text

        return dot_text(picture)
    from underlay.report.topology.layout import layout_of
    from underlay.report.topology.svg import svg_text

    return svg_text(picture, layout_of(picture))
