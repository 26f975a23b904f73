"""What overlays share: who reaches whom over one, first rule that holds wins.

Containers sit on a bridge of their node; tunnels join the nodes' bridges to one switch.
The node has an address on that bridge, too.
"""

from __future__ import annotations

from underlay.drivers import bridge
from underlay.drivers.rule import Relation, Rule, facts

_BRIDGE = "Linux net/bridge/br_input.c, br_handle_frame_finish"


def reach(word: str, how: str, reference: str) -> tuple[Rule, ...]:
    """Return the table of the overlay ``word``; ``how`` and ``reference`` tell of its tunnels."""

    def rule(relation: Relation, because: str, source: str) -> Rule:
        name = f"{word}-{relation.replace(' ', '-')}"
        return Rule(name, relation, reachable=True, because=because, reference=source)

    def taken(relation: Relation) -> Rule:
        return Rule(
            id=f"{word}-deaf-{relation.replace(' ', '-')}",
            relation=relation,
            facts=facts("tunnel taken"),
            reachable=False,
            stop="no_neighbour",
            because=(
                "Tunnels speak to one node each, and a passthru child takes every unicast frame "
                "that reaches the parent under one of the two: nothing gets in there."
            ),
            reference=f"Linux drivers/net/macvlan.c, macvlan_handle_frame; {reference}",
        )

    return (
        taken("to other node"),
        taken("from other node"),
        taken("across"),
        rule("siblings", "Two containers of one node meet on the overlay's bridge.", _BRIDGE),
        rule("to own parent", "The node has an address on the overlay's bridge itself.", _BRIDGE),
        rule("from own parent", "The node has an address on the overlay's bridge itself.", _BRIDGE),
        rule("to other node", f"{how} The other node has an address on its bridge.", reference),
        rule("from other node", f"{how} The node asks from its bridge's address.", reference),
        rule("across", how, reference),
    )


# Who hears what is sent to everybody.
BROADCAST: tuple[Rule, ...] = (
    Rule(
        id="tunnel-broadcast-taken",
        relation="wire",
        facts=facts("tunnel taken"),
        reachable=False,
        because=(
            "A passthru child takes every unicast frame that reaches the parent under one of the "
            "two: what tunnels bring there, and the ARP replies that its own tunnels need."
        ),
        reference="Linux drivers/net/macvlan.c, macvlan_handle_frame",
    ),
    *bridge.BROADCAST,
)
