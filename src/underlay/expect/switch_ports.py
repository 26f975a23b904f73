"""Who reaches whom over a switch whose ports have VLANs: access, trunk and native.

Inside such a switch every frame is in a VLAN. A port decides which: by the frame's tag, or, for
one without, by the port's own untagged VLAN (PVID: an access port's, or a trunk's native one).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.drivers.rule import Rule

if TYPE_CHECKING:
    from underlay.expect.world import Link, World

_INGRESS = "Linux net/bridge/br_vlan.c, __allowed_ingress; IEEE 802.1Q, 8.6.2"
_EGRESS = "Linux net/bridge/br_vlan.c, br_handle_vlan (BRIDGE_VLAN_INFO_UNTAGGED)"

NOT_A_MEMBER = Rule(
    id="port-not-a-member",
    relation="routing",
    reachable=False,
    stop="no_neighbour",
    because=(
        "One end's switch port isn't a member of the VLAN that its frames are in, or has no "
        "native VLAN for those without a tag: the port drops them and sends none there."
    ),
    reference=_INGRESS,
)

UNTAGGED_BACK = Rule(
    id="port-untags",
    relation="routing",
    reachable=False,
    stop="no_neighbour",
    # Whoever looks for it takes any ARP of its own for an answer: seen of one pair of trunk-native
    # on a busy machine, and of none when measured again.
    also=("no_answer",),
    because=(
        "One end sends with the tag of the VLAN that its port has without one (access or native): "
        "what it sends gets in, but what comes back has no tag and isn't for its sub-interface."
    ),
    reference=f"{_INGRESS}; {_EGRESS}",
)

OTHER_NATIVE = Rule(
    id="native-mismatch",
    relation="routing",
    reachable=False,
    stop="no_neighbour",
    because=(
        "Both ends send without a tag, but their switch ports put that into different VLANs "
        "(native or access): the ARP request stays in the source's."
    ),
    reference=_INGRESS,
)


def apart(world: World, link: Link, owner: Link) -> Rule | None:
    """Return the rule by which a segment's ports keep two of its links apart, if they do."""
    for one in (link, owner):
        if one.domain.kind == "port":
            own = world.segments[one.domain.segment].vlans[one.port or one.space]
            return NOT_A_MEMBER if own.enters(one.tag) is None else UNTAGGED_BACK
    if link.domain.vlan != owner.domain.vlan and link.tag is None and owner.tag is None:
        return OTHER_NATIVE
    return None


def retagged(rule: Rule) -> Rule:
    """Return a reachable ``rule`` for two ends of one VLAN, of which only one sends its tag."""
    return replace(
        rule,
        id=f"{rule.id}-retagged",
        because=(
            f"{rule.because} One of them speaks with the tag, the other one's port takes it off "
            "and puts it on (access or native): the switch joins what is in one VLAN inside."
        ),
        reference=f"{rule.reference}; {_EGRESS}",
    )
