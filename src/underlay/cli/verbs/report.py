"""The verb ``report``: a run that ``check --save`` kept, in any format, on any machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from underlay.cli.console import out
from underlay.cli.recording import baseline_of
from underlay.errors import BadInput, reason

if TYPE_CHECKING:
    from underlay.report.run import Told

GROUP = "Labs"
ORDER = 35

Format = Literal["text", "md", "html", "json", "csv", "junit"]


def command(
    run: Annotated[Path, typer.Argument(metavar="FILE", help="A run that `check --save` kept.")],
    shape: Annotated[Format, typer.Option("--format", help="How the run is told.")] = "text",
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare it with the run in FILE.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write it there instead of stdout."),
    ] = None,
) -> None:
    """Tell a run that `check --save` kept, in any format, later and on any machine.

    `underlay check --save run.json` makes one. Nothing is measured, predicted or judged anew:
    text and JSON are what `check` printed then, and junit what --junit wrote. As md it is a
    summary for a merge request, as html a page, as csv a line for each cell. A run that ended
    early says how far it came. Exit code 0 where the run could be told, however it went; 2 where
    FILE can't be read as a run. With --baseline, what is better, worse, new and gone since that run
    follows, and the exit codes are those of `check --baseline`.

    Example:
      underlay report run.json
      underlay report run.json --format json -o cells.json
      underlay report run.json --format junit -o junit.xml
      underlay report run.json --format md --baseline before.json
    """
    from underlay.proof.runs.comparison import compare
    from underlay.proof.runs.file import read_run
    from underlay.report.run import Told

    now, before = read_run(run.expanduser()), baseline_of(baseline)
    compared = compare(before, now, str(baseline)) if before else None
    told = Told(now, compared)
    if shape == "text" and output is None:
        _show(told)
    elif output is None:
        print(_text(told, shape), end="")
    else:
        _write(output.expanduser(), _text(told, shape))
    if compared is not None:
        raise typer.Exit(compared.exit_code)


def _show(told: Told) -> None:
    from underlay.report.run import run_text
    from underlay.report.terminal import page_form

    width, plain = page_form(out)
    out.print(run_text(told, width=width, ascii_only=plain), end="")


def _text(told: Told, shape: Format) -> str:
    from underlay.report import run
    from underlay.report.terminal import PAGE_WIDTH

    if shape == "junit":
        from underlay.report.junit import junit_text

        return junit_text(told)
    if shape == "md":
        from underlay.report.summary import markdown_text

        return markdown_text(told)
    if shape == "html":
        return run.html_text(told)
    if shape == "csv":
        return run.csv_text(told)
    return run.json_text(told) if shape == "json" else run.run_text(told, width=PAGE_WIDTH).plain


def _write(path: Path, text: str) -> None:
    from underlay.storage.writing import write_whole

    try:
        write_whole(path, text)
    except OSError as error:
        raise BadInput(f"{path} can't be written: {reason(error)}") from error
