"""Runs the rules about hosts' configuration; importing their modules fills the table."""

from __future__ import annotations

import inspect

from underlay.foreign import (  # noqa: F401 -- each of them adds its rules to the table
    rules_address,
    rules_cni,
    rules_docker,
    rules_file,
    rules_fleet,
    rules_interface,
    rules_ipam,
    rules_parent,
)
from underlay.foreign.rule import RULES, HostRule, Hosts
from underlay.lint.finding import Finding, RuleText

PAGE = "host-rules.md"


def lint_hosts(hosts: Hosts) -> list[Finding]:
    """Return the findings about ``hosts``, by file and then by line."""
    findings = [
        Finding(
            id=rule.id,
            severity=rule.severity,
            file=hit.spot.file,
            line=hit.spot.line,
            column=hit.spot.column,
            message=hit.message,
            reason=_reason(rule),
            cure=hit.cure,
            source=rule.source,
            related=hit.related,
        )
        for rule in RULES
        for hit in rule.check(hosts)
    ]
    unique = dict.fromkeys(findings)
    return sorted(unique, key=lambda f: (f.file, f.line, f.column, f.id))


def host_rules() -> tuple[RuleText, ...]:
    """Return every rule about hosts' configuration, for pages and formats."""
    return tuple(RuleText(r.id, r.severity, _reason(r), r.source, PAGE) for r in RULES)


def _reason(rule: HostRule) -> str:
    return " ".join((inspect.getdoc(rule.check) or "").split())
