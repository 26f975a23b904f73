"""Why cells fell silent after what happens in production, told by what changed on the nodes.

None of these is a fault of the lab: files are as they were. It is what a runtime, a boot or a
neighbour makes of them the second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from underlay.proof.runs.schema import Changed, Healed, NodeEvent, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from underlay.observe.evidence import Evidence
    from underlay.plan import Plan

Word = Literal[
    "usr-lacks", "stale-neighbour", "address-changed", "interface-lost", "not-started", "away"
]
# s from which on silence isn't only that of a container on its way.
AWAY = 1.0


@dataclass(frozen=True)
class Kind:
    """What is to be said of one kind of reason, whatever it is about."""

    id: Word
    title: str
    because: str
    cure: str
    reference: str


LACKS = Kind(
    "usr-lacks",
    "the new /usr lacks what a container's network is made by",
    "An update replaces /usr as a whole. /etc, with the networks' files, and /var stay as they"
    " were: they ask for a program that isn't there any more. No restart brings it back.",
    "an image with it, or the one of before: check --after upgrade=IMAGE, or down and up",
    "Flatcar docs, reference/developer-guides/sdk-disk-partitions (USR-A, USR-B); measured: what"
    " the runtime said, and what debugfs finds in both images",
)
STALE = Kind(
    "stale-neighbour",
    "neighbours remember the MAC address of before",
    "The container has its address again, and another MAC address. Who has talked to it sends"
    " frames to the old one until its entry fails: Linux trusts it for 15 to 45 s after the last"
    " word from it, for 5 more, and asks it three times. Others take hours. A gratuitous ARP packet"
    " or any question of the container's own ends it at once.",
    "fix the MAC address (macs: in the lab file, --mac-address, mac_address:), or have the"
    " container announce itself: arping -U, or arp_notify=1 and its address before it goes up",
    "Linux Documentation/networking/ip-sysctl.rst, base_reachable_time_ms, ucast_solicit;"
    " net/ipv4/devinet.c, inetdev_event; measured: arp_notify=1 announces no address that is added"
    " after the interface is up; moby/moby#47176; containers/netavark#1114;"
    " containernetworking/cni#84",
)
CHANGED = Kind(
    "address-changed",
    "a container has another address than before",
    "Nothing fixes its address, so the runtime handed out the next or the lowest free one."
    " Whoever knows the old one, in DNS, a filter or a configuration, reaches nobody.",
    "fix the address (addresses: in the lab file, --ip, ipv4_address:, IP=), or go by names",
    "cni.dev, plugins/current/ipam/host-local (round robin); moby/moby#2801;"
    " portainer/portainer#9101",
)
LOST = Kind(
    "interface-lost",
    "an interface of the node is gone, and no file brings it back",
    "It was made by a command, such as `ip link add`. A boot makes what files say: units of"
    " systemd-networkd, netplan, ifupdown or NetworkManager, and nothing else.",
    "a .netdev with MACVLAN= or VLAN= in the parent's .network, and a .network with its addresses"
    " and routes; or a unit that runs the commands after the network is up",
    "systemd.netdev(5), [MACVLAN] and [VLAN]; docker/docs#5394",
)
ORDER = Kind(
    "not-started",
    "a container doesn't run again",
    "Nothing has started it, or it was started before what it needs was there: its parent, the"
    " network's address, the server that leases its own. Docker doesn't try again what failed to"
    " start at boot.",
    "a restart policy, or a unit with [Install]; After=network-online.target and"
    " BindsTo=sys-subsystem-net-devices-PARENT.device for the order",
    "Docker docs, config/containers/start-containers-automatically; podman-systemd.unit(5);"
    " moby/moby#35876",
)
GONE = Kind(
    "away",
    "a container or node was away while it was made anew",
    "It was removed, or its node was down, until it was there again.",
    "nothing, if that is short enough; else more than one of it, and one at a time",
    "measured: what its users asked meanwhile",
)


def reasons(
    plan: Plan,
    before: Evidence,
    now: Evidence,
    changed: Sequence[Changed],
    nodes: Sequence[NodeEvent],
    *,
    switched: bool = False,
) -> tuple[Reason, ...]:
    """Return why cells of ``plan`` fell silent in the turns of its ``nodes``, the worst first.

    ``before`` and ``now`` are the interfaces that were there; ``changed`` is what containers have
    otherwise. Each cell is explained once, by the first reason that can. Where the nodes were
    ``switched`` to another file, only what ``plan`` has can be lost.
    """
    left = [(node, one) for node in nodes for one in node.silent]
    gone = {c.container for c in changed if not c.now and c.what == "MAC address"}
    moved = {c.container: c for c in changed if c.what == "address" and c.now}
    renewed = {c.container: c for c in changed if c.what == "MAC address" and c.now and c.before}
    heard = {one.container: one for node in nodes for one in node.announced if one.container}
    heard_macs = {one.mac: one for node in nodes for one in node.announced}
    found: list[Reason] = []

    def take(kind: Kind, where: str, evidence: Iterable[str], mine: list[Healed]) -> None:
        for one in mine:
            left[:] = [pair for pair in left if pair[1] is not one]
        if mine or kind is not GONE:
            found.append(_reason(kind, where, tuple(evidence), mine))

    lacking = {name: turn.lacks for turn in nodes if turn.lacks for name in _of(turn.node, plan)}
    for name in sorted(gone):
        words = [said for node in nodes for said in node.failed if said.startswith(f"{name}: ")]
        lacks = lacking.get(name, ())
        mine = [one for _, one in left if _has(one, name)]
        take(LACKS if lacks else ORDER, name, [*lacks, *words], mine)
    for name, change in moved.items():
        evidence = [f"{change.interface}: {change.before or 'none'} → {change.now}"]
        take(CHANGED, name, evidence, [one for _, one in left if _has(one, name)])
    for node in plan.nodes:
        lost = _lost(node.name, before, now)
        if switched:
            planned = {nic.interface for nic in node.nics} | {vlan.interface for vlan in node.vlans}
            planned |= {link.interface for link in node.links}
            lost = [name for name in lost if name in planned]
        mine = [one for _, one in left if _has(one, node.name) and one.healed is None]
        if lost:
            take(LOST, node.name, [f"{name} is gone" for name in lost], mine)
    for name, change in renewed.items():
        mine = [
            one
            for _, one in left
            if one.destination.partition("@")[0] == name
            and (one.healed is None or one.healed > AWAY)
        ]
        if mine:
            said = heard.get(name) or heard_macs.get(change.now)
            told = (
                f"announced by {'gratuitous ARP' if said.how == 'arp' else 'ND'} after"
                f" {said.after:.1f} s"
                if said
                else "nobody announced it"
            )
            line = f"{change.interface}: {change.before} → {change.now}, {told}"
            take(STALE, name, [line], mine)
    for turn in nodes:
        mine = [one for node, one in left if node is turn and one.healed is not None]
        take(GONE, turn.node, turn.did, mine)
    return tuple(found)


def _of(node: str, plan: Plan) -> list[str]:
    return [container.name for container in plan.containers if container.node == node]


def _has(one: Healed, name: str) -> bool:
    return name in (one.source.partition("@")[0], one.destination.partition("@")[0])


def _lost(node: str, before: Evidence, now: Evidence) -> list[str]:
    """Return the interfaces of a node that are gone, but those that containers' come by."""
    was, is_now = before.space(node), now.space(node)
    if was is None or is_now is None:
        return []
    passing = ("veth", "vp-", "tp-")
    return [n for n in was.links if n not in is_now.links and not n.startswith(passing)]


def _reason(kind: Kind, where: str, evidence: tuple[str, ...], cells: list[Healed]) -> Reason:
    healed = [one.healed for one in cells if one.healed is not None]
    return Reason(
        id=kind.id,
        title=kind.title,
        where=where,
        because=kind.because,
        cure=kind.cure,
        reference=kind.reference,
        evidence=evidence,
        cells=len(cells),
        never=sum(one.healed is None for one in cells),
        least=min(healed, default=None),
        most=max(healed, default=None),
    )
