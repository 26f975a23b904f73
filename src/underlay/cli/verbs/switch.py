"""The verb ``switch``: running nodes become another lab's, without a reboot."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from underlay.cli.carried_over import tell_silenced
from underlay.cli.console import out, print_document, progress
from underlay.cli.options import AsJson, LabOption
from underlay.cli.which_lab import refuse_broken, resolve_lab, running_state
from underlay.errors import count

GROUP = "Labs"
ORDER = 40


def command(
    file: Annotated[str, typer.Argument(metavar="LAB", help="A lab file, or a name in labs/.")],
    lab: LabOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Switch to a lab although lint finds errors in it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Turn a running lab into another one without a reboot.

    The other lab must need the same nodes: their names, their number of NICs, their
    memory. Each node gets its new files, and loses what the old lab had and the new
    one hasn't; the switch gets the new segments, policies and external hosts. The
    running lab is called after the new one then. Where a switch is cut short, another
    one makes the lab whole, and `underlay down` ends it.

    Example:
      underlay switch docker-ipvlan
      underlay switch labs/flat.yml --lab seen
    """
    from underlay.cluster.switching import switch
    from underlay.lint import load

    began = time.monotonic()
    wanted = resolve_lab(file)
    state = running_state(lab)
    refuse_broken(state)
    loaded = load(wanted)
    tell_silenced(loaded)
    with progress(f"switching {state.lab} to {wanted.stem}") as running:
        new, phases = switch(state, loaded, running.step, force=force)
    seconds = time.monotonic() - began
    plan = new.plan()
    if as_json:
        print_document(
            "switch",
            {
                "lab": new.lab,
                "was": state.lab,
                "provider": new.provider,
                "nodes": [node.name for node in plan.nodes],
                "containers": [container.name for container in plan.containers],
                "timings": {**phases, "total": round(seconds, 3)},
            },
        )
        return
    out.print(
        f"{state.lab} is {new.lab} now: {count(len(plan.nodes), 'node')},"
        f" {count(len(plan.containers), 'container')}, {seconds:.1f} s"
    )
