"""The verb ``bench``: how fast Underlay is on this machine, and how fast what it wires is."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from underlay.cli.console import out, people, print_document, progress
from underlay.cli.options import AsJson, ProviderOption
from underlay.errors import EXIT_INFRASTRUCTURE, BadInput, did_you_mean, listed, nearest

GROUP = "This machine"
ORDER = 20

DATAPLANE = "dataplane"
BASELINES = {
    "ssh_fping_ratio": "one ssh per node with fping in each namespace",
    "ssh_ping_shared_ratio": "one ping per pair over a shared ssh",
    "ssh_ping_ratio": "one ssh and ping per pair",
}


def figure_names() -> list[str]:
    """Return all that can be measured, for shell completion."""
    from underlay.proof.bench.figures import NAMES

    return [*NAMES, DATAPLANE]


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="The figures to measure, all without one; or dataplane.",
            autocompletion=figure_names,
        ),
    ] = None,
    provider: ProviderOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure each figure once, within ten minutes.")
    ] = False,
    record: Annotated[
        bool, typer.Option("--record", help="Keep the figures in docs/proof/bench.json.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how fast Underlay is on this machine, or how fast packets are.

    Every second is wall time of the command line. Labs are started under names of
    their own, with image and files cached, and nothing of them is left, however it
    ends. It all takes less than 20 minutes. `dataplane` measures instead how the
    drivers compare: throughput, latency, connections and processor time, on the
    nodes of any provider. Three scripts are what Underlay replaces: one ssh and ping
    for each pair (`ssh_ping_60_s`), over connections that are open
    (`ssh_ping_shared_60_s`), both scaled from 30 pairs, and one ssh a node with fping
    in each namespace (`ssh_fping_60_s`). With --record the figures take the place of
    those in docs/proof/bench.json; others stay. Exits with 3 where a figure couldn't
    be measured as often as it should be, and says why.

    Example:
      underlay bench
      underlay bench cli_start_s lint_s
      underlay bench --quick --json
      underlay bench up_to_matrix_s --record
      underlay bench dataplane
      underlay bench dataplane --provider libvirt
    """
    chosen = names or []
    if DATAPLANE in chosen:
        if len(chosen) > 1:
            raise BadInput("dataplane is a bench of its own", hint="underlay bench dataplane")
        if record:
            raise BadInput("dataplane isn't recorded", hint="underlay bench dataplane --json")
        _dataplane(as_json, provider, quick=quick)
        return
    if provider is not None:
        raise BadInput(
            "--provider is for dataplane: every other figure says what runs its nodes",
            hint=f"underlay bench dataplane --provider {provider}",
        )
    from underlay.proof.bench.bench import bench
    from underlay.proof.bench.bench import record as write_record
    from underlay.storage.paths import is_checkout

    wanted = _wanted(chosen)
    if record and not is_checkout():
        raise BadInput("the record is in a checkout of Underlay only, and this one is installed")
    with progress("measuring") as running:
        document = bench(wanted, running.step, quick=quick)
    if record:
        people(as_json).print(f"written: {write_record(document)}")
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
            near = nearest(name, [*NAMES, DATAPLANE])
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
    machine = document["machine"]
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
    if as_json:
        print_document("bench", document)
    else:
        out.print(bars(document, ascii_only=ascii_only(out.encoding)))
    if document["not_run"]:
        raise typer.Exit(EXIT_INFRASTRUCTURE)
