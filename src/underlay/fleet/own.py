"""Hosts' files as nodes have them: at which path, for which program, and what they make there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from underlay.fleet.document import mapping
from underlay.fleet.kinds import NETWORK_CONFIG
from underlay.lab.own import HostFile, Origin, Own, Renamed

if TYPE_CHECKING:
    from underlay.fleet.carried import Carried
    from underlay.fleet.document import Document
    from underlay.fleet.host import Host

# A folder with one of these in it is laid out as the host's own root is (hier(7)).
_ROOT = re.compile(r"(etc|usr|lib|opt|srv|var|home|root|run)/")
# Where a program looks for its files, where the host's folder doesn't say.
_FOLDERS = {
    "cni": "/etc/cni/net.d",
    "networkd": "/etc/systemd/network",
    "networkd_dropin": "/etc/systemd/network",
    "netplan": "/etc/netplan",
    "keyfile": "/etc/NetworkManager/system-connections",
    "ifupdown": "/etc/network",
    "nspawn": "/etc/systemd/nspawn",
    "quadlet": "/etc/containers/systemd",
    "podman-network": "/etc/containers/networks",
    "user-data": "/var/lib/cloud/seed/nocloud",
    "network-config": "/var/lib/cloud/seed/nocloud",
}
# Files that a person or a program of theirs starts, from wherever they lie.
_ELSEWHERE = "/srv"
_PROGRAMS = {
    "cloud_config": "user-data",
    "podman": "podman-network",
    "machine": "nspawn",
    "": "env",
}
# What these hold is put on the node itself: no program of a node reads them.
_TAKEN_APART = ("ignition", "attachment")


def own_of(carried: Carried, hosts: Sequence[Host]) -> Own:
    """Return what nodes have of the files of ``hosts``, from which ``carried`` was made."""
    nodes = dict(zip((host.name for host in hosts), carried.lab["nodes"]["names"], strict=True))
    return Own(
        files={nodes[host.name]: tuple(_files(host)) for host in hosts},
        makers={
            network: {node: path_of(document) for node, document in by_node.items()}
            for network, by_node in carried.makers.items()
        },
        starters={key: path_of(document) for key, document in carried.starters.items()},
        origins=tuple(_origins(carried)),
        renamed=tuple(Renamed(*one) for one in carried.renamed),
    )


def _origins(carried: Carried) -> Iterator[Origin]:
    """Yield where what is predicted by stands in hosts' files."""
    for name, by_node in carried.networks.items():
        for node, network in by_node.items():
            spots = {"driver": network.spot("type"), "parent": network.spot("master")}
            spots |= {"mode": network.spot("mode")} if network.mode else {}
            gateways = (pool.gateway_spot for pool in network.pools if pool.gateway is not None)
            spots |= {
                word: spot
                for word, spot in (
                    ("range", next((pool.spot for pool in network.pools), None)),
                    ("gateway", next(gateways, None)),
                    ("route", next((route.spot for route in network.routes), None)),
                )
                if spot is not None
            }
            for what, spot in spots.items():
                yield Origin(name, node, what, spot)
    for node, interfaces in carried.lab["nodes"].get("interfaces", {}).items():
        for interface in interfaces:
            said = carried.origins.get(("nodes", "interfaces", node, interface))
            if said is not None:
                yield Origin("", node, interface, said)


def path_of(document: Document) -> str:
    """Return where a file is on its host: as another file says, as its folder does, or as usual.

    A host's folder holds what its root does, or it holds files of programs whose own folder is
    known. What neither tells is put below /srv.
    """
    if document.target:
        return document.target
    if _ROOT.match(document.within):
        return f"/{document.within}"
    program = program_of(document)
    folder = _FOLDERS.get(program)
    if folder is None:
        return f"{_ELSEWHERE}/{document.within}"
    if document.kind == "networkd_dropin":
        return f"{folder}/{'/'.join(document.within.split('/')[-2:])}"
    return f"{folder}/{document.name}"


def program_of(document: Document) -> str:
    """Return the program that a file is for, by the name that plans have for it."""
    if document.kind == "netplan" and document.name in NETWORK_CONFIG:
        return "network-config"
    if document.part:
        return "compose-part"
    return _PROGRAMS.get(document.kind, document.kind)


def _files(host: Host) -> Iterator[HostFile]:
    """Yield the files that are put on a node, each once.

    What cloud-config writes it writes on the node; what a NetworkAttachmentDefinition holds has
    nobody else who puts it there. What Ignition puts on its host is there whether it runs or not.
    """
    outer = {document.file: document.kind for document in host.documents if document.within}
    seen: set[str] = set()
    for document in host.documents:
        inside = not document.within and outer.get(document.file) not in _TAKEN_APART
        path = path_of(document)
        nobodys = document.kind == "attachment"
        if not document.text or nobodys or inside or path in seen:
            continue
        seen.add(path)
        mode = document.mode if document.mode is not None else 0o644
        yield HostFile(path, program_of(document), _text(document), mode & 0o777, document.file)


def _text(document: Document) -> str:
    """Return what a file holds, word for word.

    A network that a NetworkAttachmentDefinition holds may be called by the definition's name
    alone; multus hands that on (multus-cni, pkg/k8sclient, GetCNIConfig).
    """
    if document.kind == "cni" and document.target and not document.within:
        try:
            named = "name" in mapping(json.loads(document.text))
        except ValueError:
            named = True
        if not named and mapping(document.data).get("name"):
            return json.dumps(document.data, indent=2) + "\n"
    return document.text
