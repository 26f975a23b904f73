"""`underlay test`, interrupted while its tests have labs up: nothing of them is left."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from barrier import Barrier
from cluster.family import family
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout

ROOT = os.geteuid() == 0
# One test that starts a lab; and where that can be one whose libvirtd is another process's.
LAB = "(test_lifecycle and test_down_leaves_nothing)"
CHOSEN = f"{LAB} or (test_libvirt and without_libvirtd)" if ROOT else LAB
WORDS = ("test", "--layer", "cluster", "--", "-k", CHOSEN, "--numprocesses=2", "--dist=loadscope")
# Of the tests' own deadline for cleaning up, and the family's for ending what is left.
PATIENCE = 120.0


@pytest.mark.all
@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGKILL,), (signal.SIGINT, signal.SIGINT)],
    ids=("interrupted", "terminated", "killed", "interrupted twice"),
)
def test_nothing_is_left_of_tests_that_are_ended(
    copy: Checkout, numbers: tuple[signal.Signals, ...], barrier: Barrier, tmp_path: Path
) -> None:
    before = interfaces()
    # When Vagrant's action has started the nodes, and waits for their proof.
    points = [barrier.hold("ssh", "bash")]
    if ROOT:
        points.append(barrier.hold("virsh", "nonsuch"))
    cleaning = barrier.hold("vagrant", "destroy") if len(numbers) > 1 else None
    with family(copy, tmp_path / "run", *WORDS, environment=barrier.environment) as run:
        for point in points:
            point.wait(lambda: run.running)
        members = run.members()
        lines = "\n".join(member.words for member in members)
        for expected in ("holder.py", "umid=core-", *(["own-libvirt"] if ROOT else [])):
            assert expected in lines
        for number in numbers:
            os.kill(run.pid, number)
            barrier.release() if cleaning is None else cleaning.wait(lambda: run.running)
        gone = run.gone(members, PATIENCE)
        left = "\n".join(str(member) for member in run.members())
        assert gone is not None, f"{left}\n{run.words()}"
        print(f"{len(members)} processes, all gone {gone:.1f} s after the signal")
        assert run.ancestor.wait(timeout=PATIENCE) == 0
        assert run.code == (-signal.SIGKILL if signal.SIGKILL in numbers else 130), run.words()
    prove_nothing_is_left(copy, before)
