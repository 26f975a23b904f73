"""``check`` and ``report`` as a probe: what a monitoring system is told, and where it reads it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from underlay.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.proof.runs.schema import Run

CheckFormat = Literal["text", "prometheus", "nagios"]
FormatOption = Annotated[
    CheckFormat,
    typer.Option(
        "--format",
        help="For monitoring: prometheus prints metrics, nagios a plugin's line, with exit codes"
        " of its own.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE", help="With --format prometheus: write them there, whole."
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", min=1, help="End what takes longer than this, as Ctrl-C does; exit 3."
    ),
]


def refuse_beside_probe(
    shape: CheckFormat, output: Path | None, beside: dict[str, bool]
) -> CheckFormat:
    """Return ``shape``; raise BadInput for what it can't be given with.

    ``beside`` says of other options, by their names, whether they are given.
    """
    if output is not None and shape != "prometheus":
        raise BadInput(
            "--output is where the metrics of --format prometheus are written",
            hint="underlay check --save run.json  keeps a run, and `underlay report` writes every"
            " format of it",
        )
    given = [name for name, is_given in beside.items() if is_given]
    if shape != "text" and given:
        raise BadInput(
            f"--format {shape} can't be given with {given[0]}: monitoring asks how the lab is now",
            hint="underlay check --save run.json  keeps a run, and `underlay report` writes every"
            " format of it",
        )
    return shape


def metrics_writer(output: Path | None, asked: str | None = None) -> Callable[[Run, Path], None]:
    """Return what writes the metrics of a run at its end; to stdout without an ``output``.

    ``asked`` is the lab that the command line names. Metrics of a run under way would say that
    nothing is known. The first time it only proves that something can be written there.
    """
    first = True

    def write(run: Run, path: Path) -> None:
        nonlocal first
        from underlay.storage import temporary

        if first:
            first = False
            if output is not None:
                with temporary.beside(path):
                    return
            return
        if run.reached != "the end" and run.error is None:
            return
        from underlay.report.prometheus import prometheus_text
        from underlay.report.run import Told
        from underlay.storage.writing import write_whole

        text = prometheus_text(Told(run), asked)
        if output is None:
            sys.stdout.write(text)
        else:
            write_whole(path, text)

    return write


def nagios_result(run: Run) -> int:
    """Print the line of a plugin about ``run``, and return the exit code that goes with it."""
    from underlay.report.nagios import nagios_line
    from underlay.report.run import Told

    line, code = nagios_line(Told(run))
    print(line, flush=True)
    return code
