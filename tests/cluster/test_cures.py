"""The cure that ``explain`` prints is pasted into a shell, word for word, and the lab is green.

The faults are those brought about by hand; ``break`` and ``mend`` have no part in them. Where the
printed cure doesn't heal, the hand's own does, so that the next fault meets a green lab.
"""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from cluster.faults_by_hand import BY_HAND
from cluster.hand import Hand
from cluster.near import shell
from cluster.running import Lab, clean_environment

# One at the switch. That of a node's parent is pasted daily too: the tutorial does (test_docs.py).
DAILY = ("coreos-mac-policy-otherwise",)
# The evidence doesn't say who keeps the advertisements away, so a sentence stands there instead.
WORDS_ALONE = ("slaac-ra-lost-otherwise", "slaac-ra-lost-node-otherwise")
PASTED = 240.0  # s; a cure may be to end the lab and start it again
GREEN_AFTER = 45.0  # s; routes of networkd's and advertised addresses take a while


def explained(lab: Lab) -> list[dict[str, object]]:
    done = lab.verb("explain", "--json", deadline=120)
    assert done.code in (0, 1, 3), str(done)
    causes: list[dict[str, object]] = done.document()["causes"]
    return causes


def pasted(lab: Lab, line: str) -> None:
    """Run a line as a user's shell would, with `underlay` on its PATH."""
    path = f"{lab.checkout.root}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=lab.checkout.root,
        env=clean_environment() | {"PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PASTED,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def is_green(lab: Lab) -> bool:
    end = time.monotonic() + GREEN_AFTER
    while True:
        done = lab.verb("check", "--json", deadline=120)
        if done.code == 0 or time.monotonic() > end:
            return done.code == 0


def heal(lab: Lab, hand: Hand) -> None:
    """Break as by hand, paste what is printed, and fail unless the matrix is as predicted."""
    for target, script in hand.steps:
        shell(lab, target, script)
    try:
        (cause, *_) = explained(lab)
        assert cause["id"] == hand.fault
        lines = cause["commands"]
        assert isinstance(lines, list)
        if str(hand) in WORDS_ALONE:
            assert not lines
            assert cause["cure"]
            return
        assert lines, cause
        for line in lines:
            assert f"--lab {lab.name}" in line or line.startswith("underlay up "), line
            pasted(lab, line)
        assert is_green(lab), (str(hand), lines)
    finally:
        # A cure may leave what harms nobody, such as a mark that no rule reads any more. It would
        # be in the next hand's way, or be found with what that does. What is gone fails, and what
        # is left goes.
        for target, script in hand.cure:
            lab.execute(target, "sh", "-uc", script)


@pytest.mark.parametrize("lab", ["coreos"], indirect=True)
@pytest.mark.parametrize("hand", [h for h in BY_HAND if str(h) in DAILY], ids=str)
def test_a_pasted_cure_heals(lab: Lab, hand: Hand) -> None:
    heal(lab, hand)


@pytest.mark.all
@pytest.mark.parametrize(
    ("lab", "hand"),
    [pytest.param(h.lab, h, id=str(h)) for h in BY_HAND if str(h) not in DAILY],
    indirect=["lab"],
    scope="session",
)
def test_every_pasted_cure_heals(lab: Lab, hand: Hand) -> None:
    heal(lab, hand)
