"""The verb ``up``: a lab's nodes, networks and containers, proven to be ready."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.applied import apply_lab, refuse_beside_inventory, refuse_without_inventory
from underlay.cli.carried_over import tell_silenced
from underlay.cli.console import err, people, print_document, progress
from underlay.cli.options import (
    AsJson,
    InventoryOption,
    LabFile,
    LimitOption,
    ProviderOption,
    Timings,
)
from underlay.cli.which_lab import resolve_lab, running_labs
from underlay.errors import count

if TYPE_CHECKING:
    from pathlib import Path

    from underlay.cluster.state.lab import LabState

GROUP = "Labs"
ORDER = 20


def command(
    lab: LabFile = None,
    provider: ProviderOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Start a lab although lint finds errors in it.")
    ] = False,
    timings: Timings = False,
    inventory: InventoryOption = None,
    limit: LimitOption = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="With --inventory: list every change and conflict; make none."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start a lab: its nodes, its networks and its containers.

    Vagrant boots all nodes at once; Underlay makes their sandbox, switch and seeds while
    Vagrant starts, and no node. The verb returns when each of them has said that
    it is ready: it was made from the very files that were rendered for it, nothing
    failed, and its containers run. A lab that is up already is asked and left as it is.
    If a node fails, its own words and the last lines of its console are shown and
    nothing of the lab is left.

    With --inventory no node is booted: the lab is applied to machines that exist, which Ansible's
    inventory names as the lab does, by a sudo that asks for nothing. Every change is written down
    there before it is made, so that `underlay down -i` undoes these and nothing else, whatever was
    killed. Nothing that is there already is changed: an address, a name or a file that somebody
    has is in the way, and said, and then nothing is done on any machine. --dry-run lists it all.

    Example:
      underlay up
      underlay up docker-vlan
      underlay up --timings
      underlay up docker-vlan --provider libvirt
      underlay up labs/broken/seed-as-written.yml --force
      underlay up guests.yml -i inventory.yml --dry-run
    """
    if inventory is not None:
        _apply(
            lab, inventory, limit or "", provider,
            timings=timings, dry_run=dry_run, force=force, as_json=as_json,
        )  # fmt: skip
        return
    refuse_without_inventory(provider, {"--limit": limit, "--dry-run": dry_run})
    from underlay.cluster.spans import start_spans
    from underlay.report import timeline

    began = time.monotonic()
    state, phases = start(lab, provider, force=force)
    seconds = round(time.monotonic() - began, 3)
    plan = state.plan()
    if as_json:
        document: dict[str, object] = {
            "lab": state.lab,
            "provider": state.provider,
            "nodes": [node.name for node in plan.nodes],
            "containers": [container.name for container in plan.containers],
            "timings": {**phases, "total": seconds},
        }
        if timings:
            document["spans"] = timeline.document(start_spans(state))
        print_document("up", document)
        return
    say = people(as_json)
    say.print(
        f"{state.lab} is up: {count(len(plan.nodes), 'node')},"
        f" {count(len(plan.containers), 'container')}, "
        f"{seconds:.1f} s"
    )
    if timings:
        show_timeline(state)
    which = f" --lab {state.lab}" if len(running_labs()) > 1 else ""
    verbs = ("check", "status", "down")
    say.print(f"next: {' · '.join(f'underlay {verb}{which}' for verb in verbs)}", style="dim")


def _apply(
    lab: str | None,
    inventory: Path,
    limit: str,
    provider: str | None,
    *,
    timings: bool,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Apply a lab to machines that exist."""
    from underlay.lint import load

    refuse_beside_inventory(provider, {"--timings": timings})
    loaded = load(resolve_lab(lab))
    tell_silenced(loaded)
    code = apply_lab("up", loaded, inventory, limit, dry_run=dry_run, force=force, as_json=as_json)
    raise typer.Exit(code)


def start(
    lab: str | None, provider: str | None, *, force: bool
) -> tuple[LabState, dict[str, float]]:
    """Start the lab that ``lab`` means, showing progress; return its state and phases' seconds.

    Without a ``provider`` it is the one that the lab is up on, or the default one.
    """
    from underlay.cluster.lifecycle import up
    from underlay.cluster.providers import DEFAULT
    from underlay.cluster.state.lab import state_of_file
    from underlay.lint import load

    file = resolve_lab(lab)
    if provider is None:
        known = state_of_file(file)
        provider = known.provider if known else DEFAULT
    loaded = load(file)
    tell_silenced(loaded)
    with progress(f"starting {file.stem}") as running:
        return up(loaded, provider, running.step, force=force)


def show_timeline(state: LabState) -> None:
    """Print on stderr where the time of this command's start went."""
    from underlay.cluster.spans import start_spans
    from underlay.report.terminal import ascii_only
    from underlay.report.timeline import timeline

    err.print(timeline(start_spans(state), ascii_only=ascii_only(err.encoding)))
