"""The ends of a matrix, and the pairs that make its cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from underlay.plan import parent_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.plan import Plan

Protocol = Literal["icmp", "tcp", "udp"]
PROTOCOLS: tuple[Protocol, ...] = ("icmp", "tcp", "udp")


@dataclass(frozen=True)
class End:
    """One row or column of the matrix: a container's attachment, or a node.

    A container with several attachments is named ``NAME@NETWORK`` once for each.
    ``space`` is the network namespace that the end lives in, named after its
    container or node. ``network``, ``interface`` and ``address`` (no prefix
    length) are empty for a node: which of its addresses is meant depends on the
    other end.
    """

    name: str
    kind: Literal["container", "node"]
    node: str
    space: str
    network: str = ""
    interface: str = ""
    address: str = ""


@dataclass(frozen=True)
class Pair:
    """An ordered pair of ends, with the addresses that a probe between them uses."""

    source: End
    destination: End
    source_address: str
    destination_address: str


def ends(plan: Plan) -> tuple[End, ...]:
    """Return every end of ``plan``'s matrix: containers in the plan's order, then nodes."""
    containers = tuple(
        End(
            name=(
                container.name
                if len(container.attachments) == 1
                else f"{container.name}@{attachment.network}"
            ),
            kind="container",
            node=container.node,
            space=container.name,
            network=attachment.network,
            interface=attachment.interface,
            address=attachment.address.partition("/")[0],
        )
        for container in plan.containers
        for attachment in container.attachments
    )
    return containers + tuple(End(node.name, "node", node.name, node.name) for node in plan.nodes)


def pairs(plan: Plan) -> Iterator[Pair]:
    """Yield every pair that is measured, in the order of the matrix.

    Those are all ordered pairs of ends of different containers, and each
    container end with each node in both directions. A node speaks from, and is
    asked for, its own address on the parent of that container's network.
    """
    every = ends(plan)
    parents = {
        (node.name, network.name): parent_address(plan, node, network)
        for node in plan.nodes
        for network in plan.networks
    }
    for source in every:
        for destination in every:
            if source.space == destination.space:
                continue
            if source.kind == "node" and destination.kind == "node":
                continue
            network = source.network or destination.network
            yield Pair(
                source,
                destination,
                source.address or parents[(source.node, network)],
                destination.address or parents[(destination.node, network)],
            )
