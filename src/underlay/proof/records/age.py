"""How old rows are, in commits: a row is of the code that measured it, and code goes on.

What counts are the commits since a row's own that touched what the row depends on. Time says
nothing: a record of last year is as good as new where nothing was touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from underlay.cluster.process import run
from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from underlay.proof.records.keeping import Record

# A row that more commits than these have gone past is stale. They are about a day's work here,
# in which the full proof is to run once.
MOST_COMMITS = 60

DEADLINE = 30.0
PROBE = ("src/underlay/observe",)
MODEL = ("src/underlay/expect", "src/underlay/drivers", "src/underlay/plan")
VERDICT = ("src/underlay/verdict.py",)
NODES = ("ansible", "cloud-config", "image")
FAULTS = ("src/underlay/faults", "src/underlay/proof/explain.py")
MEASURED = (*PROBE, *MODEL, *VERDICT, *NODES)

# What the rows of each record depend on. Where it is a lab's, its file does too: by a digest.
DEPENDS: dict[str, tuple[str, ...]] = {
    "labs": MEASURED,
    "recipes": MEASURED,
    "libvirt": MEASURED,
    "random-labs": MEASURED,
    "green": (*MEASURED, *FAULTS),
    "faults": (*MEASURED, *FAULTS),
    "lies": (*MEASURED, *FAULTS),
    "fuzz": ("src/underlay/lab", "src/underlay/lint", "src/underlay/fleet"),
    "memory-full": NODES,
    "memory-lean": NODES,
    "bench": (*MEASURED, "src/underlay/cluster", "src/underlay/render.py", "vagrant"),
    "soak": ("src/underlay/cluster", "src/underlay/observe", "src/underlay/storage"),
    # Each says of which commit it is, and is of no use for any other.
    "tests": (),
    "durations": (),
}


class NoHistory(Exception):
    """There is no history to count in: no repository, no git, or a shallow clone."""


@dataclass(frozen=True)
class Old:
    """A row that isn't of the code as it is, and why."""

    record: str
    row: str
    why: str

    def __str__(self) -> str:
        return f"{self.record}: {self.row}: {self.why}"


@dataclass(frozen=True)
class History:
    """The commits of the repository at ``folder``."""

    folder: Path

    def prove(self) -> None:
        """Raise NoHistory where commits can't be counted, and say what to do."""
        if not (self.folder / ".git").exists():
            raise NoHistory("this is no git repository: nobody knows how old the records are")
        if self._git("rev-parse", "--is-shallow-repository").strip() == "true":
            raise NoHistory(
                "this is a shallow clone, in which a record's commit may be missing:"
                " git fetch --unshallow"
            )

    def is_ancestor(self, commit: str) -> bool:
        """Whether ``commit`` is HEAD or an ancestor of it."""
        words = ["git", "merge-base", "--is-ancestor", commit, "HEAD"]
        return not run(words, deadline=DEADLINE, folder=self.folder, check=False).returncode

    def since(self, commit: str, paths: tuple[str, ...]) -> int:
        """Return how many commits after ``commit`` have touched any of ``paths``."""
        if not paths:
            return 0
        words = ("rev-list", "--count", f"{commit}..HEAD", "--", *paths)
        return int(self._git(*words))

    def _git(self, *words: str) -> str:
        try:
            return run(["git", *words], deadline=DEADLINE, folder=self.folder).stdout
        except Infrastructure as error:
            raise NoHistory(f"git can't say how old the records are: {error.message}") from error


def refused(record: Record, history: History) -> Iterator[Old]:
    """Yield the rows that no record may have, however old: of no commit of HEAD's, or dirty."""
    known = cache(history.is_ancestor)
    for name in record.rows:
        origin = record.origin(name)
        if origin.dirty:
            yield Old(record.name, name, "measured with changes that no commit holds")
        elif origin.commit is None:
            yield Old(record.name, name, "measured where there was no repository")
        elif not known(origin.commit):
            why = f"its commit {origin.commit[:7]} is no ancestor of HEAD"
            yield Old(record.name, name, why)


def old(record: Record, history: History, digests: dict[str, str]) -> Iterator[Old]:
    """Yield the rows that are stale.

    They are of another file than the lab's is now (``digests`` by lab), or more than
    ``MOST_COMMITS`` have touched what they depend on. A lab that is no more has no row.
    """
    paths = DEPENDS[record.name]
    age = cache(lambda commit: history.since(commit, paths))
    for name, row in record.rows.items():
        commit = record.origin(name).commit
        digest = getattr(row, "file", None)
        if digest is not None and digest != digests.get(name):
            now = "is another one now" if name in digests else "is no more"
            yield Old(record.name, name, f"its lab file {now}")
        elif commit is not None and (passed := age(commit)) > MOST_COMMITS:
            why = f"{passed} commits since {commit[:7]} touched what it depends on"
            yield Old(record.name, name, why)


def marked(record: Record, found: list[Old]) -> Record:
    """Return ``record`` with those rows marked as stale that were ``found`` so, and no others.

    A mark that is there stays as it is: its number would otherwise change with each commit.
    """
    why = {each.row: each.why for each in found}
    rows = {
        name: row.model_copy(update={"stale": (row.stale or why[name]) if name in why else None})
        for name, row in record.rows.items()
    }
    return type(record)(record.name, record.origins, rows)
