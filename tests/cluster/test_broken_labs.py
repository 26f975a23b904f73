"""The article's own files: lint says what is wrong with them, and check shows it."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from cluster.running import Cast, Checkout, Lab

SEED = "labs/broken/seed-as-written.yml"
ETH0 = "labs/broken/seed-eth0.yml"


def findings(checkout: Checkout, file: str) -> dict[str, str]:
    """Return lint's errors about ``file``, by the line of the file that each points at."""
    done = checkout.underlay("lint", file)
    assert done.code == 1, str(done)
    lines = (checkout.root / file).read_text().splitlines()
    found = re.findall(rf"^{re.escape(file)}:(\d+):\d+: error: (.*)$", done.out, re.MULTILINE)
    assert found, str(done)
    return {lines[int(number) - 1].split(":")[0].strip(): message for number, message in found}


def test_lint_refuses_one_range_for_all_nodes(here: Checkout) -> None:
    errors = findings(here, SEED)
    assert set(errors) == {"lannet", "ipnet"}
    for name, subnet in (("lannet", "20.1.1"), ("ipnet", "30.1.1")):
        assert "host-local on every node hands out" in errors[name]
        assert f"{subnet}.2 goes to {name}-1a on core-01, {name}-2a on core-02" in errors[name]


def test_lint_refuses_the_management_nic(here: Checkout) -> None:
    errors = findings(here, ETH0)
    assert set(errors) == {"lannet"}
    assert "eth0 is the management NIC" in errors["lannet"]


@pytest.mark.parametrize("file", [SEED, ETH0])
def test_up_refuses_them(here: Checkout, file: str) -> None:
    done = here.underlay("up", file)
    assert done.code == 2, str(done)
    assert re.search(rf"{re.escape(file)}:\d+:\d+: ", done.err), str(done)
    assert "--force" in done.err, str(done)


def test_a_refused_lab_leaves_no_state(here: Checkout) -> None:
    here.underlay("up", ETH0)
    assert not here.state("seed-eth0").exists()


# Two containers of one address are on nodes every day, by a fault: see test_lie_detector.py.
@pytest.mark.all
@pytest.mark.parametrize("lab", ["seed-as-written"], indirect=True)
def test_check_shows_the_duplicates(lab: Lab) -> None:
    cast = Cast(lab.status())
    owners = defaultdict(list)
    for name, row in cast.containers.items():
        owners[row["address"]].append(name)
    assert {len(names) for names in owners.values()} == {3}

    matrix = lab.check()
    assert matrix.done.code == 1
    assert matrix.differing <= cast.healthy("lannet") | cast.healthy("ipnet")
    named: dict[str, set[str]] = defaultdict(set)
    for cell in matrix.differing:
        by = matrix.cells[cell]["answered_by"]
        if by:
            address = cast.containers[cell[1]]["address"]
            assert by in owners[address], cell
            assert by != cell[1], cell
            named[address] |= {cell[1], by}
    assert {address: sorted(names) for address, names in named.items()} == owners

    told = lab.verb("check")
    assert told.code == 1, str(told)
    text = " ".join(told.out.split())
    for address, names in owners.items():
        assert f"{address} has 3 owners: {', '.join(names)}." in text, str(told)
