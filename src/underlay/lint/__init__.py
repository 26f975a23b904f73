"""Lint: what is wrong with a lab before any node starts, by rules over its text and its plan."""

from underlay.lint.finding import Finding
from underlay.lint.run import lab_rules, lint, lint_lab

__all__ = ["Finding", "lab_rules", "lint", "lint_lab"]
