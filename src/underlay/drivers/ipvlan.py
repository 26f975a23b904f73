"""Who reaches whom over ipvlan: one table, first rule that holds wins.

A node's mode, where it is the source or the destination, is empty. An ipvlan
mode belongs to the parent, so siblings have the same one (lint refuses any other lab).
"""

from __future__ import annotations

from dataclasses import replace

from underlay.drivers import children
from underlay.drivers.driver import Driver
from underlay.drivers.rule import NO_MAC, NOTHING, Relation, Rule, facts

_L3_BRIDGE = frozenset({"l3", "l3s"})
_L3_PRIVATE = frozenset({"l3 private", "l3s private"})
_L3_VEPA = frozenset({"l3 vepa", "l3s vepa"})
L3_MODES = _L3_BRIDGE | _L3_PRIVATE | _L3_VEPA
_L2 = frozenset({"l2"})
_L2_PRIVATE = frozenset({"l2 private"})
_L2_VEPA = frozenset({"l2 vepa"})
_L2_ALL = _L2 | _L2_PRIVATE | _L2_VEPA
_TO_CHILD: tuple[Relation, ...] = ("from other node", "across")
_REFLECTED = "Linux Documentation/networking/ipvlan.rst, 5.3 VEPA mode"
_DEMUX = "Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_handle_frame and ipvlan_addr_lookup"
_L3_MODE = "Linux Documentation/networking/ipvlan.rst, 4.2 L3 mode"
_L3_UNFOUND = (
    "In l3 modes children answer no ARP: without a route by way of the owning node's address "
    "nobody on the wire finds them."
)

RULES: tuple[Rule, ...] = (
    Rule(
        id="ipvlan-l2-siblings",
        relation="siblings",
        source=_L2,
        destination=_L2,
        reachable=True,
        because="The driver finds a sibling by its IP address and hands the frame straight over.",
        reference="Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_xmit_mode_l2",
    ),
    Rule(
        id="ipvlan-l3-siblings",
        relation="siblings",
        source=_L3_BRIDGE,
        destination=_L3_BRIDGE,
        reachable=True,
        because=(
            "In l3 modes the driver finds a sibling by its IP address, in any subnet, and hands "
            "the packet over without ARP or a router."
        ),
        reference="Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_xmit_mode_l3",
    ),
    Rule(
        id="ipvlan-l2-private-siblings",
        relation="siblings",
        source=_L2_PRIVATE,
        destination=_L2_PRIVATE,
        reachable=False,
        stop="no_neighbour",
        because=(
            "Private children drop unicast to a sibling as they send it. The sibling hears the "
            "ARP request, which is broadcast, but its reply is unicast and lost."
        ),
        reference=(
            "Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_xmit_mode_l2; "
            "Documentation/networking/ipvlan.rst, 5.2 private"
        ),
    ),
    Rule(
        id="ipvlan-l2-vepa-hairpin-siblings",
        relation="siblings",
        source=_L2_VEPA,
        destination=_L2_VEPA,
        facts=facts("hairpin"),
        reachable=True,
        because=(
            "The frame goes out on the wire; the switch reflects it out of the port that it came "
            "in by (hairpin), and the parent hands it to the child that has its IP address."
        ),
        reference=_REFLECTED,
    ),
    Rule(
        id="ipvlan-l2-vepa-siblings",
        relation="siblings",
        source=_L2_VEPA,
        destination=_L2_VEPA,
        reachable=False,
        stop="no_neighbour",
        because=(
            "VEPA leaves siblings' unicast to the switch, and a switch without hairpin never "
            "sends a frame back out of the port it came in by. Only broadcasts reach siblings."
        ),
        reference=_REFLECTED,
    ),
    Rule(
        id="ipvlan-l3-private-siblings",
        relation="siblings",
        source=_L3_PRIVATE,
        destination=_L3_PRIVATE,
        reachable=False,
        stop="no_answer",
        because="Private children drop packets to a sibling as they send them.",
        reference="Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_xmit_mode_l3",
    ),
    Rule(
        id="ipvlan-l3-vepa-siblings",
        relation="siblings",
        source=_L3_VEPA,
        destination=_L3_VEPA,
        reachable=False,
        stop="no_answer",
        because=(
            "In vepa the driver doesn't look for siblings: the node asks the wire for them, "
            "where l3 children answer no ARP."
        ),
        reference="Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_xmit_mode_l3",
    ),
    Rule(
        id="ipvlan-l3-to-own-parent",
        relation="to own parent",
        source=L3_MODES,
        reachable=True,
        because=(
            "The node routes what its l3 children send, and takes in what is for itself. An answer "
            "by that parent goes out on the wire; one by another interface gets there."
        ),
        reference="Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_process_v4_outbound",
    ),
    Rule(
        id="ipvlan-hairpin-to-own-parent",
        relation="to own parent",
        source=_L2_ALL,
        facts=facts("hairpin"),
        reachable=True,
        because=(
            "The ARP request goes out on the wire; the switch reflects it, and the node hears it "
            "as if from elsewhere. What is sent to the node's MAC address then reaches it."
        ),
        reference=_REFLECTED,
    ),
    Rule(
        id="ipvlan-hairpin-from-own-parent",
        relation="from own parent",
        destination=_L2_ALL,
        facts=facts("hairpin"),
        reachable=True,
        because=(
            "The frame goes out on the wire; the switch reflects it, and the parent hands it to "
            "the child that has its IP address."
        ),
        reference=_REFLECTED,
    ),
    Rule(
        id="ipvlan-to-own-parent",
        relation="to own parent",
        reachable=False,
        stop="no_neighbour",
        because=(
            "An ipvlan child's broadcasts go to its siblings and out on the wire, never up into "
            "the node that owns the parent: the node does not hear the ARP request."
        ),
        reference=(
            "Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_process_multicast; "
            "Docker docs, engine/network/drivers/ipvlan.md"
        ),
    ),
    Rule(
        id="ipvlan-from-own-parent",
        relation="from own parent",
        reachable=False,
        stop="no_neighbour",
        because=(
            "What a node sends through the parent goes out on the wire and never visits the "
            "parent's ipvlan children: no child hears the ARP request."
        ),
        reference=(
            "Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_handle_frame (called for received "
            "frames only); kubernetes/kubernetes#30382"
        ),
    ),
    Rule(
        id="ipvlan-from-other-node-by-route",
        relation="from other node",
        facts=facts("by route"),
        reachable=True,
        because=(
            "The route leads to the owning node's address, and the parent there hands the packet "
            "to the child that has its IP address, before the node's own routing sees it."
        ),
        reference=_DEMUX,
    ),
    Rule(
        id="ipvlan-across-by-route",
        relation="across",
        facts=facts("by route"),
        reachable=True,
        because=(
            "The source's node routes the packet to the owning node's address, and the parent "
            "there hands it to the child that has its IP address."
        ),
        reference=_DEMUX,
    ),
    Rule(
        id="ipvlan-l3-from-other-node",
        relation="from other node",
        destination=L3_MODES,
        reachable=False,
        stop="no_neighbour",
        because=_L3_UNFOUND,
        reference=_L3_MODE,
    ),
    Rule(
        id="ipvlan-l3-across-l3",
        relation="across",
        source=L3_MODES,
        destination=L3_MODES,
        reachable=False,
        stop="no_answer",
        because=(
            "In l3 modes the node asks the wire on its child's behalf, and children on other "
            "nodes answer no ARP; that needs a route by way of the owning node's address."
        ),
        reference=_L3_MODE,
    ),
    Rule(
        id="ipvlan-across-l3",
        relation="across",
        destination=L3_MODES,
        reachable=False,
        stop="no_neighbour",
        because=_L3_UNFOUND,
        reference=_L3_MODE,
    ),
    Rule(
        id="ipvlan-to-other-node",
        relation="to other node",
        reachable=True,
        because=(
            "An ipvlan child's frames leave with its parent's MAC address; another node answers "
            "them as it answers the parent's own."
        ),
        reference="Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_queue_xmit",
    ),
    *(
        Rule(
            id=f"ipvlan-{relation}".replace(" ", "-"),
            relation=relation,
            reachable=True,
            because=(
                "A frame that comes in from the wire for the parent's MAC address is handed to the "
                "child that has its IP address."
            ),
            reference="Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_handle_mode_l2",
        )
        for relation in _TO_CHILD
    ),
)

FOREIGN_SENDER = Rule(
    id="ipvlan-foreign-sender",
    relation="routing",
    reachable=False,
    stop="no_neighbour",
    because=(
        "The route leaves by an ipvlan interface, but the packet carries the container's other "
        "address: the ARP request names that one, and the parent doesn't hand the answer to it."
    ),
    reference=(
        "Linux net/ipv4/arp.c, arp_solicit (arp_announce 0); "
        "drivers/net/ipvlan/ipvlan_core.c, ipvlan_addr_lookup"
    ),
)

SENT_BY_CHILD = replace(
    FOREIGN_SENDER,
    id="ipvlan-sent-by-l3-child",
    because=(
        "The node sends by the parent, with the address of its own l3 child: the ARP request names "
        "that one, and the parent hands the answer to the child, which has no ARP."
    ),
    reference=(
        "Linux net/ipv4/arp.c, arp_solicit (arp_announce 0); "
        "drivers/net/ipvlan/ipvlan_core.c, ipvlan_handle_mode_l3"
    ),
)

FOREIGN_SENDER_BESIDE = replace(
    FOREIGN_SENDER,
    id="ipvlan-foreign-sender-beside",
    until_asked=True,
    because=(
        "The route leaves by an ipvlan interface, but the packet carries the address of another "
        "one on the same wire: the ARP request names that one, which gets the answer in its stead. "
        "Whoever asks for the container is heard by both, and known to both from then on."
    ),
    reference=(
        "Linux net/ipv4/arp.c, arp_solicit (arp_announce 0) and arp_process (neigh_event_ns); "
        "drivers/net/ipvlan/ipvlan_core.c, ipvlan_addr_lookup and ipvlan_process_multicast"
    ),
)

TO_PARENT = Rule(
    id="ipvlan-to-parent-by-sibling",
    relation="routing",
    reachable=True,
    because=(
        "What is sent to a sibling's MAC address is sent to the parent's, as they are the same. "
        "The driver hands to the node what carries no child's address."
    ),
    reference=(
        "Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_xmit_mode_l2 (dev_forward_skb to phy_dev)"
    ),
)

FOREIGN_ADDRESS = Rule(
    id="ipvlan-foreign-address",
    relation="routing",
    reachable=False,
    stop="no_answer",
    because=(
        "The container answers ARP for its other address, but the parent hands an ipvlan child "
        "only what is sent to an address of that child."
    ),
    reference="Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_addr_lookup",
)

L3_ANY_INTERFACE = Rule(
    id="ipvlan-l3-any-interface",
    relation="routing",
    reachable=True,
    because=(
        "IPv6 takes the parent of an l3 child for a wish, not for a must: the packet leaves by "
        "whichever of its node's interfaces has the route. IPv4 never leaves the parent."
    ),
    reference=(
        "Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_route_v6_outbound; net/ipv6/route.c, "
        "ip6_route_output_flags (RT6_LOOKUP_F_IFACE)"
    ),
)

_NO_BROADCAST = "In l3 modes an ipvlan child neither sends nor takes broadcasts or multicasts."

# Who hears what is sent to everybody.
BROADCAST: tuple[Rule, ...] = (
    Rule(
        id="ipvlan-l3-sends-no-broadcast",
        relation="any",
        source=L3_MODES,
        reachable=False,
        because=_NO_BROADCAST,
        reference=_L3_MODE,
    ),
    Rule(
        id="ipvlan-l3-takes-no-broadcast",
        relation="any",
        destination=L3_MODES,
        reachable=False,
        because=_NO_BROADCAST,
        reference=_L3_MODE,
    ),
    Rule(
        id="ipvlan-broadcast-siblings",
        relation="siblings",
        reachable=True,
        because="An ipvlan l2 child's broadcasts are copied to its siblings, private or not.",
        reference=(
            "Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_multicast_enqueue, "
            "ipvlan_process_multicast"
        ),
    ),
    *children.BROADCAST,
)

# Which MAC address the receiver of a packet sees, where it isn't that of who sent the frame.
MACS: tuple[Rule, ...] = (
    Rule(
        id="ipvlan-l3s-sees-no-frame",
        relation="wire",
        destination=frozenset(mode for mode in L3_MODES if mode.startswith("l3s")),
        reachable=False,
        seen=NOTHING,
        because=(
            "An l3s child gets what comes from the wire behind its node's INPUT hook, as a packet: "
            "no frame ever passes the child's interface."
        ),
        reference="Linux drivers/net/ipvlan/ipvlan_l3s.c, ipvlan_nf_input",
    ),
    Rule(
        id="ipvlan-l3-by-loopback",
        relation="to own parent",
        source=L3_MODES,
        reachable=False,
        seen=NO_MAC,
        because=(
            "The node that routes what its l3 child sends takes in what is for itself by its "
            "loopback, which has no MAC address."
        ),
        reference=(
            "Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_process_v4_outbound; "
            "net/ipv4/route.c, __mkroute_output (RTN_LOCAL)"
        ),
    ),
)

_FLAGGED = ("docker", "iproute2")

DRIVER = Driver(
    name="ipvlan",
    title="ipvlan",
    position=20,
    attach="child",
    own_mac=False,
    reach=RULES,
    broadcast=BROADCAST,
    macs=MACS,
    beside=(
        FOREIGN_SENDER,
        FOREIGN_SENDER_BESIDE,
        FOREIGN_ADDRESS,
        TO_PARENT,
        L3_ANY_INTERFACE,
    ),
    modes=("l2", "l3", "l3s"),
    l3_modes=("l3", "l3s"),
    flags=("bridge", "private", "vepa"),
    keys=("flag", "shim", "internal", "routed"),
    # CNI: main/ipvlan of containernetworking/plugins, which has no flag. Docker: moby,
    # daemon/libnetwork/drivers/ipvlan. podman: netavark, src/network/vlan.rs, no flag either.
    runtimes_of={"private": _FLAGGED, "vepa": _FLAGGED},
)
