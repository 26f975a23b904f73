"""Rules that hold before any driver is asked: routes, segments, VLANs, gateways."""

from __future__ import annotations

from dataclasses import replace

from underlay.drivers.rule import Rule

_ARP = "Linux net/ipv4/arp.c, arp_process"

NO_ROUTE = Rule(
    id="no-route",
    relation="routing",
    reachable=False,
    stop="no_route",
    because="The source has no route to that subnet: nothing is sent.",
    reference="Linux net/ipv4/route.c, ip_route_output_key_hash_rcu (ENETUNREACH)",
)

GATEWAY_NOBODY = Rule(
    id="gateway-nobody",
    relation="routing",
    reachable=False,
    stop="no_neighbour",
    because="The other subnet lies behind a gateway address that nobody in the lab has.",
    reference=_ARP,
)

GATEWAY_SILENT = Rule(
    id="gateway-silent",
    relation="routing",
    reachable=False,
    stop="no_answer",
    because="Somebody has the gateway's address, but doesn't forward for others.",
    reference="Linux Documentation/networking/ip-sysctl.rst, ip_forward",
)

OTHER_SEGMENT = Rule(
    id="other-segment",
    relation="routing",
    reachable=False,
    stop="no_neighbour",
    because=(
        "The two ends sit on different segments with no router between: the ARP request stays "
        "in the source's own segment, where nobody has that address."
    ),
    reference=_ARP,
)

OTHER_VLAN = Rule(
    id="other-vlan",
    relation="routing",
    reachable=False,
    stop="no_neighbour",
    because=(
        "The two ends are in different VLANs with no router between: the ARP request stays in "
        "the source's own VLAN, where nobody has that address."
    ),
    reference=(
        "Linux net/8021q/vlan_core.c, vlan_do_receive; "
        "Docker docs, engine/network/drivers/macvlan.md, 802.1Q trunk bridge mode"
    ),
)

MANAGEMENT_ALONE = Rule(
    id="management-alone",
    relation="routing",
    reachable=False,
    stop="no_neighbour",
    because=(
        "The parent is the management NIC, and every node is alone on its management link: "
        "no other node hears the ARP request."
    ),
    reference=_ARP,
)

CLOSED = Rule(
    id="closed",
    relation="routing",
    reachable=False,
    stop="no_neighbour",
    because=(
        "The two ends share no wire: one of them is in a network without uplink, or in an "
        "overlay. The ARP request stays in the source's own."
    ),
    reference=_ARP,
)

FORWARDED = Rule(
    id="forwarded",
    relation="routing",
    reachable=True,
    because="A router on the way forwards the packet, and the answer has a way back.",
    reference="Linux Documentation/networking/ip-sysctl.rst, ip_forward",
)

MASQUERADED = Rule(
    id="masqueraded",
    relation="routing",
    reachable=True,
    because=(
        "The container's node forwards the packet under its own address (NAT) and gives the "
        "answer back to the container; nobody outside could begin the other way round."
    ),
    reference="iptables-extensions(8), MASQUERADE; Linux net/netfilter/nf_nat_masquerade.c",
)

ANSWER_MASQUERADED = Rule(
    id="masqueraded-answer",
    relation="routing",
    reachable=False,
    stop="no_answer",
    arrives=True,
    because=(
        "The answer goes by way of a node with NAT that the request didn't pass. To its "
        "connection tracking it begins something new, and gets the node's address: nobody waits "
        "for that. An echo reply can't begin anything and passes as it is."
    ),
    reference=(
        "Linux net/netfilter/nf_conntrack_proto_icmp.c (icmp_new), nf_conntrack_proto_udp.c; "
        "nf_conntrack-sysctl.rst, nf_conntrack_tcp_loose"
    ),
)


def refused() -> Rule:
    """Return what stands for two children that the kernel doesn't take beside each other.

    Not a rule, for there is nothing to measure: lint refuses such a lab, and by force it
    ends at the second child (EBUSY for the other driver, EINVAL beside a passthru child).
    """
    return Rule(
        id="refused",
        relation="routing",
        reachable=False,
        stop="no_neighbour",
        because="The kernel refuses one of these two beside the other; lint says which and why.",
        reference="Linux drivers/net/macvlan.c, macvlan_port_create and macvlan_common_newlink",
    )


def without_carrier(rule: Rule) -> Rule:
    """Return ``rule`` for a bridge without ports: its queue takes nothing (sch_generic.c, noop)."""
    return replace(rule, also=("not_sent",))


def asked_by_node(rule: Rule) -> Rule:
    """Return ``rule`` for an ipvlan l3 source: its node asks the wire, the child just waits."""
    return replace(rule, id=f"{rule.id}-l3", stop="no_answer")


def without_route_of_node() -> Rule:
    """Return what stops an ipvlan l3 child's IPv6 packet to which its node knows no way.

    The child has a route, and the kernel gives the node's error to whoever sends. TCP alone heeds
    no error of its first packet but a refusal.
    """
    return replace(
        NO_ROUTE,
        id=f"{NO_ROUTE.id}-l3",
        because="The source's node, which sends for it, has no route to that address.",
        reference=(
            "Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_process_v6_outbound; "
            "net/ipv4/tcp_output.c, tcp_connect"
        ),
        also=("no_answer",),
    )


def beyond_gateway(rule: Rule) -> Rule:
    """Return ``rule`` for a packet that a router passed on: its source just gets no answer."""
    return replace(
        rule,
        id=f"{rule.id}-beyond-gateway",
        because=f"A router takes the packet, but can't pass it on. {rule.because}",
        stop="no_answer",
        also=(),
        arrives=False,
    )


def taken(rule: Rule) -> Rule:
    """Return ``rule`` for an address that somebody has where its own owner isn't."""
    return replace(
        rule,
        id=f"{rule.id}-taken",
        because=f"{rule.because} Somebody else has that address there, and gets the packet.",
        stop="no_answer",
        also=(),
    )


def other_subnet(rule: Rule) -> Rule:
    """Return a reachable ``rule`` for two subnets on one wire, joined by on-link routes."""
    return replace(
        rule,
        id=f"{rule.id}-other-subnet",
        because=(
            f"{rule.because} That the subnets differ does not matter: both ends have an on-link "
            "default route and ask for each other by ARP."
        ),
    )
