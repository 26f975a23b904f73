"""The ends of a matrix, and the pairs that make its cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Literal

from underlay.plan import Attachment, Plan, PlannedContainer, asking_address, host_address
from underlay.plan.naming import PROBE_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator


# One of PROTOCOLS; TCP and UDP maybe with a port of the lab's choice, as tcp:5432.
Protocol = str
PROTOCOLS: tuple[Protocol, ...] = ("icmp", "tcp", "udp")
Check = Literal["source", "pmtu", "arp", "nd", "broadcast", "multicast", "macs"]
Family = Literal[4, 6]
FAMILIES: tuple[Family, ...] = (4, 6)


@dataclass(frozen=True)
class End:
    """One row or column of the matrix: a container's attachment, or a node.

    A container with several attachments is named ``NAME@NETWORK`` once for each. A further
    address of an interface is an end of its own, ``NAME@ADDRESS``: see ``further``.
    ``space`` is the network namespace that the end lives in, named after its
    container, node or external host. ``network``, ``interface``, ``address`` and ``address6`` (no
    prefix length) are empty for a node or host: which of its addresses is meant depends on
    the other end. An end without an address of a family has no cells there.
    """

    name: str
    kind: Literal["container", "node", "host"]
    node: str
    space: str
    network: str = ""
    interface: str = ""
    address: str = ""
    address6: str = ""
    further: bool = False

    def own(self, family: Family) -> str:
        """Return the end's address of ``family``; empty where it has none, and for a node."""
        return self.address if family == 4 else self.address6


@dataclass(frozen=True)
class Pair:
    """An ordered pair of ends, with the addresses that a probe between them uses.

    ``family`` is that of both addresses: 4 or 6, for IPv4 or IPv6.
    """

    source: End
    destination: End
    source_address: str
    destination_address: str
    family: Family = 4


def is_link_local(address: str) -> bool:
    """Whether an address is IPv6's for one link only."""
    return ":" in address and _parsed(address).is_link_local


@cache
def _parsed(address: str) -> IPv4Address | IPv6Address:
    return ip_address(address)


def protocols(plan: Plan) -> tuple[Protocol, ...]:
    """Return the protocols that ``plan``'s cells are measured by, in the matrix's order."""
    return tuple(
        sorted(plan.protocols, key=lambda one: (":" in one, PROTOCOLS.index(one.partition(":")[0])))
    )


def asked_as(protocol: Protocol | Check, family: Family) -> str:
    """Return how a cell is asked, in a word: the protocol or the check, with a 6 for IPv6."""
    if family == 4 or protocol == "nd":
        return protocol
    word, colon, port = protocol.partition(":")
    return f"{word}6{colon}{port}"


def split_protocol(protocol: Protocol) -> tuple[str, int]:
    """Return a protocol's own word and the port that its request goes to; 0 for icmp."""
    word, _, port = protocol.partition(":")
    return word, int(port) if port else PROBE_PORT if word != "icmp" else 0


def end_name(container: PlannedContainer, attachment: Attachment) -> str:
    """Return the name of a container's end: NAME, or NAME@NETWORK where it has several."""
    several = len(container.attachments) > 1
    return f"{container.name}@{attachment.network}" if several else container.name


def ends(plan: Plan) -> tuple[End, ...]:
    """Return every end of ``plan``'s matrix: containers in the plan's order, then nodes."""
    containers = tuple(
        end
        for container in plan.containers
        for attachment in container.attachments
        for end in _of_interface(container, attachment)
    )
    nodes = tuple(End(node.name, "node", node.name, node.name) for node in plan.nodes)
    return containers + nodes + tuple(End(h.name, "host", h.name, h.name) for h in plan.hosts)


def _of_interface(container: PlannedContainer, attachment: Attachment) -> Iterator[End]:
    end = End(
        name=end_name(container, attachment),
        kind="container",
        node=container.node,
        space=container.name,
        network=attachment.network,
        interface=attachment.interface,
        address=attachment.address.ip,
        address6=attachment.address6.ip,
    )
    yield end
    for one in attachment.more:
        own = (one.ip, "") if one.family == 4 else ("", one.ip)
        name = f"{container.name}@{one.ip}"
        yield replace(end, name=name, address=own[0], address6=own[1], further=True)


def machines(plan: Plan) -> tuple[str, ...]:
    """Return the machines that a probe runs on: all nodes, then all external hosts."""
    return (*(node.name for node in plan.nodes), *(host.name for host in plan.hosts))


def pairs(plan: Plan) -> Iterator[Pair]:
    """Yield every pair that is measured, in the order of the matrix, IPv4 before IPv6.

    Those are all ordered pairs of ends of different containers, and each
    container end with each node and external host in both directions. A node speaks
    from, and is asked for, its own address on the parent of that container's network
    (``asking_address``);
    an external host its address in that network's subnet, or else in its segment.
    """
    for family in FAMILIES:
        yield from _pairs(plan, family)


def asking_addresses(plan: Plan, family: Family) -> dict[tuple[str, str], str]:
    """Return by which address each machine asks, and is asked, in the cells of each network.

    It is empty where the machine has none of that ``family`` there.
    """
    own = {
        (node.name, network.name): asking_address(plan, node, network, family)
        for node in plan.nodes
        for network in plan.networks
    }
    return own | {
        (host.name, network.name): host_address(host, network, family)
        for host in plan.hosts
        for network in plan.networks
    }


class Pairing:
    """Makes pairs of a plan's ends in one address family."""

    def __init__(self, plan: Plan, family: Family) -> None:
        self.family = family
        self._own = asking_addresses(plan, family)

    def pair(self, source: End, destination: End) -> Pair | None:
        """Return the pair of two ends; None where they don't ask each other."""
        if source.space == destination.space:
            return None
        if "container" not in (source.kind, destination.kind):
            return None
        asker, asked = self._of(source, destination), self._of(destination, source)
        # A link-local address is good for its link only, and so is who asks for it.
        if asker and asked and is_link_local(asker) == is_link_local(asked):
            return Pair(source, destination, asker, asked, self.family)
        return None

    def _of(self, end: End, other: End) -> str:
        """Return the address of ``end`` towards ``other``, which is what a machine's depends on."""
        if end.kind == "container":
            return end.own(self.family)
        return self._own[end.node, other.network]


def _pairs(plan: Plan, family: Family) -> Iterator[Pair]:
    every, pairing = ends(plan), Pairing(plan, family)
    for source in every:
        for destination in every:
            pair = pairing.pair(source, destination)
            if pair is not None:
                yield pair
