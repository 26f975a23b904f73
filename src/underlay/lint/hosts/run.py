"""Runs the rules about hosts' configuration: those of every module here called ``rules_…``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from underlay.lint.finding import Finding, RuleText, reason_of
from underlay.lint.hosts.rule import RULES, Hosts

PAGE = "host-rules.md"

# Importing a module of rules adds them to the table.
for _module in iter_modules([str(Path(__file__).parent)]):
    if _module.name.startswith("rules_"):
        import_module(f"underlay.lint.hosts.{_module.name}")


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
            reason=reason_of(rule.check),
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
    return tuple(RuleText(r.id, r.severity, reason_of(r.check), r.source, PAGE) for r in RULES)
