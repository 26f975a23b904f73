"""Who hears what is sent to everybody: one table, first rule that holds wins.

Broadcast and multicast are one here: the underlay's bridges flood both, and a child
takes a group's frames if it takes broadcasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from underlay.drivers import driver
from underlay.drivers.rule import Relation

if TYPE_CHECKING:
    from underlay.expect.world import Link, World

_MACVLAN = "Linux drivers/net/macvlan.c, "
_IPVLAN = "Linux drivers/net/ipvlan/ipvlan_core.c, "


ANY: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Heard:
    """Whether a link hears another's broadcasts; ``drivers`` and ``modes`` are empty for any.

    ``hairpin`` says that it takes a switch with reflective relay.
    """

    relation: Relation
    hears: bool
    because: str
    reference: str
    driver: str = ""
    modes: frozenset[tuple[str, str]] = ANY
    hairpin: bool = False


L3 = Heard(
    relation="siblings",
    driver="ipvlan",
    hears=False,
    because="In l3 modes an ipvlan child neither sends nor takes broadcasts or multicasts.",
    reference="Linux Documentation/networking/ipvlan.rst, 4.2 L3 mode",
)
RULES: tuple[Heard, ...] = (
    Heard(
        relation="siblings",
        driver="macvlan",
        modes=frozenset({("bridge", "bridge")}),
        hears=True,
        because="A macvlan bridge child's broadcasts go to its bridge siblings and to the wire.",
        reference=_MACVLAN + "macvlan_queue_xmit, macvlan_broadcast",
    ),
    Heard(
        relation="siblings",
        driver="macvlan",
        modes=frozenset({("vepa", "vepa"), ("vepa", "bridge"), ("bridge", "vepa")}),
        hairpin=True,
        hears=True,
        because="The switch reflects the broadcast, and VEPA children take what comes back.",
        reference=_MACVLAN + "macvlan_multicast_rx",
    ),
    Heard(
        relation="siblings",
        driver="macvlan",
        hears=False,
        because="A macvlan child in any other mode sends its broadcasts out on the wire only.",
        reference=_MACVLAN + "macvlan_queue_xmit",
    ),
    Heard(
        relation="siblings",
        driver="ipvlan",
        hears=True,
        because="An ipvlan l2 child's broadcasts are copied to its siblings, private or not.",
        reference=_IPVLAN + "ipvlan_multicast_enqueue, ipvlan_process_multicast",
    ),
    Heard(
        relation="to own parent",
        hairpin=True,
        hears=True,
        because="The switch reflects the broadcast, and the parent's node hears what comes back.",
        reference="bridge(8), hairpin; " + _MACVLAN + "macvlan_handle_frame",
    ),
    Heard(
        relation="from own parent",
        hairpin=True,
        hears=True,
        because="The switch reflects the broadcast, and the parent hands it to its children.",
        reference="bridge(8), hairpin; " + _MACVLAN + "macvlan_multicast_rx",
    ),
    Heard(
        relation="to own parent",
        hears=False,
        because="A child's broadcasts never go up into the node that owns the parent.",
        reference=_MACVLAN + "macvlan_queue_xmit; " + _IPVLAN + "ipvlan_process_multicast",
    ),
    Heard(
        relation="from own parent",
        hears=False,
        because="What a node sends through the parent goes out on the wire and visits no child.",
        reference=_MACVLAN + "macvlan_handle_frame (called for received frames only)",
    ),
)
FLOODED = Heard(
    relation="across",
    hears=True,
    because="A broadcast is flooded to the whole layer-2 domain, and every child hears the wire.",
    reference="Linux net/bridge/br_input.c, br_handle_frame_finish; "
    + _MACVLAN
    + "macvlan_multicast_rx",
)
SHUT = Heard(
    relation="across",
    hears=False,
    because="The switch keeps these ports apart, or doesn't let the sender's MAC address in.",
    reference="bridge(8), isolated and locked",
)
TAKEN = Heard(
    relation="across",
    hears=False,
    because="A passthru child takes what tunnels bring to that node.",
    reference=_MACVLAN + "macvlan_handle_frame",
)
UNLISTED = Heard(
    relation="across",
    driver="macvlan",
    hears=False,
    because="A child in source mode takes frames from the MAC addresses on its list only.",
    reference=_MACVLAN + "macvlan_forward_source",
)
REFLECTED = Heard(
    relation="siblings",
    driver="macvlan",
    hears=True,
    hairpin=True,
    because="The switch reflects the broadcast, and a child in source mode has its sender listed.",
    reference="bridge(8), hairpin; " + _MACVLAN + "macvlan_handle_frame, macvlan_forward_source",
)
SWALLOWED = Heard(
    relation="across",
    hears=False,
    because=(
        "The switch snoops and drops multicast for unknown groups, and without a querier it knows "
        "none."
    ),
    reference="RFC 4541, 2.1.2; Linux net/bridge/br_forward.c, br_flood (BR_MCAST_FLOOD)",
)


def heard(
    world: World, link: Link, other: Link, relation: Relation, check: str = "broadcast"
) -> Heard:
    """Return the rule that says whether ``other`` hears what ``link`` sends to everybody.

    Both are in one layer-2 domain. ``check`` is multicast for what goes to a group.
    """
    if link.by_node or other.by_node:
        return L3
    segment = world.segments.get(link.domain[0])
    wire = relation in ("across", "to other node", "from other node", "stations")
    if segment and wire and link.port and other.port:
        cards = {nic.mac for node in world.plan.nodes for nic in node.nics}
        if segment.isolated or (segment.locked and link.mac not in cards):
            return SHUT
    ended = _ended(world, link, other) if wire and link.port and other.port else None
    if ended:
        return ended
    if wire and _swallowed(world, link, check):
        return SWALLOWED
    if other.mode == "source" and link.mac not in other.allow:
        return UNLISTED
    if other.mode == "source" and relation == "siblings" and segment and segment.reflects:
        return REFLECTED
    if wire or any(one.driver and not driver(one.driver).has_children for one in (link, other)):
        return FLOODED
    for rule in RULES:
        if rule.relation != relation or rule.driver not in ("", driver(link.driver).receiver):
            continue
        if rule.modes and (link.mode, other.mode) not in rule.modes:
            continue
        if rule.hairpin and not (segment and segment.reflects and not _kept(link)):
            continue
        return rule
    return FLOODED


def _kept(link: Link) -> bool:
    """Whether a parent gives a child's reflected broadcast back to that child alone."""
    return "private" in link.mode or link.mode == "source"


def _swallowed(world: World, link: Link, check: str) -> bool:
    """Whether a switch drops what is for nobody's group; a VXLAN's carries broadcasts, too."""
    kind, _, name = link.domain[2].partition(" ")
    if kind == "overlay":
        network = world.plan.network(name)
        carried = world.segments.get(network.segment)
        return bool(network.group and carried and carried.swallows_multicast)
    segment = world.segments.get(link.domain[0])
    return bool(check == "multicast" and segment and segment.swallows_multicast)


def _ended(world: World, link: Link, other: Link) -> Heard | None:
    """Return what ends an overlay's broadcasts between two nodes, if anything does."""
    word, _, name = link.domain[2].partition(" ")
    if word != "overlay":
        return None
    network = world.plan.network(name)
    if world.segments[network.segment].isolated:
        return SHUT
    # To a group frames go with the group's MAC address, which leaves the node its copy.
    return TAKEN if world.is_deaf(other) and not network.group else None
