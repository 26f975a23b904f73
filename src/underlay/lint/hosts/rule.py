"""What rules about hosts' configuration share: their table, sources, and ways through hosts."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator
from typing import TypeVar

from underlay.fleet.host import Host, Network, as_address
from underlay.lint.finding import Rules

Hosts = tuple[Host, ...]

SPEC = "the CNI specification: https://www.cni.dev/docs/spec/"
HOST_LOCAL = "https://www.cni.dev/plugins/current/ipam/host-local/"
RANGE = "containernetworking/plugins, plugins/ipam/host-local/backend/allocator/range.go"
CONFIG = "containernetworking/plugins, plugins/ipam/host-local/backend/allocator/config.go"
MACVLAN = "https://www.cni.dev/plugins/current/main/macvlan/"
IPVLAN = "https://www.cni.dev/plugins/current/main/ipvlan/"
COMPOSE = "the Compose specification: https://docs.docker.com/reference/compose-file/networks/"
DOCKER_MACVLAN = "https://docs.docker.com/engine/network/drivers/macvlan/"
DOCKER_IPVLAN = "https://docs.docker.com/engine/network/drivers/ipvlan/"
WRITE_FILES = "https://docs.cloud-init.io/en/latest/reference/modules.html#write-files"
NETWORKD = "systemd.network(5), systemd.netdev(5)"
QUADLET = "podman-systemd.unit(5)"
NSPAWN = "systemd.nspawn(5)"
NETPLAN = "https://netplan.readthedocs.io/en/stable/netplan-yaml/"
KEYFILE = "nm-settings-keyfile(5)"
ONE_WIRE = "one network is one broadcast domain: IEEE 802.1Q"
IGNITION = "https://coreos.github.io/ignition/specs/"


# What rules need that hold something against a host's own interfaces.
INTERFACES = "interfaces"

RULES: Rules[Hosts] = Rules("host-rules.md")
rule = RULES.rule

Item = TypeVar("Item")


def repeated(pairs: Iterable[tuple[Hashable, Item]]) -> Iterator[tuple[Item, Item]]:
    """Yield the items of ``pairs`` of key and item whose key came before, each after the first."""
    first: dict[Hashable, Item] = {}
    for key, item in pairs:
        if key in first:
            yield first[key], item
        first.setdefault(key, item)


def networks(hosts: Hosts, *drivers: str) -> Iterator[tuple[Host, Network]]:
    """Yield each network with its host; only those of ``drivers`` where some are named."""
    for host in hosts:
        for network in host.networks:
            if not drivers or network.driver in drivers:
                yield host, network


def unknown(text: object) -> bool:
    """Whether a value holds a variable that nothing at hand sets, so that it can't be judged."""
    return "$" in str(text)


def with_prefix(text: object = "", version: int = 4) -> str:
    """Return the address that is ``text`` with a prefix length, as a cure; in words for none."""
    address = as_address(str(text).partition("/")[0].strip())
    if address is None or address.version != version:
        return f"ADDRESS/{24 if version == 4 else 64}"
    return f"{address}/{24 if version == 4 else 64}"


def number_of(text: object) -> int | None:
    """Return ``text`` as a whole number, None where it isn't one."""
    return int(str(text)) if re.fullmatch(r"[0-9]{1,9}", str(text)) else None
