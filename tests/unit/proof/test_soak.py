"""What `soak` holds commands to, without nodes: that a broken rule is noticed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import doc_pages
from underlay import cli
from underlay.proof.bench import command_line, endurance, soak
from underlay.proof.bench.soak import SoakLab, waited

SLEEP = ["sleep", "60"]


@pytest.fixture
def lab(tmp_path: Path) -> SoakLab:
    return SoakLab(tmp_path, os.getpid())


@pytest.fixture
def left(lab: SoakLab) -> Iterator[subprocess.Popen[bytes]]:
    """A process that was started for the lab, as Vagrant and the engine are."""
    process = subprocess.Popen(SLEEP, env={**os.environ, "UNDERLAY_LAB": str(lab.one)})
    yield process
    process.kill()
    process.wait(timeout=10)


def test_what_is_left_of_a_lab_is_found(lab: SoakLab, left: subprocess.Popen[bytes]) -> None:
    assert waited(lab.processes, 5) is not None
    assert left.pid in [process.pid for process in lab.processes()]
    assert left.pid in [process.pid for process in lab.strays()]
    left.kill()
    left.wait(timeout=10)
    assert left.pid not in [process.pid for process in lab.processes()]


def test_a_process_left_by_up_breaks_a_rule(
    tmp_path: Path, left: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak, "GONE", 0.2)
    trials = soak.Soak(tmp_path, 1, lambda _: None, ancestor=os.getpid())
    for name, code in (("KILL", -signal.SIGKILL), ("INT", 130)):
        with pytest.raises(soak.Broken, match=f"still running:\n{left.pid}: sleep 60"):
            trials._after("up", name, code)
    left.kill()
    left.wait(timeout=10)
    assert trials._after("up", "INT", 130) == 0.0


@pytest.mark.parametrize(("name", "code"), [("INT", 1), ("TERM", 3), ("KILL", 130), ("HUP", None)])
def test_a_wrong_exit_code_breaks_a_rule(tmp_path: Path, name: str, code: int | None) -> None:
    with pytest.raises(soak.Broken, match=f"SIG{name}"):
        soak.Soak(tmp_path, 1, lambda _: None, ancestor=os.getpid())._after("check", name, code)


def test_the_signal_is_sent_in_its_moment(
    lab: SoakLab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command_line, "program", lambda: ["sh", "-c"])
    caught = "trap 'exit 130' INT; while :; do sleep 0.05; done"
    # Time enough to set the trap, on a machine with much else to do.
    assert lab.disturbed([caught], 2.0, signal.SIGINT, whole_group=True) == 130
    assert lab.disturbed([caught], 0.5, signal.SIGKILL, whole_group=False) == -signal.SIGKILL
    assert lab.disturbed(["exit 3"], 0.5, signal.SIGKILL, whole_group=False) == 3


def test_growth_is_noticed() -> None:
    steady = {"failed": [], "files": [], "disk_mib": 0.0, "memory_mib_per_cycle": 0.01}
    assert not endurance.grown(steady)
    for key, value in {
        "failed": ["cycle 1"], "files": ["/x"], "disk_mib": 5.0, "memory_mib_per_cycle": 2.0,
    }.items():  # fmt: skip
        assert endurance.grown({**steady, key: value})


def test_slope_overlooks_outliers() -> None:
    assert endurance.slope([100, 102, 104, 900, 108, 110]) == 2
    assert endurance.slope([5.0]) == 0


def test_document_has_the_fields_that_the_page_lists(capsys: pytest.CaptureFixture[str]) -> None:
    # Nothing was tried, so nothing has held.
    assert cli.main(["soak", "--trials", "0", "--seed", "5", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["seed"], document["ok"]) == (5, False)
    trial = soak.Trial(1, "up", "KILL", 0.5, -9, None, "still running")
    document["broken"] = [vars(trial)]
    document["longest_gone_s"] = {"up": 0.5}
    document["state_left"] = ["bench-soak-one"]
    document["temporary_left"] = ["/tmp/underlay-converge-x"]
    document["growth"] |= {"failed": ["x"], "files": ["x"]}
    document["load"] |= {"false_verdicts": ["x"], "failed": ["x"]}
    assert not doc_pages.wrong_fields(doc_pages.DOCS / "verbs" / "soak.md", document)
