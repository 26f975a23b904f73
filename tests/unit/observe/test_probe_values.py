"""What the real probe sees: addresses, sizes and hearers, over macvlan on this machine's kernel."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from underlay.expect import Check, predict
from underlay.lab import Lab
from underlay.observe import Observation
from underlay.observe.merge import Seen
from underlay.plan import Plan, make_plan
from underlay.verdict import judge
from unit.observe.test_probe_real import run

CHECKS = list(get_args(Check))


def plan_of(mode: str = "bridge", count: int = 2, **more: object) -> Plan:
    network = {
        "driver": "macvlan",
        "mode": mode,
        "segment": "lan",
        "subnet": "20.1.1.0/24",
        "subnet6": "2001:db8:1::/64",
    }
    lab = {
        "name": "seen",
        "nodes": 2,
        "segments": {"lan": {"subnet": "192.168.70.0/24", "subnet6": "2001:db8:70::/64"}},
        "networks": {"net": network | more},
        "containers": [{"count": count, "networks": ["net"]}],
        "protocols": ["icmp", "tcp", "udp"],
        "checks": CHECKS,
    }
    return make_plan(Lab.model_validate(lab))


def wrong(plan: Plan, seen: Observation) -> list[str]:
    verdict = judge("seen", "none", predict(plan), seen)
    return [
        f"{c.source} > {c.destination} {c.protocol}{c.family}: "
        f"{c.expected} but {c.observed} {c.reason}"
        for c in verdict.cells
        if c.observed != c.expected
    ]


def of(seen: Observation, check: str, source: str, destination: str, family: int = 4) -> Seen:
    key = (check, source, destination, family)
    return next(c for c in seen.cells if (c.protocol, c.source, c.destination, c.family) == key)


@pytest.mark.parametrize("mode", ["bridge", "private", "vepa", "passthru"])
def test_values_are_seen_as_predicted(mode: str, tmp_path: Path) -> None:
    plan = plan_of(mode, count=1 if mode == "passthru" else 2)
    seen = run(plan, tmp_path)
    assert {cell.protocol for cell in seen.cells if cell.kind == "value"} == set(CHECKS)
    assert {cell.family for cell in seen.cells} == {4, 6}
    assert not wrong(plan, seen)
