"""The verb ``report``: a run that ``check --save`` kept, in any format, on any machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from underlay.cli.console import out
from underlay.errors import BadInput, reason

if TYPE_CHECKING:
    from underlay.report.run import Told

GROUP = "Labs"
ORDER = 35

Format = Literal["text", "json", "junit"]
# Columns of a file, where no terminal says how wide it is.
WIDTH = 100


def command(
    run: Annotated[Path, typer.Argument(metavar="FILE", help="A run that `check --save` kept.")],
    shape: Annotated[Format, typer.Option("--format", help="How the run is told.")] = "text",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write it there instead of stdout."),
    ] = None,
) -> None:
    """Tell a run that `check --save` kept, in any format, later and on any machine.

    `underlay check --save run.json` makes one. Nothing is measured, predicted or judged anew:
    text and JSON are what `check` printed then. A run that ended early says how far it came.
    Exit code 0 where the run could be told, however it went; 2 where FILE can't be read as a run.

    Example:
      underlay report run.json
      underlay report run.json --format json -o cells.json
      underlay report run.json --format junit -o junit.xml
    """
    from underlay.proof.runs.file import read_run
    from underlay.report.run import Told

    told = Told(read_run(run.expanduser()))
    if shape == "text" and output is None:
        _show(told)
        return
    text = _text(told, shape)
    if output is None:
        print(text, end="")
    else:
        _write(output.expanduser(), text)


def _show(told: Told) -> None:
    from underlay.report.run import run_text
    from underlay.report.terminal import ascii_only

    width, plain = min(out.width, WIDTH), ascii_only(out.encoding)
    out.print(run_text(told, width=width, ascii_only=plain), end="")


def _text(told: Told, shape: Format) -> str:
    from underlay.report import run

    if shape == "text":
        return run.run_text(told, width=WIDTH).plain
    if shape == "junit":
        from underlay.report.junit import junit_text

        return junit_text(told)
    return run.json_text(told)


def _write(path: Path, text: str) -> None:
    from underlay.storage.writing import write_whole

    try:
        write_whole(path, text)
    except OSError as error:
        raise BadInput(f"{path} can't be written: {reason(error)}") from error
