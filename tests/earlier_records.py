"""Rewrites records of docs/proof that were written before each row said what it is of.

    python tests/earlier_records.py

What they said of their commit, date and kernel is taken from them. Of rows that said nothing,
git says which commit wrote them last: that is taken for theirs. Machine and versions nobody
knows any more. All of that is said in ``converted_from`` of what the rows are of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster.test_libvirt import dozen
from underlay.cluster.process import run
from underlay.proof.records import keeping
from underlay.proof.records.schema import SCHEMAS, Converted, Origin
from underlay.storage.paths import root

DEADLINE = 60.0
BY = "tests/earlier_records.py"
SAID = "commit, date and kernel are those that the whole record said"
BLAMED = (
    "the commit that last wrote a line of the row, and its date; what was measured lies before it"
)

TEST_OF_NODES = "random_labs_are_started_by_every_runtime"
TEST_OF_LIBVIRT = (
    "test_libvirt.py::test_the_labs_that_differ_most_are_as_predicted_by_another_kernel"
)
# The commit whose record of all labs said how long they took together.
LABS = "34d4eda"

# A row with its date and what it is of.
Dated = tuple[dict[str, Any], str, Origin]


@dataclass(frozen=True)
class Earlier:
    """A record as it was: its file, its text and the commit that has it so."""

    name: str
    path: Path
    text: str
    commit: str

    def said(self, document: dict[str, Any]) -> tuple[str, Origin]:
        """Return date and origin of all rows of a record that says its own."""
        date = datetime.fromisoformat(document["date"]).isoformat(timespec="seconds")
        return date, self._origin(document["commit"], document["dirty"], document["kernel"], SAID)

    def blamed(self, begin: str = "", end: str = "") -> tuple[str, Origin]:
        """Return date and origin of the row whose lines are from ``begin`` to ``end``."""
        lines = self.text.splitlines()
        first = lines.index(begin) if begin else 0
        last = lines.index(end, first) if end else len(lines) - 1
        shown = git("blame", "--porcelain", f"-L{first + 1},{last + 1}", "--", str(self.path))
        times = re.findall(r"^committer-time (\d+)$", shown, re.MULTILINE)
        # Of each commit its first line has the details.
        heads = dict.fromkeys(re.findall(r"^([0-9a-f]{40}) \d+ \d+", shown, re.MULTILINE))
        time, commit = max(zip(map(int, times), heads, strict=True))
        date = datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
        return date, self._origin(commit, None, None, BLAMED)

    def _origin(self, commit: str, dirty: bool | None, kernel: str | None, what: str) -> Origin:
        converted = Converted(by=BY, commit=self.commit, what=what)
        return Origin(
            commit=full(commit),
            dirty=dirty,
            machine=None,
            kernel=kernel,
            packages=None,
            converted_from=converted,
        )


def labs(earlier: Earlier, document: dict[str, Any]) -> dict[str, Dated]:
    said, coverage = earlier.said(document), document["coverage"]
    return {
        name: (
            {**row, "rules": [r for r, labs in coverage.items() if name in labs], "timings": {}},
            *said,
        )
        for name, row in document["labs"].items()
    }


def recipes(earlier: Earlier, document: dict[str, Any]) -> dict[str, Dated]:
    said = earlier.said(document)
    return {name: (row, *said) for name, row in document["labs"].items()}


def each_lab(earlier: Earlier, document: dict[str, Any]) -> dict[str, Dated]:
    more = {"faults": document["faults"]} if "faults" in document else {}
    return {
        name: ({**row, **more}, *earlier.blamed(*lines_of(name)))
        for name, row in document["labs"].items()
    }


def faults(earlier: Earlier, document: dict[str, Any]) -> dict[str, Dated]:
    rows = document["single"] | document["pairs"]
    return {name: (row, *earlier.blamed(*lines_of(name))) for name, row in rows.items()}


def fuzz(earlier: Earlier, document: dict[str, Any]) -> dict[str, Dated]:
    return {
        kind: (
            {"inputs": counts.pop("inputs"), "ends": counts},
            *earlier.blamed(f' "{kind}": {{', " }"),
        )
        for kind, counts in document.items()
    }


def memory(earlier: Earlier, document: dict[str, Any]) -> dict[str, Dated]:
    used = document["used_mib"]
    return {
        runtime: ({**row, "used_mib": used[runtime]}, *earlier.blamed())
        for runtime, row in document["runtimes"].items()
    }


def random_labs(earlier: Earlier, document: dict[str, Any]) -> dict[str, Dated]:
    found: dict[str, Dated] = {}
    for seed, row in document["seeds"].items():
        # Labs of a seed and of so many nodes have the same number for a key, one after the other.
        where = earlier.blamed(f'    "random-{seed}-001": {{', "    }")
        found[f"seed-{seed}"] = ({**row, "seed": int(seed)}, *where)
    keys = ("runtimes", "several_links_on_one_parent", "started")
    for nodes, row in document["started"].items():
        labs = {
            name: {key: lab.pop(key) for key in keys} | {"summary": lab}
            for name, lab in row.pop("labs").items()
        }
        where = earlier.blamed(f'    "{next(iter(labs))}": {{', "    }")
        found[f"nodes-{nodes}"] = ({**row, "nodes": int(nodes), "started": labs}, *where)
    return found


def bench(earlier: Earlier, document: dict[str, Any]) -> dict[str, Dated]:
    machine, found = document["machine"], {}
    load = {"before": machine["load_before"], "after": machine["load_after"]}
    for row in document["results"]:
        name = row.pop("name")
        row.pop("unit")
        date, origin = earlier.blamed(f'   "name": "{name}",', "  }")
        kept = {**row, "load": None if name in machine["apart"] else load}
        if name == "nodes_20_s":
            kept["growth"] = document["growth"]
        found[name] = (kept, date, origin)
    return found


def soak(earlier: Earlier, document: dict[str, Any]) -> dict[str, Dated]:
    machine, (date, origin) = document["machine"], earlier.blamed()
    trials = {
        "count": document["trials"],
        "seconds": document["seconds"],
        "broken": len(document["broken"]),
        **{key: document[key] for key in ("seed", "by_verb", "longest_gone_s")},
    }
    checks = document["load"]
    false = len(checks["false_verdicts"]) + len(checks["failed"])
    of = {
        key: origin.model_copy(update={"commit": full(machine[f"commit_of_{key}"])})
        for key in ("trials", "checks")
    }
    return {
        "trials": (trials, date, of["trials"]),
        "checks": (
            {"count": checks["checks"], "seconds": None, "broken": false},
            date,
            of["checks"],
        ),
    }


CONVERSIONS: dict[str, Callable[[Earlier, dict[str, Any]], dict[str, Dated]]] = {
    "labs": labs,
    "recipes": recipes,
    "libvirt": each_lab,
    "green": each_lab,
    "faults": faults,
    "fuzz": fuzz,
    "memory-full": memory,
    "memory-lean": memory,
    "random-labs": random_labs,
    "bench": bench,
    "soak": soak,
}


def durations() -> dict[str, Dated]:
    """Return how long some tests took, from records that said so, until they are timed."""
    found: dict[str, Dated] = {}

    def add(test: str, record: str, seconds: float, date: str, origin: Origin) -> None:
        what = f"the seconds that docs/proof/{record}.json said, and the origin of that row"
        commit = git("log", "-1", "--format=%H", "--", f"docs/proof/{record}.json").strip()
        of = origin.model_copy(
            update={"converted_from": Converted(by=BY, commit=commit, what=what)}
        )
        found[f"tests/cluster/{test}"] = ({"seconds": round(seconds, 1)}, date, of)

    random = keeping.read("random-labs")
    for name, row in random.rows.items():
        kind, _, number = name.partition("-")
        test = "the_full_proof_of_random_labs" if kind == "seed" else TEST_OF_NODES
        add(
            f"test_random_labs.py::test_{test}[{number}]",
            "random-labs",
            row.seconds,
            row.date,
            random.origin(name),
        )
    libvirt = keeping.read("libvirt")
    for place, name in enumerate(dozen(root() / "labs")):
        if name in libvirt.rows:
            row = libvirt.rows[name]
            add(
                f"{TEST_OF_LIBVIRT}[{place}]",
                "libvirt",
                row.seconds,
                row.date,
                libvirt.origin(name),
            )
    said = json.loads(git("show", f"{LABS}:docs/proof/labs.json"))
    proven = keeping.read("labs")
    name = next(iter(proven.rows))
    add(
        "test_all_labs.py::test_every_shipped_lab_is_as_predicted",
        "labs",
        said["timings"]["total"],
        said["date"],
        proven.origin(name),
    )
    return found


def lines_of(name: str) -> tuple[str, str]:
    """Return the first and the last line of a row as it was written, but for a comma."""
    return f'  "{name}": {{', "  }"


def full(commit: str) -> str:
    """Return the whole name of ``commit``."""
    return git("rev-parse", f"{commit}^{{commit}}").strip()


def git(*words: str) -> str:
    """Return what git says in the checkout."""
    return run(["git", *words], deadline=DEADLINE, folder=root()).stdout


def main() -> None:
    """Convert every record that is as it was; all others stay."""
    for name, conversion in CONVERSIONS.items():
        path = keeping.file(name)
        text = path.read_text(encoding="utf-8") if path.is_file() else "{}"
        document = json.loads(text)
        if not document or "record" in document:
            continue
        commit = git("log", "-1", "--format=%H", "--", str(path)).strip()
        # With a comma behind each row its last line is the same as any other's.
        earlier = Earlier(
            name, path, re.sub(r"^(\s*[}\]]),$", r"\1", text, flags=re.MULTILINE), commit
        )
        rows = conversion(earlier, document)
        keeping.change(name, lambda record, rows=rows: keeping.merge(record, rows), fresh=True)
        print(f"{name}: {len(rows)} rows")
    if not keeping.file("durations").is_file():
        rows = durations()
        keeping.change("durations", lambda record: keeping.merge(record, rows))
        print(f"durations: {len(rows)} rows")


if __name__ == "__main__":
    assert set(CONVERSIONS) <= set(SCHEMAS)
    main()
