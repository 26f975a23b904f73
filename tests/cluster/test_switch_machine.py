"""Switch ports with VLANs, and bonds: where the switch is, what its faults lose, and failover."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout, Lab, written

PORTS = """\
name: ports
nodes: {count: 2, profile: lean}
segments:
  lan:
    subnet: 192.168.60.0/24
    ports: {core-01: {trunk: [70], native: 1}, core-02: {access: 70}}
networks:
  plain: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24, runtime: iproute2}
  tagged: {driver: macvlan, segment: lan, vlan: 70, subnet: 10.1.2.0/24, runtime: iproute2}
containers:
  - {on: all, networks: [plain]}
  - {on: core-01, networks: [tagged]}
"""
BOND = """\
name: bonded
nodes: {count: 2, profile: lean}
segments:
  lan: {subnet: 192.168.60.0/24, bond: active-backup}
networks:
  mac: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24, runtime: iproute2}
  ip70: {driver: ipvlan, parent: bond1.70, subnet: 10.1.2.0/24, runtime: iproute2}
containers:
  - {on: all, networks: [mac]}
  - {on: all, networks: [ip70]}
"""


@pytest.fixture
def own(copy: Checkout, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    name, text = request.param
    with written(copy, tmp_path, name, text) as lab:
        yield lab


@pytest.mark.all
@pytest.mark.parametrize("own", [("ports", PORTS)], indirect=True)
def test_the_switch_is_a_machine_that_comes_and_goes_with_the_lab(own: Lab) -> None:
    before = interfaces()
    done = own.up()
    assert done.code == 0, str(done)
    own.check().prove_green()
    assert own.status()["switch"]["machine"]["state"] == "running"
    assert own.shell("switch", "cat /proc/sys/kernel/hostname").strip() == "switch"
    assert "70 PVID Egress Untagged" in own.shell("switch", "bridge vlan show dev lan-2")
    # A VLAN that is taken off the trunk is missed by those who use it, and by nobody else.
    with own.broken(
        "switch", "bridge vlan delete dev lan-1 vid 70", "bridge vlan add dev lan-1 vid 70"
    ) as broken:
        lost = {name for cell in broken.differing for name in cell[:2]}
        found = own.verb("explain", "--json").document()["causes"]
    assert "tagged-1a" in lost
    assert "plain-1a" not in lost
    assert [cause["id"] for cause in found] == ["vlan-not-on-trunk"]
    done = own.verb("break", "node-hung")
    assert done.code == 2, str(done)
    done = own.down()
    assert done.code == 0, str(done)
    prove_nothing_is_left(own.checkout, before)


@pytest.mark.all
@pytest.mark.parametrize("own", [("bonded", BOND)], indirect=True)
def test_a_bond_changes_over_and_its_children_go_on(own: Lab) -> None:
    done = own.up()
    assert done.code == 0, str(done)
    own.check().prove_green()
    for card, other in (("eth1", "eth2"), ("eth2", "eth1")):
        own.shell("core-01", f"ip link set {card} down; sleep 0.5")
        state = own.shell("core-01", "cat /proc/net/bonding/bond1")
        assert f"Currently Active Slave: {other}" in state
        own.check().prove_green()
        own.shell("core-01", f"ip link set {card} up; sleep 0.5")
    # With both gone there is nothing to change over to.
    with own.broken(
        "core-01",
        "ip link set eth1 down; ip link set eth2 down",
        "ip link set eth1 up; ip link set eth2 up; sleep 0.5",
    ) as broken:
        assert broken.differing
    own.check().prove_green()
