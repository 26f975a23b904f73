"""``underlay test``: Underlay's own tests, one layer after the other, counted honestly."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import people, print_json
from underlay.errors import EXIT_DIFFERS, BadInput
from underlay.proof.own_tests import LAYERS, Layer, run_layer, write_record
from underlay.storage.paths import is_checkout

if TYPE_CHECKING:
    from rich.console import Console

GROUP = "This machine"
ORDER = 40

MINUTES = 60.0
# The suite is meant for 20 minutes; a machine that is three times slower still gets a verdict.
DAILY_DEADLINE = 60 * MINUTES
ALL_DEADLINE = 240 * MINUTES


def command(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="PYTEST_ARGUMENTS", show_default=False)
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also run what is too slow for every day.")
    ] = False,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAYER",
            help=f"Run this layer only: {', '.join(LAYERS)}.",
            autocompletion=lambda: LAYERS,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document; the tests' text on stderr.")
    ] = False,
) -> None:
    """Run Underlay's own tests, layer by layer.

    The layers are unit (no nodes, seconds), golden (rendered files and whole
    commands) and cluster (real nodes). A failing layer doesn't keep the next from
    running, and a layer in which nothing ran counts as a failure. The last line is
    always `N passed, N failed, N skipped`. Without --all the run takes about
    a quarter of an hour and is stopped after an hour.
    With --all it also writes docs/proof/tests.json. The tests are in a checkout of
    Underlay only, not in an installed one.

    Example:
      underlay test
      underlay test --layer unit
      underlay test --layer golden -- --update-golden
      underlay test --layer cluster -- -k docker -x
    """
    if not is_checkout():
        raise BadInput(
            "the tests are in a checkout of Underlay only, and this one is installed",
            hint="clone Underlay and run ./underlay test there",
        )
    chosen = _chosen(layer or [])
    extra = arguments or []
    console = people(as_json)
    results = _run(chosen, extra, everything, as_json, console)
    failed = sum(result.failed for result in results) or not any(r.ran for r in results)
    if everything and chosen == LAYERS and not extra:
        path = write_record(results)
        console.print(f"written: {path}")
    if as_json:
        print_json(document(results))
    for result in results:
        console.print(layer_line(result))
    console.print(last_line(results))
    if failed:
        raise typer.Exit(EXIT_DIFFERS)


def layer_line(result: Layer) -> str:
    """Return the line about one layer: its counts, its seconds and what went wrong with it."""
    text = f"{result.name}: {_counts([result])} in {result.seconds:.1f} s"
    return f"{text} ({result.problem})" if result.problem else text


def last_line(results: list[Layer]) -> str:
    """Return the last line of every run: ``N passed, N failed, N skipped``, errors being failed."""
    return _counts(results)


def document(results: list[Layer]) -> dict[str, object]:
    """Return what ``--json`` prints about ``results``; the last three keys are their sums."""
    return {"layers": [result.document() for result in results]} | {
        key: sum(getattr(result, key) for result in results)
        for key in ("passed", "failed", "skipped")
    }


def _run(
    chosen: tuple[str, ...], extra: list[str], everything: bool, as_json: bool, console: Console
) -> list[Layer]:
    deadline = time.monotonic() + (ALL_DEADLINE if everything else DAILY_DEADLINE)
    options = ["--all", *extra] if everything else extra
    results = []
    for name in chosen:
        console.print(f"== {name}", style="bold")
        left = deadline - time.monotonic()
        results.append(run_layer(name, options, left, to_stderr=as_json, selected=bool(extra)))
    return results


def _chosen(names: list[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in LAYERS]
    if unknown:
        raise BadInput(
            f"there is no layer {unknown[0]!r}", hint=f"the layers are {', '.join(LAYERS)}"
        )
    return tuple(name for name in LAYERS if not names or name in names)


def _counts(results: list[Layer]) -> str:
    return ", ".join(
        f"{sum(getattr(result, key) for result in results)} {key}"
        for key in ("passed", "failed", "skipped")
    )
