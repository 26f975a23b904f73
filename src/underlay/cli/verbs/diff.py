"""The verb ``diff``: what a change of a lab file does to who reaches whom."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from underlay.cli.console import out, print_document, progress
from underlay.cli.lint_errors import tell_errors
from underlay.cli.options import ProviderOption
from underlay.cli.which_lab import resolve_lab
from underlay.errors import EXIT_DIFFERS, EXIT_INFRASTRUCTURE, EXIT_OK, BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.proof.difference.results import LabDifference

GROUP = "Files"
ORDER = 24

Format = Literal["text", "markdown", "csv", "json"]


def command(
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD", help="A lab file, a folder of them, or REVISION:PATH of git."
        ),
    ],
    new: Annotated[
        str,
        typer.Argument(
            metavar="NEW", help="The same after the change; REVISION: is OLD's path there."
        ),
    ],
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit 1 on any difference, not only where a cell is lost."),
    ] = False,
    prove: Annotated[
        bool,
        typer.Option(
            "--prove", help="Measure OLD and NEW on nodes, on one boot where that can be."
        ),
    ] = False,
    provider: ProviderOption = None,
    shape: Annotated[
        Format, typer.Option("--format", help="How the difference is printed.")
    ] = "text",
    as_json: Annotated[
        bool, typer.Option("--json", help="The same as --format json: one JSON document.")
    ] = False,
) -> None:
    """Say what a change of a lab file does to who reaches whom, without a node.

    The predictions of OLD and NEW are compared cell by cell. A cell is lost where it was
    reachable and isn't any more, gained the other way round, and changed where it is
    unreachable as before, but stops elsewhere or by another rule, or where another value is to
    be seen. Those of an end that goes are lost with it. Cells that fare alike are one line, by
    network and direction, with the rule before and now; and all keys of the file that differ
    are named with their lines.

    OLD and NEW are lab files, names of labs, folders of lab files (compared by file name), or
    what git has: `HEAD~1:labs/coreos.yml`, or `HEAD~1:` for the other one's path at that
    revision. Nothing is checked out. What NEW says under `expect` is held against its
    prediction, and so is what OLD says and NEW doesn't any more. Errors that lint finds in NEW
    are named: such a lab may do less than is predicted. Exit code 1 where a cell is lost, a
    statement isn't kept or NEW has an error that OLD hasn't, 0 otherwise; with --strict 1
    where any cell or end isn't as before, or a statement of OLD is gone or changed. 2 where OLD
    or NEW can't be read.

    With --prove both are measured by packets: OLD's nodes are booted, become NEW's without a
    reboot, and what isn't as predicted in either is told, with the causes. Where the two need
    other nodes, that is said and each is booted. It makes the exit code 1 where a cell isn't as
    predicted or packets break a statement of NEW, and 3 where something wasn't measured.

    Example:
      underlay diff labs/coreos.yml mine.yml
      underlay diff HEAD~1: labs/coreos.yml
      underlay diff main:labs labs --format markdown
      underlay diff coreos mine.yml --strict --json
      underlay diff HEAD: labs/coreos.yml --prove
    """
    if as_json and shape not in ("text", "json"):
        raise BadInput(f"--json and --format {shape} are two formats", hint="name one of them")
    if provider is not None and not prove:
        raise BadInput("--provider needs --prove: nothing runs without it")
    from underlay.proof.difference.labs import read_pairs
    from underlay.proof.difference.results import lab_difference

    results = [lab_difference(pair) for pair in read_pairs(old, new, resolve_lab).pairs]
    if prove:
        results = _proven(results, provider)
    _print(results, "json" if as_json else shape)
    for result in results if as_json or shape in ("json", "csv") else ():
        if result.pair.new and result.errors:
            tell_errors(result.pair.new, result.pair.new.text.file)
    raise typer.Exit(_exit_code(results, strict=strict))


def _proven(results: Sequence[LabDifference], provider: str | None) -> list[LabDifference]:
    """Return ``results`` with what packets say of each lab that is on both sides."""
    from underlay.cluster.providers import DEFAULT
    from underlay.proof.difference.proving import prove_pairs

    pairs = [(result.pair, result.difference) for result in results]
    with progress("rendering both labs") as running:
        proofs = prove_pairs(pairs, provider or DEFAULT, running.step)
    return [replace(result, proof=one) for result, one in zip(results, proofs, strict=True)]


def _exit_code(results: Sequence[LabDifference], *, strict: bool) -> int:
    """Return 1 where anything is lost, otherwise than wanted or predicted, or an error; else 3, 0.

    An error of lint counts where the old lab is without it: it may lose what is predicted.
    """
    proven = {result.proof.exit_code for result in results if result.proof}
    worse = any(
        result.counts["lost"] or result.breaks_intent or result.new_errors for result in results
    )
    if worse or (strict and any(result.any for result in results)):
        return EXIT_DIFFERS
    return next((code for code in (EXIT_DIFFERS, EXIT_INFRASTRUCTURE) if code in proven), EXIT_OK)


def _print(results: Sequence[LabDifference], shape: Format) -> None:
    if shape == "text":
        from underlay.report.difference import difference_text
        from underlay.report.terminal import page_form

        width, plain = page_form(out)
        out.print(difference_text(results, width=width, ascii_only=plain), end="")
        return
    if shape == "markdown":
        from underlay.report.difference_markdown import markdown

        print(markdown(results), end="")
        return
    from underlay.report.difference_formats import difference_csv, difference_document

    if shape == "json":
        print_document("diff", difference_document(results))
    else:
        print(difference_csv(results), end="")
