"""Configuration that Underlay didn't make: what real hosts hold, read and compared.

``read_hosts`` reads a folder per host, ``lint_hosts`` says what is wrong in and
between them. Nothing here starts a node or looks at the machine it runs on.
"""

from __future__ import annotations

from underlay.foreign.folder import read_hosts
from underlay.foreign.lint import host_rules, lint_hosts

__all__ = ["host_rules", "lint_hosts", "read_hosts"]
