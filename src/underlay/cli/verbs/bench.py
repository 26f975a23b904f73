"""The verb ``bench``: how fast Underlay is on this machine, and how fast what it wires is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from underlay.cli.console import out, people, print_document, progress
from underlay.cli.options import AsJson, ProviderOption
from underlay.errors import EXIT_INFRASTRUCTURE, BadInput, did_you_mean, listed, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = "This machine"
ORDER = 20

DATAPLANE, GROWTH = "dataplane", "growth"
# Each is a bench of its own.
OTHERS = (DATAPLANE, GROWTH)
BASELINES = {
    "ssh_fping_ratio": "one ssh per node with fping in each namespace",
    "ssh_ping_shared_ratio": "one ping per pair over a shared ssh",
    "ssh_ping_ratio": "one ssh and ping per pair",
}


def figure_names() -> list[str]:
    """Return all that can be measured, for shell completion."""
    from underlay.proof.bench.figures import NAMES

    return [*NAMES, *OTHERS]


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="The figures to measure, all without one; or dataplane, or growth.",
            autocompletion=figure_names,
        ),
    ] = None,
    provider: ProviderOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure each figure once, within ten minutes.")
    ] = False,
    record: Annotated[
        bool, typer.Option("--record", help="Keep the figures in docs/proof.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how fast Underlay is on this machine, or how fast packets are.

    Every second is wall time of the command line. Labs are started under names of
    their own, with image and files cached, and nothing of them is left, however it
    ends. It all takes less than 20 minutes. `dataplane` measures instead how the
    drivers compare: throughput, latency, connections and processor time, on the
    nodes of any provider, and `growth` what more nodes, containers, labs and hosts
    cost, in processor seconds. Three scripts are what Underlay replaces: one ssh and ping
    for each pair (`ssh_ping_60_s`), over connections that are open
    (`ssh_ping_shared_60_s`), both scaled from 30 pairs, and one ssh a node with fping
    in each namespace (`ssh_fping_60_s`). With --record the figures take the place of
    those in docs/proof; others stay. Exits with 3 where a figure couldn't
    be measured as often as it should be, and says why.

    Example:
      underlay bench
      underlay bench cli_start_s lint_s
      underlay bench --quick --json
      underlay bench up_to_matrix_s --record
      underlay bench dataplane
      underlay bench dataplane --provider libvirt
      underlay bench growth
    """
    from underlay.storage.paths import is_checkout

    chosen = names or []
    for other in OTHERS:
        if other in chosen and len(chosen) > 1:
            raise BadInput(f"{other} is a bench of its own", hint=f"underlay bench {other}")
    if chosen == [DATAPLANE]:
        if record:
            raise BadInput("dataplane isn't recorded", hint="underlay bench dataplane --json")
        _dataplane(as_json, provider, quick=quick)
        return
    if provider is not None:
        raise BadInput(
            "--provider is for dataplane: every other figure says what runs its nodes",
            hint=f"underlay bench dataplane --provider {provider}",
        )
    if record and not is_checkout():
        raise BadInput("the record is in a checkout of Underlay only, and this one is installed")
    if chosen == [GROWTH]:
        _growth(as_json, quick=quick, record=record)
        return
    from underlay.proof.bench.bench import bench
    from underlay.proof.bench.bench import record as write_record

    wanted = _wanted(chosen)
    with progress("measuring") as running:
        document = bench(wanted, running.step, quick=quick)
    if record:
        people(as_json).print(f"written: {write_record(document)}")
    _tell(document, show, as_json=as_json)


def _tell(
    document: dict[str, Any], show: Callable[[dict[str, Any]], None], *, as_json: bool
) -> None:
    """Print what a bench has found, by ``show`` for people; exit with 3 where some is lacking."""
    if as_json:
        print_document("bench", document)
    else:
        show(document)
    if document["not_run"]:
        raise typer.Exit(EXIT_INFRASTRUCTURE)


def _wanted(names: list[str]) -> set[str]:
    from underlay.proof.bench.figures import NAMES

    for name in names:
        if name not in NAMES:
            near = nearest(name, [*NAMES, *OTHERS])
            hint = did_you_mean(near) or f"figures: {listed(NAMES, more='docs/verbs/bench.md')}"
            raise BadInput(f"there is no figure {name!r}", hint=hint)
    return set(names or NAMES)


def show(document: dict[str, Any]) -> None:
    """Print the figures as a table, and below it what couldn't be measured."""
    table = Table(box=None, pad_edge=False)
    table.add_column("figure", overflow="fold")
    for column in ("median", "min", "max", "runs", "aim"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("what", overflow="fold")
    for row in document["results"]:
        values = [f"{row[key]:.2f}" for key in ("median", "min", "max")]
        aim = "" if row["aim"] is None else f"≤ {row['aim']:g}"
        table.add_row(row["name"], *values, str(row["runs"]), aim, row["what"])
    out.print(table)
    for name, value in document["growth"].items():
        out.print(f"{name}: {value}")
    if document["libvirt_ratio"] is not None:
        out.print(f"libvirt takes {document['libvirt_ratio']} times as long")
    if document["floor_ratio"] is not None:
        out.print(f"`up` takes {document['floor_ratio']} times as long as its floor")
    for name, what in BASELINES.items():
        if document[name] is not None:
            out.print(f"{what} takes {document[name]:.1f} times as long as `check` of ICMP")
    measured = {row["name"] for row in document["results"]}
    for row in document["not_run"]:
        what = "partly run" if row["name"] in measured else "not run"
        out.print(f"{what}: {row['name']}: {row['reason']}")
    _show_machine(document["machine"])


def _show_machine(machine: dict[str, Any]) -> None:
    out.print(
        f"seconds; {machine['cores']} cores, load {machine['load_before']} before and"
        f" {machine['load_after']} after, {machine['seconds']:.0f} s in all",
        style="dim",
    )


def _dataplane(as_json: bool, provider: str | None, *, quick: bool) -> None:
    from underlay.cluster.providers import DEFAULT
    from underlay.proof.bench.dataplane import dataplane
    from underlay.report.bars import bars
    from underlay.report.terminal import ascii_only

    with progress("measuring") as running:
        document = dataplane(running.step, provider_name=provider or DEFAULT, quick=quick)

    def show_bars(document: dict[str, Any]) -> None:
        out.print(bars(document, ascii_only=ascii_only(out.encoding)))

    _tell(document, show_bars, as_json=as_json)


def _growth(as_json: bool, *, quick: bool, record: bool) -> None:
    from underlay.proof.bench.descendants import continue_in_child
    from underlay.proof.bench.growth import growth
    from underlay.proof.bench.growth import record as write_record

    ancestor = continue_in_child()
    with progress("measuring") as running:
        document = growth(ancestor, running.step, quick=quick)
    if record:
        people(as_json).print(f"written: {write_record(document)}")
    _tell(document, show_growth, as_json=as_json)


def show_growth(document: dict[str, Any]) -> None:
    """Print what each step cost, in all and for each of what there was more of."""
    table = Table(box=None, pad_edge=False)
    for column in ("", "processor s", "of each", "wall s", "MiB", "cells"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("what", overflow="fold")
    for row in document["results"]:
        what = row["what"]
        for step in row["steps"]:
            each = step["processor_s"] / step["size"]
            seconds = (step["processor_s"], each, step["wall_s"])
            more = ("" if step[key] is None else f"{step[key]:,.0f}" for key in ("mib", "cells"))
            table.add_row(str(step["size"]), *(f"{each:.2f}" for each in seconds), *more, what)
            what = ""
    out.print(table)
    for row in document["not_run"]:
        out.print(f"not run: {row['name']}: {row['reason']}")
    _show_machine(document["machine"])
