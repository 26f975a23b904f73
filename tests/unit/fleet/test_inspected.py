"""What engines' ``inspect`` shows, podman's own files and whereabouts: each carried exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from underlay.errors import BadInput
from underlay.fleet import read_hosts
from underlay.fleet.carried import Carried, carry, lab_text
from underlay.lint import Loaded, load
from underlay.lint.hosts import refuse

NIC = "[Match]\nName=eth1\n[Network]\nAddress=192.168.1.{}/24\n"
DOCKER: dict[str, Any] = {
    "Name": "lan",
    "Id": "f00",
    "Scope": "local",
    "Driver": "macvlan",
    "EnableIPv4": True,
    "EnableIPv6": False,
    "IPAM": {
        "Driver": "default",
        "Options": None,
        "Config": [
            {
                "Subnet": "192.168.1.0/24",
                "IPRange": "192.168.1.192/27",
                "Gateway": "192.168.1.1",
                "AuxiliaryAddresses": {"nas": "192.168.1.200"},
            }
        ],
    },
    "Internal": False,
    "Containers": {
        "c0ffee": {
            "Name": "web",
            "EndpointID": "e",
            "MacAddress": "02:42:c0:a8:01:c9",
            "IPv4Address": "192.168.1.201/24",
            "IPv6Address": "",
        }
    },
    "Options": {"parent": "eth1"},
    "Labels": {"com.docker.compose.project": "x"},
    "Status": {"IPAM": {"Subnets": {}}},
}
PODMAN: dict[str, Any] = {
    "name": "pods",
    "id": "f01",
    "driver": "ipvlan",
    "network_interface": "eth1",
    "created": "2026-01-01T00:00:00Z",
    "subnets": [
        {
            "subnet": "10.9.0.0/24",
            "gateway": "10.9.0.1",
            "lease_range": {"start_ip": "10.9.0.64", "end_ip": "10.9.0.79"},
        }
    ],
    "ipv6_enabled": False,
    "internal": False,
    "dns_enabled": False,
    "options": {"mode": "l2", "mtu": "1400"},
    "ipam_options": {"driver": "host-local"},
    "containers": {
        "c1": {
            "name": "db",
            "interfaces": {
                "eth0": {
                    "subnets": [{"ipnet": "10.9.0.70/24", "gateway": "10.9.0.1"}],
                    "mac_address": "",
                }
            },
        }
    },
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(file: str, content: object, number: int = 11) -> None:
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    (Path(path.parts[0]) / "10-eth1.network").write_text(NIC.format(number))


def made(*names: str) -> tuple[Carried, Loaded]:
    hosts = read_hosts([f"{name}={name}" for name in names], inside=True)
    refuse(hosts)
    carried = carry(hosts, {}, "inspected")
    Path("lab.yml").write_text(lab_text(carried, 1))
    return carried, load(Path("lab.yml"))


def test_docker_network_inspect() -> None:
    put("a/lan.json", [DOCKER])
    carried, loaded = made("a")
    assert not loaded.errors
    assert carried.left_out == []
    lan = carried.lab["networks"]["lan"]
    assert lan["ranges"] == {"a": "192.168.1.192/27"}
    assert lan["gateway"] == "192.168.1.1"
    assert lan["reserved"] == ["192.168.1.200"]
    assert carried.lab["containers"] == [
        {
            "on": "a",
            "name": "web",
            "networks": ["lan"],
            "addresses": {"lan": "192.168.1.201"},
            "macs": {"lan": "02:42:c0:a8:01:c9"},
        }
    ]


@pytest.mark.parametrize("several", [False, True])
def test_podman_s_file_and_what_its_inspect_prints(several: bool) -> None:
    put("a/etc/containers/networks/pods.json", PODMAN) if not several else put(
        "a/pods.json", [PODMAN, {**PODMAN, "name": "more", "driver": "bridge"}]
    )
    carried, loaded = made("a")
    assert not loaded.errors
    pods = carried.lab["networks"]["pods"]
    assert (pods["mode"], pods["mtu"], pods["gateway"]) == ("l2", 1400, "10.9.0.1")
    assert pods["ranges"] == {"a": "10.9.0.64-10.9.0.79"}
    (db,) = carried.lab["containers"]
    assert (db["name"], db["addresses"]) == ("db", {"pods": "10.9.0.70"})
    assert any("the network more" in one.what for one in carried.left_out) is several


def test_docker_inspect_of_a_container_has_what_was_asked_for() -> None:
    put("a/lan.json", [{**DOCKER, "Containers": {}}])
    networks = {
        "lan": {"IPAMConfig": {"IPv4Address": "192.168.1.202"}, "IPAddress": "192.168.1.202"}
    }
    free = {"lan": {"IPAMConfig": None, "IPAddress": "192.168.1.193"}}
    put(
        "a/containers.json",
        [
            {"Name": "/one", "NetworkSettings": {"Networks": networks}, "HostConfig": {}},
            {
                "Name": "/two",
                "NetworkSettings": {"Networks": free},
                "HostConfig": {"Sysctls": {"net.ipv4.ip_forward": "1"}},
            },
        ],
    )
    carried, loaded = made("a")
    assert not loaded.errors
    one, two = carried.lab["containers"]
    assert one["addresses"] == {"lan": "192.168.1.202"}
    assert "addresses" not in two
    assert [one.what for one in carried.left_out if one.matters] == ["HostConfig.Sysctls"]


def test_who_stands_in_a_compose_file_stands_there_alone() -> None:
    put("a/lan.json", [DOCKER])
    put(
        "a/compose.yml",
        "services:\n  web:\n    image: x\n    container_name: web\n    networks:\n"
        "      lan: {ipv4_address: 192.168.1.199}\nnetworks:\n  lan: {external: true}\n",
    )
    carried, _ = made("a")
    (web,) = carried.lab["containers"]
    assert web["addresses"] == {"lan": "192.168.1.199"}


def attachment(**ipam: object) -> str:
    config = {"cniVersion": "0.3.1", "type": "macvlan", "master": "eth1",
              "ipam": {"type": "whereabouts", "range": "10.30.0.0/24", **ipam}}  # fmt: skip
    return (
        "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\n"
        f"metadata: {{name: lan}}\nspec:\n  config: '{json.dumps(config)}'\n"
    )


def test_whereabouts_ranges_are_exact_and_it_is_said_not_to_run() -> None:
    ipam = {
        "range_start": "10.30.0.70",
        "range_end": "10.30.0.90",
        "exclude": ["10.30.0.72/30", "10.30.0.71"],
        "gateway": "10.30.0.1",
    }
    for number, host in enumerate("ab", 11):
        put(f"{host}/lan.yaml", attachment(**ipam), number)
    carried, loaded = made("a", "b")
    assert not loaded.errors
    given = [c.attachments[0].address.ip for c in loaded.plan.containers]
    assert given == ["10.30.0.70", "10.30.0.76"]
    assert carried.lab["networks"]["lan"]["gateway"] == "10.30.0.1"
    (said,) = [one for one in carried.assumptions if "whereabouts itself doesn't run" in one.text]
    assert said.weighty
    assert not any(one.matters for one in carried.left_out)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"range_start": "10.30.0.80"}, "range of lan, which hosts hand out of together"),
        ({"exclude": ["10.30.0.71/32"]}, "what lan leaves out"),
    ],
)
def test_hosts_that_differ_about_one_common_range(change: dict[str, object], words: str) -> None:
    put("a/lan.yaml", attachment(range_start="10.30.0.70"))
    put("b/lan.yaml", attachment(**{"range_start": "10.30.0.70", **change}), 12)
    with pytest.raises(BadInput, match=words) as refused:
        made("a", "b")
    assert "a/lan.yaml" in str(refused.value)
    assert "b/lan.yaml" in str(refused.value)


def test_a_range_as_its_ends() -> None:
    put("a/lan.yaml", attachment(range="10.30.0.64-10.30.0.95/24"))
    network = made("a")[0].lab["networks"]["lan"]
    assert (network["subnet"], network["ip_range"]) == ("10.30.0.0/24", "10.30.0.64/27")
    assert "reserved" not in network
