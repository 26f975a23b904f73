"""Machines that exist: which command measures what this one couldn't."""

from __future__ import annotations

from pathlib import Path

from underlay.cli.checks.machines import what_would_measure_more
from underlay.cli.on_machines import OnMachines
from underlay.expect import predict
from underlay.lint import load
from underlay.observe import Observation
from underlay.observe.live import NEEDS_PROBE
from underlay.observe.observation import Seen
from underlay.proof.choice import Choice
from underlay.proof.live import How
from underlay.storage.paths import root
from underlay.verdict import Verdict, judge
from unit.report.test_report import as_predicted

PLAN = load(root() / "labs" / "flat.yml").plan


def measured(reason: str) -> Verdict:
    """Return a verdict in which no row of a container was measured, for one reason."""

    def seen(one: Seen) -> Seen:
        if one.source.startswith("core-"):
            return one
        return Seen(one.source, one.destination, one.protocol, "not_measured", reason=reason)

    found = Observation(tuple(seen(one) for one in as_predicted(PLAN)), {}, {})
    return judge(PLAN.lab, "hosts", predict(PLAN), found)


def hint(verdict: Verdict, *, probe: bool = False) -> str:
    return what_would_measure_more(verdict, OnMachines(Path("my hosts.yml"), (), How(probe=probe)))


def test_a_reader_is_told_of_the_probe_and_of_the_rows_that_it_has() -> None:
    said = hint(measured(NEEDS_PROBE))
    assert "underlay hosts -i 'my hosts.yml'" in said
    assert "--only 'nodes -> *'" in said
    rows = Choice(("nodes -> *",)).of(PLAN).verdict(measured(NEEDS_PROBE))
    assert rows.exit_code == 0
    assert hint(rows) == ""


def test_whose_probe_did_not_start_is_told_where_that_is_shown() -> None:
    reason = "its probe ended early: sudo: a password is required"
    assert hint(measured(reason), probe=True).startswith("underlay hosts -i 'my hosts.yml'")
    assert hint(measured("core-02 is not in the inventory"), probe=True) == ""
