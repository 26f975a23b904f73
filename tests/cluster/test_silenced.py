"""Hosts that contradict each other as their files say they are to, on nodes: what packets say.

Each host has a network of its own then. Where that is all, the prediction is right and what is
wanted is broken; two owners of one address are found by who answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.running import Checkout, Lab
from fleets.mutated import copied, mutations, silence_in

pytestmark = pytest.mark.all

FLEET = "cni-vlans"
RANGE, MODE = "another host's range", "mode private"


def written(name: str, folder: Path) -> Path:
    """Write the fleet with that mistake, silenced, into ``folder``; return its lab file."""
    here = copied(FLEET, folder)
    next(one for one in mutations(FLEET) if one.name == name).make_in(here)
    silence_in(here, "overlapping-networks")
    return here / "lab.yml"


@pytest.fixture(scope="module")
def fleet(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Return the fleet whose hosts hand out one range, up."""
    lab = Lab(copy, FLEET, written(RANGE, tmp_path_factory.mktemp("range")))
    done = lab.up()
    if done.code:
        pytest.fail(str(done), pytrace=False)
    assert "silenced: " in done.err
    yield lab
    done = copy.underlay("down", "--all")
    assert done.code == 0, str(done)


def test_an_address_that_two_hosts_hand_out_has_two_owners(fleet: Lab) -> None:
    matrix = fleet.check()
    assert matrix.done.code == 1
    # Which of two owners answers is chance, and with it whose statement is broken.
    assert matrix.summary["statements_broken"] >= 1
    ends = {end for source, target, *_ in matrix.differing for end in (source, target)}
    assert {"apps-1a", "apps-1b", "apps-2a", "apps-2b"} <= ends
    said = fleet.verb("check").out
    assert "10.30.0.64 has 2 owners: apps-1a, apps-2a" in said


def test_a_mode_of_one_hosts_own_is_predicted_as_packets_show_it(
    fleet: Lab, tmp_path: Path
) -> None:
    file = written(MODE, tmp_path)
    done = fleet.checkout.underlay("switch", str(file), "--lab", FLEET, deadline=600)
    assert done.code == 0, str(done)
    matrix = fleet.check()
    assert matrix.done.code == 1
    assert matrix.summary["differs"] == 0, matrix.done.err
    assert matrix.summary["statements_broken"] == 1
