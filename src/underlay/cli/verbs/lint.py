"""The verb ``lint``: what would otherwise be found out with nodes running."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from underlay.cli.console import err, out, print_json
from underlay.cli.which_lab import resolve_lab
from underlay.errors import EXIT_BAD_INPUT, EXIT_DIFFERS, BadInput
from underlay.lab.text import LabError
from underlay.report.terminal import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.lint.finding import Finding, RuleText

GROUP = "Files"
ORDER = 20

STYLES = {"error": "bold red", "warning": "yellow"}

Format = Literal["text", "json", "sarif", "github"]


def command(
    lab: Annotated[
        str | None, typer.Argument(help="A lab file, or the name of one in labs/.", metavar="LAB")
    ] = None,
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="NAME=DIR",
            help="Look at a real host's configuration in DIR instead; once per host.",
        ),
    ] = None,
    shape: Annotated[
        Format,
        typer.Option("--format", help="How findings are printed."),
    ] = "text",
    as_json: Annotated[
        bool, typer.Option("--json", help="The same as --format json: one JSON document.")
    ] = False,
) -> None:
    """Find a lab's mistakes before any node starts, or those of real hosts.

    Reads the lab file (labs/coreos.yml where none is named), and says for each
    finding where it is, what it leads to, how to mend it and which source says so.
    With --host it reads what hosts are configured with instead: CNI's net.d files,
    cloud-config, Compose files, Docker's and podman's networks, systemd-networkd;
    what each file says by itself, and what the hosts do to one another. Exits 0
    where there are no errors, 1 where there are, and 2 where the file can't be
    read as a lab.

    Example:
      underlay lint
      underlay lint labs/broken/seed-as-written.yml
      underlay lint docker-vlan --format sarif
      underlay lint --host core-01=etc/one --host core-02=etc/two
    """
    if as_json and shape not in ("text", "json"):
        raise BadInput(f"--json and --format {shape} are two formats", hint="name one of them")
    shape = "json" if as_json else shape
    if hosts:
        if lab:
            raise BadInput("both a lab and --host", hint="lint one after the other")
        _lint_hosts(hosts, shape)
    else:
        _lint_lab(resolve_lab(lab), shape)


def _lint_lab(path: Path, shape: Format) -> None:
    from underlay.lint import lab_rules, load
    from underlay.lint.problems import problem_findings

    try:
        loaded = load(path)
    except LabError as error:
        if shape == "text":
            raise
        findings = problem_findings(error.problems)
        _print(findings, lab_rules(), shape, {"error": error.message, "hint": error.hint})
        err.print(f"error: {error.message}")
        raise typer.Exit(EXIT_BAD_INPUT) from error
    _print(loaded.findings, lab_rules(), shape, {"lab": loaded.lab.name})
    _conclude(loaded.findings, loaded.text.file, shape)


def _lint_hosts(pairs: list[str], shape: Format) -> None:
    from underlay.fleet import read_hosts
    from underlay.lint.hosts import host_rules, lint_hosts

    hosts = read_hosts(pairs)
    findings = lint_hosts(hosts)
    read = {host.name: [document.file for document in host.documents] for host in hosts}
    ignored = {host.name: list(host.ignored) for host in hosts}
    _print(findings, host_rules(), shape, {"hosts": read, "ignored": ignored})
    if shape == "text":
        for host in hosts:
            if host.ignored:
                out.print(f"{host.name}: not looked into: {', '.join(host.ignored)}")
    files = sum(len(files) for files in read.values())
    _conclude(findings, f"{count(len(hosts), 'host')}, {count(files, 'file')}", shape)


def _print(
    findings: Sequence[Finding],
    rules: Sequence[RuleText],
    shape: Format,
    about: dict[str, Any],
) -> None:
    if shape == "json":
        rows = [asdict(finding) for finding in findings]
        print_json({**about, "findings": rows, "summary": _summary(findings)})
        return
    if shape == "text":
        for finding in findings:
            _show(finding)
        return
    from underlay.lint.formats import github, sarif

    if shape == "sarif":
        print_json(sarif(findings, rules))
    else:
        for line in github(findings):
            print(line)


def _conclude(findings: Sequence[Finding], what: str, shape: Format) -> None:
    summary = _summary(findings)
    if shape == "text":
        errors, warnings = summary["errors"], summary["warnings"]
        out.print(f"{what}: {count(errors, 'error')}, {count(warnings, 'warning')}")
    if summary["errors"]:
        raise typer.Exit(EXIT_DIFFERS)


def _summary(findings: Sequence[Finding]) -> dict[str, int]:
    errors = sum(finding.severity == "error" for finding in findings)
    return {"errors": errors, "warnings": len(findings) - errors}


def _show(finding: Finding) -> None:
    first, *rest = str(finding).splitlines()
    out.print(first, style=STYLES[finding.severity])
    for line in rest:
        out.print(line)
    out.print()
