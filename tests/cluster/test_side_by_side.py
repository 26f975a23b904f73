"""Several labs of a folder at once, on real nodes: each has its own verdict, and none is left."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from barrier import Barrier
from cluster.family import Family, family
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import CHECK_DEADLINE, Checkout
from cluster.small_lab import small_lab
from underlay.cluster.access import run_in
from underlay.cluster.state.lab import read_state
from underlay.observe.patience import overload
from underlay.proof.bench.soak import GONE, waited
from underlay.storage.paths import HOME

PATIENCE = 120.0
ABSENT = "image: {path: /no/such.ext4}\n"
# Two are of one boot, two of another, and one never boots.
LABS = {
    "absent": small_lab("absent", 1, count=2, more=ABSENT),
    "first": small_lab("first", 1, count=2),
    "other": small_lab("other", 2, count=1),
    "others": small_lab("others", 2, count=2),
    "wrong": small_lab("wrong", 1, count=3),
}
FAULTY = "lannet-1b"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the labs."""
    found = tmp_path / "labs"
    found.mkdir()
    for name, text in LABS.items():
        (found / f"{name}.yml").write_text(text)
    return found


def seen(document: dict[str, Any]) -> dict[str, dict[tuple[str, ...], str]]:
    """Return what was observed in each cell of each lab."""
    return {
        entry["lab"]: {
            (cell["source"], cell["destination"], cell["protocol"]): cell["observed"]
            for cell in entry["cells"]
        }
        for entry in document["labs"]
    }


@pytest.mark.all
def test_a_lab_that_fails_among_those_that_pass_is_that_very_lab(
    copy: Checkout, folder: Path, barrier: Barrier, tmp_path: Path
) -> None:
    """A link is taken from one container when its lab's probe is about to start."""
    checks = copy.root / ".underlay" / "checks"
    # On its way there a lab has a mark; so the first ssh without it is the probe's.
    held = barrier.hold("ssh", "labs/wrong/", when=f"[ ! -e {checks}/*/labs/wrong/switching ]")
    words = ("check", str(folder), "--jobs", "3", "--json")
    with (tmp_path / "out").open("w+") as out:
        running = copy.start(*words, environment=barrier.environment, stdout=out.fileno())
        try:
            held.wait(lambda: running.poll() is None)
            (home,) = checks.iterdir()
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(HOME, str(home))
                state = read_state("wrong")
                assert state is not None
                down = ["ip", "link", "set", "eth0", "down"]
                assert run_in(state, FAULTY, down, deadline=PATIENCE).returncode == 0
            held.release()
            code = running.wait(CHECK_DEADLINE)
        finally:
            held.release()
            running.send_signal(signal.SIGINT)
            running.wait(PATIENCE)
        out.seek(0)
        document = json.load(out)
    assert code == 1
    labs = {entry["lab"]: entry for entry in document["labs"]}
    # As the files are, whoever was done first.
    assert list(labs) == sorted(LABS)
    assert document["boots"] >= 2
    assert [name for name, entry in labs.items() if "error" in entry] == ["absent"]
    assert [name for name, entry in labs.items() if entry["causes"]] == ["wrong"]
    for name in ("first", "other", "others"):
        summary = labs[name]["summary"]
        assert summary["as_expected"] == summary["cells"] > 0, name
    wrong = [cell for cell in labs["wrong"]["cells"] if cell["observed"] != cell["expected"]]
    assert wrong
    assert all(FAULTY in (cell["source"], cell["destination"]) for cell in wrong)
    # Without a fault, one after the other: what was seen of all others is the same.
    (folder / "absent.yml").unlink()
    done = copy.underlay("check", str(folder), "--jobs", "1", "--json", deadline=CHECK_DEADLINE)
    assert done.code == 0, str(done)
    alone, beside = seen(done.document()), seen(document)
    assert {name: alone[name] == beside[name] for name in alone} == {
        "first": True, "other": True, "others": True, "wrong": False,
    }  # fmt: skip
    assert not checks.exists()


@pytest.mark.all
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_labs_at_once(
    copy: Checkout, folder: Path, tmp_path: Path, end: signal.Signals
) -> None:
    before = interfaces()
    words = ("check", str(folder), "--jobs", "2")
    with family(copy, tmp_path / "run", *words) as run:
        waited(lambda: sandboxes(run) == 2 or not run.running, PATIENCE)
        assert sandboxes(run) == 2
        members = run.members()
        os.kill(run.pid, end)
        patience = GONE * overload()
        assert run.gone(members, patience) is not None, run.words()
        assert run.ancestor.wait(timeout=PATIENCE) == 0
        assert run.code == (130 if end is signal.SIGINT else -signal.SIGKILL)
    if end is signal.SIGKILL:
        # Who was killed has left its folder, and nothing that runs.
        done = copy.underlay("down", "--all")
        assert done.code == 0, str(done)
    prove_nothing_is_left(copy, before)


def sandboxes(run: Family) -> int:
    """Return how many sandboxes of ``run`` have nodes."""
    members = run.members()
    first = {each.pid for each in members if each.words.endswith("/holder.py")}
    return len({each.parent for each in members if "umid=" in each.words} & first)
