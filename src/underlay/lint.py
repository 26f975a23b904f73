"""Rules about labs that can be read but would not do what they seem to say.

Each rule is a small function in ``lint_rules.py``, and a row of its table: id,
severity, function, source. This module runs them and gives findings their place.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from underlay.lab import Lab
from underlay.lab_file import read_lab_text
from underlay.lab_text import LabText
from underlay.lint_rules import RULES, Subject
from underlay.plan import make_plan

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """What a rule says about one key of a lab file; ``line`` and ``column`` count from 1.

    ``message`` is the fact, ``cure`` the change that removes it, ``source`` where
    the rule comes from.
    """

    id: str
    severity: Severity
    file: str
    line: int
    column: int
    message: str
    cure: str
    source: str

    def __str__(self) -> str:
        """Return the finding as people read it, in three lines."""
        head = f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.id}: {self.message}"
        return f"{head}\n  cure: {self.cure}\n  source: {self.source}"


def lint(path: Path) -> list[Finding]:
    """Return the findings about the lab file at ``path``, in file order.

    Raises LabError where the file cannot be read as a lab.
    """
    return lint_lab(*read_lab_text(path))


def lint_lab(lab: Lab, text: LabText) -> list[Finding]:
    """Return the findings about a lab that was read from ``text``, in file order."""
    subject = Subject(lab, make_plan(lab), text)
    findings = []
    for rule in RULES:
        for hit in rule.check(subject):
            mark = text.key_mark(hit.place)
            findings.append(
                Finding(
                    id=rule.id,
                    severity=rule.severity,
                    file=text.file,
                    line=mark.line,
                    column=mark.column,
                    message=hit.message,
                    cure=hit.cure,
                    source=rule.source,
                )
            )
    return sorted(findings, key=lambda finding: (finding.line, finding.column))
