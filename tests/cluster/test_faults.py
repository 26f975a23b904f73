"""Faults brought about by hand are seen where they must be, and explained by what they leave.

The commands are in ``faults_by_hand.py``; ``break`` has no part in them. Which cells a fault
changes is the catalogue's own prediction: all that it calls certain must differ, and nothing
beyond what it calls possible. What came of each is kept in docs/proof/faults.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cluster.faults_by_hand import BY_HAND, COREOS
from cluster.hand import Hand
from cluster.near import Looked, look, shell
from cluster.running import Cell as Named
from cluster.running import Lab, label
from confusion import GREEN, is_remembered, keep, remember
from underlay.expect import Prediction
from underlay.faults import Cell, Place, Scene, running_fault
from underlay.faults.value_scene import ValueScene

# Few enough for every day: a filter by another mechanism. What is at the switch is explained every
# day by test_cures.py, a parent that is down by the tutorial, whose words test_docs.py compares.
DAILY = ("coreos-container-drops-incoming-otherwise",)
LAST = [str(hand) for hand in BY_HAND if str(hand) in DAILY][-1]

MOST_PAIRS = 22

on_coreos = pytest.mark.parametrize("lab", ["coreos"], indirect=True)


@contextmanager
def broken(
    lab: Lab, *hands: Hand, record: bool = False, prove_cured: bool = True
) -> Iterator[Looked]:
    """Do what the hands do; hand out what is measured then, and which causes are named.

    Afterwards everything is cured, and the lab must be green again, and looked into as while it
    was broken it must show no fault that would change a cell.
    That can be left to the next look, which would see what was not cured.
    """
    assert not (lab.state / "broken.json").exists()
    done: list[Hand] = []
    try:
        for hand in hands:
            done.append(hand)
            for target, script in hand.steps:
                shell(lab, target, script)
        yield look(lab)
    finally:
        for hand in reversed(done):
            for target, script in hand.cure:
                shell(lab, target, script)
        if prove_cured:
            _prove_green(lab, record)


def _prove_green(lab: Lab, record: bool) -> None:
    healthy = record and not is_remembered(lab.plan, GREEN)
    after = look(lab)
    assert not after.differing, sorted(after.differing)[:20]
    assert not after.unmeasured, sorted(after.unmeasured)[:20]
    assert not after.evidence.failed, after.evidence.failed
    assert not after.found, after.found
    if healthy:
        remember(lab.plan, GREEN, "", "", after)


def predicted(scene: Scene, hand: Hand) -> tuple[set[Named], set[Named]]:
    """Return the cells that the catalogue calls certain for what a hand does, and possible.

    What its packets would change of values is possible: who has talked before, is known to some.
    An entry that says its cells itself is taken at its word.
    """
    if hand.pairs:
        return hand.cells, hand.possible
    fault = running_fault(hand.fault)
    target, _, device = hand.where.partition(", ")
    scripts = " ".join(script for _, script in hand.steps)

    def less_like_it(place: Place) -> tuple[bool, bool]:
        named = all(word in scripts for word in place.detail[1:])
        return place.device != device, not named

    # eth1.80 before eth1, and of two routes the one that the hand names; the first of two ports
    # stands for both.
    places = sorted(fault.places(scene), key=less_like_it)
    for place in places:
        if place.target == target and (place.device in device or not device or not place.device):
            effect = fault.effect(scene, place)
            values = fault.effect(ValueScene(scene.prediction), place)
            return named(effect.certain), named(effect.every | values.every)
    every = Scene(Prediction(scene.plan)).every
    # A fault that can't be broken, only found, has no places; another mechanism has its own.
    assert hand.other or not places, f"{hand} has no place at {hand.where}"
    return set(), named(every)


def named(cells: frozenset[Cell]) -> set[Named]:
    """Return cells by the names that a matrix has for them."""
    return {(s, d, label({"protocol": p, "family": family})) for s, d, p, family in cells}


def prove(
    lab: Lab, hand: Hand, record: bool, *, prove_cured: bool = True, kept: bool = True
) -> None:
    """Fail unless the hand's fault is seen and is the first cause named, for all its cells.

    Where the hand does just what the catalogue does, the cells must be those it predicts, and
    where it says them itself, those.
    """
    scene = Scene(Prediction(lab.plan))
    certain, possible = predicted(scene, hand)
    with broken(lab, hand, record=record, prove_cured=prove_cured) as seen:
        row = {
            "lab": hand.lab,
            "fault": hand.fault,
            "where": hand.where,
            "mechanism": "another" if hand.other else "the catalogue's",
            "differing": len(seen.wrong),
            "certain": len(certain),
            "possible": len(possible),
            "causes": seen.causes,
            "unexplained": len(seen.unexplained),
        }
        if kept:
            keep(str(hand), row)
        if record:
            remember(lab.plan, str(hand), hand.fault, hand.where, seen)
        assert seen.wrong, row
        assert [cause[:2] for cause in seen.causes][:1] == [[hand.fault, hand.where]], row
        assert not seen.unexplained, (row, seen.unexplained)
        if hand.pairs or not hand.other:
            assert certain <= seen.wrong, (row, sorted(certain - seen.wrong)[:9])
            assert seen.wrong <= possible, (row, sorted(seen.wrong - possible)[:9])


@on_coreos
@pytest.mark.parametrize("hand", [h for h in BY_HAND if str(h) in DAILY], ids=str)
def test_a_fault_is_explained(
    lab: Lab, hand: Hand, record: bool, request: pytest.FixtureRequest
) -> None:
    """What one didn't cure, the next would see among its own: only the last looks again.

    Its row is kept in the full proof alone: a run of every day records nothing.
    """
    kept = bool(request.config.getoption("--all"))
    prove(lab, hand, record, prove_cured=str(hand) == LAST, kept=kept)


@pytest.mark.all
@pytest.mark.parametrize(
    ("lab", "hand"),
    [pytest.param(h.lab, h, id=str(h)) for h in BY_HAND if str(h) not in DAILY],
    indirect=["lab"],
    # Beside a direct parameter pytest would boot the lab for each test.
    scope="session",
)
def test_every_fault_is_explained(lab: Lab, hand: Hand, record: bool) -> None:
    prove(lab, hand, record)


def pairs() -> Iterator[tuple[Hand, Hand]]:
    """Yield pairs of faults in different networks of the default lab, so that both show."""
    lan = [h for h in COREOS if not h.other and h.where.startswith(("lannet-2a", "core-02, eth1"))]
    wan = [h for h in COREOS if h.where.startswith(("ipnet-2", "core-02, eth2"))]
    switch = [h for h in COREOS if h.where == "switch, lan-2" and h.fault == "hairpin"]
    others = [*wan, *switch]
    for number, one in enumerate(lan[:MOST_PAIRS]):
        yield one, others[number % len(others)]


@pytest.mark.all
@on_coreos
@pytest.mark.parametrize(("one", "other"), [pytest.param(*p, id=f"{p[0]}+{p[1]}") for p in pairs()])
def test_two_faults_at_once_are_both_named(lab: Lab, one: Hand, other: Hand) -> None:
    with broken(lab, one, other, prove_cured=False) as seen:
        row = {
            "lab": "coreos",
            "faults": [[one.fault, one.where], [other.fault, other.where]],
            "differing": len(seen.wrong),
            "causes": seen.causes,
            "unexplained": len(seen.unexplained),
        }
        keep(f"{one}+{other}", row)
        said = [cause[:2] for cause in seen.causes]
        assert [one.fault, one.where] in said, row
        assert [other.fault, other.where] in said, row
        assert len(said) == 2, row
