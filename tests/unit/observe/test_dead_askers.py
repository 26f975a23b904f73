"""Values of whose asker nothing leaves: nobody knows what it would have been told."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.expect import Prediction, predict
from underlay.expect.value_cells import NOBODY
from underlay.plan import Plan
from underlay.verdict import NEVER_ASKED, NEVER_HEARD, NEVER_LEFT, SILENT, Cell, Verdict, judge
from unit.observe.test_probe_real import run
from unit.observe.test_probe_values import CHECKS, TO_ALL, plan_of

# By the container: what takes away all that it sends, as arguments of ip. A blackhole says nothing
# of it; a queue for no packet says so to a packet socket, and to no other.
DEADLY = {
    "net-1a": "-n net-1a link set eth0 down",
    "net-1b": "-n net-1b link del eth0",
    "net-1c": "-n net-1c address flush dev eth0",
    "net-1d": "netns exec net-1d tc qdisc add dev eth0 root blackhole",
    "net-1e": "netns exec net-1e tc qdisc add dev eth0 root pfifo limit 0",
}
ALIVE = ("net-1f", "net-2a")


def judged(plan: Plan, folder: Path, *commands: str) -> Verdict:
    return judge("seen", "none", predict(plan), run(plan, folder, *commands))


def values(verdict: Verdict, source: str) -> list[Cell]:
    found = [cell for cell in verdict.values if cell.source == source]
    assert found
    return found


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    """Six containers that should reach those of another node, of which one can."""
    return judged(plan_of(count=6), tmp_path_factory.mktemp("talking"), *DEADLY.values())


@pytest.fixture(scope="module")
def apart() -> Plan:
    """As many that should reach nobody at all, and by any protocol are silent as it is."""
    plan = plan_of("private", count=6, nodes=1)
    assert not any(cell.reachable for cell in Prediction(plan).reach)
    return plan


@pytest.mark.parametrize("dead", DEADLY)
def test_of_a_dead_asker_no_value_is_known(dead: str, talking: Verdict) -> None:
    cells = values(talking, dead)
    assert {cell.protocol for cell in cells} == set(CHECKS)
    for cell in cells:
        assert cell.observed == "not_measured", cell
        assert cell.reason, cell
        assert "b'" not in cell.reason, cell
    # Who should have been seen isn't merely what follows from others: it is told, and explained.
    assert not any(cell.follows for cell in cells if cell.expected not in SILENT)


def test_who_is_alive_sees_that_nobody_has_a_dead_ones_address(talking: Verdict) -> None:
    """A dead one that is asked is a difference, and no less measured than before."""
    asked = [cell for cell in talking.values if cell.source in ALIVE and cell.destination in DEADLY]
    assert {cell.protocol for cell in asked} == {*CHECKS} - {*TO_ALL}
    for cell in asked:
        assert cell.differs, cell
        assert cell.observed in SILENT, cell
    # Whom they don't hear any more they still know to be there: those whose link is up hear them.
    heard = [cell for cell in talking.values if cell.source in ALIVE and cell.protocol in TO_ALL]
    assert all(set(cell.observed) > {"net-1d", "net-1e"} for cell in heard)


def test_what_no_dead_asker_has_part_in_is_as_ever(talking: Verdict) -> None:
    both = {*ALIVE, "core-02", *(f"net-2{letter}" for letter in "abcdef")}
    cells = [cell for cell in talking.values if {cell.source, cell.destination} <= both]
    assert {cell.protocol for cell in cells} == {*CHECKS} - {*TO_ALL}
    assert not [cell for cell in cells if cell.differs or not cell.measured]


def test_where_nobody_is_to_be_heard_a_dead_asker_is_not_as_expected(
    apart: Plan, tmp_path: Path
) -> None:
    """Nothing tells it from a live one but what is seen to leave."""
    verdict = judged(apart, tmp_path, *DEADLY.values())
    for dead in DEADLY:
        for cell in values(verdict, dead):
            assert cell.expected in SILENT, cell
            assert (cell.observed, bool(cell.reason)) == ("not_measured", True), cell
            assert cell.reason not in (NEVER_ASKED, NEVER_HEARD)
    assert {cell.reason for cell in values(verdict, "net-1d")} == {NEVER_LEFT}
    for alive in ("net-1f", "core-01"):
        for cell in values(verdict, alive):
            assert (cell.observed, cell.expected in SILENT) == (cell.expected, True), cell


def test_where_nobody_is_to_be_heard_a_live_asker_is_as_expected(
    apart: Plan, tmp_path: Path
) -> None:
    verdict = judged(apart, tmp_path)
    assert verdict.exit_code == 0
    assert {cell.observed for cell in verdict.values} == {NOBODY, ()}
