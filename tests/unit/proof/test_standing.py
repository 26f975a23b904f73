"""What ``status`` says of a lab's plan: each word is one that evidence leads to."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from underlay.lint.read import read_lab
from underlay.observe.evidence import Evidence
from underlay.plan import SWITCH, Plan, make_plan
from underlay.proof import standing
from underlay.proof.standing import Seen
from underlay.storage import paths

PLAN = make_plan(read_lab(Path(paths.root() / "labs" / "coreos.yml")))
NODE, CONTAINER, SEGMENT = PLAN.nodes[0], PLAN.containers[0], PLAN.segments[0]
ONE = CONTAINER.attachments[0]


def link(name: str, mac: str = "", *addresses: str, **more: Any) -> dict[str, Any]:
    """Return a link as ``ip -json -details address`` shows it."""
    rows = [
        {"local": local, "prefixlen": int(length), "scope": "global"}
        for local, _, length in (address.partition("/") for address in addresses)
    ]
    return {"ifname": name, "address": mac, "flags": ["UP"], "addr_info": rows, **more}


def healthy(plan: Plan = PLAN) -> dict[str, dict[str, Any]]:
    """Return what nodes and switch show where all is as the plan says, by machine and space."""
    found: dict[str, dict[str, Any]] = {}
    for node in plan.nodes:
        spaces = {node.name: [link(name, mac) for name, mac, _ in node.cards]}
        for container in plan.containers:
            if container.node == node.name:
                spaces[container.name] = [
                    link(one.interface, one.mac, *map(str, filter(None, one.addresses)))
                    for one in container.attachments
                ]
        found[node.name] = {name: {"links": links} for name, links in spaces.items()}
    links = [link(segment.bridge) for segment in plan.segments]
    links += [
        link(port, master=segment.bridge)
        for segment in plan.segments
        for port in segment.ports.values()
    ]
    found[SWITCH] = {SWITCH: {"links": links}}
    return found


def evidence(spaces: dict[str, dict[str, Any]], failed: dict[str, str] | None = None) -> Evidence:
    return Evidence({name: {"spaces": held} for name, held in spaces.items()}, failed or {})


def changed(machine: str, space: str, interface: str, **values: Any) -> Evidence:
    """Return evidence in which one link has other values than planned; None takes it away."""
    found = copy.deepcopy(healthy())
    links = found[machine][space]["links"]
    (row,) = (row for row in links if row["ifname"] == interface)
    if values:
        row.update(values)
    else:
        links.remove(row)
    return evidence(found)


def test_a_healthy_lab_is_as_planned() -> None:
    seen = evidence(healthy())
    for node in PLAN.nodes:
        assert standing.of_node(seen, node) == Seen()
    for container in PLAN.containers:
        for one in container.attachments:
            assert standing.of_attachment(seen, container, one) == Seen()
    for segment in PLAN.segments:
        assert standing.of_segment(seen, segment) == Seen()
    names = [node.name for node in PLAN.nodes]
    assert standing.asked(PLAN, seen) == ([*names, SWITCH], {})


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"flags": []}, "eth0 is down"),
        ({"address": "02:00:00:00:00:01"}, "eth0 has MAC address 02:00:00:00:00:01"),
        ({"addr_info": []}, "has no 20.1.1.65/24, but none"),
        (
            {"addr_info": link("", "", "20.1.1.9/24")["addr_info"]},
            "has no 20.1.1.65/24, but 20.1.1.9/24",
        ),
    ],
    ids=("down", "mac", "no address", "another address"),
)
def test_a_container_that_has_something_else_differs(values: dict[str, Any], found: str) -> None:
    seen = changed(NODE.name, CONTAINER.name, ONE.interface, **values)
    assert standing.of_attachment(seen, CONTAINER, ONE) == Seen("differs", found)


def test_a_container_without_its_interface_is_missing() -> None:
    seen = changed(NODE.name, CONTAINER.name, ONE.interface)
    assert standing.of_attachment(seen, CONTAINER, ONE) == Seen(
        "missing", "the container has no eth0"
    )


def test_a_container_that_is_gone_is_missing_in_the_nodes_words() -> None:
    spaces = healthy()
    del spaces[NODE.name][CONTAINER.name]
    seen = evidence(spaces, {CONTAINER.name: "container lannet-1a has no network namespace"})
    assert standing.of_attachment(seen, CONTAINER, ONE) == Seen(
        "missing", "container lannet-1a has no network namespace"
    )


def test_what_a_silent_node_has_is_not_asked() -> None:
    spaces = healthy()
    del spaces[NODE.name]
    seen = evidence(spaces, {NODE.name: "core-01 is poweroff"})
    silent = Seen("not_asked", "core-01: core-01 is poweroff")
    assert standing.of_node(seen, NODE) == silent
    assert standing.of_attachment(seen, CONTAINER, ONE) == silent
    assert standing.of_segment(seen, SEGMENT) == Seen()
    assert standing.asked(PLAN, seen)[1] == {"core-01": "core-01 is poweroff"}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"flags": []}, "eth1 is down"),
        ({"address": "02:00:00:00:00:01"}, "eth1 has MAC address 02:00:00:00:00:01"),
        ({}, "there is no eth1"),
    ],
    ids=("down", "mac", "gone"),
)
def test_a_nodes_card_that_is_otherwise_differs(values: dict[str, Any], found: str) -> None:
    seen = changed(NODE.name, NODE.name, "eth1", **values)
    assert standing.of_node(seen, NODE) == Seen("differs", found)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"flags": []}, "lan-1 is down"),
        ({"master": "br-wan"}, "lan-1 is in br-wan"),
        ({}, "there is no lan-1"),
    ],
    ids=("down", "elsewhere", "gone"),
)
def test_a_port_that_is_otherwise_differs(values: dict[str, Any], found: str) -> None:
    seen = changed(SWITCH, SWITCH, "lan-1", **values)
    assert standing.of_segment(seen, SEGMENT) == Seen("differs", found)


def test_a_bridge_that_is_gone_is_missing_and_a_switch_that_is_silent_not_asked() -> None:
    assert standing.of_segment(changed(SWITCH, SWITCH, "br-lan"), SEGMENT) == Seen(
        "missing", "there is no br-lan"
    )
    spaces = healthy()
    del spaces[SWITCH]
    assert standing.of_segment(evidence(spaces), SEGMENT) == Seen(
        "not_asked", "switch: was not looked into"
    )
