"""Lint: what is wrong with a lab before any node starts, by rules over its text and its plan."""

from underlay.lint.finding import Finding
from underlay.lint.loaded import Loaded, lint, load, refuse_errors
from underlay.lint.run import lab_rules, lint_lab

__all__ = ["Finding", "Loaded", "lab_rules", "lint", "lint_lab", "load", "refuse_errors"]
