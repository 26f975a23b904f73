"""A lab file read once: the lab, its text, the plan it leads to, and what lint finds in it.

Every command makes one such value and hands it on. So all of its steps are about the same
text, even where somebody saves the file while the command works.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from underlay.errors import BadInput
from underlay.lab import Lab
from underlay.lab.text import LabText, text_of_bytes
from underlay.lint.finding import Finding
from underlay.lint.read import lab_of_text, read_lab_text
from underlay.lint.rules import lint_lab
from underlay.plan import Plan, make_plan


@dataclass(frozen=True)
class Loaded:
    """A lab that was read from ``file``, and the plan that it leads to."""

    file: Path
    lab: Lab
    text: LabText
    plan: Plan

    @cached_property
    def findings(self) -> list[Finding]:
        """What lint says about the lab, in file order; its rules run when this is first asked."""
        return lint_lab(self.lab, self.text, self.plan)

    @property
    def errors(self) -> list[Finding]:
        """Those of the findings that are errors."""
        return [finding for finding in self.findings if finding.severity == "error"]


def load(file: Path) -> Loaded:
    """Read and plan the lab ``file``; raise LabError with all problems for which it can't be."""
    return _planned(file, *read_lab_text(file))


def load_bytes(file: Path, named: str, content: bytes) -> Loaded:
    """Read and plan a lab whose ``content`` isn't what ``file`` holds now; as ``load`` does.

    It is called ``named``, and paths in it count from the folder of ``file``.
    """
    text = text_of_bytes(named, content)
    return _planned(file, *lab_of_text(text, file.absolute().parent))


def _planned(file: Path, lab: Lab, text: LabText) -> Loaded:
    plan = make_plan(lab)
    filters = tuple(
        replace(one, line=text.mark(("filters", one.number)).line) for one in plan.filters
    )
    intent = tuple(replace(one, line=text.mark(("expect", one.number)).line) for one in plan.intent)
    return Loaded(file, lab, text, replace(plan, filters=filters, intent=intent))


def lint(file: Path) -> list[Finding]:
    """Return the findings about the lab ``file``; raise LabError where it can't be read."""
    return load(file).findings


def refuse_errors(loaded: Loaded) -> None:
    """Raise BadInput where lint finds errors in the lab."""
    if loaded.errors:
        word = shlex.quote(str(loaded.file))
        raise BadInput(
            "\n".join(f"{f.file}:{f.line}:{f.column}: {f.id}: {f.message}" for f in loaded.errors),
            hint=f"underlay lint {word}\nunderlay up {word} --force  starts it all the same",
        )
