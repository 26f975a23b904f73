"""The verb ``soak``: whether anything is left behind, grows or lies when labs are treated badly."""

from __future__ import annotations

import os
import secrets
from typing import Annotated, Any

import typer

from underlay.cli.console import out, print_document, progress
from underlay.cli.options import AsJson
from underlay.errors import EXIT_DIFFERS

GROUP = "This machine"
ORDER = 30

MANY = 1_000_000


def command(
    trials: Annotated[
        int, typer.Option("--trials", min=0, help="How many commands are ended at random.")
    ] = 100,
    cycles: Annotated[
        int, typer.Option("--cycles", min=0, help="How often a lab is started and ended.")
    ] = 0,
    checks: Annotated[
        int, typer.Option("--checks", min=0, help="How many measurements are made under load.")
    ] = 0,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Repeat the trials of an earlier run.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """End commands at random moments, and prove that nothing is left behind.

    A small lab of its own is started, measured, switched, mended and stopped. At a random
    moment the command, or the lab's sandbox, gets SIGKILL, SIGINT or SIGTERM, or the
    terminal of the command is closed. Then the rules must hold: nothing is left of what
    was being started, a lab that was up is still up, and the next command makes or
    finds it whole.
    --cycles looks for growth of files, memory and disk instead, --checks for false
    verdicts while every core has twice as much to do as it can. Exits with 1 where a
    rule was broken.

    Example:
      underlay soak
      underlay soak --trials 20 --seed 7
      underlay soak --trials 0 --cycles 100 --checks 200
    """
    from underlay.proof.bench import endurance
    from underlay.proof.bench.descendants import continue_in_child
    from underlay.proof.bench.soak import soak

    ancestor = continue_in_child() if trials else os.getpid()
    seed = secrets.randbelow(MANY) if seed is None else seed
    with progress("soaking") as running:
        document: dict[str, Any] = {
            **soak(trials, seed, running.step, ancestor=ancestor),
            "growth": endurance.cycles(cycles, running.step),
            "load": endurance.checks(checks, running.step),
        }
    failed = (
        not tried(document)
        or document["broken"]
        or document["state_left"]
        or document["temporary_left"]
        or endurance.grown(document["growth"])
        or document["load"]["false_verdicts"]
        or document["load"]["failed"]
    )
    document["ok"] = not failed
    if as_json:
        print_document("soak", document)
    else:
        show(document)
    if failed:
        raise typer.Exit(EXIT_DIFFERS)


def tried(document: dict[str, Any]) -> bool:
    """Whether anything was tried at all: rules that nothing has tested haven't held."""
    return bool(document["trials"] or document["growth"]["cycles"] or document["load"]["checks"])


def show(document: dict[str, Any]) -> None:
    """Print what was tried and which rules were broken."""
    if not tried(document):
        out.print("nothing was tried: say how many --trials, --cycles or --checks")
    counts = ", ".join(f"{name} {count}" for name, count in document["by_verb"].items() if count)
    waits = [f"{verb} {seconds:.1f} s" for verb, seconds in document["longest_gone_s"].items()]
    if document["trials"]:
        out.print(
            f"{document['trials']} trials ({counts}), seed {document['seed']}:"
            f" {len(document['broken'])} broken rules, {document['seconds']:.0f} s"
        )
        if waits:
            out.print(f"the longest waits until nothing was left: {', '.join(waits)}")
    for trial in document["broken"]:
        words = f"trial {trial['number']}: {trial['verb']}, SIG{trial['signal']}"
        out.print(f"{words} after {trial['moment']} s: {trial['broken']}")
    for left in (*document["state_left"], *document["temporary_left"]):
        out.print(f"left behind: {left}")
    growth, load = document["growth"], document["load"]
    if growth["cycles"]:
        out.print(
            f"{growth['cycles']} cycles: {len(growth['files'])} more files,"
            f" {growth['disk_mib']} MiB more on disk,"
            f" {growth['memory_mib_per_cycle']} MiB of memory a cycle"
        )
    if load["checks"]:
        out.print(f"{load['checks']} checks under load: {len(load['false_verdicts'])} false")
    for line in (*growth["failed"], *growth["files"], *load["false_verdicts"], *load["failed"]):
        out.print(f"  {line}")
