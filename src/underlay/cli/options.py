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
LabOrFile = Annotated[
    str | None,
    typer.Option(
        "--lab",
        help="The running lab, not needed for the only one; with --inventory a lab file.",
    ),
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
# How machines of an inventory are asked. The values are those of observe/live.py and
# observe/pinned.py, which help alone doesn't load.
RATE, PROBE_PATH = 100.0, "/usr/local/lib/underlay-probe"
RateOption = Annotated[
    float,
    typer.Option(
        metavar="PACKETS",
        help="With --inventory: packets a second that may leave each machine, 100.",
    ),
]
ProbeOption = Annotated[
    bool,
    typer.Option(
        "--probe",
        help="With --inventory: measure from inside the containers, by the pinned program.",
    ),
]
ProbePathOption = Annotated[
    str, typer.Option(metavar="PATH", help="With --probe: where that program lies.")
]
SudoOption = Annotated[
    bool,
    typer.Option(
        "--sudo",
        help="With --inventory: as --probe, by a sudo that allows everything; nothing is"
        " installed.",
    ),
]
FlushOption = Annotated[
    bool,
    typer.Option(
        "--flush", help="With --probe or --sudo: empty neighbour tables first, as in a lab."
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
