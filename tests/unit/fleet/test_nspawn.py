"""systemd-nspawn's files: what containers are plugged into, and whose units are whose."""

from __future__ import annotations

from pathlib import Path

import pytest

from archive import files_of, unpack
from underlay.errors import BadInput
from underlay.fleet import read_hosts
from underlay.fleet.carried import Carried, carry, lab_text, short_text
from underlay.lint import load
from underlay.lint.hosts import lint_hosts

NIC = """\
-- a/etc/systemd/network/10-eth1.network --
[Match]
Name=eth1
[Network]
Address=192.168.70.11/24
"""
WEB = "-- a/etc/systemd/nspawn/web.nspawn --\n[Network]\n"
INSIDE = "-- a/var/lib/machines/web/etc/systemd/network/80-lan.network --\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(text: str) -> Carried:
    """Return what the files lead to; it has to be a lab without an error."""
    hosts = read_hosts(unpack(files_of(text), Path.cwd()), inside=True)
    carried = carry(hosts, {}, "nspawn")
    Path("lab.yml").write_text(lab_text(carried, 1))
    assert not load(Path("lab.yml")).errors
    return carried


def unit(name: str, address: str = "192.168.70.101/24", more: str = "") -> str:
    return f"{INSIDE}[Match]\nName={name}\n[Network]\nAddress={address}\n{more}"


@pytest.mark.parametrize(
    ("key", "inside", "driver", "mode"),
    [
        ("MACVLAN=eth1", "mv-eth1", "macvlan", "bridge"),
        ("MACVLAN=eth1", "mv-*", "macvlan", "bridge"),
        ("MACVLAN=eth1:uplink", "uplink", "macvlan", "bridge"),
        ("IPVLAN=eth1", "iv-eth1", "ipvlan", "l2"),
        ("MACVLAN=\nIPVLAN=eth1:lan", "lan", "ipvlan", "l2"),
    ],
)
def test_a_child_has_its_container_s_address(key: str, inside: str, driver: str, mode: str) -> None:
    lab = made(f"{NIC}{WEB}{key}\n{unit(inside)}").lab
    ((name, network),) = lab["networks"].items()
    assert (network["driver"], network["mode"], network["runtime"]) == (driver, mode, "cni")
    (container,) = lab["containers"]
    assert container["name"] == "web"
    assert container["addresses"] == {name: "192.168.70.101"}


def test_a_container_s_units_are_none_of_its_host_s() -> None:
    (host,) = read_hosts(unpack(files_of(f"{NIC}{WEB}MACVLAN=eth1\n{unit('eth1')}"), Path.cwd()))
    assert [link.name for link in host.links] == ["eth1"]
    assert [str(address) for address, _ in host.links[0].addresses] == ["192.168.70.11/24"]
    assert [finding.id for finding in lint_hosts((host,))] == ["nspawn-unit-unmatched"]


def test_a_container_s_other_files_are_not_read_and_named() -> None:
    other = INSIDE.replace("systemd/network/80-lan.network", "network/interfaces")
    text = f"{NIC}{WEB}MACVLAN=eth1\n{unit('mv-eth1')}{other}iface eth1 inet static\n"
    carried = made(f"{text}  address 10.9.9.9/24\n")
    assert "var/lib/machines/web/etc/network/interfaces: the file: no reader" in str(
        [str(one) for one in carried.left_out]
    )
    assert "10.9.9.9" not in str(carried.lab)


def test_a_bridge_of_the_host_s_holds_its_nic() -> None:
    bridge = (
        "-- a/etc/systemd/network/20-br0.netdev --\n[NetDev]\nName=br0\nKind=bridge\n"
        "-- a/etc/systemd/network/30-br0.network --\n[Match]\nName=br0\n"
        "[Network]\nAddress=192.168.70.11/24\n"
    )
    nic = NIC.replace("Address=192.168.70.11/24", "Bridge=br0")
    lab = made(f"{nic}{bridge}{WEB}Bridge=br0\n{unit('host0')}").lab
    (network,) = lab["networks"].values()
    assert (network["driver"], network["bridge"]) == ("bridge", "br0")
    with pytest.raises(BadInput, match="no container network") as refused:
        made(f"{NIC}{WEB}Bridge=br9\n{unit('host0')}")
    assert "no file of a makes the bridge br9" in refused.value.hint


def test_a_vlan_that_is_moved_into_a_container_is_one() -> None:
    text = f"{NIC}{WEB}Interface=eth1.70 eth2\n{unit('eth1.70', '10.70.0.5/24')}"
    carried = made(text)
    (network,) = carried.lab["networks"].values()
    assert (network["driver"], network["vlan"]) == ("vlan", 70)
    assert "the interface eth2: a lab's NIC stays its node's" in str(
        [str(one) for one in carried.left_out]
    )


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (
            "Zone=inner",
            "a zone is a bridge of this host alone, and networkd leases addresses on it",
        ),
        ("VirtualEthernet=yes", "a veth joins the container and its own host alone"),
        ("VirtualEthernetExtra=ve-1:x", "a veth joins the container and its own host alone"),
        ("Port=tcp:80:80", "a lab's nodes forward no ports"),
    ],
)
def test_what_a_lab_cannot_have_is_named_with_its_line(key: str, words: str) -> None:
    carried = made(f"{NIC}{WEB}MACVLAN=eth1\n{key}\n{unit('mv-eth1')}")
    (left,) = carried.left_out
    assert (left.why, left.spot.line) == (words, 3)
    assert left.matters


def test_who_has_no_address_gets_one_of_the_lab_s_and_that_is_said() -> None:
    job = WEB.replace("web", "job")
    carried = made(f"{NIC}{WEB}MACVLAN=eth1\n{job}MACVLAN=eth1\n{unit('mv-eth1')}")
    said = [one.text for one in carried.assumptions]
    assert any("no file gives job of a an IPv4 address in mv-eth1" in text for text in said)
    assert any("systemd-nspawn doesn't run" in text for text in said)
    # No file on a node starts it: the node program does.
    assert not carried.starters
    assert not carried.makers["mv-eth1"]


def test_a_lease_is_the_parent_s_subnet_s() -> None:
    leased = f"{INSIDE}[Match]\nName=mv-eth1\n[Network]\nDHCP=yes\n"
    lab = made(f"{NIC}{WEB}MACVLAN=eth1\n{leased}").lab
    (network,) = lab["networks"].values()
    assert (network["ipam"], network["subnet"]) == ("dhcp", "192.168.70.0/24")


def test_a_unit_without_a_container_is_named() -> None:
    other = unit("mv-eth1").replace("machines/web", "machines/gone")
    carried = made(f"{NIC}{WEB}MACVLAN=eth1\n{unit('mv-eth1')}{other}")
    assert "no .nspawn file is called as" in carried.left_out[0].why


def test_a_bad_address_inside_is_an_error_with_its_line() -> None:
    text = f"{NIC}{WEB}MACVLAN=eth1\n{unit('mv-eth1', '192.168.70.101')}"
    (finding,) = lint_hosts(read_hosts(unpack(files_of(text), Path.cwd())))
    assert (finding.id, finding.line) == ("networkd-address", 4)


def test_a_fleet_s_lab_file_says_nothing_of_what_its_files_name() -> None:
    job = WEB.replace("web", "job")
    text = f"{NIC}{WEB}MACVLAN=eth1\n{job}MACVLAN=eth1\n{unit('mv-eth1')}"
    hosts = read_hosts(unpack(files_of(text), Path.cwd()), inside=True)
    Path("lab.yml").write_text(short_text(carry(hosts, {}, "x", real=True), {"a": "a"}, {}))
    loaded = load(Path("lab.yml"))
    assert set(loaded.text.data) >= {"fleet", "networks"}
    said = Path("lab.yml").read_text()
    assert "\ncontainers:" not in said
    assert "# Assumed: containers[0]: no file gives job of a an IPv4 address" in said
    assert sorted(c.name for c in loaded.plan.containers) == ["job", "web"]
    assert {own.program for node in loaded.plan.nodes for own in node.own} == {"networkd", "nspawn"}
    assert not any(network.made_by for network in loaded.plan.networks)
