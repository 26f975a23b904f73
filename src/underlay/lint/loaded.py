"""A lab file read once: the lab, its text, the plan it leads to, and what lint finds in it.

Every command makes one such value and hands it on. So all of its steps are about the same
text, even where somebody saves the file while the command works.
"""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from underlay.errors import BadInput
from underlay.fleet.carried import Carried
from underlay.fleet.host import Host
from underlay.lab import Lab
from underlay.lab.text import LabText, read_text, text_of_bytes
from underlay.lint.derived import Reader
from underlay.lint.finding import Finding
from underlay.lint.hosts import lint_hosts
from underlay.lint.read import Whole, read_whole
from underlay.lint.rules import lint_lab
from underlay.lint.silence import Silenced, own_texts, silence
from underlay.plan import Plan, make_plan
from underlay.plan.naming import macs_apart

# What helps where a folder holds no lab file: it may hold the files of hosts.
END_IN = (
    "they end in .yml; of hosts' folders `underlay import DIR -o lab.yml` makes one with a fleet"
)
# Rules about hosts' files, each with the rule about labs that says the same of them.
SAME = {"range-public": "public-range", "range-twice": "duplicate-range"}
# With these a lab is refused by who makes its nodes, whatever is said to lint.
UNFORCED = {"ignition-newer"}


@dataclass(frozen=True)
class Loaded:
    """A lab that was read from ``file``, and the plan that it leads to.

    ``hosts`` are those of its fleet, as their files have them, and ``carried`` what was made of
    these.
    """

    file: Path
    lab: Lab
    text: LabText
    plan: Plan
    hosts: tuple[Host, ...] = ()
    carried: Carried = field(default_factory=Carried)

    @cached_property
    def findings(self) -> list[Finding]:
        """What lint says about the lab, in file order; its rules run when this is first asked.

        What it says of the files of hosts follows.
        """
        of_hosts = lint_hosts(self.hosts)
        said = {SAME[one.id] for one in of_hosts if one.id in SAME}
        of_lab = lint_lab(self.lab, self.text, self.plan)
        own = self.text.file
        return [*(one for one in of_lab if one.file == own or one.id not in said), *of_hosts]

    @cached_property
    def _judged(self) -> tuple[list[Finding], list[Silenced]]:
        """The errors that count, and those that a comment in its place silences."""
        texts = {**own_texts(self.hosts), self.text.file: self.text.content}
        found = [finding for finding in self.findings if finding.severity == "error"]
        return silence(found, lambda file: texts.get(file, ""), {}, Counter())

    @property
    def errors(self) -> list[Finding]:
        """Those of the findings that are errors and that no comment in its place silences."""
        return self._judged[0]

    @property
    def can_be_forced(self) -> bool:
        """Whether nodes come up although lint finds these errors."""
        return not any(one.id in UNFORCED for one in self.errors)

    @property
    def silenced(self) -> list[Silenced]:
        """The errors that a comment silences: somebody's word that it is meant to be so."""
        return self._judged[1]


def load(file: Path) -> Loaded:
    """Read and plan the lab ``file``; raise LabError with all problems for which it can't be."""
    return _planned(file, read_whole(read_text(file), file.absolute().parent))


def load_bytes(file: Path, named: str, content: bytes, read: Reader | None = None) -> Loaded:
    """Read and plan a lab whose ``content`` isn't what ``file`` holds now; as ``load`` does.

    It is called ``named``, and paths in it count from the folder of ``file``. ``read`` reads a
    host of its fleet.
    """
    text = text_of_bytes(named, content)
    return _planned(file, read_whole(text, file.absolute().parent, read))


def _planned(file: Path, whole: Whole) -> Loaded:
    lab, found = whole.lab, whole.derived
    plan = _with_lines(whole.plan or make_plan(lab), found.text)
    return Loaded(file, lab, found.text, plan, found.hosts, found.carried)


def for_machines(loaded: Loaded) -> Loaded:
    """Return a lab as it is planned on machines that exist, where others share its segments.

    MAC addresses that its file doesn't say depend on its name there, so that two labs in one
    segment have different ones.
    """
    plan = make_plan(loaded.lab, macs=macs_apart(loaded.lab.name))
    return replace(loaded, plan=_with_lines(plan, loaded.text))


def _with_lines(plan: Plan, text: LabText) -> Plan:
    """Return ``plan`` with the lines of its file on which filters and statements stand."""
    filters = tuple(
        replace(one, line=text.mark(("filters", one.number)).line) for one in plan.filters
    )
    intent = tuple(replace(one, line=text.mark(("expect", one.number)).line) for one in plan.intent)
    return replace(plan, filters=filters, intent=intent)


def lint(file: Path) -> list[Finding]:
    """Return the findings about the lab ``file``; raise LabError where it can't be read."""
    return load(file).findings


def refuse_errors(loaded: Loaded) -> None:
    """Raise BadInput where lint finds errors in the lab."""
    if loaded.errors:
        word = shlex.quote(str(loaded.file))
        forced = f"underlay up {word} --force  starts it all the same"
        hints = (
            [forced]
            if loaded.can_be_forced
            else dict.fromkeys(one.cure for one in loaded.errors if one.id in UNFORCED)
        )
        raise BadInput(
            "\n".join(f"{f.file}:{f.line}:{f.column}: {f.id}: {f.message}" for f in loaded.errors),
            hint="\n".join((f"underlay lint {word}", *hints)),
        )
