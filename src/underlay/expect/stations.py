"""What the switch and the machines on it do, whatever the containers' driver is.

This table is asked before a driver's own one, and only what it forbids counts. A
node's mode is ``passthru`` when its parent has a passthru child, and empty otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from underlay.drivers import macvlan
from underlay.drivers.bridge import FLOODED
from underlay.drivers.rule import WIRE, Fact, Rule, facts

_SWITCH: tuple[tuple[Fact, str, str], ...] = (
    (
        "isolated",
        "The switch keeps the nodes' ports apart (a private VLAN): no frame of one node's port "
        "leaves by another's.",
        "Linux net/bridge/br_forward.c, should_deliver and br_skb_isolated; bridge(8), isolated",
    ),
    (
        "locked",
        "The switch lets in only the nodes' own MAC addresses: what a station with another one "
        "sends, its ARP included, is dropped at the port.",
        "Linux net/bridge/br_input.c, br_handle_frame_finish (BR_PORT_LOCKED); bridge(8), locked",
    ),
    (
        "no multicast",
        "The switch snoops and drops multicast for unknown groups, and without a querier it knows "
        "none: neighbour solicitations, or what a VXLAN's group carries, never arrive.",
        "RFC 4541, 2.1.2 and 3; RFC 4861, 7.2; Linux net/bridge/br_forward.c, br_flood "
        "(BR_MCAST_FLOOD) and br_multicast.h, br_multicast_querier_exists",
    ),
)

RULES: tuple[Rule, ...] = (
    *(
        Rule(
            id=f"{fact} {relation}".replace(" ", "-"),
            relation=relation,
            facts=facts(fact),
            reachable=False,
            stop="no_neighbour",
            because=because,
            reference=reference,
        )
        for (fact, because, reference), relation in product(_SWITCH, WIRE)
        # A machine's own address is never foreign to its port.
        if (fact, relation) != ("locked", "stations")
    ),
    replace(macvlan.TO_PASSTHRU_NODE, id="station-to-passthru-node", relation="stations"),
    replace(macvlan.FROM_PASSTHRU_NODE, id="station-from-passthru-node", relation="stations"),
    Rule(
        id="stations",
        relation="stations",
        reachable=True,
        because="Two machines on one wire find each other by ARP.",
        reference="Linux net/ipv4/arp.c, arp_process",
    ),
)

_APART: tuple[Fact, ...] = ("isolated", "locked")

# Who hears what is sent to everybody: what the switch does with it.
BROADCAST: tuple[Rule, ...] = (
    *(
        Rule(
            id=f"switch-broadcast-{fact}",
            relation="wire",
            facts=facts(fact),
            reachable=False,
            because=(
                "The switch keeps these ports apart, or doesn't let the sender's MAC address in."
            ),
            reference="bridge(8), isolated and locked",
        )
        for fact in _APART
    ),
    Rule(
        id="switch-broadcast-no-multicast",
        relation="wire",
        facts=facts("no multicast"),
        reachable=False,
        because=(
            "The switch snoops and drops multicast for unknown groups, and without a querier it "
            "knows none."
        ),
        reference="RFC 4541, 2.1.2; Linux net/bridge/br_forward.c, br_flood (BR_MCAST_FLOOD)",
    ),
    replace(FLOODED, id="switch-broadcast", relation="wire"),
)
