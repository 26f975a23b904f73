"""The verb ``report``: a run that ``check --save`` kept, in any format, on any machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from underlay.cli.console import err, out
from underlay.cli.options import Wide
from underlay.cli.recording import baseline_of
from underlay.cli.to_write import write
from underlay.errors import EXIT_INFRASTRUCTURE, EXIT_OK, BadInput

if TYPE_CHECKING:
    from underlay.report.run import Told

GROUP = "Labs"
ORDER = 35

Format = Literal["text", "md", "html", "json", "csv", "junit", "pcap", "prometheus", "nagios"]
# What a file's name ends in where --format doesn't say it; a name without an ending is text.
ENDINGS: dict[str, Format] = {
    "": "text",
    ".txt": "text",
    ".md": "md",
    ".html": "html",
    ".htm": "html",
    ".json": "json",
    ".csv": "csv",
    ".xml": "junit",
    ".pcap": "pcap",
    ".pcapng": "pcap",
    ".prom": "prometheus",
}


def command(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", help="A run that `check --save` kept; of several, one is made."
        ),
    ],
    shape: Annotated[
        Format | None,
        typer.Option("--format", help="How the run is told; as the ending of -o says, or text."),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare it with the run in FILE.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write it there instead of stdout."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the page there: --format html and -o in one."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep several runs as one, in FILE.")
    ] = None,
    wide: Wide = False,
) -> None:
    """Tell a run that `check --save` kept, in any format, later and on any machine.

    `underlay check --save run.json` makes one. Nothing is measured, predicted or judged anew:
    text and JSON are what `check` printed then, and junit what --junit wrote. As md it is a
    summary for a merge request, as html a page to look at that needs no network, as csv a line
    for each cell, as pcap the frames that were captured of cells that differ, for Wireshark. A run
    that ended early says how far it came. prometheus and nagios are what `check` tells monitoring
    in these formats; nagios has exit codes of its own, as there. Else exit code 0 means that the
    run could be told, however it went; 2 that FILE can't be read as a run, -o can't be written or
    its ending says no format, or there are no frames for pcap. With --baseline, what is better,
    worse, new and gone since that run follows, and the exit codes are those of `check --baseline`.

    Several runs are joined: the shards of `check DIR --shard K/N`, or runs of different labs.
    Each shard that is missing is named, its labs count as not measured, and the exit code is 3.
    What is in two of them is refused, and so are shards of different folders. --save keeps what
    they are joined to.

    Example:
      underlay report run.json
      underlay report run-*.json --save run.json --format md -o summary.md
      underlay report run.json --html run.html
      underlay report run.json --format junit -o results.xml
      underlay report run.json -o run.pcapng
      underlay report run.json --format nagios
      underlay report run.json --format md --baseline before.json
    """
    from underlay.proof.runs.comparison import compare
    from underlay.proof.runs.file import read_run, run_text
    from underlay.proof.runs.joining import joined
    from underlay.report.run import Told

    if html is not None:
        if shape or output:
            raise BadInput(
                "--html says the format and the file",
                hint="leave out --format and -o, or run `underlay report` once for each",
            )
        shape, output = "html", html
    if shape is None:
        shape = _format_of(output)
    _tell_contradiction(shape, output)
    whole = joined([(path, read_run(path.expanduser())) for path in runs])
    now, before = whole.run, baseline_of(baseline)
    for line in whole.missing:
        err.print(line)
    if save is not None:
        write(save.expanduser(), run_text(now))
    compared = compare(before, now, str(baseline)) if before else None
    told = Told(now, compared)
    if shape == "nagios":
        raise typer.Exit(_plugin(told, output))
    if shape == "text" and output is None:
        _show(told, wide=wide)
    elif shape == "pcap":
        _write_frames(told, output)
    elif output is None:
        print(_text(told, shape, wide=wide), end="")
    else:
        write(output.expanduser(), _text(told, shape, wide=wide))
    code = compared.exit_code if compared is not None else EXIT_OK
    if whole.missing and code == EXIT_OK:
        code = EXIT_INFRASTRUCTURE
    raise typer.Exit(code)


def _tell_contradiction(shape: Format, output: Path | None) -> None:
    """Say on stderr where a file's ending promises another format than the one that was asked for.

    What reads a folder of files goes by their endings, as node_exporter does.
    """
    says = ENDINGS.get(output.suffix.lower(), "text") if output else "text"
    if says not in ("text", shape):
        err.print(f"{output}: written as {shape}, as --format says; its ending says {says}")


def _format_of(output: Path | None) -> Format:
    """Return what the ending of a file's name says, text without a file.

    :raises BadInput: if it says none of the formats.
    """
    found = ENDINGS.get(output.suffix.lower()) if output else "text"
    if found is None:
        raise BadInput(
            f"{output}: '{output.suffix if output else ''}' says none of the formats of a run",
            hint="End it in .txt, .md, .html, .json, .csv, .xml (junit), .pcapng or .prom, or"
            " name one with --format.",
        )
    return found


def _show(told: Told, *, wide: bool) -> None:
    from underlay.report.run import run_text
    from underlay.report.terminal import page_form

    width, plain = page_form(out)
    out.print(run_text(told, width=width, ascii_only=plain, wide=wide), end="")


def _text(told: Told, shape: Format, *, wide: bool) -> str:
    from underlay.report import run
    from underlay.report.terminal import PAGE_WIDTH

    if shape == "junit":
        from underlay.report.junit import junit_text

        return junit_text(told)
    if shape == "md":
        from underlay.report.summary import markdown_text

        return markdown_text(told)
    if shape == "html":
        from underlay.report.run_page.page import page_text

        return page_text(told)
    if shape == "prometheus":
        from underlay.report.prometheus import prometheus_text

        return prometheus_text(told)
    if shape == "csv":
        return run.csv_text(told)
    if shape == "json":
        return run.json_text(told)
    return run.run_text(told, width=PAGE_WIDTH, wide=wide).plain


def _plugin(told: Told, output: Path | None) -> int:
    """Tell a run as Nagios's plugins do, and return the exit code that goes with it."""
    from underlay.report.nagios import nagios_line

    if told.compared is not None:
        raise BadInput(
            "--format nagios can't be given with --baseline: it tells how the lab was, not what"
            " became worse",
            hint="underlay report run.json --baseline before.json",
        )
    line, code = nagios_line(told)
    if output is None:
        print(line)
    else:
        write(output.expanduser(), f"{line}\n")
    return code


def _write_frames(told: Told, output: Path | None) -> None:
    from underlay.report.run import pcap_bytes

    frames = pcap_bytes(told)
    if output is not None:
        write(output.expanduser(), frames)
    elif sys.stdout.isatty():
        raise BadInput("a capture is nothing for a terminal", hint="-o run.pcapng")
    else:
        sys.stdout.buffer.write(frames)
        sys.stdout.buffer.flush()
