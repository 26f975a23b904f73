"""Who reaches whom over a plain 802.1q sub-interface that was moved into the container.

One table, first rule that holds wins. The container has the whole sub-interface, so a
node can give a VLAN to one container only and keeps no address in it itself.
"""

from __future__ import annotations

from underlay.expect.rules import Rule

_RECEIVE = "Linux net/8021q/vlan_core.c, vlan_do_receive"

RULES: tuple[Rule, ...] = (
    Rule(
        id="vlan-siblings",
        relation="siblings",
        reachable=False,
        stop="no_neighbour",
        because="A parent has each VLAN once: a second sub-interface is refused (EEXIST).",
        reference="Linux net/8021q/vlan.c, vlan_check_real_dev",
    ),
    Rule(
        id="vlan-to-own-parent",
        relation="to own parent",
        reachable=False,
        stop="no_neighbour",
        because="A tagged frame goes out on the wire: the node's own interface never hears it.",
        reference="Linux net/8021q/vlan_dev.c, vlan_dev_hard_start_xmit",
    ),
    Rule(
        id="vlan-from-own-parent",
        relation="from own parent",
        reachable=False,
        stop="no_neighbour",
        because="What a node sends through the parent goes out on the wire, not up to its VLANs.",
        reference="Linux net/8021q/vlan_dev.c, vlan_dev_hard_start_xmit",
    ),
    Rule(
        id="vlan-to-other-node",
        relation="to other node",
        reachable=True,
        because="A tagged frame reaches whoever has an interface in that VLAN.",
        reference=_RECEIVE,
    ),
    Rule(
        id="vlan-from-other-node",
        relation="from other node",
        reachable=True,
        because="A frame with the container's tag goes up to the container's sub-interface.",
        reference=_RECEIVE,
    ),
    Rule(
        id="vlan-across",
        relation="across",
        reachable=True,
        because="A frame with the tag of both goes up to the other container's sub-interface.",
        reference=_RECEIVE,
    ),
)
