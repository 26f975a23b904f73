"""External hosts that speak VLANs: where they stand, and who reaches whom by way of them."""

from __future__ import annotations

from pathlib import Path

from underlay.cluster.providers.uml import wiring
from underlay.expect import predict
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan, plan_from_json

LAB = Path(__file__).resolve().parents[3] / "labs" / "router-external.yml"
# What nobody can lease or advertise where the host isn't in the VLAN.
SERVED = {"slaac: true, ": "", "ipam: dhcp, ": ""}


def plan_of(tmp_path: Path, changes: dict[str, str] | None = None) -> Plan:
    text = LAB.read_text(encoding="utf-8")
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "lab.yml"
    file.write_text(text, encoding="utf-8")
    return make_plan(read_lab(file))


def reaches(plan: Plan, source: str, destination: str) -> set[tuple[bool, str]]:
    return {
        (cell.reachable, cell.rule)
        for cell in predict(plan)
        if (cell.source, cell.destination, cell.kind) == (source, destination, "reach")
    }


def test_a_host_has_a_sub_interface_for_each_vlan_of_its_cable(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    ports = plan.host("router").ports
    assert [(p.interface, p.nic, p.vlan) for p in ports] == [
        ("eth0", "eth0", None),
        ("eth0.70", "eth0", 70),
        ("eth0.80", "eth0", 80),
    ]
    assert len({(port.port, port.mac) for port in ports}) == 1
    assert plan_from_json(plan.to_json()) == plan


def test_hosts_that_speak_vlans_stand_in_the_switch(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert plan.switch
    # Its cards are the nodes' ports: the host's cable is inside.
    assert [nic.interface for nic in plan.switch.nics] == ["trunk-1", "trunk-2"]
    program = wiring.machine_program(plan).decode()
    assert program.count("type veth peer name eth0 mtu 1500") == 1
    assert "link add link eth0 name eth0.70 mtu 1500 type vlan id 70\n" in program
    assert "vlan_filtering" not in program
    assert not any("netns" in command for command, _ in wiring.setup(plan))


def test_hosts_without_tags_stay_in_the_sandbox(tmp_path: Path) -> None:
    tags = {"vlan: 70, addresses": "addresses", "- {vlan: 80": "#- {vlan: 80"}
    untagged = {"- {addresses: [192.168.60.250/24]}": ""}
    plan = plan_of(tmp_path, {**SERVED, **tags, **untagged})
    assert plan.switch is None
    assert not plan.hosts_at_switch
    assert any("netns" in command for command, _ in wiring.setup(plan))


def test_the_router_joins_the_vlans_that_it_is_in(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert reaches(plan, "v70-1a", "v80-2a") == {(True, "forwarded")}
    assert {reachable for reachable, _ in reaches(plan, "v70-1a", "v90-1a")} == {False}
    assert reaches(plan, "router", "v90-1a") == {(False, "no-route")}


def test_without_forwarding_it_joins_nothing(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"forwards: true": "forwards: false"})
    assert reaches(plan, "v70-1a", "v80-2a") == {(False, "gateway-silent")}
    assert {reachable for reachable, _ in reaches(plan, "router", "v80-2a")} == {True}


def test_without_the_tag_nobody_is_there(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {**SERVED, "{vlan: 80, a": "{vlan: 81, a"})
    assert reaches(plan, "v80-1a", "v70-1a") == {(False, "gateway-nobody")}


def test_what_it_serves_is_told_apart_by_network(tmp_path: Path) -> None:
    lines = plan_of(tmp_path).host("router").services.splitlines()
    assert "dhcp-range=set:v80,10.1.80.0,static,255.255.255.0,1h" in lines
    assert "dhcp-option=tag:v80,option:router,10.1.80.1" in lines
    assert "dhcp-range=fd00:70::,ra-only,64" in lines
