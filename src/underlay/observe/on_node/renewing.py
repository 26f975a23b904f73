"""Asks once more for neighbours that did not answer, without waiting for the kernel.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.

The kernel repeats an ARP request or a neighbour solicitation after a second
(net.ipv4.neigh.default.retrans_time_ms). The same frame is sent here by hand, so that
one lost broadcast makes nobody unreachable and nobody waits a second for that.

It asks with the source address of the packet that is meant. The kernel takes that of the first one
that waits (net/ipv4/arp.c, arp_solicit), which may be of another interface: an ipvlan child's
answer is then handed to that one, and whatever waits is in vain.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from underlay.observe.on_node import rtnetlink
from underlay.observe.on_node.packets import ETH_ARP, ETH_IPV6, arp_request, packed, solicitation

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from underlay.observe.on_node.spaces import Space
    from underlay.observe.on_node.station import Station

    class Sent(Protocol):
        """What was sent from an address of a space to another address."""

        space: Space | None
        source: str
        destination: str


def renew(station: Station, questions: Iterable[Sent]) -> None:
    """Send another request for each next hop of ``questions`` that isn't resolved yet.

    The neighbour table is the asker's. An ipvlan l3 child has none that is used, so the node's
    own table is looked at, too.
    """
    tables: dict[str, rtnetlink.Neighbours] = {}
    asked: set[tuple[str, int, bytes]] = set()
    home = station.spaces[0]
    for question in questions:
        wanted = packed(question.destination)
        for space in {question.space, home} - {None}:
            assert space is not None
            with contextlib.suppress(OSError):
                if space.name not in tables:
                    tables[space.name] = rtnetlink.neighbours(space.netlink)
                hop = _hop(space, tables[space.name], wanted)
                if hop is None or (space.name, *hop) in asked:
                    continue
                asked.add((space.name, *hop))
                source = question.source if space is question.space else ""
                ask(space, hop[0], source or _address(space, *hop), _text(hop[1]))


def ask(space: Space, index: int, source: str, wanted: str) -> None:
    """Send one ARP request or neighbour solicitation from an interface; raise OSError."""
    six = ":" in wanted
    made = space.packet_socket(index, ETH_IPV6 if six else ETH_ARP)
    frame = (solicitation if six else arp_request)(made.getsockname()[4], source, wanted)
    made.send(frame)


def _hop(space: Space, table: rtnetlink.Neighbours, wanted: bytes) -> tuple[int, bytes] | None:
    """Return the unresolved next hop on the way to ``wanted``; None where it is resolved."""
    # By several interfaces where they share a wire, or somebody asked by another one.
    known = [hop for hop in table if hop[1] == wanted]
    if known:
        return next((hop for hop in known if table[hop] & rtnetlink.INCOMPLETE), None)
    hop = rtnetlink.next_hop(space.netlink, wanted)
    return hop if hop and table.get(hop, 0) & rtnetlink.INCOMPLETE else None


def _address(space: Space, index: int, wanted: bytes) -> str:
    """Return an address that the interface has; raise OSError where it has none."""
    for address, (found, _) in rtnetlink.addresses(space.netlink).items():
        if found == index and len(address) == len(wanted):
            return _text(address)
    raise OSError("the interface has no address")


def _text(address: bytes) -> str:
    return socket.inet_ntop(rtnetlink.SIZES[len(address)], address)
