"""What reads a file of a host: told by its folder, else by its name, else by its content.

A name alone is seldom enough: /etc is full of ``10-something.conf`` that is no network's, and
``.network`` is the ending of two programs' files.
"""

from __future__ import annotations

import re

from underlay.fleet.document import Document, mapping, read_json, read_yaml
from underlay.fleet.formats import (
    cloud_config,
    cni,
    ignition,
    inspected,
    ip_commands,
    netplan,
    nspawn,
    quadlet,
    script,
)

NETWORKD = (".network", ".netdev")
YAML = (".yml", ".yaml")
USER_DATA = ("user-data", "user_data", "cloud-config", "cloud_config")
NETWORK_CONFIG = ("network-config", "network_config")
KEYFILE = ".nmconnection"

# What is in one of these is meant for its reader, however broken it may be.
_OWN_FOLDER = re.compile(
    r"(^|/)(net\.d|netplan|system-connections|systemd/network|containers/systemd(/.*)?"
    r"|containers/networks|systemd/nspawn)$"
)
_OWN_NAME = re.compile(
    r"\.(conflist|network|netdev|nmconnection|container|ign|nspawn)$"
    r"|^(user.data|cloud.config|network.config|(docker-)?compose[^/]*\.ya?ml)$"
)
# What tells JSON that can't be read: the words of the formats that would be looked for in it.
_WORDS = (
    ("ignition", re.compile(r'"ignition"\s*:')),
    ("cni", re.compile(r'"cniVersion"\s*:')),
    ("podman", re.compile(r'"network_interface"\s*:')),
    ("docker", re.compile(r'"IPAM"\s*:')),
    ("cni", re.compile(r'"type"\s*:\s*"(macvlan|ipvlan|bridge|vlan|ptp|host-local)"')),
)
_HEAD = re.compile(rf"{cloud_config.HEADER}(?!-)")


def is_meant(document: Document) -> bool:
    """Whether a file that can't be read is meant to be one that this reads."""
    return bool(_OWN_FOLDER.search(document.folder) or _OWN_NAME.search(document.name))


def kind_of(document: Document) -> str:
    """Return the name of the format that a document is in, nothing for one that none reads."""
    name, folder = document.name, document.folder
    machine = nspawn.machine_of(document)
    if name.endswith(nspawn.SUFFIX):
        return "nspawn"
    if machine:
        # What lies in a container's root is its own, and of that its interfaces alone are read.
        unit = folder.endswith("systemd/network") and name.endswith(".network")
        return nspawn.INSIDE if unit else ""
    if _OWN_FOLDER.search(folder):
        return _by_folder(document, folder.rpartition("/")[2])
    if name.endswith(KEYFILE):
        return "keyfile"
    if name.endswith(NETWORKD):
        return "quadlet" if quadlet.is_quadlet(document) else "networkd"
    if folder.endswith(".network.d") and name.endswith(".conf"):
        return "networkd_dropin"
    if name.endswith(quadlet.SUFFIXES):
        return "quadlet" if quadlet.is_quadlet(document) else ""
    if name in USER_DATA or _HEAD.match(document.text):
        return "ignition" if document.text.lstrip().startswith("{") else "cloud_config"
    if name in NETWORK_CONFIG:
        return "netplan"
    if name == "interfaces" or folder.endswith("/interfaces.d"):
        return "ifupdown" if re.search(r"^\s*iface\s", document.text, re.MULTILINE) else ""
    if name.endswith((*cni.SUFFIXES, ".ign")):
        return _kind_of_json(document)
    if name.endswith(".sh") or document.text.startswith("#!"):
        able = script.makes_something(document.text) or ip_commands.makes_links(document.text)
        return "script" if able else ""
    return _kind_of_yaml(document) if name.endswith(YAML) else ""


def _by_folder(document: Document, folder: str) -> str:
    """Return what reads a file of one of the folders that belong to a single program."""
    name = document.name
    hidden = name.startswith(".") or name.endswith(("~", ".bak", ".orig", ".swp"))
    if folder == "net.d":
        return "cni" if name.endswith(cni.SUFFIXES) else ""
    if folder == "netplan":
        return "netplan" if name.endswith(YAML) else ""
    if folder == "system-connections":
        return "" if hidden else "keyfile"
    if document.folder.endswith("systemd/network"):
        return "networkd" if name.endswith(NETWORKD) else ""
    if folder == "networks":
        return "podman" if name.endswith(".json") else ""
    if folder == "nspawn":
        return ""
    return "quadlet" if name.endswith(quadlet.SUFFIXES) else ""


def _kind_of_json(document: Document) -> str:
    text = document.text.lstrip("\ufeff \t\r\n")
    if not text.startswith(("{", "[")) and not document.name.endswith((".conflist", ".ign")):
        return ""
    read_json(document)
    if document.data is None:
        named = {".conflist": "cni", ".ign": "ignition"}
        for suffix, kind in named.items():
            if document.name.endswith(suffix):
                return kind
        return next((kind for kind, word in _WORDS if word.search(text)), "")
    data = document.data
    first = data[0] if isinstance(data, list) and data else data
    keys = mapping(first)
    if ignition.looks_like_ignition(data):
        return "ignition"
    if inspected.looks_like_containers(data):
        return "inspect"
    if "Driver" in keys and ("IPAM" in keys or "Options" in keys):
        return "docker"
    if "network_interface" in keys or ("driver" in keys and "subnets" in keys):
        return "podman"
    return "cni" if cni.looks_like_cni(data) or document.name.endswith(".conflist") else ""


def _kind_of_yaml(document: Document) -> str:
    named = document.name.startswith(("compose", "docker-compose"))
    read_yaml(document)
    if document.data is None:
        # It can't be read, so that its top level keys are all that there is to go by.
        heads = set(re.findall(r"^([a-z_]+):", document.text, re.MULTILINE))
        if named or {"services", "networks"} <= heads:
            return "compose"
        return "netplan" if heads == {"network"} else ""
    keys = mapping(document.data)
    services = mapping(keys.get("services")).values()
    if named or any({"image", "build", "extends"} & set(mapping(each)) for each in services):
        return "compose"
    if any(kind in mapping(keys.get("network")) for kind in netplan.KINDS):
        return "netplan"
    if keys.get("kind") == "NetworkAttachmentDefinition":
        return "attachment"
    return "cloud_config" if "write_files" in keys else ""
