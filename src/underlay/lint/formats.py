"""Findings in the formats of other programs: SARIF for code scanning, GitHub's workflow commands.

SARIF is OASIS's Static Analysis Results Interchange Format, version 2.1.0; of what it
allows this writes what GitHub reads:
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from underlay import __version__
from underlay.errors import Spot
from underlay.lint.finding import Finding, RuleText

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
# GitHub cuts off what is longer.
LONGEST_TEXT = 1000
MOST_RELATED = 10


@dataclass(frozen=True)
class Note:
    """What a run says beside findings: files that it left alone, rules that it couldn't judge."""

    title: str
    text: str
    files: tuple[str, ...] = ()


def sarif(
    findings: Sequence[Finding], rules: Iterable[RuleText], notes: Sequence[Note] = ()
) -> dict[str, Any]:
    """Return ``findings`` as a SARIF log with one run; ``rules`` are all that might have hit.

    ``notes`` become notifications of the run. What is silenced is one of them: code
    scanning passes over SARIF's own suppressions and would show it as open.
    """
    known = list({rule.id: rule for rule in rules}.values())
    index = {rule.id: number for number, rule in enumerate(known)}
    driver = {
        "name": "underlay",
        "semanticVersion": __version__,
        "rules": [_rule(rule) for rule in known],
    }
    base = _base()
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, index[finding.id], base) for finding in findings],
    }
    return _log(run | ({"invocations": [_invocation(notes, base)]} if notes else {}))


def failed_sarif(message: str) -> dict[str, Any]:
    """Return the log of a run that couldn't read what it was to look into: no result is no pass."""
    told = {"level": "error", "descriptor": {"id": "not-read"}, "message": {"text": message}}
    invocation = {"executionSuccessful": False, "toolExecutionNotifications": [told]}
    driver = {"name": "underlay", "semanticVersion": __version__, "rules": []}
    columns = {"columnKind": "unicodeCodePoints", "results": []}
    return _log({"tool": {"driver": driver}, **columns, "invocations": [invocation]})


def _log(run: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def github(findings: Iterable[Finding], notes: Iterable[Note] = ()) -> Iterator[str]:
    """Yield a workflow command for each finding: GitHub Actions shows it beside the line.

    ``notes`` are notices of the run.

    Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
    """
    for finding in findings:
        place = {"file": finding.file, "title": finding.id}
        if finding.line:
            place |= {"line": str(finding.line), "col": str(finding.column)}
        settings = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in place.items())
        text = f"{finding.message}\n{finding.reason}\ncure: {finding.cure}"
        yield f"::{finding.severity} {settings}::{_escaped(text)}"
    for note in notes:
        yield f"::notice title={_escaped(note.title, ':,')}::{_escaped(note.text)}"


def failed_github(message: str) -> str:
    """Return the workflow command that tells why nothing could be looked into."""
    return f"::error title=not-read::{_escaped(message)}"


def _invocation(notes: Iterable[Note], base: Path) -> dict[str, Any]:
    notifications = [_notification(note, base) for note in notes]
    return {"executionSuccessful": True, "toolExecutionNotifications": notifications}


def _notification(note: Note, base: Path) -> dict[str, Any]:
    result: dict[str, Any] = {
        "level": "note",
        "descriptor": {"id": note.title},
        "message": {"text": note.text},
    }
    if note.files:
        result["locations"] = [_location(Spot(file), base) for file in note.files]
    return result


def _escaped(text: str, more: str = "") -> str:
    """Escape what ends a command or a setting; the percent sign first, or it would be doubled."""
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _rule(rule: RuleText) -> dict[str, Any]:
    reason = rule.reason[:LONGEST_TEXT]
    return {
        "id": rule.id,
        "shortDescription": {"text": reason},
        "fullDescription": {"text": reason},
        "help": {"text": f"{rule.reason}\nSource: {rule.source}"},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"tags": ["network"], "problem.severity": rule.severity},
    }


def _result(finding: Finding, rule: int, base: Path) -> dict[str, Any]:
    text = f"{finding.message}\n{finding.reason}\nCure: {finding.cure}\nSource: {finding.source}"
    # Of the content and not of the line, so that an alert survives an edit above it.
    marked = f"{finding.id}\0{finding.file}\0{finding.message}"
    mark = hashlib.sha256(os.fsencode(marked)).hexdigest()
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": text},
        "locations": [_location(finding.spot, base)],
        "partialFingerprints": {"underlayFinding/v1": mark[:32]},
    }
    if finding.related:
        related = finding.related[:MOST_RELATED]
        result["relatedLocations"] = [
            {"id": number, **_location(spot, base), "message": {"text": "the other place"}}
            for number, spot in enumerate(related, 1)
        ]
    return result


def _base() -> Path:
    """Return the folder that places count from: the repository's, else the working folder.

    GitHub and GitLab show a place by its path from the root of the repository, wherever in it
    Underlay was called.
    """
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def _location(spot: Spot, base: Path) -> dict[str, Any]:
    """Return a place; a path below ``base`` is relative to it, and any other one whole."""
    path = Path(os.path.normpath(Path.cwd() / spot.file))
    inside = path.is_relative_to(base)
    artifact = {"uri": _quoted(path.relative_to(base)) if inside else path.as_uri()}
    region = {"startLine": max(spot.line, 1), "startColumn": max(spot.column, 1)}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(os.fsencode(path.as_posix()))
