"""What `bench growth` counts and says, without nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import doc_pages
import documents
from underlay import cli
from underlay.cli.verbs.bench import show_growth
from underlay.cluster.prepare import load_plan
from underlay.errors import Infrastructure
from underlay.proof.bench import bench, growth, labs
from underlay.proof.bench.growth import (
    WAYS,
    Account,
    EndedNodes,
    Grown,
    Step,
    Way,
    document,
    record,
)
from underlay.proof.bench.machines import Answering, hall
from underlay.proof.live import How, prove_machines
from underlay.proof.records import keeping
from underlay.report.documents.kinds import stamped
from underlay.storage import paths

PAGE = doc_pages.DOCS / "verbs" / "bench.md"
FACTS = {**bench.machine(), "load_after": 2.5, "seconds": 3.0}
STEPS = [Step(1, 1.5, 2.0, mib=90.5, cells=12), Step(4, 8.0, 9.0, mib=400.0, cells=120)]
# It works for as long as it is told by the processor's time, which no load changes.
WORK = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\n"


def everything() -> dict[str, Grown]:
    """Return what a bench has found that could measure all but the labs' last step."""
    found = {way.name: Grown(list(STEPS)) for way in WAYS}
    found["labs"] = Grown(STEPS[:1], "the bench's time was over")
    return found


def counted(program: str) -> float:
    """Return the seconds that an account counts of the Python text ``program``, run by another.

    Its argument is a pipe that ends when that one does.
    """
    text = (
        "import os, subprocess, sys\n"
        "from underlay.proof.bench.descendants import continue_in_child\n"
        "from underlay.proof.bench.growth import Account\n"
        "account = Account(continue_in_child())\n"
        "step = account.begin()\n"
        "over, ends = os.pipe()\n"
        f"words = [sys.executable, '-c', {program!r}, str(over)]\n"
        "subprocess.run(words, check=True, timeout=60, pass_fds=[over])\n"
        "print(step(1).processor_s)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(paths.root() / "src")}
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def test_what_a_command_works_is_counted() -> None:
    assert 0.5 <= counted(WORK.format(0.5)) < 1.0


def test_what_its_orphans_work_is_counted_while_they_live_and_when_they_have_ended() -> None:
    """Nodes are such: the command that has started them ends, and they go on."""
    orphan = (
        "import os, sys\n"
        "read, write = os.pipe()\n"
        "if os.fork():\n"
        "    os.close(write)\n"
        "    os.read(read, 1)\n"
        "    os._exit(0)\n"
        "os.close(1), os.close(2)\n"
        f"{WORK.format(0.5)}"
        "os.write(write, b'x')\n"
    )
    assert 0.5 <= counted(orphan + "os.read(int(sys.argv[1]), 1)\n") < 1.0
    assert 0.5 <= counted(orphan) < 1.0


def test_what_nodes_work_is_counted_when_their_sandbox_has_ended(tmp_path: Path) -> None:
    """The kernel adds it to nobody: of what a suite costs it is the most."""
    done = tmp_path / "done"
    node = f"{WORK.format(0.5)}open({str(done)!r}, 'w')\ntime.sleep(60)\n"
    first = tmp_path / "holder.py"
    first.write_text(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {node!r}])\n")
    # As long as some looks take, and then the end.
    command = (
        "import os, subprocess, sys, time\n"
        "words = 'unshare --user --map-root-user --pid --fork --kill-child --'.split()\n"
        f"words += [sys.executable, '-I', '-S', {str(first)!r}]\n"
        "process = subprocess.Popen(words)\n"
        f"while not os.path.exists({str(done)!r}): time.sleep(0.05)\n"
        f"time.sleep({6 * EndedNodes.LOOK})\n"
        "process.kill()\n"
        "process.wait()\n"
    )
    assert 0.5 <= counted(command) < 1.2


def test_what_others_work_is_not_counted() -> None:
    with subprocess.Popen([sys.executable, "-c", WORK.format(30)]) as other:
        try:
            assert counted("pass") < 0.4
        finally:
            other.kill()


def test_document_has_the_fields_that_the_page_lists() -> None:
    said = document(everything(), FACTS)
    assert documents.problems("bench", stamped("bench", said)) == []
    said.pop("machine")
    page = doc_pages.section(PAGE, "JSON")
    assert set(doc_pages.first_column(doc_pages.parts(page)[2])) == doc_pages.fields(said)


def test_people_are_told_what_one_more_costs(capsys: pytest.CaptureFixture[str]) -> None:
    show_growth(document(everything(), FACTS))
    said = capsys.readouterr().out
    rows = [line.split()[:6] for line in said.splitlines()]
    assert ["4", "8.00", "2.00", "9.00", "400", "120"] in rows
    assert "not run: labs: the bench's time was over" in said


def test_a_way_that_was_not_measured_to_its_end_is_not_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(keeping, "folder", lambda: tmp_path)
    record(document(everything(), FACTS))
    rows = keeping.read("growth").rows
    assert set(rows) == {way.name for way in WAYS} - {"labs"}
    assert [step.size for step in rows["nodes"].steps] == [1, 4]
    assert rows["nodes"].load.after == 2.5


def test_what_fails_is_said_and_the_rest_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(watch: labs.Stopwatch, account: Account, sizes: tuple[int, ...]) -> Iterator[Step]:
        yield Step(sizes[0], 1.0, 1.0)
        raise Infrastructure("it broke")

    def works(watch: labs.Stopwatch, account: Account, sizes: tuple[int, ...]) -> Iterator[Step]:
        yield from (Step(size, 1.0, 1.0) for size in sizes)

    ways = (Way("hosts", "a", (1, 2), fails), Way("nodes", "b", (3, 4), works))
    monkeypatch.setattr(growth, "WAYS", ways)
    monkeypatch.setattr("underlay.proof.bench.descendants.continue_in_child", os.getppid)
    assert cli.main(["bench", "growth", "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    sizes = {row["name"]: [step["size"] for step in row["steps"]] for row in said["results"]}
    assert sizes == {"hosts": [1], "nodes": [3, 4]}
    assert said["not_run"] == [{"name": "hosts", "reason": "it broke"}]
    monkeypatch.setattr(growth, "WAYS", ways[1:])
    assert cli.main(["bench", "growth", "--json", "--quick"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [step["size"] for step in said["results"][0]["steps"]] == [3]


def test_answers_that_are_made_up_are_judged_as_those_of_machines(tmp_path: Path) -> None:
    """What `answered-hosts` counts is the judging of all cells, and of all ways between hosts."""
    hosts = 20
    plan = load_plan(hall(tmp_path, hosts))
    verdict = prove_machines(plan, Answering(plan), lambda _: None, How()).verdict
    assert verdict.summary.as_expected == hosts**2
    assert verdict.live is not None
    assert {way.mtu for way in verdict.live.ways} == {1500}
    assert len(verdict.live.ways) == hosts * (hosts - 1)


@pytest.mark.parametrize("other", ["dataplane", "growth"])
def test_it_is_a_bench_of_its_own(other: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "lint_s", other]) == 2
    assert f"underlay bench {other}" in capsys.readouterr().err
