"""Rules about labs that can be read but would not do what they seem to say.

Each rule is a small function in ``lint_rules.py``, and a row of its table: id,
severity, function, source. This module runs them and gives findings their place.
"""

from __future__ import annotations

import inspect
from pathlib import Path

from underlay.lab import Lab
from underlay.lab.text import LabText
from underlay.lint.finding import Finding, RuleText
from underlay.lint.problems import problem_rules
from underlay.lint.read import read_lab_text
from underlay.lint.rules import RULES
from underlay.lint.subject import Rule, Subject
from underlay.plan import make_plan

PAGE = "lint-rules.md"


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
                    reason=_reason(rule),
                    cure=hit.cure,
                    source=rule.source,
                )
            )
    return sorted(findings, key=lambda finding: (finding.line, finding.column))


def lab_rules() -> tuple[RuleText, ...]:
    """Return every rule about a lab file: why one can't be read, then what one leads to."""
    rules = (RuleText(r.id, r.severity, _reason(r), r.source, PAGE) for r in RULES)
    return (*problem_rules(), *rules)


def _reason(rule: Rule) -> str:
    return " ".join((inspect.getdoc(rule.check) or "").split())
