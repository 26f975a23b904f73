"""Switch ports with VLANs: what a lab file may say, what is planned, predicted and set up."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.cluster.providers.uml import wiring
from underlay.errors import UnderlayError
from underlay.expect import Expectation, Prediction, predict
from underlay.expect.world import World
from underlay.faults import Scene, running_fault
from underlay.lint.read import read_lab
from underlay.plan import Plan, PortVlans, make_plan, plan_from_json

LAB = """\
name: ports
nodes: 3
segments:
  lan:
    subnet: 192.168.60.0/24
    ports: PORTS
networks:
  plain: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24, runtime: iproute2}
  tagged: {driver: macvlan, segment: lan, vlan: 70, subnet: 10.1.2.0/24, runtime: iproute2}
containers:
  - {on: all, networks: [plain]}
  - {on: all, networks: [tagged]}
"""


def written(tmp_path: Path, ports: str, lab: str = LAB) -> Path:
    file = tmp_path / "ports.yml"
    file.write_text(lab.replace("PORTS", ports))
    return file


def planned(tmp_path: Path, ports: str) -> Plan:
    return make_plan(read_lab(written(tmp_path, ports)))


def cell(plan: Plan, source: str, destination: str) -> Expectation:
    (found,) = [
        one
        for one in predict(plan)
        if (one.source, one.destination, one.protocol) == (source, destination, "icmp")
    ]
    return found


@pytest.mark.parametrize(
    ("port", "tag", "inside", "returns"),
    [
        (PortVlans((), 70), None, 70, True),
        (PortVlans((), 70), 70, 70, False),
        (PortVlans((), 70), 80, None, True),
        (PortVlans((70, 80), None), 70, 70, True),
        (PortVlans((70, 80), None), None, None, True),
        (PortVlans((70,), 5), None, 5, True),
        (PortVlans((70,), 5), 5, 5, False),
    ],
)
def test_where_a_frame_gets(port: PortVlans, tag: int | None, inside: int, returns: bool) -> None:
    assert (port.enters(tag), port.returns(tag)) == (inside, returns)


def test_a_lab_without_ports_has_no_switch_machine(tmp_path: Path) -> None:
    plan = planned(tmp_path, "{}")
    assert plan.switch is None
    assert plan.machines == plan.nodes
    assert not any("vlan_filtering" in text for _, text in wiring.setup(plan))


def test_the_switch_is_a_lean_machine_with_a_nic_for_each_port(tmp_path: Path) -> None:
    plan = planned(tmp_path, "{core-01: {trunk: [70], native: 10}}")
    assert plan.switch
    assert plan.switch.profile == "lean"
    assert [nic.interface for nic in plan.switch.nics] == ["lan-1", "lan-2", "lan-3"]
    assert plan.segments[0].vlans["core-03"] == PortVlans(untagged=1)
    assert plan_from_json(plan.to_json()) == plan


def test_what_the_switch_and_the_sandbox_are_told(tmp_path: Path) -> None:
    plan = planned(tmp_path, "{core-01: {trunk: [70, 80], native: 10}, core-02: {access: 70}}")
    program = wiring.machine_program(plan).decode()
    assert "vlan_filtering 1 vlan_default_pvid 0" in program
    for line in (
        "vlan add dev lan-1 vid 80\n",
        "vlan add dev lan-1 vid 10 pvid untagged\n",
        "vlan add dev lan-2 vid 70 pvid untagged\n",
        "vlan add dev lan-3 vid 1 pvid untagged\n",
    ):
        assert line in program
    sandbox = "".join(text for _, text in wiring.setup(plan))
    assert "br-lan" not in sandbox
    assert "link set lan-1 mtu 1500 addrgenmode none master cable_1 up" in sandbox
    assert "link set plug_1 mtu 1500 addrgenmode none master cable_1 up" in sandbox


def test_a_trunk_carries_its_vlans_and_no_others(tmp_path: Path) -> None:
    plan = planned(
        tmp_path, "{core-01: {trunk: [70]}, core-02: {trunk: [70]}, core-03: {trunk: [80]}}"
    )
    assert cell(plan, "tagged-1a", "tagged-2a").reachable
    assert cell(plan, "tagged-1a", "tagged-3a").rule == "port-not-a-member"
    assert cell(plan, "plain-1a", "plain-2a").rule == "port-not-a-member"


def test_a_native_vlan_carries_what_has_no_tag(tmp_path: Path) -> None:
    plan = planned(
        tmp_path, "{core-01: {trunk: [70], native: 9}, core-02: {trunk: [70], native: 9}}"
    )
    assert cell(plan, "plain-1a", "plain-2a").reachable
    assert cell(plan, "plain-1a", "plain-3a").rule == "native-mismatch"


def test_an_access_port_takes_the_tag_off(tmp_path: Path) -> None:
    plan = planned(tmp_path, "{core-01: {trunk: [70]}, core-02: {access: 70}}")
    leaked = cell(plan, "tagged-1a", "plain-2a")
    assert leaked.reachable
    assert "retagged" in leaked.rule
    assert cell(plan, "tagged-2a", "tagged-1a").rule == "port-untags"
    assert cell(plan, "tagged-1a", "tagged-2a").also == ("no_answer",)


@pytest.mark.parametrize(
    ("ports", "line", "words"),
    [
        ("{core-09: {access: 70}}", 6, "core-09"),
        ("{core-01: {access: 70, trunk: [80]}}", 6, "trunk beside access"),
        ("{core-01: {access: 70, native: 80}}", 6, "native beside access"),
        ("{core-01: {native: 70}}", 6, "native without trunk"),
        ("{core-01: {}}", 6, "a port without VLANs"),
        ("{core-01: {trunk: [70, 70]}}", 6, "a second time"),
        ("{core-01: {trunk: [4095]}}", 6, "4095"),
        ("{core-01: {acces: 70}}", 6, "access"),
    ],
)
def test_what_is_refused(tmp_path: Path, ports: str, line: int, words: str) -> None:
    with pytest.raises(UnderlayError) as caught:
        read_lab(written(tmp_path, ports))
    assert f"ports.yml:{line}:" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("ports", "fine"),
    [("{core-01: {access: 70}}", False), ("{core-01: {trunk: [70], native: 1}}", True)],
)
def test_an_overlay_needs_one_untagged_vlan(tmp_path: Path, ports: str, fine: bool) -> None:
    tunnel = "plain: {driver: vxlan, vni: 9, segment: lan, subnet: 10.1.1.0/24, runtime: iproute2}"
    lab = "\n".join(
        f"  {tunnel}" if line.startswith("  plain:") else line for line in LAB.splitlines()
    )
    file = written(tmp_path, ports, lab)
    if fine:
        read_lab(file)
        return
    with pytest.raises(UnderlayError, match="vxlan over switch ports with different VLANs"):
        read_lab(file)


def test_a_vlan_off_a_trunk_loses_all_that_passes_in_it(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        "{core-01: {trunk: [70], native: 9}, core-02: {access: 70}, core-03: {trunk: [70]}}",
    )
    scene, fault = Scene(Prediction(plan)), running_fault("vlan-not-on-trunk")
    place = next(one for one in fault.places(scene) if one.node == "core-01")
    lost = {cell[:2] for cell in fault.effect(scene, place).certain}
    # With its tag or without, as the other end's port has it; not what is in another VLAN.
    assert ("tagged-1a", "plain-2a") in lost
    assert ("plain-2a", "tagged-1a") in lost
    assert ("tagged-1a", "tagged-3a") in lost
    assert not any("plain-1a" in cell or "core-03" == cell[0] == cell[1] for cell in lost)
    (step,) = fault.inject(scene, place)
    assert (step.target, step.arguments) == ("switch", ("lan-1", "70"))


@pytest.mark.parametrize("fault", ["switch-drops", "node-hung", "fdb-wrong-port", "wrong-segment"])
def test_faults_that_make_no_sense_there(tmp_path: Path, fault: str) -> None:
    scene = Scene(Prediction(planned(tmp_path, "{core-01: {access: 70}}")))
    assert not list(running_fault(fault).places(scene))
    assert running_fault(fault).no_place
    if fault != "wrong-segment":
        assert list(running_fault(fault).places(Scene(Prediction(planned(tmp_path, "{}")))))


def test_what_spills_stays_off_its_own_port(tmp_path: Path) -> None:
    plan = planned(tmp_path, "{core-01: {trunk: [70], native: 70}, core-02: {trunk: [70]}}")
    world = World(plan)
    link = world.spaces["tagged-1a"].links[0]
    hearers = {one.space for one in world.one_way(link)}
    assert {"tagged-2a", "core-02"} <= hearers
    assert not {"plain-1a", "core-01"} & hearers
    assert not world.one_way(world.spaces["tagged-2a"].links[0])
