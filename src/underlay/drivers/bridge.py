"""Who reaches whom over a Linux bridge: one table, first rule that holds wins.

The bridge holds the uplink and the node's own address; a network with ``nat`` or
``internal`` has a bridge without uplink instead, whose containers no other node hears.
"""

from __future__ import annotations

from underlay.drivers.driver import Driver
from underlay.drivers.rule import Relation, Rule

_FORWARD = "Linux net/bridge/br_input.c, br_handle_frame_finish; net/bridge/br_forward.c"


def _rule(relation: Relation, because: str, reference: str = _FORWARD) -> Rule:
    return Rule(
        id=f"bridge-{relation.replace(' ', '-')}",
        relation=relation,
        reachable=True,
        because=because,
        reference=reference,
    )


RULES: tuple[Rule, ...] = (
    _rule("siblings", "A bridge forwards frames from port to port, as any switch does."),
    _rule(
        "to own parent",
        "The node's address is on the bridge itself, above all of its ports: it hears every "
        "container, unlike a macvlan or ipvlan parent.",
        "Linux net/bridge/br_input.c, br_pass_frame_up",
    ),
    _rule(
        "from own parent",
        "What the node sends through the bridge is forwarded to the port that the container "
        "was learned on.",
        "Linux net/bridge/br_device.c, br_dev_xmit",
    ),
    _rule("to other node", "The bridge holds the uplink: the frame leaves by it as it is."),
    _rule("from other node", "A frame that comes in by the uplink is forwarded to the container."),
    _rule("across", "Both nodes' bridges hold their uplinks: together they are one switch."),
)

FLOODED = Rule(
    id="bridge-broadcast",
    relation="any",
    reachable=True,
    because="A broadcast is flooded to the whole layer-2 domain, and every child hears the wire.",
    reference=(
        "Linux net/bridge/br_input.c, br_handle_frame_finish; Linux drivers/net/macvlan.c, "
        "macvlan_multicast_rx"
    ),
)

# Who hears what is sent to everybody.
BROADCAST: tuple[Rule, ...] = (FLOODED,)

DRIVER = Driver(
    name="bridge",
    title="Linux bridge",
    position=30,
    attach="port",
    own_mac=True,
    reach=RULES,
    broadcast=BROADCAST,
    keys=("internal", "nat"),
    # main/bridge of containernetworking/plugins.
    runtimes=("cni", "iproute2"),
)
