"""What the real probe sees: addresses, sizes and hearers, over macvlan on this machine's kernel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest

from underlay.expect import Check, predict
from underlay.expect.value_cells import NOBODY
from underlay.lab import Lab
from underlay.observe import Observation
from underlay.observe.observation import UNDECIDED, Seen
from underlay.plan import Plan, make_plan
from underlay.verdict import judge
from unit.observe.test_probe_real import run

CHECKS = list(get_args(Check))
TO_ALL = ("broadcast", "multicast")


def plan_of(
    mode: str = "bridge",
    count: int = 2,
    nodes: int = 2,
    protocols: tuple[str, ...] = ("icmp", "tcp", "udp"),
    checks: Sequence[str] = CHECKS,
    **more: object,
) -> Plan:
    network = {
        "driver": "macvlan",
        "mode": mode,
        "segment": "lan",
        "subnet": "20.1.1.0/24",
        "subnet6": "2001:db8:1::/64",
    }
    lab = {
        "name": "seen",
        "nodes": nodes,
        "segments": {"lan": {"subnet": "192.168.70.0/24", "subnet6": "2001:db8:70::/64"}},
        "networks": {"net": network | more},
        "containers": [{"count": count, "networks": ["net"]}],
        "protocols": list(protocols),
        "checks": list(checks),
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


def test_a_node_that_hangs_costs_what_it_had_not_told_by_then(tmp_path: Path) -> None:
    plan = plan_of(count=1)
    seen = run(plan, tmp_path, "stuck core-02: ask arp")
    assert seen.failed == {"core-02": "its probe was too late"}
    order = list(dict.fromkeys(cell.protocol for cell in seen.cells))
    # All of these was told before, and of pmtu what it had asked itself. Its kernel goes on
    # answering ARP, and that an asker sees for itself.
    assert order[:6] == ["icmp", "tcp", "udp", "source", "pmtu", "arp"]
    theirs = {"net-2a", "core-02"}
    for cell in judge("seen", "none", predict(plan), seen).cells:
        unasked = cell.protocol in order[5:] and (cell.source in theirs or cell.protocol in TO_ALL)
        unsaid = cell.protocol in order[4:] and cell.destination in theirs
        answered = cell.protocol in ("arp", "nd") and cell.expected != NOBODY
        lost = unasked or (unsaid and not answered)
        assert cell.observed == ("not_measured" if lost else cell.expected), cell
        assert not lost or "core-02" in cell.reason


def test_what_is_undecided_in_time_is_left_and_nothing_else(tmp_path: Path) -> None:
    checks = ["source", "pmtu"]
    plan = plan_of(count=1, protocols=("icmp",), checks=checks)
    # Waits are four times as long, so that none of them is about how fast this machine is.
    seen = run(plan, tmp_path, "wire core-02: in drop every answer", "pace 4", "within 12")
    assert not seen.failed
    left = {cell.protocol for cell in seen.cells if cell.observed == "not_measured"}
    assert left, "the wire loses nothing that takes time"
    assert {cell.reason for cell in seen.cells if cell.observed == "not_measured"} == {UNDECIDED}
    for cell in judge("seen", "none", predict(plan), seen).cells:
        behind = {cell.source, cell.destination} & {"net-2a", "core-02"}
        assert behind or cell.observed in (cell.expected, "not_measured"), cell
    # Each phase had its turn.
    had = {cell.protocol for cell in seen.cells if cell.observed != "not_measured"}
    assert had == {"icmp", *checks}


@pytest.mark.parametrize("mode", ["bridge", "private", "vepa", "passthru"])
def test_values_are_seen_as_predicted(mode: str, tmp_path: Path) -> None:
    plan = plan_of(mode, count=1 if mode == "passthru" else 2)
    seen = run(plan, tmp_path)
    assert {cell.protocol for cell in seen.cells if cell.kind == "value"} == set(CHECKS)
    assert {cell.family for cell in seen.cells} == {4, 6}
    assert not wrong(plan, seen)


def test_what_was_lost_is_counted_in_values_as_well(tmp_path: Path) -> None:
    plan = plan_of(count=1, protocols=("icmp",))
    seen = run(plan, tmp_path, "wire core-02: out drop first request")
    assert not wrong(plan, seen)
    values = [cell for cell in seen.cells if cell.kind == "value" and cell.family == 4]
    crossing = {
        "source": of(seen, "source", "net-2a", "net-1a"),
        "macs": of(seen, "macs", "net-2a", "net-1a"),
        "broadcast": next(c for c in values if (c.protocol, c.source) == ("broadcast", "net-2a")),
    }
    # The two checks that ask by UDP have one flow: the first packet of the first of them is lost.
    assert crossing["source"].lost + crossing["macs"].lost == 1, crossing
    assert crossing["broadcast"].lost == 1, crossing
    assert sum(cell.lost for cell in values if cell.source == "net-1a") == 0


@pytest.mark.parametrize(
    ("check", "effect", "family"),
    [
        ("arp", "out drop even arp", 4),
        ("nd", "out drop even nd", 6),
        ("pmtu", "out drop first request", 4),
    ],
)
def test_what_an_owner_or_a_size_cost_is_counted(
    check: str, effect: str, family: int, tmp_path: Path
) -> None:
    """A neighbour was asked for once before, for reachability: the check's is the second time."""
    plan = plan_of(count=1, protocols=("icmp",), checks=[check])
    seen = run(plan, tmp_path, f"wire core-02: {effect}")
    assert not wrong(plan, seen)
    cells = [c for c in seen.cells if (c.protocol, c.family) == (check, family) and c.arrived]
    away = {"net-2a", "core-02"}
    from_there = {cell for cell in cells if cell.source in away and cell.destination not in away}
    # Of ARP and ND the second answer of a flow is lost, too, whoever asks.
    crossing = {c for c in cells if (c.source in away) != (c.destination in away)}
    lossy = from_there if check == "pmtu" else crossing
    assert {(cell.source, cell.destination): cell.lost for cell in cells} == {
        (cell.source, cell.destination): int(cell in lossy) for cell in cells
    }
    assert len(lossy) == (3 if check == "pmtu" else 6)
