"""How old rows are: a row is of the code that measured it, and code goes on.

A row says by digests what it was measured with. Where all of that is still the same, it is as good
as new, however much has been committed meanwhile. Where something is another thing now, those
commits since its own count that changed it; comments, docstrings and time count for nothing. Rows
without digests, which older code kept, count every commit that touched what they depend on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

from underlay.cluster.process import run, run_bytes
from underlay.errors import Infrastructure
from underlay.proof.records.content import DEPENDS, MODEL, meaning, paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from underlay.proof.records.keeping import Record

# A row that more commits than these have gone past is stale. They are about a day's work here,
# in which the full proof is to run once.
MOST_COMMITS = 60

DEADLINE = 30.0
# So many rows are measured anew by their names; more are, with all others of the record.
MOST_NAMED = 12
# The commands that measure rows anew; {rows} are their names, {either} those for pytest's -k.
CLUSTER = "./underlay test --layer cluster -- --all"
ANEW = {
    "labs": f'LABS="{{rows}}" {CLUSTER} -k every_shipped_lab',
    "recipes": f"{CLUSTER} -k every_recipe",
    "mutations": f"{CLUSTER} -k test_mutations",
    "libvirt": f"{CLUSTER} -k labs_that_differ_most",
    "random-labs": f'{CLUSTER} -k "full_proof_of_random_labs or started_by_every_runtime"',
    "green": f"{CLUSTER} -k nothing_is_found_in_any_shipped_lab",
    "faults": f'{CLUSTER} --record -k "{{either}}"',
    "lies": f'{CLUSTER} -k "what_tools_say"',
    "alone": f"{CLUSTER} -k a_cell_is_what_it_is_alone",
    "fuzz": "./underlay test --layer unit -- --all -k thousands_of",
    "memory-full": f"{CLUSTER} -k plan_knows_what_containers_cost",
    "memory-lean": f"{CLUSTER} -k plan_knows_what_containers_cost",
    "bench": "./underlay bench --record",
    "growth": "./underlay bench growth --record",
    "soak": f"{CLUSTER} -k no_rule_is_broken",
    "tests": "./underlay test --all",
    "durations": "./underlay test --all",
}


CHANGE = re.compile(r":\d+ \d+ (?P<before>\w+) (?P<after>\w+) \w\t(?P<path>.*)")


# A file, and git's objects of it before and after.
Change = tuple[str, str, str]


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
    """The commits of the repository at ``folder``.

    ``meanings`` are digests of what git's objects were found to mean, by the files that they were:
    most records depend on the same files, and to parse each version once takes long enough.
    """

    folder: Path
    meanings: dict[tuple[str, str], bytes] = field(default_factory=dict, compare=False, repr=False)

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

    def changed(self, commit: str, names: tuple[str, ...]) -> int:
        """Return how many commits after ``commit`` have changed what the files ``names`` mean."""
        commits = self._changes(commit, names)
        wanted = {(path, blob) for each in commits for path, *two in each for blob in two}
        lacking = wanted - self.meanings.keys()
        blobs = self._blobs({blob for _, blob in lacking})
        for path, blob in lacking:
            self.meanings[path, blob] = sha256(meaning(path, blobs[blob])).digest()
        return sum(
            any(self.meanings[path, before] != self.meanings[path, after]
                for path, before, after in each)
            for each in commits
        )  # fmt: skip

    def _changes(self, commit: str, names: tuple[str, ...]) -> list[list[Change]]:
        """Return for each commit after ``commit`` what it has changed of ``names``."""
        words = ("--format=tformat:commit", "--raw", "--no-abbrev", "--no-renames")
        commits: list[list[Change]] = []
        for line in self._git("log", *words, f"{commit}..HEAD", "--", *names).splitlines():
            if line == "commit":
                commits.append([])
            elif found := CHANGE.match(line):
                commits[-1].append((found["path"], found["before"], found["after"]))
        return commits

    def _blobs(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the content of git's objects by their names; nothing of one that isn't there."""
        asked = sorted(names)
        command = ["git", "-C", str(self.folder), "cat-file", "--batch"]
        left = run_bytes(
            command, "".join(f"{name}\n" for name in asked).encode(), deadline=DEADLINE
        )
        found, said = {}, left.stdout
        for name in asked:
            head, _, said = said.partition(b"\n")
            # Before a file's first commit it is an object of zeros, which is missing.
            size = -1 if head.endswith(b"missing") else int(head.split()[-1])
            found[name], said = said[: max(size, 0)], said[size + 1 :]
        return found

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


def without(record: Record, found: Iterable[Old]) -> Record:
    """Return ``record`` without the rows ``found``: what they say counts as not measured."""
    gone = {each.row for each in found}
    rows = {name: row for name, row in record.rows.items() if name not in gone}
    return type(record)(record.name, record.origins, rows)


@dataclass(frozen=True)
class Now:
    """What rows are held against: the labs and the code as they are.

    ``files`` are the digests of lab files by lab, ``parts`` those of the parts of the code, and
    ``prediction`` gives that of what a lab of ``files`` is predicted.
    """

    files: Mapping[str, str]
    parts: Mapping[str, str]
    prediction: Callable[[str], str]


def old(record: Record, history: History, now: Now) -> Iterator[Old]:
    """Yield the rows that are stale.

    They are of another file than the lab's is now, or more than ``MOST_COMMITS`` have changed
    what they depend on. A lab that is no more has no row.
    """
    touched, changed = cache(history.since), cache(history.changed)
    for name, row in record.rows.items():
        commit = record.origin(name).commit
        digest = getattr(row, "file", None)
        if digest is not None and digest != now.files.get(name):
            said = "is another one now" if name in now.files else "is no more"
            yield Old(record.name, name, f"its lab file {said}")
            continue
        if commit is None:
            continue
        others = _others(record, name, now)
        count, verb, what = touched, "touched", "what it depends on"
        if others is None:
            others = DEPENDS[record.name]
        else:
            count, verb, what = changed, "changed", f"its {' and '.join(others)}"
        if others and (passed := count(commit, paths(others))) > MOST_COMMITS:
            yield Old(record.name, name, f"{passed} commits since {commit[:7]} {verb} {what}")


def _others(record: Record, name: str, now: Now) -> tuple[str, ...] | None:
    """The parts that are others now than what a row was measured with; None where it doesn't say.

    The model isn't where the row's lab is still predicted the same.
    """
    was = record.origin(name).parts
    if was is None:
        return None
    others = [part for part in DEPENDS[record.name] if was.get(part) != now.parts[part]]
    predicted = getattr(record.rows[name], "prediction", None)
    if MODEL in others and predicted is not None and predicted == now.prediction(name):
        others.remove(MODEL)
    return tuple(others)


def anew(record: str, rows: Iterable[str]) -> str:
    """Return the command that measures ``rows`` of the record called ``record`` anew."""
    names = sorted(rows)
    either = " or ".join(names) if len(names) <= MOST_NAMED else f"test_{record}"
    return ANEW[record].format(rows=" ".join(names), either=either)


def marked(record: Record, found: list[Old]) -> Record:
    """Return ``record`` with those rows marked as stale, too, that were ``found`` so.

    A mark that is there stays as it is until its row is measured anew: its number would otherwise
    change with each commit, and a history with fewer commits would make old rows young.
    """
    why = {each.row: each.why for each in found}
    rows = {
        name: row.model_copy(update={"stale": row.stale or why.get(name)})
        for name, row in record.rows.items()
    }
    return type(record)(record.name, record.origins, rows)
