"""Rules about hosts' own configuration: what each host's files say, and what they say together."""

from underlay.lint.hosts.run import host_rules, lint_hosts

__all__ = ["host_rules", "lint_hosts"]
