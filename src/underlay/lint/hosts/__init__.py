"""Rules about hosts' own configuration: what each host's files say, and what they say together.

They are those of every module here that is called ``rules_…``.
"""

from importlib import import_module
from pkgutil import iter_modules

from underlay.lint.finding import Finding, RuleText
from underlay.lint.hosts.refusing import refuse, refused
from underlay.lint.hosts.rule import INTERFACES, RULES, Hosts

__all__ = ["host_rules", "lint_hosts", "refuse", "refused", "unjudged"]

# Importing a module of rules adds them to the table.
for _module in iter_modules(__path__, f"{__name__}."):
    if ".rules_" in _module.name:
        import_module(_module.name)


def lint_hosts(hosts: Hosts) -> list[Finding]:
    """Return the findings about ``hosts``, by file and then by line."""
    unique = dict.fromkeys(RULES.findings(hosts))
    return sorted(unique, key=lambda f: (f.file, f.line, f.column, f.id))


def unjudged(hosts: Hosts) -> dict[str, list[str]]:
    """Return the rules that couldn't be judged by host: its files configure no interface."""
    needing = sorted(rule.id for rule in RULES if rule.needs == INTERFACES)
    return {
        host.name: needing
        for host in hosts
        if not host.links and any(network.is_underlay for network in host.networks)
    }


def host_rules() -> tuple[RuleText, ...]:
    """Return every rule about hosts' configuration, for pages and formats."""
    return tuple(RULES)
