"""Example fleets and what people do to their files: each mutation made, and judged without a node.

``examples/NAME/mutations.yml`` says of each what somebody meant, in which file, and the text before
and after. What lint, the statements of what is wanted, and ``diff`` say to it is found here. What
packets say is measured by ``tests/cluster/test_mutations.py``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ruamel.yaml import YAML

from underlay.errors import BadInput
from underlay.fleet import read_hosts
from underlay.lint import Loaded, load
from underlay.lint.hosts import lint_hosts
from underlay.proof.difference import LabPair, lab_difference
from underlay.storage.paths import root

FOLDER = root() / "examples"
FLEETS = ("compose-shim", "cni-vlans", "quadlet-ipvlan6")


@dataclass(frozen=True)
class Mutation:
    """A change of some of a fleet's files: ``old`` becomes ``new``, once in each file.

    ``file`` may be a pattern, for what somebody does on all hosts. Without ``old`` a file that
    isn't there is added; with ``renamed`` it gets another name.
    """

    fleet: str
    name: str
    meant: str
    file: str
    old: str = ""
    new: str = ""
    renamed: str = ""

    @property
    def key(self) -> str:
        """What it is called in the record."""
        return f"{self.fleet}: {self.name}"

    def make_in(self, folder: Path) -> None:
        """Change the fleet's copy in ``folder``; raise ValueError where there is no ``old``."""
        hosts = folder / "hosts"
        for path in sorted(hosts.glob(self.file)) or [hosts / self.file]:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            if self.old not in text:
                raise ValueError(f"{self.key}: {path} doesn't hold {self.old!r}")
            changed = text.replace(self.old, self.new, 1) if self.old else text or self.new
            path.write_text(changed, encoding="utf-8")
            if self.renamed:
                path.rename(hosts / self.renamed)


@dataclass(frozen=True)
class Said:
    """What is said to a mutation without a node.

    ``rules`` are those of lint that find something, with their severities. ``refused`` is why the
    fleet is no lab any more, with file and line, as every verb says it. Where it is one, ``broken``
    are the statements of what is wanted that aren't kept, and ``cells`` how many became what.
    """

    rules: tuple[tuple[str, str], ...]
    refused: str
    broken: tuple[str, ...]
    cells: tuple[tuple[str, int], ...]

    @property
    def seen(self) -> bool:
        """Whether any of them says anything."""
        return bool(self.rules or self.refused or self.broken or self.cells)


def mutations(fleet: str) -> list[Mutation]:
    """Return the mutations of an example fleet, in the order of its file."""
    text = (FOLDER / fleet / "mutations.yml").read_text(encoding="utf-8")
    return [Mutation(fleet, **one) for one in YAML(typ="safe").load(text)]


def every() -> Iterator[Mutation]:
    """Yield the mutations of all fleets."""
    for fleet in FLEETS:
        yield from mutations(fleet)


@cache
def said() -> dict[Mutation, Said]:
    """Return what is said to each mutation without a node."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        return {one: _said(one, folder) for one in every()}


@cache
def fleet(name: str) -> Loaded:
    """Return an example fleet as it is."""
    return load(FOLDER / name / "lab.yml")


def copied(name: str, folder: Path) -> Path:
    """Return a copy of an example fleet, made in ``folder``."""
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(FOLDER / name, target)
    return target


def silence_in(folder: Path, *more: str) -> None:
    """Silence in each file of the fleet in ``folder`` all that is said of it, and ``more`` rules.

    That is as somebody does who says that the hosts are to differ.
    """
    rules = sorted({rule for _, rule in rules_of(folder)} | {"fleet-lab", *more})
    for path in sorted(one for one in (folder / "hosts").rglob("*") if one.is_file()):
        text = path.read_text(encoding="utf-8")
        if text.lstrip().startswith("{"):
            said = (f'"_{n}": "underlay: ignore {rule}: wanted",' for n, rule in enumerate(rules))
            path.write_text(text.replace("{", "{" + "".join(said), 1), encoding="utf-8")
        elif not path.name.startswith("."):
            head = "".join(f"# underlay: ignore-file {rule}: wanted\n" for rule in rules)
            path.write_text(head + text, encoding="utf-8")


def rules_of(folder: Path) -> tuple[tuple[str, str], ...]:
    """Return the rules about hosts' files that find something in the fleet in ``folder``."""
    hosts = sorted(path for path in (folder / "hosts").iterdir() if path.is_dir())
    found = lint_hosts(read_hosts([f"{path.name}={path}" for path in hosts], inside=True))
    return tuple(sorted({(finding.severity, finding.id) for finding in found}))


def _said(mutation: Mutation, folder: Path) -> Said:
    here = copied(mutation.fleet, folder)
    mutation.make_in(here)
    rules = rules_of(here)
    try:
        loaded = load(here / "lab.yml")
    except BadInput as error:
        return Said(rules, error.message.splitlines()[0].replace(f"{here}/", ""), (), ())
    before = fleet(mutation.fleet)
    known = {finding.id for finding in before.findings}
    own = {(f.severity, f.id) for f in loaded.findings if f.id not in known}
    difference = lab_difference(LabPair(mutation.fleet, before, loaded))
    counts, stands = difference.counts, difference.intent
    return Said(
        rules=tuple(sorted({*rules, *own})),
        refused="",
        broken=tuple(one.statement.text for one in stands if one.word != "kept"),
        cells=tuple((what, count) for what, count in counts.items() if count),
    )
