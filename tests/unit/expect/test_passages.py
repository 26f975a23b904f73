"""Where packets pass: through switches, routers, masquerading nodes and overlays."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.expect import Prediction
from underlay.expect.passages import Passage
from underlay.faults import Scene, running_fault
from underlay.faults.evidence.routes import best, contains, route_family
from underlay.faults.scene import cell_of
from underlay.lint.read import read_lab
from underlay.observe.evidence import Space
from underlay.plan import make_plan

LABS = Path(__file__).resolve().parents[3] / "labs"


def scene_of(lab: str) -> Scene:
    return Scene(Prediction(make_plan(read_lab(LABS / f"{lab}.yml"))))


@pytest.fixture(scope="module")
def each() -> Scene:
    return scene_of("one-of-each")


def way(scene: Scene, source: str, destination: str, *, request: bool = True) -> list[str]:
    cell = (source, destination, "icmp", 4)
    return [word(p) for p in scene.passages(cell) if p.packet.request is request]


def word(p: Passage) -> str:
    marks = ("+" if p.forwarded else "") + p.packet.outer
    return f"{p.where} {p.interface} {p.direction}{' ' + marks if marks else ''}"


def test_siblings_stay_on_their_node() -> None:
    coreos = scene_of("coreos")
    assert way(coreos, "ipnet-1a", "ipnet-1b") == ["ipnet-1a eth0 out", "ipnet-1b eth0 in"]
    assert way(coreos, "lannet-1a", "lannet-1b") == [
        "lannet-1a eth0 out",
        "core-01 eth1 in",
        "lannet-1b eth0 in",
    ]


def test_a_masquerading_node_passes_on_under_its_own_address(each: Scene) -> None:
    assert way(each, "nat-1a", "mac-2a") == [
        "nat-1a eth0 out",
        "core-01 br-nat in",
        "core-01 br-nat in +",
        "core-01 eth1 out +",
        "core-01 eth1 out",
        "lan lan-1 in",
        "lan lan-2 out",
        "core-02 eth1 in",
        "mac-2a eth0 in",
    ]
    passages = each.passages(("nat-1a", "mac-2a", "icmp", 4))
    at_port = [p.packet for p in passages if p.kind == "port"]
    assert {(p.source, p.destination) for p in at_port} == {
        ("192.168.70.11", "10.1.1.129"),
        ("10.1.1.129", "192.168.70.11"),
    }


def test_an_overlay_travels_in_packets_between_the_nodes(each: Scene) -> None:
    found = way(each, "vx-1a", "vx-2a")
    assert found[:5] == [
        "vx-1a eth0 out",
        "core-01 br-vx out",
        "core-01 vx-vx out",
        "core-01 eth1 out udp",
        "core-01 eth1 out udp",
    ]
    assert found[-3:] == ["core-02 vx-vx in", "core-02 br-vx in", "vx-2a eth0 in"]
    outer = next(p.packet for p in each.passages(("vx-1a", "vx-2a", "tcp", 4)) if p.packet.outer)
    assert (outer.source, outer.destination) == ("192.168.70.11", "192.168.70.12")
    assert (outer.protocol, outer.port, outer.family) == ("udp", 4789, 4)


def test_a_router_is_passed_on_both_its_legs() -> None:
    found = way(scene_of("router-segments"), "red-1a", "blue-2a")
    assert "router eth0 in +" in found
    assert "router eth1 out +" in found
    assert found.index("lan lan-x1 out") < found.index("wan wan-x1 in")


def test_ipvlan_l3_is_routed_by_its_node() -> None:
    scene = scene_of("basics-ipvlan")
    kinds = [(p.kind, p.where) for p in scene.passages(("l3-1a", "l3-2a", "icmp", 4))]
    assert kinds[:3] == [("space", "l3-1a"), ("route", "core-01"), ("parent", "core-01")]
    missing = running_fault("node-route-missing")
    place = next(p for p in missing.places(scene) if p.detail[1] == "10.2.2.64/26")
    assert ("l3-2a", "l3-1a", "icmp", 4) in missing.effect(scene, place).certain


@pytest.mark.parametrize("lab", ["one-of-each", "dual-stack", "router-segments", "seen"])
def test_every_place_of_every_fault_has_its_steps_and_cells(lab: str) -> None:
    from underlay.faults import RUNNING

    scene = scene_of(lab)
    for fault in RUNNING:
        for place in fault.places(scene):
            assert fault.inject(scene, place)
            assert fault.undo(scene, place) or fault.keeps(scene, place)
            known = scene.every | {cell_of(value) for value in scene.values}
            assert fault.effect(scene, place).every <= known


def test_addresses_are_taken_back_as_they_are_planned() -> None:
    scene = scene_of("dual-stack")
    missing = running_fault("ipv6-address-missing")
    place = next(missing.places(scene))
    assert missing.inject(scene, place)[0].arguments == ("eth0", "fd00:1::4000:0:0:1/64")


def test_a_default_route_is_of_one_family() -> None:
    four = {"dst": "default", "dev": "eth0"}
    six = {"dst": "default", "dev": "eth0", "metric": 1024, "pref": "medium"}
    assert (route_family(four), route_family(six)) == (4, 6)
    assert contains("default", "10.1.1.1")
    assert not contains("default", "fd00::1")
    assert contains("default", "fd00::1", 6)
    space = Space("x", "x", {"routes": [six]})
    assert best(space, "10.1.1.1") is None
    assert best(space, "fd00::1") == six
