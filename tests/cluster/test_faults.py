"""Faults brought about by hand are seen where they must be, and explained by what they leave.

The commands are in ``faults_by_hand.py``; ``break`` has no part in them. Which cells a fault
changes is the catalogue's own prediction: all that it calls certain must differ, and nothing
beyond what it calls possible.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cluster.faults_by_hand import BY_HAND, Hand
from cluster.running import Cell, Lab, Matrix
from underlay.faults import Scene, running_fault

# Few enough for every day: a link, a filter by another mechanism, and the switch.
DAILY = ("parent-down", "container-drops-incoming-otherwise", "mac-policy")
CARRIED = ("source", "destination", "protocol")

on_coreos = pytest.mark.parametrize("lab", ["coreos"], indirect=True)


@contextmanager
def broken(lab: Lab, *hands: Hand) -> Iterator[tuple[Matrix, list[dict[str, Any]]]]:
    """Do what the hands do; hand out what check measures, and the causes that it names.

    Afterwards everything is cured, and check must be green again.
    """
    assert not (lab.state / "broken.json").exists()
    done: list[Hand] = []
    try:
        for hand in hands:
            done.append(hand)
            for target, script in hand.steps:
                lab.shell(target, script)
        matrix = lab.check()
        yield matrix, matrix.done.document()["causes"]
    finally:
        for hand in reversed(done):
            for target, script in hand.cure:
                lab.shell(target, script)
        lab.check().prove_green()


def predicted(scene: Scene, hand: Hand) -> tuple[set[Cell], set[Cell]]:
    """Return the cells that the catalogue calls certain for what a hand does, and possible."""
    fault = running_fault(hand.fault)
    device = hand.where.partition(", ")[2]
    for place in fault.places(scene):
        fits = str(place).startswith(hand.where) or hand.where.startswith(str(place))
        if fits or (place.target == hand.where.partition(",")[0] and place.device in device):
            effect = fault.effect(scene, place)
            return {c[:3] for c in effect.certain}, {c[:3] for c in effect.every}
    raise AssertionError(f"{hand} has no place at {hand.where}")


def prove(lab: Lab, hand: Hand) -> dict[str, Any]:
    """Fail unless the hand's fault is seen as predicted and is the first cause that is named."""
    certain, possible = predicted(Scene(lab.plan), hand)
    with broken(lab, hand) as (matrix, causes):
        assert matrix.done.code in (1, 3), str(matrix.done)
        assert certain <= matrix.differing <= possible, hand
        named = [(cause["id"], cause["where"]) for cause in causes]
        assert named[:1] == [(hand.fault, hand.where)], named
        assert causes[0]["evidence"], causes[0]
        explained = {tuple(cell[key] for key in CARRIED) for c in causes for cell in c["cells"]}
        assert explained == matrix.differing
    return {"fault": hand.fault, "otherwise": hand.other, "lab": hand.lab, "named": named}


@on_coreos
@pytest.mark.parametrize("hand", [h for h in BY_HAND if str(h) in DAILY], ids=str)
def test_a_fault_is_explained(lab: Lab, hand: Hand) -> None:
    prove(lab, hand)


@pytest.mark.all
@pytest.mark.parametrize(
    ("lab", "hand"),
    [pytest.param(h.lab, h, id=str(h)) for h in BY_HAND if str(h) not in DAILY],
    indirect=["lab"],
)
def test_every_fault_is_explained(lab: Lab, hand: Hand) -> None:
    prove(lab, hand)


def pairs() -> Iterator[tuple[Hand, Hand]]:
    """Yield pairs of faults on different nodes or in different networks, so that both show."""
    ours = [hand for hand in BY_HAND if hand.lab == "coreos" and not hand.other]
    near = [hand for hand in ours if hand.steps[0][0] in ("lannet-2a", "core-02")]
    for number, one in enumerate(near):
        other = ours[-1 - number % len(ours)]
        if one.fault != other.fault and one.steps[0][0] != other.steps[0][0]:
            yield one, other


@pytest.mark.all
@on_coreos
@pytest.mark.parametrize(("one", "other"), [pytest.param(*p, id=f"{p[0]}+{p[1]}") for p in pairs()])
def test_two_faults_at_once_are_both_named(lab: Lab, one: Hand, other: Hand) -> None:
    with broken(lab, one, other) as (_, causes):
        named = {cause["id"] for cause in causes}
        assert {one.fault, other.fault} <= named, named
