"""What cloud-init and the runtimes read in a node's rendered files, compared with the plan."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from underlay.plan import Plan, PlannedNode
from underlay.storage import paths

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdvbGRlbmdvbGRlbmdvbGRlbmdvbGRlbmdvbGRl golden"
SHIPPED = sorted(
    path
    for path in (paths.root() / "labs").rglob("*.yml")
    if "broken" not in path.relative_to(paths.root()).parts
)
# So many are rendered by one run of Ansible, which has a deadline.
BATCH = 4
NODE = {"node.json": "/etc/underlay/node.json"}
SEED = {"user-data", "meta-data", "network-config"}
IGNITION, NETWORKD = "config.ign", "/etc/systemd/network/10-cloud-init"


def read_back(plan: Plan, node: PlannedNode, folder: Path, key: str) -> set[str]:
    """Compare all files of a node with the plan, and return the names that they should have.

    YAML is read by PyYAML, as cloud-init does: by the rules of YAML 1.1.
    """
    told = json.loads(plan.to_json())
    targets = {}
    for network in told["networks"]:
        file, target = _placed(network)
        if file:
            targets[file] = target
            _network(json.loads((folder / file).read_text()), network)
    targets |= NODE
    document = json.loads((folder / "node.json").read_text())
    for each in told["nodes"]:
        each.pop("config", None)
        each.pop("ignition_as", None)
        each.pop("ignition_in", None)
    assert document == {
        "lab": plan.lab,
        "node": next(each for each in told["nodes"] if each["name"] == node.name),
        "networks": told["networks"],
        "containers": [each for each in told["containers"] if each["node"] == node.name],
        "files": list(targets.values()),
    }
    if node.config == "ignition":
        _ignition(node, json.loads((folder / IGNITION).read_text()), targets, folder)
        return {*targets, IGNITION}
    read = {name: yaml.safe_load((folder / name).read_text()) for name in SEED}
    assert read["meta-data"]["local-hostname"] == node.name
    assert read["meta-data"]["instance-id"].startswith(f"{plan.lab}-{node.name}-")
    written = {file["path"]: file["content"].strip() for file in read["user-data"]["write_files"]}
    assert written == {to: (folder / file).read_text().strip() for file, to in targets.items()}
    _user_data(plan, node, read["user-data"], key)
    _network_config(node, read["network-config"])
    return {*targets, *SEED}


def _ignition(
    node: PlannedNode, read: dict[str, Any], targets: dict[str, str], folder: Path
) -> None:
    assert read["ignition"] == {"version": "3.3.0"}
    written = {each["path"]: each for each in read["storage"]["files"]}
    assert len(written) == len(read["storage"]["files"])
    texts = {
        path: unquote(each["contents"]["source"].removeprefix("data:,"))
        for path, each in written.items()
    }
    for file, to in targets.items():
        assert texts[to].strip() == (folder / file).read_text().strip()
        assert (written[to]["mode"], written[to]["user"]["id"]) == (0o644, 0)
    assert texts["/etc/hostname"] == f"{node.name}\n"
    units = {path.rpartition("/10-cloud-init-")[2] for path in texts if "/network/" in path}
    for nic in (node.management, *node.nics):
        assert f"MACAddress={nic.mac}\n" in texts[f"{NETWORKD}-{nic.interface}.link"]
        assert {f"{nic.interface}.link", f"{nic.interface}.network"} <= units
    for vlan in node.vlans:
        assert f"Id={vlan.vlan}\n" in texts[f"{NETWORKD}-{vlan.interface}.netdev"]
        drop_in = f"{NETWORKD}-{vlan.link}.network.d/vlans.conf"
        assert f"VLAN={vlan.interface}\n" in texts[drop_in]
    (unit,) = read["systemd"]["units"]
    assert (unit["name"], unit["enabled"]) == ("underlay-node.service", True)


def strings(value: Any) -> Iterator[str]:
    """Yield every string in a tree of lists and mappings, keys too."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, (list, tuple)):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def _placed(network: dict[str, Any]) -> tuple[str, str]:
    """Return the name of a network's own file, and where it belongs on the node."""
    name = network["name"]
    return {
        "cni": (f"net.d/{network['file']}", f"/etc/rkt/net.d/{network['file']}"),
        "docker": (f"docker/{name}.json", f"/etc/underlay/docker/{name}.json"),
        "podman": (f"podman/{name}.json", f"/etc/containers/networks/{name}.json"),
    }.get(network["runtime"], ("", ""))


def _network(read: dict[str, Any], network: dict[str, Any]) -> None:
    read = {**read, **read.pop("plugins", [{}])[0]}
    options = {**read.get("Options", {}), **read}
    assert network["name"] in (options.get("name"), options.get("Name"))
    parents = [options.get(word) for word in ("master", "network_interface", "parent")]
    assert network["parent"] in parents
    said = set(strings(read))
    subnets = {pool["subnet"] for pool in network["pools"]}
    assert {*subnets, *(route["to"] for route in network["routes"])} <= said


def _user_data(plan: Plan, node: PlannedNode, read: dict[str, Any], key: str) -> None:
    (user,) = read["users"]
    assert user["name"] == plan.user
    assert user["ssh_authorized_keys"] == [key]
    commands = [shlex.split(line) for line in read.get("bootcmd", [])]
    assert {words[-2] for words in commands if words[-1] == "up"} == {v.link for v in node.vlans}
    made = {words[words.index("name") + 1] for words in commands if "name" in words}
    assert made == {vlan.interface for vlan in node.vlans}


def _network_config(node: PlannedNode, read: dict[str, Any]) -> None:
    cards = {nic.interface: nic for nic in (node.management, *node.nics)}
    assert set(read["ethernets"]) == set(cards)
    for name, said in read["ethernets"].items():
        nic = cards[name]
        assert (said["match"], said["set-name"]) == ({"macaddress": nic.mac}, name)
        assert said["addresses"] == [a for a in (nic.address, nic.address6) if a]
        own = [route for route in node.routes if route.interface == name]
        routes = [{"to": r.to, **({"via": r.via} if r.via else {})} for r in own]
        assert said.get("routes", []) == routes
    vlans = {vlan.interface: (vlan.vlan, vlan.link) for vlan in node.vlans}
    read_vlans = read.get("vlans", {})
    assert {name: (said["id"], said["link"]) for name, said in read_vlans.items()} == vlans
