"""Which packet filters a packet meets on its way: its ends' own, routers', and nodes'.

The rules say of each hook whether a filter there is asked at all. What passes macvlan or
ipvlan l2 never meets its node's filter, which surprises people more than anything else about them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from underlay.drivers import driver
from underlay.drivers.rule import Rule
from underlay.expect.tables import together

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.expect.ends import Pair
    from underlay.expect.path import Arrival
    from underlay.expect.world import Link, World
    from underlay.plan import Plan, PlannedNetwork

_NETFILTER = "iptables(8); Linux net/ipv4/ip_input.c, ip_local_deliver"
_BRIDGED = "Linux net/bridge/br_netfilter_hooks.c, br_nf_forward; Documentation/networking/bridge"

INCOMING = Rule(
    id="filter-in",
    relation="routing",
    reachable=False,
    stop="no_answer",
    because="A filter of its own takes what comes in.",
    reference=_NETFILTER,
)
OUTGOING = Rule(
    id="filter-out",
    relation="routing",
    reachable=False,
    # The kernel drops it before it looks for a neighbour.
    stop="not_sent",
    because="A filter of its own takes what goes out.",
    reference="iptables(8); Linux net/ipv4/ip_output.c, __ip_local_out",
)
FORWARDED = Rule(
    id="filter-forward",
    relation="routing",
    reachable=False,
    stop="no_answer",
    because="A filter of a router on the way doesn't let it through.",
    reference="iptables(8); Linux net/ipv4/ip_forward.c, ip_forward",
)
L3_OUT = Rule(
    id="filter-l3-out",
    relation="routing",
    reachable=False,
    stop="no_answer",
    because=(
        "A node sends what its ipvlan l3 children send to others, as its own: its filter for "
        "outgoing packets takes it."
    ),
    reference="Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_process_v4_outbound (ip_local_out)",
)
L3S_IN = Rule(
    id="filter-l3s-in",
    relation="routing",
    reachable=False,
    stop="no_answer",
    because=(
        "What comes in for an ipvlan l3s child passes its node's filter for incoming packets, "
        "not the child's own: the node's takes it."
    ),
    reference="Linux drivers/net/ipvlan/ipvlan_l3s.c, ipvlan_nf_input (NF_INET_LOCAL_IN)",
)
L3S_CHILD = Rule(
    id="filter-l3s-child",
    relation="routing",
    reachable=True,
    because=(
        "What comes in from outside for an ipvlan l3s child has passed its node's filter, and "
        "isn't asked about again in the child."
    ),
    reference="Linux drivers/net/ipvlan/ipvlan_l3s.c, ipvlan_nf_input",
)
NODE_UNASKED = Rule(
    id="filter-node-unasked",
    relation="routing",
    reachable=True,
    because=(
        "A node's filter isn't asked about its macvlan and ipvlan l2 containers' packets, nor "
        "about what comes in for ipvlan l3: these never pass the node's IP stack."
    ),
    reference=(
        "Linux drivers/net/macvlan.c, macvlan_handle_frame; drivers/net/ipvlan/ipvlan_core.c, "
        "ipvlan_handle_frame"
    ),
)
BRIDGED = Rule(
    id="filter-bridged",
    relation="routing",
    reachable=False,
    stop="no_answer",
    because=(
        "With br_netfilter a node's forward chain is asked about what its bridges pass on, and "
        "takes it."
    ),
    reference=_BRIDGED,
)
BRIDGE_UNASKED = Rule(
    id="filter-bridge-unasked",
    relation="routing",
    reachable=True,
    because="Without br_netfilter a node's IP filter isn't asked about what its bridges pass on.",
    reference=_BRIDGED,
)
TUNNELLED = Rule(
    id="filter-tunnel",
    relation="routing",
    reachable=False,
    stop="no_neighbour",
    because=(
        "A node's filter takes the packets in which an overlay's frames travel between nodes, ARP "
        "included."
    ),
    reference="Linux drivers/net/vxlan/vxlan_core.c; net/ipv4/ip_tunnel_core.c, iptunnel_xmit",
)


class Hook(NamedTuple):
    """A place where a filter may be asked: of ``space`` in a ``direction``.

    ``rule`` says whether one that is there takes anything. The addresses are those that the
    packet has there; ``outer`` is the protocol and port of a tunnel's own packet, else None.
    """

    space: str
    direction: str
    rule: Rule
    source: str
    destination: str
    outer: tuple[str, int] | None = None


class Hooks:
    """The filters that the packets between a plan's ends meet, in one address family."""

    def __init__(self, plan: Plan, world: World) -> None:
        self._plan, self._world = plan, world
        self._management = {node.name: node.management.interface for node in plan.nodes}
        self._bridged = {s for one in plan.filters if one.bridged for s in one.spaces}

    def request(self, pair: Pair, there: Arrival) -> tuple[Hook, ...]:
        """Return the hooks that a request meets that arrives so."""
        addresses = (pair.source_address, pair.destination_address)
        return tuple(self._way(pair.source.space, there, addresses))

    def answer(self, pair: Pair, there: Arrival, back: Arrival) -> tuple[Hook, ...]:
        """Return the hooks that the answer ``back`` meets, to a request that arrived ``there``."""
        router = there.masqueraded
        to = router.address if router else pair.source_address
        addresses = (pair.destination_address, to)
        space = pair.destination.space
        asked = len(there.over)
        return tuple(self._way(space, back, addresses, router, pair.source_address, asked))

    def first(self, pair: Pair) -> Hook:
        """Return the source's own filter, which is asked before anything else but its routes."""
        addresses = (pair.source_address, pair.destination_address)
        return Hook(pair.source.space, "out", OUTGOING, *addresses)

    def _way(
        self,
        sender: str,
        arrival: Arrival,
        addresses: tuple[str, str],
        router: Link | None = None,
        behind: str = "",
        asked: int = 0,
    ) -> Iterator[Hook]:
        """Follow a packet wire by wire.

        ``router`` masquerades for the address ``behind``: what is sent to it goes on to that.
        An answer has ``asked``: over how many wires its request went.
        """
        source, destination = addresses
        wires = list(zip(arrival.over, arrival.into, strict=True))
        for number, (out, into) in enumerate(wires):
            if number == 0:
                yield from self._sent(sender, out, into, (source, destination))
            if arrival.masqueraded is out:
                source = out.address
            last = number == len(wires) - 1
            tunnelled = TUNNELLED
            if asked not in (0, len(wires)):
                # Requests and answers go other ways, and either may ask in vain.
                tunnelled = replace(TUNNELLED, also=("no_answer",))
            elif not (last if asked else number == 0):
                # A router asks, and the source just waits.
                tunnelled = replace(TUNNELLED, stop="no_answer")
            yield from self._on_wire(out, into, (source, destination), tunnelled)
            if router and into.space == router.space:
                destination = behind
            if last:
                yield from self._taken(out, into, (source, destination))
            else:
                yield Hook(into.space, "forward", FORWARDED, source, destination)

    def _sent(
        self, sender: str, out: Link, into: Link, addresses: tuple[str, str]
    ) -> Iterator[Hook]:
        if out.parent != self._management.get(sender):
            yield Hook(sender, "out", OUTGOING, *addresses)
        by_node = out.space != sender or (out.by_node and out.node != into.node)
        if by_node and out.parent != self._management.get(out.node):
            yield Hook(out.node, "out", L3_OUT, *addresses)
        elif out.space != out.node and driver(out.driver).attach != "port":
            yield Hook(out.node, "out", NODE_UNASKED, *addresses)

    def _on_wire(
        self, out: Link, into: Link, addresses: tuple[str, str], tunnelled: Rule
    ) -> Iterator[Hook]:
        """What bridges on both sides ask, and the tunnel between them by the rule ``tunnelled``."""
        overlay = self._world.overlay(out)
        here = together(out, into)
        if _at_bridge(out) and not (here and not _at_bridge(into)):
            yield self._at_bridge(out.node, addresses)
        if overlay and not here:
            yield from self._tunnelled(overlay, out, into, tunnelled)
        if _at_bridge(into) and not here:
            yield self._at_bridge(into.node, addresses)

    def _at_bridge(self, node: str, addresses: tuple[str, str]) -> Hook:
        rule = BRIDGED if node in self._bridged else BRIDGE_UNASKED
        return Hook(node, "forward", rule, *addresses)

    def _tunnelled(
        self, network: PlannedNetwork, out: Link, into: Link, rule: Rule
    ) -> Iterator[Hook]:
        overlay = network.traits.overlay
        outer = (overlay.outer if overlay else "", network.port)
        source, destination = (self._end(network, link.node) for link in (out, into))
        yield Hook(out.node, "out", rule, source, destination, outer)
        yield Hook(into.node, "in", rule, source, destination, outer)

    def _end(self, network: PlannedNetwork, node: str) -> str:
        """Return the address of a node that an overlay's tunnels begin and end at."""
        return next(
            str(link.options["local"])
            for link in self._plan.node(node).links
            if link.master == network.parent and link.kind == network.driver
        )

    def _taken(self, out: Link, into: Link, addresses: tuple[str, str]) -> Iterator[Hook]:
        if into.space != into.node and driver(into.driver).attach != "port":
            from_outside = into.mode.startswith("l3s") and out.node != into.node
            if from_outside and into.parent != self._management.get(into.node):
                yield Hook(into.node, "in", L3S_IN, *addresses)
                yield Hook(into.space, "in", L3S_CHILD, *addresses)
                return
            yield Hook(into.node, "in", NODE_UNASKED, *addresses)
        if into.parent != self._management.get(into.space):
            yield Hook(into.space, "in", INCOMING, *addresses)


def _at_bridge(link: Link) -> bool:
    """Whether it is a container's port of its node's bridge."""
    return driver(link.driver).attach == "port" and link.space != link.node
