"""Who reaches whom over macvlan: one table, first rule that holds wins.

Rules about the switch (``hairpin``) come before those that hold without it.
A node's mode, where it is the source or the destination, is ``passthru`` when
its parent has a passthru child, and empty otherwise.
"""

from __future__ import annotations

from underlay.drivers import children
from underlay.drivers.driver import Driver
from underlay.drivers.rule import Relation, Rule, Stop, facts

_SOURCE = frozenset({"source"})
_UNLISTED = (
    "A child in source mode takes only frames from the MAC addresses on its list; the other "
    "end's is not on it, so not even the ARP exchange is completed."
)
_LISTS = "Linux drivers/net/macvlan.c, macvlan_forward_source; ip-link(8), macvlan source"
_REFLECTED = "ip-link(8), macvlan vepa; Linux drivers/net/macvlan.c, macvlan_handle_frame"

_BRIDGE = frozenset({"bridge"})
_PRIVATE = frozenset({"private"})
_PASSTHRU = frozenset({"passthru"})
_TO_CHILD: tuple[Relation, ...] = ("from other node", "across")

TO_PASSTHRU_NODE = Rule(
    id="macvlan-to-passthru-node",
    relation="to other node",
    destination=_PASSTHRU,
    reachable=False,
    stop="no_answer",
    because=(
        "A passthru child takes every unicast frame that reaches its parent: the node still "
        "answers ARP, which is broadcast, and hears nothing else."
    ),
    reference="Linux drivers/net/macvlan.c, macvlan_handle_frame (macvlan_passthru)",
)
FROM_PASSTHRU_NODE = Rule(
    id="macvlan-from-passthru-node",
    relation="from other node",
    source=_PASSTHRU,
    reachable=False,
    stop="no_neighbour",
    because=(
        "A passthru child takes every unicast frame that reaches its parent, so its node "
        "never sees the ARP reply or any other answer."
    ),
    reference="Linux drivers/net/macvlan.c, macvlan_handle_frame (macvlan_passthru)",
)


def _unlisted(relation: Relation, *also: Stop) -> Rule:
    return Rule(
        id=f"macvlan-unlisted-{relation}".replace(" ", "-"),
        relation=relation,
        facts=facts("unlisted"),
        reachable=False,
        stop="no_neighbour",
        # Whoever looks for such an end takes any ARP of its own for an answer: seen of 9 pairs of
        # macvlan-hairpin on a busy machine, and of none when measured again.
        also=also,
        because=_UNLISTED,
        reference=_LISTS,
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="macvlan-bridge-siblings",
        relation="siblings",
        source=_BRIDGE,
        destination=_BRIDGE,
        reachable=True,
        because="Bridge mode hands frames straight from child to child of the same parent.",
        reference="Linux drivers/net/macvlan.c, macvlan_queue_xmit",
    ),
    Rule(
        id="macvlan-private-siblings",
        relation="siblings",
        source=_PRIVATE,
        reachable=False,
        stop="no_neighbour",
        because=(
            "Private mode keeps children of one parent apart: the ARP request leaves by the "
            "parent, and no sibling ever hears it."
        ),
        reference="Linux drivers/net/macvlan.c, macvlan_handle_frame; ip-link(8), macvlan private",
    ),
    Rule(
        id="macvlan-siblings-private",
        relation="siblings",
        destination=_PRIVATE,
        reachable=False,
        stop="no_neighbour",
        because="A private child takes no frame from a sibling, whatever that sibling's mode.",
        reference="Linux drivers/net/macvlan.c, macvlan_queue_xmit",
    ),
    _unlisted("siblings"),
    Rule(
        id="macvlan-hairpin-siblings",
        relation="siblings",
        facts=facts("hairpin"),
        reachable=True,
        because=(
            "The frame goes out on the wire; the switch reflects it out of the port that it came "
            "in by (hairpin), and the sibling takes it like any other."
        ),
        reference=_REFLECTED,
    ),
    Rule(
        id="macvlan-source-siblings",
        relation="siblings",
        source=_SOURCE,
        reachable=False,
        stop="no_neighbour",
        because=(
            "Only bridge mode hands frames to siblings: in source mode they leave by the parent, "
            "and a switch without hairpin never sends them back."
        ),
        reference="Linux drivers/net/macvlan.c, macvlan_queue_xmit",
    ),
    Rule(
        id="macvlan-vepa-siblings",
        relation="siblings",
        reachable=False,
        stop="no_neighbour",
        because=(
            "VEPA leaves siblings' traffic to the switch, and a switch without reflective relay "
            "(hairpin) never sends a frame back out of the port it came in by."
        ),
        reference="ip-link(8), macvlan vepa; Linux drivers/net/macvlan.c, macvlan_queue_xmit",
    ),
    _unlisted("to own parent"),
    _unlisted("from own parent"),
    Rule(
        id="macvlan-private-hairpin-to-own-parent",
        relation="to own parent",
        source=_PRIVATE | _SOURCE,
        facts=facts("hairpin"),
        reachable=False,
        stop="no_neighbour",
        until_asked=True,
        because=(
            "The switch reflects the ARP request, but the parent gives a private or source "
            "child's own broadcast back to that child alone: the node does not hear it until it "
            "has spoken to the child first."
        ),
        reference="Linux drivers/net/macvlan.c, macvlan_handle_frame",
    ),
    Rule(
        id="macvlan-hairpin-to-own-parent",
        relation="to own parent",
        source=frozenset({"bridge", "vepa"}),
        facts=facts("hairpin"),
        reachable=True,
        because=(
            "The frame goes out on the wire; the switch reflects it, and it comes in at the "
            "parent as if from elsewhere."
        ),
        reference=_REFLECTED,
    ),
    Rule(
        id="macvlan-hairpin-from-own-parent",
        relation="from own parent",
        destination=frozenset({"bridge", "vepa", "private", "source"}),
        facts=facts("hairpin"),
        reachable=True,
        because=(
            "The frame goes out on the wire; the switch reflects it, and it comes in at the "
            "parent as if from elsewhere, for the child whose MAC address it carries."
        ),
        reference=_REFLECTED,
    ),
    Rule(
        id="macvlan-to-own-parent",
        relation="to own parent",
        reachable=False,
        stop="no_neighbour",
        because=(
            "A macvlan child's frames go to its siblings or out on the wire, never up into the "
            "node that owns the parent: the node does not hear the ARP request."
        ),
        reference=(
            "Linux drivers/net/macvlan.c, macvlan_queue_xmit; moby/libnetwork#1915; "
            "docker/docs#6745"
        ),
    ),
    Rule(
        id="macvlan-from-own-parent",
        relation="from own parent",
        reachable=False,
        stop="no_neighbour",
        because=(
            "What a node sends through the parent goes out on the wire and never visits the "
            "parent's macvlan children: no child hears the ARP request."
        ),
        reference=(
            "Linux drivers/net/macvlan.c, macvlan_handle_frame (called for received frames only); "
            "moby/libnetwork#1915; docker/docs#6745"
        ),
    ),
    _unlisted("to other node"),
    _unlisted("from other node", "no_answer"),
    _unlisted("across", "no_answer"),
    TO_PASSTHRU_NODE,
    FROM_PASSTHRU_NODE,
    Rule(
        id="macvlan-to-other-node",
        relation="to other node",
        reachable=True,
        because=(
            "On the wire a macvlan child is a station with a MAC address of its own; another "
            "node is one more station there."
        ),
        reference="Linux drivers/net/macvlan.c, macvlan_queue_xmit",
    ),
    *(
        Rule(
            id=f"macvlan-{relation}".replace(" ", "-"),
            relation=relation,
            reachable=True,
            because=(
                "A frame that comes in from the wire is handed to the child whose MAC address it "
                "carries, in every macvlan mode."
            ),
            reference="Linux drivers/net/macvlan.c, macvlan_handle_frame",
        )
        for relation in _TO_CHILD
    ),
)

_BRIDGE_OR_VEPA = frozenset({"bridge", "vepa"})

# Who hears what is sent to everybody.
BROADCAST: tuple[Rule, ...] = (
    Rule(
        id="macvlan-broadcast-unlisted",
        relation="any",
        destination=_SOURCE,
        facts=facts("unlisted"),
        reachable=False,
        because="A child in source mode takes frames from the MAC addresses on its list only.",
        reference="Linux drivers/net/macvlan.c, macvlan_forward_source",
    ),
    Rule(
        id="macvlan-broadcast-hairpin-source",
        relation="siblings",
        destination=_SOURCE,
        facts=facts("hairpin"),
        reachable=True,
        because=(
            "The switch reflects the broadcast, and a child in source mode has its sender listed."
        ),
        reference=(
            "bridge(8), hairpin; Linux drivers/net/macvlan.c, macvlan_handle_frame, "
            "macvlan_forward_source"
        ),
    ),
    Rule(
        id="macvlan-broadcast-bridge-siblings",
        relation="siblings",
        source=_BRIDGE,
        destination=_BRIDGE,
        reachable=True,
        because="A macvlan bridge child's broadcasts go to its bridge siblings and to the wire.",
        reference="Linux drivers/net/macvlan.c, macvlan_queue_xmit, macvlan_broadcast",
    ),
    Rule(
        id="macvlan-broadcast-hairpin-siblings",
        relation="siblings",
        source=_BRIDGE_OR_VEPA,
        destination=_BRIDGE_OR_VEPA,
        facts=facts("hairpin"),
        reachable=True,
        because="The switch reflects the broadcast, and VEPA children take what comes back.",
        reference="Linux drivers/net/macvlan.c, macvlan_multicast_rx",
    ),
    Rule(
        id="macvlan-broadcast-siblings",
        relation="siblings",
        reachable=False,
        because="A macvlan child in any other mode sends its broadcasts out on the wire only.",
        reference="Linux drivers/net/macvlan.c, macvlan_queue_xmit",
    ),
    *children.BROADCAST,
)

DRIVER = Driver(
    name="macvlan",
    title="macvlan",
    position=10,
    attach="child",
    own_mac=True,
    reach=RULES,
    broadcast=BROADCAST,
    modes=("bridge", "private", "vepa", "passthru", "source"),
    keys=("shim", "internal", "allow"),
    # CNI: main/macvlan of containernetworking/plugins, which has no source mode. Docker: moby,
    # daemon/libnetwork/drivers/macvlan. podman: netavark, src/network/vlan.rs.
    runtimes_of={"source": ("iproute2",)},
)
