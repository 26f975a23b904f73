"""Options and arguments that several verbs take, with the words that help says of each.

A verb writes ``lab: LabOption = None``; the parameter's name is the verb's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from underlay.cluster.providers import DEFAULT, NAMES

LabOption = Annotated[
    str | None, typer.Option("--lab", help="The running lab; not needed for the only one.")
]
LabFile = Annotated[str | None, typer.Argument(help="A lab file, or the name of one in labs/.")]
ProviderOption = Annotated[
    str | None,
    typer.Option(
        help=f"What runs the nodes: {', '.join((f'{DEFAULT} (the default)', *NAMES[1:]))}."
    ),
]
Timings = Annotated[bool, typer.Option("--timings", help="Show as a timeline where the time went.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Wide = Annotated[
    bool,
    typer.Option("--wide", help="Show a row and column for each end, however many there are."),
]
InventoryOption = Annotated[
    Path | None,
    typer.Option(
        "--inventory", "-i", metavar="FILE", help="Machines that exist, as Ansible's inventory."
    ),
]
LimitOption = Annotated[
    str | None,
    typer.Option(
        "--limit", metavar="PATTERN", help="With --inventory: only these of its machines."
    ),
]
# Which of a lab's cells are shown and count.
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="ENDS",
        help="Show and judge only their cells: names, patterns, 'web -> db'; may be repeated.",
    ),
]
NotOption = Annotated[
    list[str] | None,
    typer.Option("--not", metavar="ENDS", help="Leave their cells out; may be repeated."),
]
ProtocolOption = Annotated[
    list[str] | None,
    typer.Option(
        "--protocol",
        metavar="WORD",
        help="Only cells of this protocol or check; may be repeated.",
    ),
]
