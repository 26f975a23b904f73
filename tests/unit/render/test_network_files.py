"""What a network's options lead to in net.d files, Docker networks and the list of containers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.render import render_all

LAB = """\
name: options
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24, mtu: 1400}
networks:
  plain: {driver: macvlan, segment: lan, subnet: 10.1.0.0/24}
  whole: {driver: macvlan, mode: vepa, segment: lan, subnet: 10.2.0.0/24, sliced: false}
  routed: {driver: macvlan, segment: lan, subnet: 10.3.0.0/24,
           gateway: 10.3.0.1, default_route: gateway, file: 50-routed.conflist}
  silent: {driver: macvlan, segment: lan, vlan: 9, subnet: 10.4.0.0/24,
           default_route: none, mtu: 1300}
  dock: {driver: ipvlan, mode: l3, segment: lan, vlan: 10, subnet: 10.5.0.0/24,
         gateway: 10.5.0.1, default_route: gateway, runtime: docker}
  dockwhole: {driver: ipvlan, segment: lan, vlan: 10, subnet: 10.6.0.0/24,
              sliced: false, runtime: docker}
  over: {driver: vxlan, vni: 7, segment: lan, subnet: 10.7.0.0/24}
containers:
"""

LABS = Path(__file__).resolve().parents[3] / "labs"

ON_LINK = [{"dst": "0.0.0.0/0", "gw": "0.0.0.0"}]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folder of each lab's files, rendered by one run of Ansible.

    ``options`` uses every option, ``bare`` has no container on core-02.
    """
    folder = tmp_path_factory.mktemp("options")
    (folder / "options.yml").write_text(
        LAB + "  - {on: core-02, networks: [plain, routed]}\n  - {networks: [dock]}\n"
    )
    bare = LAB + "  - {on: core-01, networks: [plain]}\n"
    (folder / "bare.yml").write_text(bare.replace("name: options", "name: bare"))
    files = (folder / "options.yml", folder / "bare.yml", LABS / "podman-dhcp.yml")
    plans = [make_plan(read_lab(file)) for file in files]
    entries = render_all(plans, "ssh-ed25519 AAAA options", folder / "cache")
    return {plan.lab: entry for plan, entry in zip(plans, entries, strict=True)}


@pytest.fixture
def node(made: dict[str, Path]) -> Path:
    """Return the folder of core-02's files in the lab that uses every option."""
    return made["options"] / "core-02"


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_plain_network(node: Path) -> None:
    assert load(node / "net.d" / "10-plain.conf") == {
        "cniVersion": "1.0.0",
        "name": "plain",
        "type": "macvlan",
        "master": "eth1",
        "mode": "bridge",
        "mtu": 1400,
        "ipam": {
            "type": "host-local",
            "subnet": "10.1.0.0/24",
            "rangeStart": "10.1.0.129",
            "rangeEnd": "10.1.0.191",
            "routes": ON_LINK,
        },
    }


def test_containers_of_an_overlay_are_plugged_into_its_bridge(node: Path) -> None:
    plugin = load(node / "net.d" / "70-over.conf")
    assert (plugin["type"], plugin["bridge"], plugin["mtu"]) == ("bridge", "br-over", 1350)
    assert not {"master", "mode"} & set(plugin)


def test_an_unsliced_network_has_no_range(node: Path) -> None:
    network = load(node / "net.d" / "20-whole.conf")
    assert network["mode"] == "vepa"
    assert network["ipam"] == {"type": "host-local", "subnet": "10.2.0.0/24", "routes": ON_LINK}


def test_a_conflist_holds_the_same_in_a_list_of_plugins(node: Path) -> None:
    network = load(node / "net.d" / "50-routed.conflist")
    (plugin,) = network.pop("plugins")
    assert network == {"cniVersion": "1.0.0", "name": "routed"}
    assert plugin["type"] == "macvlan"
    assert plugin["ipam"]["gateway"] == "10.3.0.1"
    assert plugin["ipam"]["routes"] == [{"dst": "0.0.0.0/0", "gw": "10.3.0.1"}]


def test_without_default_route_there_is_none(node: Path) -> None:
    network = load(node / "net.d" / "40-silent.conf")
    assert (network["master"], network["mtu"]) == ("eth1.9", 1300)
    assert network["ipam"]["routes"] == []


def test_docker_networks(node: Path) -> None:
    assert load(node / "docker" / "dock.json") == {
        "Name": "dock",
        "Driver": "ipvlan",
        "IPAM": {
            "Config": [{"Subnet": "10.5.0.0/24", "IPRange": "10.5.0.128/26", "Gateway": "10.5.0.1"}]
        },
        "Options": {
            "parent": "eth1.10",
            "ipvlan_mode": "l3",
            "com.docker.network.driver.mtu": "1400",
        },
    }
    whole = load(node / "docker" / "dockwhole.json")
    assert whole["IPAM"]["Config"] == [{"Subnet": "10.6.0.0/24"}]


def test_the_list_of_containers_is_the_nodes_own(node: Path) -> None:
    both, docked = load(node / "node.json")["containers"]
    assert (both["name"], both["runtime"]) == ("plain-2a", "cni")
    assert both["attachments"] == [
        {
            "network": "plain",
            "interface": "eth0",
            "address": "10.1.0.129/24",
            "address6": "",
            "allow": [],
            "more": [],
            "mac": "02:75:10:02:00:01",
        },
        {
            "network": "routed",
            "interface": "eth1",
            "address": "10.3.0.129/24",
            "address6": "",
            "allow": [],
            "more": [],
            "mac": "02:75:12:02:00:01",
        },
    ]
    assert (docked["name"], docked["runtime"]) == ("dock-2a", "docker")


def test_a_node_without_containers_has_an_empty_list(made: dict[str, Path]) -> None:
    assert load(made["bare"] / "core-02" / "node.json")["containers"] == []


def test_podman_is_told_no_subnet_of_what_a_server_leases(made: dict[str, Path]) -> None:
    network = load(made["podman-dhcp"] / "core-01" / "podman" / "tagged.json")
    assert network["ipam_options"] == {"driver": "dhcp"}
    assert network["subnets"] == []
    assert (network["network_interface"], network["driver"]) == ("eth1.70", "macvlan")
