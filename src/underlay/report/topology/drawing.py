"""A plan as a picture: which boxes and lines there are, and what is written in them.

What there is much of is folded: the containers that a network has on a node are one line of its
box, and nodes that are alike are one box.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from underlay.drivers import DRIVERS
from underlay.expect import ends
from underlay.report.topology.picture import Group, Item, Kind, Line, Picture, Row, Tie

if TYPE_CHECKING:
    from underlay.expect import End
    from underlay.plan import (
        Nic,
        NodeLink,
        Plan,
        PlannedHost,
        PlannedNetwork,
        PlannedNode,
        PlannedSegment,
    )
    from underlay.plan.values import PortVlans

# More containers than this of a network on a node are one line.
MOST_ROWS = 8
# Of more nodes than this those that are alike are one box.
MOST_NODES = 6
USUAL_MTU = 1500


def picture_of(plan: Plan) -> Picture:
    """Return the picture of ``plan``: hosts, segments, then nodes, each in the plan's order."""
    drawing = _Drawing(plan)
    for segment in plan.segments:
        drawing.segment(segment)
    for host in plan.hosts:
        drawing.host(host)
    for alike in _alike(plan):
        drawing.nodes(alike)
    drawing.same_containers()
    return Picture(
        lab=plan.lab,
        groups=tuple(drawing.groups),
        items=tuple(drawing.items),
        lines=tuple(drawing.lines),
        places=drawing.places,
        ports=drawing.ports,
    )


def _alike(plan: Plan) -> list[list[PlannedNode]]:
    """Return the nodes, those that are drawn as one together; each alone where they are few."""
    if len(plan.nodes) <= MOST_NODES:
        return [[node] for node in plan.nodes]
    placed: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for container in plan.containers:
        placed[container.node].append(tuple(one.network for one in container.attachments))
    found: dict[Hashable, list[PlannedNode]] = defaultdict(list)
    for node in plan.nodes:
        shape = (
            node.profile,
            node.forwards,
            tuple((nic.segment, nic.interface, nic.bond, len(nic.members)) for nic in node.nics),
            tuple((vlan.interface, vlan.link) for vlan in node.vlans),
            tuple((link.kind, link.interface, link.parent, link.master) for link in node.links),
            tuple(sorted(placed[node.name])),
            tuple(str(segment.vlans.get(node.name)) for segment in plan.segments),
        )
        found[shape].append(node)
    return list(found.values())


@dataclass
class _Drawing:
    """The picture under way."""

    plan: Plan
    groups: list[Group] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    places: dict[tuple[str, str], str] = field(default_factory=dict)
    ports: dict[tuple[str, str], str] = field(default_factory=dict)
    _rows: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._ends: dict[tuple[str, str], list[End]] = defaultdict(list)
        for end in ends(self.plan):
            if end.kind == "container":
                self._ends[end.node, end.network].append(end)

    def segment(self, segment: PlannedSegment) -> None:
        """Add a segment: its subnets, and what its switch does that not every switch does."""
        self.items.append(
            Item(
                id=f"segment {segment.name}",
                kind="segment",
                name=segment.name,
                lines=tuple(_segment_lines(segment, on_node=self.plan.switch is not None)),
            )
        )

    def host(self, host: PlannedHost) -> None:
        """Add an external host with its interfaces in segments."""
        group = f"host {host.name}"
        words = ["router"] if host.forwards else []
        words += ["serves addresses"] if host.services else []
        self.groups.append(Group(group, "host", host.name, " · ".join(words), (host.name,)))
        cables: dict[str, tuple[str, str]] = {}
        for port in host.ports:
            cables.setdefault(port.nic, (port.segment, port.port))
        plain = {port.interface: port for port in host.ports if port.vlan is None}
        for nic, (segment, plug) in cables.items():
            addresses = plain[nic].addresses if nic in plain else ()
            self._item(group, (host.name,), "nic", nic, addresses)
            self._cable(group, nic, segment, (plug,), host.name, down=True)
        for one in host.ports:
            if one.vlan is not None:
                lines = (f"VLAN {one.vlan}", *one.addresses)
                self._item(group, (host.name,), "vlan", one.interface, lines)
                self._line(f"{group} {one.interface}", f"{group} {one.nic}", "stack")

    def nodes(self, nodes: list[PlannedNode]) -> None:
        """Add a node, or several that are alike as one: cards, what sits on them, networks."""
        node, names = nodes[0], tuple(one.name for one in nodes)
        group, several = f"node {node.name}", len(nodes) > 1
        words = [f"{len(nodes)} nodes alike"] if several else []
        words += ["lean"] if node.profile == "lean" else []
        words += ["forwards"] if node.forwards else []
        name = f"{names[0]} … {names[-1]}" if several else node.name
        self.groups.append(Group(group, "node", name, " · ".join(words), names))
        for number, nic in enumerate(node.nics):
            twins = [one.nics[number] for one in nodes]
            self._nic(group, nodes, nic, twins)
        for vlan in node.vlans:
            lines = (f"VLAN {vlan.vlan}", *(() if several else vlan.addresses))
            self._item(group, names, "vlan", vlan.interface, lines)
            self._line(f"{group} {vlan.link}", f"{group} {vlan.interface}", "stack")
        for link in node.links:
            self._link(group, names, link, several=several)
        for network in self.plan.networks:
            self._network(group, nodes, network)

    def same_containers(self) -> None:
        """Tie together the boxes that a container with several interfaces stands in."""
        tied: dict[tuple[str, str], list[str]] = defaultdict(list)
        for space, rows in self._rows.items():
            boxes = list(dict.fromkeys(box for box, _ in rows))
            for pair in pairwise(boxes):
                tied[pair].append(space)
        for (one, other), spaces in tied.items():
            label = spaces[0] if len(spaces) == 1 else f"{len(spaces)} containers"
            self._line(one, other, "same", label)

    def _item(
        self,
        group: str,
        machines: tuple[str, ...],
        kind: Kind,
        interface: str,
        lines: tuple[str, ...] = (),
    ) -> None:
        id = f"{group} {interface}"
        told = tuple(str(line) for line in lines if line)
        self.items.append(Item(id, kind, interface, told, group=group))
        self.places |= {(machine, interface): id for machine in machines}

    def _line(self, one: str, other: str, tie: Tie, label: str = "") -> str:
        id = f"{one} – {other}"
        self.lines.append(Line(id, one, other, tie, label))
        return id

    def _cable(
        self,
        group: str,
        interface: str,
        segment: str,
        ports: tuple[str, ...],
        machine: str,
        *,
        down: bool = False,
    ) -> None:
        """Add the cable of a card; a host's leads ``down`` to the switch, a node's up."""
        planned = next((one for one in self.plan.segments if one.name == segment), None)
        if planned is None:
            return
        vlans = planned.vlans.get(machine)
        ends = f"{group} {interface}", f"segment {segment}"
        one, other = ends if down else ends[::-1]
        id = self._line(one, other, "cable", _port_words(vlans) if vlans else "")
        self.ports |= {(segment, port): id for port in ports}

    def _nic(self, group: str, nodes: list[PlannedNode], nic: Nic, twins: list[Nic]) -> None:
        names = tuple(node.name for node in nodes)
        addresses = nic.addresses if len(nodes) == 1 else _spread([x.address for x in twins])
        mtu = f"MTU {nic.mtu}" if nic.mtu != USUAL_MTU else ""
        if not nic.bond:
            self._item(group, names, "nic", nic.interface, (*addresses, mtu))
            ports = tuple(self._port(node.name, nic.segment) for node in nodes)
            self._cable(group, nic.interface, nic.segment, ports, nodes[0].name)
            return
        for number, member in enumerate(nic.members):
            self._item(group, names, "nic", member.interface)
            ports = tuple(twin.members[number].port for twin in twins)
            self._cable(group, member.interface, nic.segment, ports, nodes[0].name)
        self._item(group, names, "bond", nic.interface, (nic.bond, *addresses, mtu))
        for member in nic.members:
            self._line(f"{group} {member.interface}", f"{group} {nic.interface}", "stack")

    def _port(self, machine: str, segment: str) -> str:
        planned = next((one for one in self.plan.segments if one.name == segment), None)
        return planned.ports.get(machine, "") if planned else ""

    def _link(self, group: str, names: tuple[str, ...], link: NodeLink, *, several: bool) -> None:
        kind: Kind = "interface"
        driver = DRIVERS.get(link.kind)
        if link.kind in ("bridge", "dummy"):
            kind = "bridge" if link.kind == "bridge" else "dummy"
        elif driver and driver.overlay:
            kind = "tunnel"
        elif driver and driver.has_children:
            kind = "shim"
        words = " ".join(filter(None, (link.kind, str(link.options.get("mode", "")))))
        lines = [words] if kind in ("tunnel", "shim", "interface") else []
        if "id" in link.options:
            lines[:1] = [f"vxlan {link.options['id']}"]
        lines += ["masquerades"] if link.options.get("masquerade") else []
        lines += [] if several else list(link.addresses)
        self._item(group, names, kind, link.interface, tuple(lines))
        if link.parent:
            self._line(f"{group} {link.parent}", f"{group} {link.interface}", "stack")
        if link.master:
            self._line(f"{group} {link.interface}", f"{group} {link.master}", "stack")

    def _network(self, group: str, nodes: list[PlannedNode], network: PlannedNetwork) -> None:
        found = [end for node in nodes for end in self._ends[node.name, network.name]]
        if not found:
            return
        box = f"{group} {network.name}"
        rows = tuple(
            Row(f"{box} {end.name}", end.name, end.address or end.address6, (end.name,))
            for end in found
        )
        if len(rows) > MOST_ROWS or len(nodes) > 1:
            addresses = [row.address for row in rows if row.address]
            span = " … ".join(dict.fromkeys((addresses[0], addresses[-1]))) if addresses else ""
            count = f"{len(rows)} containers" if len(rows) > 1 else "1 container"
            rows = (Row(f"{box} all", count, span, tuple(end.name for end in found)),)
        shown = {end: row.id for row in rows for end in row.ends}
        for end in found:
            self.places.setdefault((end.space, end.interface), shown[end.name])
            if not end.further:
                self._rows[end.space].append((box, end.name))
        lines = tuple(_network_lines(network))
        self.items.append(Item(box, "network", network.name, lines, rows, group, network.driver))
        parent = f"{group} {network.parent}"
        if any(item.id == parent for item in self.items):
            self._line(parent, box, "stack")


def _segment_lines(segment: PlannedSegment, *, on_node: bool) -> Iterator[str]:
    yield " · ".join(filter(None, (segment.subnet, segment.subnet6)))
    words = ["keeps ports apart"] if segment.isolated else []
    words += ["lets in known MACs only"] if segment.locked else []
    words += ["hairpin"] if segment.hairpin else []
    words += ["VLANs by port"] if segment.vlans else []
    words += ["snoops"] if segment.snooping else []
    words += ["asks (querier)"] if segment.querier else []
    words += ["drops unknown multicast"] if segment.unknown_multicast == "drop" else []
    words += [f"MTU {segment.mtu}"] if segment.mtu != USUAL_MTU else []
    words += ["on a node of its own"] if on_node else []
    if words:
        yield " · ".join(words)


def _network_lines(network: PlannedNetwork) -> Iterator[str]:
    vlan = f" · VLAN {network.vlan}" if network.vlan is not None else ""
    # Of ipvlan's flags, bridge is the one that nobody has to say.
    flag = network.flag if network.flag != "bridge" else ""
    made = " ".join(filter(None, (network.driver, network.mode, flag)))
    yield f"{made} · {network.runtime}{vlan}"
    for pool in network.pools:
        if pool.subnet:
            yield pool.subnet
    words = ["internal"] if network.internal else []
    words += ["masqueraded"] if network.nat else []
    if words:
        yield " · ".join(words)


def _port_words(vlans: PortVlans) -> str:
    """Return what a port of a switch does with VLANs, in a switch's own words."""
    if not vlans.tagged:
        return f"access {vlans.untagged}" if vlans.untagged is not None else "no VLAN"
    trunk = f"trunk {','.join(str(vlan) for vlan in vlans.tagged)}"
    return trunk if vlans.untagged is None else f"{trunk}, native {vlans.untagged}"


def _spread(addresses: list[str]) -> tuple[str, ...]:
    told = [address for address in addresses if address]
    return (f"{told[0].partition('/')[0]} … {told[-1]}",) if told else ()
