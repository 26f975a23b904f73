"""The verb ``diff``: what a change of a lab file does to who reaches whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from underlay.cli.console import out, print_json
from underlay.cli.lint_errors import tell_errors
from underlay.cli.which_lab import resolve_lab
from underlay.errors import EXIT_DIFFERS, BadInput

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
    prediction, and so is what OLD says and NEW doesn't any more. That lint finds errors in NEW
    is said on stderr: such a lab may do less than is predicted. Exit code 1 where a cell is
    lost or a statement isn't kept, 0 otherwise; with --strict 1 where any cell or end isn't as
    before, or a statement of OLD is gone or changed. 2 where OLD or NEW can't be read.

    Example:
      underlay diff labs/coreos.yml mine.yml
      underlay diff HEAD~1: labs/coreos.yml
      underlay diff main:labs labs --format markdown
      underlay diff coreos mine.yml --strict --json
    """
    if as_json and shape not in ("text", "json"):
        raise BadInput(f"--json and --format {shape} are two formats", hint="name one of them")
    from underlay.proof.difference.labs import read_pairs
    from underlay.proof.difference.results import lab_difference

    results = [lab_difference(pair) for pair in read_pairs(old, new, resolve_lab).pairs]
    _print(results, "json" if as_json else shape)
    for result in results:
        if result.pair.new and (result.any or len(results) == 1):
            tell_errors(result.pair.new, result.pair.new.text.file)
    worse = any(result.counts["lost"] or result.breaks_intent for result in results)
    if worse or (strict and any(result.any for result in results)):
        raise typer.Exit(EXIT_DIFFERS)


def _print(results: Sequence[LabDifference], shape: Format) -> None:
    if shape == "text":
        from underlay.report.difference import difference_text
        from underlay.report.terminal import ascii_only

        width, plain = min(out.width, 100), ascii_only(out.encoding)
        out.print(difference_text(results, width=width, ascii_only=plain), end="")
        return
    if shape == "markdown":
        from underlay.report.difference_markdown import markdown

        print(markdown(results), end="")
        return
    from underlay.report.difference_formats import difference_csv, difference_document

    if shape == "json":
        print_json(difference_document(results))
    else:
        print(difference_csv(results), end="")
