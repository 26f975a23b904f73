"""Rules about labs that can be read but would not do what they seem to say.

Each rule is a small function in ``rules.py``, and a row of its table: id,
severity, function, source. This module runs them and gives findings their place.
"""

from __future__ import annotations

from underlay.lab import Lab
from underlay.lab.text import LabText
from underlay.lint.finding import Finding, RuleText, reason_of
from underlay.lint.problems import problem_rules
from underlay.lint.rules import RULES
from underlay.lint.subject import Subject
from underlay.plan import Plan

PAGE = "lint-rules.md"


def lint_lab(lab: Lab, text: LabText, plan: Plan) -> list[Finding]:
    """Return the findings about a lab that was read from ``text``, in file order."""
    subject = Subject(lab, plan, text)
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
                    reason=reason_of(rule.check),
                    cure=hit.cure,
                    source=rule.source,
                )
            )
    return sorted(findings, key=lambda finding: (finding.line, finding.column))


def lab_rules() -> tuple[RuleText, ...]:
    """Return every rule about a lab file: why one can't be read, then what one leads to."""
    rules = (RuleText(r.id, r.severity, reason_of(r.check), r.source, PAGE) for r in RULES)
    return (*problem_rules(), *rules)
