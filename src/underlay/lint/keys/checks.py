"""What no single key can tell: keys that need or contradict each other, names that lead nowhere.

Each check is a function from the lab's valid parts to problems; ``CHECKS`` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from underlay.lab.text import LabText, Problem
from underlay.lint.keys import (
    addresses,
    configuration,
    filters,
    interfaces,
    names,
    networks,
    own,
    pools,
    ports,
    programs,
    shims,
)
from underlay.lint.keys.parts import Parts, parts_of

CHECKS: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    networks.parent,
    networks.mode,
    networks.files,
    names.groups,
    names.node_name,
    names.nodes,
    names.names,
    interfaces.interface_name,
    interfaces.interface_key,
    networks.profile,
    configuration.config,
    networks.gateway_route,
    networks.driver_key,
    networks.needed_key,
    networks.runtime,
    networks.device,
    networks.same_tunnel,
    networks.bridge_port,
    networks.one_vlan_link,
    pools.subnet,
    pools.subnets,
    pools.pools,
    pools.ranges,
    pools.reserved_by_docker,
    addresses.usable,
    addresses.segments,
    addresses.networks,
    addresses.collisions,
    addresses.gateways,
    addresses.fixed,
    names.container_name,
    names.labels,
    addresses.reserved,
    addresses.ipv6,
    names.hosts,
    networks.ipam,
    names.port_name,
    ports.port_vlans,
    ports.port_overlay,
    ports.snooping,
    ports.bond,
    filters.filters,
    filters.filters_and_checks,
    filters.chosen_port,
    programs.program,
    programs.program_ports,
    shims.shims,
    own.fleet_node,
    own.fleet_nics,
    own.node_interfaces,
    own.node_vlans,
)


def cross_check(text: LabText) -> list[Problem]:
    """Return what contradicts itself in a lab file whose top level is a mapping."""
    parts = parts_of(text)
    return [replace(found, id=kind_of(check)) for check in CHECKS for found in check(parts)]


def kind_of(check: Callable[[Parts], Iterator[Problem]]) -> str:
    """Return the id of the problems that ``check`` finds: its name, in a lab file's spelling."""
    return check.__name__.replace("_", "-")
