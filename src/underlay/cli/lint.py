"""The verb ``lint``: what a lab's author would otherwise find out with nodes running."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from underlay.cli.console import out, print_json
from underlay.cli.labs import resolve_lab
from underlay.errors import EXIT_DIFFERS
from underlay.lab_file import read_lab_text
from underlay.lint import Finding, lint_lab

STYLES = {"error": "bold red", "warning": "yellow"}


def command(
    lab: Annotated[
        str | None, typer.Argument(help="A lab file, or the name of one in labs/.", metavar="LAB")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the findings as one JSON document.")
    ] = False,
) -> None:
    """Find a lab's mistakes before any node starts.

    Reads the lab file (labs/coreos.yml where none is named), and says for each
    finding where it is, what it leads to, how to mend it and which source says so.
    Exits 0 where there are no errors, 1 where there are, and 2 where the file
    can't be read as a lab.

    Example:
      underlay lint
      underlay lint labs/broken/seed-as-written.yml
      underlay lint docker-vlan --json
    """
    subject, text = read_lab_text(resolve_lab(lab))
    findings = lint_lab(subject, text)
    errors = sum(finding.severity == "error" for finding in findings)
    summary = {"errors": errors, "warnings": len(findings) - errors}
    if as_json:
        rows = [asdict(finding) for finding in findings]
        print_json({"lab": subject.name, "findings": rows, "summary": summary})
    else:
        for finding in findings:
            _show(finding)
        out.print(
            f"{text.file}: {_count(errors, 'error')}, {_count(summary['warnings'], 'warning')}"
        )
    if errors:
        raise typer.Exit(EXIT_DIFFERS)


def _show(finding: Finding) -> None:
    first, *rest = str(finding).splitlines()
    out.print(first, style=STYLES[finding.severity])
    for line in rest:
        out.print(line)
    out.print()


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
