"""What macvlan and ipvlan have in common: a parent of a node, and containers' children on it.

Broadcast and multicast are one here: a child takes a group's frames if it takes broadcasts.
"""

from __future__ import annotations

from underlay.drivers.rule import Rule, facts

# A macvlan private or source child's own broadcast, reflected, is given back to that child alone;
# an ipvlan parent knows no such thing (ipvlan_core.c, ipvlan_handle_mode_l2).
_HEARD_BACK = frozenset({"bridge", "vepa", "passthru", "l2", "l2 private", "l2 vepa"})

BROADCAST: tuple[Rule, ...] = (
    Rule(
        id="child-broadcast-hairpin-to-own-parent",
        relation="to own parent",
        source=_HEARD_BACK,
        facts=facts("hairpin"),
        reachable=True,
        because="The switch reflects the broadcast, and the parent's node hears what comes back.",
        reference="bridge(8), hairpin; Linux drivers/net/macvlan.c, macvlan_handle_frame",
    ),
    Rule(
        id="child-broadcast-hairpin-from-own-parent",
        relation="from own parent",
        facts=facts("hairpin"),
        reachable=True,
        because="The switch reflects the broadcast, and the parent hands it to its children.",
        reference="bridge(8), hairpin; Linux drivers/net/macvlan.c, macvlan_multicast_rx",
    ),
    Rule(
        id="child-broadcast-to-own-parent",
        relation="to own parent",
        reachable=False,
        because="A child's broadcasts never go up into the node that owns the parent.",
        reference=(
            "Linux drivers/net/macvlan.c, macvlan_queue_xmit; Linux "
            "drivers/net/ipvlan/ipvlan_core.c, ipvlan_process_multicast"
        ),
    ),
    Rule(
        id="child-broadcast-from-own-parent",
        relation="from own parent",
        reachable=False,
        because="What a node sends through the parent goes out on the wire and visits no child.",
        reference=(
            "Linux drivers/net/macvlan.c, macvlan_handle_frame (called for received frames only)"
        ),
    ),
)
