"""Why a lab file can't be read, as findings: each problem has a kind, which is its rule."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from underlay.errors import Spot
from underlay.lab.text import Problem
from underlay.lint.finding import Finding, Hit, RuleText
from underlay.lint.keys.checks import CHECKS, kind_of
from underlay.lint.rules import RULES

SOURCE = "the keys of a lab file: docs/lab-file.md"
YAML = "YAML 1.2.2: https://yaml.org/spec/1.2.2/"

# Kinds that no check of its own finds: the file, its YAML, and the models.
READING = {
    "unreadable-file": ("The file isn't there, or isn't a regular file.", SOURCE),
    "too-large": ("A lab takes some kilobytes; more than 1 MiB is refused unread.", SOURCE),
    "not-text": ("A lab file is UTF-8 text.", YAML),
    "yaml-syntax": ("The text isn't YAML, or more than one document of it.", YAML),
    "yaml-tag": ("Tags would make something else of a value than it looks like.", YAML),
    "key-no-word": ("Keys are words.", YAML),
    "duplicate-key": ("Of a key that is there twice, one value would be lost.", YAML),
    "no-lab": ("The file's top level is no mapping with a lab's keys.", SOURCE),
    "missing-key": ("A key that has no default is left out.", SOURCE),
    "unknown-key": ("A key that means nothing would be silently ignored.", SOURCE),
    "bad-name": ("A name that can't be a name of interfaces, files and containers.", SOURCE),
    "bad-value": ("A value that its key can't take.", SOURCE),
    "fleet-host": ("A host of the fleet about which nothing can be read.", SOURCE),
    "fleet-lab": ("What hosts' files say together, or leave open, leads to no lab.", SOURCE),
    "no-image": (
        "An archive of a container's image isn't there, or holds none that a node can run.",
        SOURCE,
    ),
    "expect-nobody": ("What is wanted of nobody is kept whatever happens.", SOURCE),
    "expect-unmeasured": ("What no cell asks for can't be kept or broken.", SOURCE),
    "expect-mixed": ("What is seen there is asked apart from whether anything gets there.", SOURCE),
    "expect-conflict": ("What one statement wants, another one doesn't: one is broken.", SOURCE),
}


def problem_rules() -> tuple[RuleText, ...]:
    """Return what is known about each kind of problem, each kind once."""
    kinds = {key: (reason, source) for key, (reason, source) in READING.items()}
    for check in CHECKS:
        first = (inspect.getdoc(check) or "").partition("\n\n")[0]
        kinds.setdefault(kind_of(check), (" ".join(first.split()), SOURCE))
    return tuple(RuleText(key, "error", *words, RULES.page) for key, words in kinds.items())


def lab_rules() -> tuple[RuleText, ...]:
    """Return every rule about a lab file: why one can't be read, then what one leads to."""
    return (*problem_rules(), *RULES)


def problem_findings(problems: Iterable[Problem], more: Iterable[RuleText] = ()) -> list[Finding]:
    """Return the problems for which a lab file can't be read, as findings, in their order.

    ``more`` are the rules about hosts' files, which may refuse those of a fleet.
    """
    rules = {rule.id: rule for rule in (*more, *problem_rules())}
    return [
        rules[problem.id].finding(
            Hit(
                Spot(problem.file, problem.line, problem.column),
                problem.fact,
                problem.hint or f"write {problem.expected}",
            )
        )
        for problem in problems
    ]
