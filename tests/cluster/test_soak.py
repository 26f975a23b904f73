"""Commands ended at random moments, for real; `underlay soak` is the long way to do it."""

from __future__ import annotations

import pytest

from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout

TRIALS = 30
CYCLES = 10
CHECKS = 20
DEADLINE = 3600.0


@pytest.mark.all
@pytest.mark.parametrize(
    "words",
    [
        ("--trials", str(TRIALS)),
        ("--trials", "0", "--cycles", str(CYCLES)),
        ("--trials", "0", "--checks", str(CHECKS)),
    ],
    ids=("trials", "cycles", "checks"),
)
def test_no_rule_is_broken(copy: Checkout, words: tuple[str, ...]) -> None:
    before = interfaces()
    done = copy.underlay("soak", "--json", *words, deadline=DEADLINE)
    assert done.code == 0, str(done)
    assert done.document()["ok"], str(done)
    prove_nothing_is_left(copy, before)
