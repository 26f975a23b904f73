"""What the golden user-data says to cloud-init, read as cloud-init reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

GOLDEN = Path(__file__).parents[2] / "golden" / "files"
# Of a fleet's nodes only what is rendered for their own files is kept there: no meta-data.
NODES = sorted(path.parent for path in GOLDEN.glob("*/*/meta-data"))

# Where cloud-init puts what stands beside it in the node's folder.
INSTALLED = {
    "net.d": "/etc/rkt/net.d",
    "docker": "/etc/underlay/docker",
    "node.json": "/etc/underlay/node.json",
}

each_node = pytest.mark.parametrize(
    "node", NODES, ids=[str(path.relative_to(GOLDEN)) for path in NODES]
)


def load(path: Path) -> dict[str, Any]:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def test_there_are_nodes() -> None:
    assert len(NODES) == 4


@each_node
def test_it_is_marked_as_cloud_config(node: Path) -> None:
    assert (node / "user-data").read_text(encoding="utf-8").startswith("#cloud-config\n")


@each_node
def test_every_file_beside_it_is_written_unchanged(node: Path) -> None:
    written = {file["path"]: file["content"] for file in load(node / "user-data")["write_files"]}
    expected = {}
    for name, target in INSTALLED.items():
        path = node / name
        for file in sorted(path.iterdir()) if path.is_dir() else [path] * path.exists():
            where = f"{target}/{file.name}" if path.is_dir() else target
            expected[where] = file.read_text(encoding="utf-8")
    assert written == expected


@each_node
def test_every_written_file_is_roots_and_readable(node: Path) -> None:
    for file in load(node / "user-data")["write_files"]:
        assert (file["permissions"], file["owner"]) == ("0644", "root:root")
        assert set(file) == {"path", "permissions", "owner", "content"}
        json.loads(file["content"])


@each_node
def test_the_user_logs_in_by_key_alone_and_may_use_sudo(node: Path) -> None:
    (user,) = load(node / "user-data")["users"]
    assert user["name"] == "core"
    assert user["lock_passwd"] is True
    assert "NOPASSWD" in user["sudo"]
    assert [key.split()[0] for key in user["ssh_authorized_keys"]] == ["ssh-ed25519"]


@each_node
def test_the_node_applies_the_files_and_installs_nothing(node: Path) -> None:
    data = load(node / "user-data")
    assert data["runcmd"][-1] == ["/opt/underlay/node"]
    assert ["mount", "-o", "ro", "LABEL=cidata", "/run/underlay/seed"] in data["runcmd"]
    assert not {"packages", "package_update", "package_upgrade", "apt"} & set(data)


@each_node
def test_every_vlan_link_is_created(node: Path) -> None:
    links = load(node / "network-config").get("vlans", {})
    commands = "\n".join(load(node / "user-data").get("bootcmd", []))
    for name, link in links.items():
        assert f"link {link['link']} name {name} type vlan id {link['id']}" in commands
    assert commands.count("type vlan") == len(links)


@each_node
def test_every_nic_is_found_by_its_mac_address(node: Path) -> None:
    nics = load(node / "network-config")["ethernets"]
    assert list(nics) == [f"eth{number}" for number in range(len(nics))]
    assert {nic["set-name"] for nic in nics.values()} == set(nics)
    assert len({nic["match"]["macaddress"] for nic in nics.values()}) == len(nics)


@each_node
def test_no_nic_has_a_gateway(node: Path) -> None:
    for nic in load(node / "network-config")["ethernets"].values():
        assert all(set(route) == {"to"} for route in nic.get("routes", []))
        assert not {"gateway4", "gateway6"} & set(nic)
        assert (nic["dhcp4"], nic["dhcp6"], nic["optional"]) == (False, False, True)


@each_node
def test_the_instance_is_the_nodes_own(node: Path) -> None:
    data = load(node / "meta-data")
    assert data["local-hostname"] == node.name
    assert data["instance-id"].startswith(f"{node.parent.name}-{node.name}-")
