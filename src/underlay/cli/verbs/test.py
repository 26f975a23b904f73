"""``underlay test``: Underlay's own tests, one layer after the other, counted honestly."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import people, print_document
from underlay.errors import EXIT_DIFFERS, BadInput
from underlay.proof.parts import LAYERS, MINUTES, Share, enough, parse_part, units
from underlay.storage.paths import is_checkout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from underlay.proof.own_tests import Layer
    from underlay.proof.parts import SuiteTest

GROUP = "This machine"
ORDER = 40

COUNTS = ("passed", "failed", "skipped")
# The suite is meant for 20 minutes; a machine that is three times slower still gets a verdict.
DAILY_DEADLINE = 60 * 60.0
ALL_DEADLINE = 240 * 60.0


def command(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="PYTEST_ARGUMENTS", show_default=False)
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also run what is too slow for every day.")
    ] = False,
    part: Annotated[
        str | None,
        typer.Option("--part", metavar="K/N", help="With --all: run share K of N of all layers."),
    ] = None,
    only_plan: Annotated[
        bool, typer.Option("--plan", help="With --part: show the shares, and run nothing.")
    ] = False,
    merge: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER",
            help="Take over what a share kept in docs/proof of another checkout, and run nothing.",
        ),
    ] = None,
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
    a quarter of an hour on two quiet processors, half as much again on a slow day,
    and is stopped after an hour; each layer says how many tests it left to --all.
    With --all it also writes docs/proof/tests.json, how long slow tests took, and what
    they measured. --part runs a share of that: each test is in one of the N, and what
    needs the same lab stays together. Shares may run on several machines; each keeps
    what it measured beside what others have, and --merge takes over what it kept
    elsewhere. The tests are in a checkout of Underlay only, not in an installed one.

    Example:
      underlay test
      underlay test --all --part 1/4
      underlay test --all --part 1/4 --plan
      underlay test --merge other/docs/proof
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
    number, of = _part(part, only_plan, everything=everything, selected=bool(layer or extra))
    console = people(as_json)
    if merge:
        alone = not (everything or part or only_plan or layer or extra)
        _take_over(merge, console, alone=alone, as_json=as_json)
        return
    whole = everything and chosen == LAYERS and not extra
    tests, found = _shares(of, console, said=part is not None) if whole else ([], [])
    share = found[number - 1] if found else None
    if only_plan:
        if as_json:
            print_document("test", {**document([]), "part": planned(share, found)})
        return
    durations: dict[str, float] = {}
    results = _run(chosen, extra, everything, as_json, console, share, durations)
    failed = sum(result.failed for result in results) or not any(r.ran for r in results)
    if share is not None:
        from underlay.proof.own_tests import write_records

        path = write_records(share, tests, results, durations)
        console.print(f"written: {path}")
    if as_json:
        print_document("test", {**document(results), "part": planned(share, found)})
    for result in results:
        console.print(layer_line(result))
    console.print(last_line(results))
    if failed:
        raise typer.Exit(EXIT_DIFFERS)


def _part(
    part: str | None, only_plan: bool, *, everything: bool, selected: bool
) -> tuple[int, int]:
    """Return K and N; 1 and 1 without shares. Raise BadInput where they make no sense."""
    example = "underlay test --all --part 1/4"
    if part is None:
        if only_plan:
            raise BadInput("--plan shows the shares of --part", hint=f"{example} --plan")
        return 1, 1
    number, of = parse_part(part)
    if not everything:
        raise BadInput("--part is a share of the full proof: it goes with --all", hint=example)
    if selected:
        raise BadInput(
            "--part is a share of all layers, and goes with no choice of tests", hint=example
        )
    return number, of


def _take_over(folders: list[str], console: Console, *, alone: bool, as_json: bool) -> None:
    """Take over the newer rows of the records in ``folders``, and say how many."""
    from pathlib import Path

    from underlay.proof.records.keeping import take_over

    if not alone:
        raise BadInput(
            "--merge runs no tests, and goes with no choice of them",
            hint="underlay test --merge other/docs/proof",
        )
    taken: Counter[str] = Counter()
    for folder in folders:
        taken.update(take_over(Path(folder)))
    for name, rows in taken.items():
        console.print(f"{name}: {rows} newer {'row' if rows == 1 else 'rows'}")
    if as_json:
        print_document("test", {**document([]), "taken": dict(taken)})


def _shares(of: int, console: Console, *, said: bool) -> tuple[list[SuiteTest], list[Share]]:
    """Return all tests and their shares; say what is planned where there are several."""
    from underlay.proof.own_tests import all_tests, known_durations, shares

    console.print("collecting the tests of the full proof")
    tests = all_tests()
    found, known = shares(tests, of), known_durations()
    if said:
        for share in found:
            console.print(share_line(share))
        untimed = sum(test.slow and test.name not in known for test in tests)
        if untimed:
            console.print(f"{untimed} slow tests were not timed yet: the minutes are a guess")
        least = enough(units(tests, known))
        console.print(
            f"with {least} shares each is planned to stay within {MINUTES:.0f} minutes"
            if least
            else f"one test alone is planned to take more than {MINUTES:.0f} minutes"
        )
    return tests, found


def share_line(share: Share) -> str:
    """Return the line about one share: how long it should take, and of what it consists."""
    return (
        f"part {share.number}/{share.of}: {share.minutes} minutes planned,"
        f" {share.count} tests in {len(share.units)} units"
    )


def planned(share: Share | None, found: Sequence[Share]) -> dict[str, object] | None:
    """Return what ``--json`` says of a share and of all others; None where there are none."""
    if share is None:
        return None
    minutes = [each.minutes for each in found]
    return {
        "number": share.number,
        "of": share.of,
        "tests": share.count,
        "minutes": share.minutes,
        "minutes_of_all": minutes,
    }


def layer_line(result: Layer) -> str:
    """Return the line about one layer: its counts, its seconds and what went wrong with it.

    It says as well how many tests were left to the full proof.
    """
    text = f"{result.name}: {_counts([result])} in {result.seconds:.1f} s"
    if result.left:
        text += f", {result.left} left to --all"
    return f"{text} ({result.problem})" if result.problem else text


def last_line(results: list[Layer]) -> str:
    """Return the last line of every run: ``N passed, N failed, N skipped``, errors being failed."""
    return _counts(results)


def document(results: list[Layer]) -> dict[str, object]:
    """Return what ``--json`` prints about ``results`` and their sums; they are of no share."""
    sums = {key: sum(getattr(result, key) for result in results) for key in COUNTS}
    layers = [result.document() for result in results]
    return {"layers": layers, **sums, "part": None, "taken": None}


def _run(
    chosen: tuple[str, ...],
    extra: list[str],
    everything: bool,
    as_json: bool,
    console: Console,
    share: Share | None,
    durations: dict[str, float],
) -> list[Layer]:
    from underlay.proof.own_tests import image_meanwhile, run_layer

    deadline = time.monotonic() + (ALL_DEADLINE if everything else DAILY_DEADLINE)
    options = ["--all", *extra] if everything else extra
    results = []
    with image_meanwhile(() if extra else chosen) as building:
        if building:
            console.print("building the nodes' image meanwhile")
        for name in chosen:
            console.print(f"== {name}", style="bold")
            left = deadline - time.monotonic()
            result = run_layer(
                name,
                options,
                left,
                to_stderr=as_json,
                selected=bool(extra),
                only=share.names(name) if share is not None and share.of > 1 else None,
                durations=durations if share is not None else None,
            )
            results.append(result)
    return results


def _chosen(names: list[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in LAYERS]
    if unknown:
        raise BadInput(
            f"there is no layer {unknown[0]!r}", hint=f"the layers are {', '.join(LAYERS)}"
        )
    return tuple(name for name in LAYERS if not names or name in names)


def _counts(results: list[Layer]) -> str:
    return ", ".join(f"{sum(getattr(result, key) for result in results)} {key}" for key in COUNTS)
