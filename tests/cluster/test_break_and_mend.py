"""`mend` returns to green whatever became of `break`, which refuses what makes no sense."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess

import pytest

from barrier import Barrier
from cluster.running import Lab
from underlay.expect import Prediction
from underlay.faults import RUNNING, Scene
from underlay.faults.record import Broken

pytestmark = pytest.mark.parametrize("lab", ["coreos"], indirect=True)


@pytest.mark.parametrize(
    "after",
    [False, pytest.param(True, marks=pytest.mark.all)],
    ids=("before it is done", "when it is done"),
)
def test_a_break_that_was_killed_is_mended(
    lab: Lab, after: bool, barrier: Barrier, started: list[subprocess.Popen[str]]
) -> None:
    record = lab.state / "broken.json"
    held = barrier.hold("ssh", when=f"[ -e '{record}' ]", after=after)
    words = ("break", "child-missing", "--lab", lab.name)
    breaking = lab.checkout.start(*words, environment=barrier.environment)
    started.append(breaking)
    held.wait(lambda: breaking.poll() is None)
    breaking.send_signal(signal.SIGKILL)
    breaking.wait()
    held.kill()
    assert json.loads(record.read_text()), "recorded before it was done"
    mended = lab.verb("mend", "--json", deadline=120)
    assert mended.code == 0, str(mended)
    assert mended.document()["green"]
    assert [one["fault"] for one in mended.document()["mended"]] == ["child-missing"]
    assert not record.exists()


@pytest.mark.all
def test_what_was_recorded_and_never_done_is_mended(lab: Lab) -> None:
    """As if `break` had died right after each record: no fault is there, and none comes of it."""
    scene = Scene(Prediction(lab.plan))
    places = [(fault, place) for fault in RUNNING for place in list(fault.places(scene))[:1]]
    assert len(places) >= 40
    recorded = [
        Broken(fault.id, str(place), tuple(fault.undo(scene, place)), whole=False)
        for fault, place in places
    ]
    record = lab.state / "broken.json"
    record.write_text(json.dumps([dataclasses.asdict(broken) for broken in recorded]))
    mended = lab.verb("mend", "--json", deadline=600)
    assert mended.code == 0, str(mended)
    assert len(mended.document()["mended"]) == len(recorded)
    assert not record.exists()


def test_break_refuses_what_makes_no_sense(lab: Lab) -> None:
    for words in (
        ["vxlan-vni"],
        ["mtu-too-small"],
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
