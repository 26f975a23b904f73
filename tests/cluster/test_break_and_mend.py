"""`mend` returns to green whatever became of `break`, which refuses what makes no sense."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest

from cluster.running import Lab
from underlay.expect import Prediction
from underlay.faults import RUNNING, Scene

pytestmark = pytest.mark.parametrize("lab", ["coreos"], indirect=True)

PATIENCE = 30.0


def test_a_break_that_was_killed_is_mended(lab: Lab, started: list[subprocess.Popen[str]]) -> None:
    record = lab.state / "broken.json"
    breaking = lab.checkout.start("break", "child-missing", "--lab", lab.name)
    started.append(breaking)
    until = time.monotonic() + PATIENCE
    while not record.exists():
        assert time.monotonic() < until, "nothing was recorded"
        time.sleep(0.01)
    breaking.send_signal(signal.SIGKILL)
    breaking.wait()
    assert json.loads(record.read_text()), "recorded before it was done"
    mended = lab.verb("mend", "--json", deadline=120)
    assert mended.code == 0, str(mended)
    assert mended.document()["green"]
    assert [one["fault"] for one in mended.document()["mended"]] == ["child-missing"]
    assert not record.exists()


def test_break_refuses_what_makes_no_sense(lab: Lab) -> None:
    for words in (
        ["vxlan-vni"],
        ["broadcast-off"],
        ["no-such-fault"],
        ["echo-ignored", "--node", "x"],
    ):
        done = lab.verb("break", *words)
        assert done.code == 2, str(done)
    assert not (lab.state / "broken.json").exists()


@pytest.mark.all
def test_every_fault_is_broken_and_mended(lab: Lab) -> None:
    scene = Scene(Prediction(lab.plan))
    fitting = [
        fault
        for fault in RUNNING
        if any(fault.effect(scene, place).every for place in fault.places(scene))
    ]
    assert len(fitting) >= 40
    for fault in fitting:
        broken = lab.verb("break", fault.id, "--json", deadline=120)
        assert broken.code == 0, str(broken)
        matrix = lab.check()
        certain = {
            (c["source"], c["destination"], c["protocol"]) for c in broken.document()["cells"]
        }
        differing = matrix.differing
        mended = lab.verb("mend", deadline=180)
        assert mended.code == 0, f"{fault.id}: {mended}"
        assert differing, fault.id
        assert certain <= differing, fault.id
