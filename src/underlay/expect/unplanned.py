"""What may be heard and reached besides the cells: everything else there is not planned.

A lab's plan says more than its cells ask for. It says which interfaces are in one layer-2 domain
and hear each other's broadcasts (tables.py), and which addresses there are at all. What an end
hears, or gets an answer from, beyond that is a way that nobody planned.

Planned without being written anywhere is the link-local address of every interface with IPv6,
and that all nodes of its link hear it (RFC 4291, 2.1, 2.7.1 and 2.8; RFC 4862, 5.3): two networks
that share a segment and a VLAN are one link, whatever their subnets are. Across domains nothing
is: a link-local packet is never forwarded (RFC 4291, 2.5.6), nor is a broadcast (RFC 919).

What is asked is a handful of frames for each interface, never one for each pair: what goes to
everybody is sent once and heard by all. Whoever answers ARP for others puts off an answer to a
broadcast by up to 0.8 s at random (Linux net/core/neighbour.c, pneigh_enqueue; proxy_delay in
ip-sysctl.rst), but not one to a frame for itself. So each interface is asked by its own address
by the one before it, and nobody waits for that.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from itertools import chain
from typing import TYPE_CHECKING

from underlay.expect.ends import FAMILIES, ends, is_link_local, machines
from underlay.expect.tables import broadcast_rule
from underlay.plan import MANAGEMENT, own_addresses

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from underlay.expect.predict import Prediction
    from underlay.expect.world import Domain, Link, World
    from underlay.plan import Plan

# For documentation alone, so nobody's (RFC 5737).
NOBODYS = "192.0.2.27"
# How many of a subnet's last addresses are tried for one that nobody has.
TRIED = 64
# The lower half of an address that is made of an advertised subnet (RFC 4291, 2.5.4).
IDENTIFIER = (1 << 64) - 1
# Interfaces of a sort that send a frame by which their hearers are shown to hear: each hears the
# other one's.
LEADING = 2
# Sorts of which an interface has to hear one: whoever else is cut off, some of them speak.
CONTROLS = 4


@dataclass(frozen=True)
class Point:
    """An interface that sends and hears; ``number`` is the same on all nodes.

    ``machine`` is where its probe runs, ``end`` its name for people. Points of one ``sort`` are
    heard by the same others; ``hears`` are the sorts that it may hear, of which it has to hear
    one of ``controls``, if there are any. ``leads`` has it send what the others are shown to hear
    by. ``address`` is its planned IPv4 address, empty for none, and ``questions`` are the addresses
    that it asks for by ARP: of nobody, but for that of ``neighbour``. Those of nobody it asks
    ``next_ones`` for, too, by their MAC addresses. One that is ``still`` sends nothing: its node
    routes what it sends, and its driver discards all else (Linux drivers/net/ipvlan/ipvlan_core.c,
    ipvlan_process_outbound).
    """

    number: int
    end: str
    machine: str
    space: str
    interface: str
    mac: str
    network: str
    sort: int
    hears: tuple[int, ...]
    controls: tuple[int, ...]
    leads: bool
    address: str
    questions: tuple[str, ...]
    neighbour: str
    next_ones: tuple[str, ...]
    still: bool = False


@dataclass(frozen=True)
class Planned:
    """All points of a lab, and what is planned there.

    ``addresses`` are those of each namespace, ``owners`` the MAC addresses that may answer for
    each address, and ``names`` the ends that a MAC address may stand for.
    """

    points: tuple[Point, ...]
    addresses: dict[str, tuple[str, ...]]
    owners: dict[str, tuple[str, ...]]
    names: dict[str, tuple[str, ...]]


def planned(prediction: Prediction) -> Planned:
    """Return what is planned in the lab of ``prediction``."""
    return _Planning(prediction).planned()


class _Planning:
    def __init__(self, prediction: Prediction) -> None:
        self._plan = prediction.plan
        self._worlds = [prediction.paths[family].world for family in FAMILIES]
        self._links = _links(self._worlds)
        self._keys = {place: self._key(link) for place, link in self._links.items()}
        # Sorts count from 1.
        self._sorts = {key: n for n, key in enumerate(dict.fromkeys(self._keys.values()), 1)}
        self._members: dict[int, list[tuple[str, str]]] = defaultdict(list)
        for place, key in self._keys.items():
            self._members[self._sorts[key]].append(place)
        self._heard = self._hearing()

    def planned(self) -> Planned:
        addresses = planned_addresses(self._plan)
        for space, more in self._advertised().items():
            addresses[space] = tuple(dict.fromkeys([*addresses[space], *sorted(more)]))
        owners: dict[str, set[str]] = defaultdict(set)
        names: dict[str, dict[str, None]] = defaultdict(dict)
        for space, own in addresses.items():
            macs = {link.mac for world in self._worlds for link in world.spaces[space].links}
            for address in own:
                owners[address] |= macs
        for (space, _), link in self._links.items():
            names[link.mac][space] = None
        return Planned(
            tuple(self._points(addresses)),
            addresses,
            {address: tuple(sorted(macs)) for address, macs in owners.items()},
            {mac: tuple(spaces) for mac, spaces in names.items() if mac},
        )

    def _advertised(self) -> dict[str, set[str]]:
        """Return the addresses that are made of subnets which the plan has advertised on a link.

        Whoever has IPv6 there may make one of each, whichever network it is in: of the interface
        identifier of its own address, or of its MAC address (RFC 4862, 5.5.3; RFC 4291, 2.5.1).
        Where the plan gives an interface no IPv6, such an address isn't planned.
        """
        subnets: dict[Domain, set[str]] = defaultdict(set)
        for link in self._links.values():
            if link.network and link.network.slaac and link.network.subnet6:
                subnets[link.domain].add(link.network.subnet6)
        found: dict[str, set[str]] = defaultdict(set)
        for link in (x for space in self._worlds[1].spaces.values() for x in space.links):
            if link.address and not is_link_local(link.address):
                own = {int(ip_address(link.address)) & IDENTIFIER, _identifier(link.mac)}
                found[link.space] |= {
                    str(ip_network(subnet)[one]) for subnet in subnets[link.domain] for one in own
                }
        return found

    def _points(self, addresses: dict[str, tuple[str, ...]]) -> Iterator[Point]:
        nobodys = _Nobodys(self._plan, addresses)
        called = {
            (end.space, end.interface): (end.name, end.network)
            for end in reversed(ends(self._plan))
        }
        homes = {c.name: c.node for c in self._plan.containers}
        controls = self._controls()
        neighbours = self._neighbours()
        for number, (place, link) in enumerate(self._links.items(), 1):
            space, interface = place
            sort = self._sorts[self._keys[place]]
            name, network = called.get(place, (space, link.domain.name or link.domain.segment))
            own = self._own(place)
            following = neighbours.get(place, ())
            neighbour = self._own(following[0]) if following else ""
            asked = [*nobodys.of(own), *([neighbour] if neighbour else [])]
            yield Point(
                number=number,
                end=name,
                machine=homes.get(space, space),
                space=space,
                interface=interface,
                mac=link.mac,
                network=network,
                sort=sort,
                hears=tuple(self._heard[sort]),
                controls=controls.get(place, ()),
                leads=place in self._members[sort][:LEADING],
                address=own,
                questions=tuple(dict.fromkeys(asked)) if own else (),
                neighbour=neighbour,
                next_ones=tuple(
                    dict.fromkeys(mac for one in following if (mac := self._links[one].mac))
                ),
                still=link.by_node,
            )

    def _own(self, place: tuple[str, str]) -> str:
        """Return the first planned IPv4 address of an interface; empty for none."""
        links = self._worlds[0].spaces[place[0]].links
        return next((x.address for x in links if x.interface == place[1] and x.address), "")

    def _key(self, link: Link) -> Hashable:
        """What an interface has in common with all that are heard, and hear, like it."""
        world = self._worlds[0]
        listed = any(other.allow for other in self._links.values() if other.domain == link.domain)
        own = (link.mac, link.allow) if listed else ()
        return (
            link.domain, link.node, link.parent, link.port, link.driver, link.mode, link.tag,
            world.is_foreign(link), own,
        )  # fmt: skip

    def _hearing(self) -> dict[int, list[int]]:
        """Return, for each sort, those that it may hear."""
        found: dict[int, list[int]] = defaultdict(list)
        for sort, members in self._members.items():
            link = self._links[members[0]]
            beyond = {
                (other.space, other.interface)
                for world in self._worlds
                for other in world.one_way(link)
            }
            for hearer, others in self._members.items():
                other = self._links[others[0]]
                near = other.domain == link.domain or not beyond.isdisjoint(others)
                if near and self._may_hear(link, other):
                    found[hearer].append(sort)
        return found

    def _may_hear(self, link: Link, other: Link) -> bool:
        world = self._worlds[0]
        # A node that gets nothing of a tunnel sends all the same to one that has asked for it.
        if world.tunnel_is_taken(link) and not world.tunnel_is_taken(other):
            return True
        return any(
            broadcast_rule(world, link, other, check).reachable
            for check in ("broadcast", "multicast")
        )

    def _controls(self) -> dict[tuple[str, str], tuple[int, ...]]:
        """Return for each interface the sorts of which it has to hear one, of as many as there are.

        Those of other machines come first: a machine that is cut off still hears its own.
        """
        found = {}
        for place, key in self._keys.items():
            certain = [
                sort
                for sort in self._heard[self._sorts[key]]
                if any(self._always_heard(x, place) for x in self._members[sort][:LEADING])
            ]
            by_machine: dict[str, int] = {}
            for sort in certain:
                by_machine.setdefault(self._links[self._members[sort][0]].node, sort)
            by_machine.pop(self._links[place].node, None)
            found[place] = (*by_machine.values(),)[:CONTROLS] or tuple(certain[:1])
        return found

    def _always_heard(self, place: tuple[str, str], hearer: tuple[str, str]) -> bool:
        """Whether what an interface sends by ARP is certainly heard, as the rules say."""
        if place[0] == hearer[0] or not self._own(place):
            return False
        link, other = self._links[place], self._links[hearer]
        same = link.domain == other.domain
        return same and broadcast_rule(self._worlds[0], link, other, "broadcast").reachable

    def _neighbours(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """Return whom each interface asks for and asks: the next in its domain, in a ring.

        So each is asked by somebody. The second is the next in its network on another machine,
        if there is one: children of one parent may not hear each other, and a container may have
        routes to its own subnet only.
        """
        rings: dict[Domain, list[tuple[str, str]]] = defaultdict(list)
        for place, link in self._links.items():
            if self._own(place):
                rings[link.domain].append(place)
        found: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for ring in rings.values():
            for number, place in enumerate(ring):
                order = [*ring[number + 1 :], *ring[:number]]
                link = self._links[place]
                beside = [one for one in order[:1] if one[0] != place[0]]
                beyond = [one for one in order if self._links[one].node != link.node]
                alike = [one for one in beyond if self._links[one].network == link.network]
                found[place] = list(dict.fromkeys([*beside, *(alike or beyond)[:1]]))
        return found


class _Nobodys:
    """Finds addresses that nobody has, to ask for."""

    def __init__(self, plan: Plan, addresses: dict[str, tuple[str, ...]]) -> None:
        self._plan = plan
        self._taken = set(chain.from_iterable(addresses.values()))
        for network in plan.networks:
            self._taken |= {*network.reserved, *(pool.gateway for pool in network.pools)}
            self._taken |= {pool.spare for pool in network.pools}
        subnets = [network.subnet for network in plan.networks if network.subnet]
        subnets += [segment.subnet for segment in plan.segments if segment.subnet not in subnets]
        self._of = {
            subnet: one
            for subnet in dict.fromkeys(subnets)
            if subnet != "None" and subnet and (one := self._free(subnet))
        }

    def of(self, own: str) -> list[str]:
        """Return an address in the subnet of ``own``, and one of another subnet or of none."""
        if not own:
            return []
        inside = [one for subnet, one in self._of.items() if _within(own, subnet)]
        other = [one for subnet, one in self._of.items() if not _within(own, subnet)]
        # Which one depends on who asks, so that every subnet is asked for by somebody.
        turn = int(own.rpartition(".")[2])
        return [*inside[:1], *(other[turn % len(other) :][:1] if other else [NOBODYS])]

    def _free(self, subnet: str) -> str:
        network = ip_network(subnet)
        for back in range(2, min(TRIED, network.num_addresses - 2)):
            address = str(network[-back])
            if address not in self._taken and not self._is_reserved(address):
                return address
        return ""

    def _is_reserved(self, address: str) -> bool:
        return any(
            _within(address, one) for n in self._plan.networks for one in n.reserved if "/" in one
        )


def _within(address: str, subnet: str) -> bool:
    found = ip_interface(address)
    network = ip_network(subnet)
    return found.version == network.version and found.ip in network


def _identifier(mac: str) -> int:
    """Return the interface identifier that a MAC address makes (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", "")) or bytes(6)
    return int.from_bytes(bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:], "big")


def _links(worlds: list[World]) -> dict[tuple[str, str], Link]:
    """Return every interface of a lab that is on a wire of its, by namespace and name."""
    found: dict[tuple[str, str], Link] = {}
    for world in worlds:
        for space in world.spaces.values():
            for link in space.links:
                # A node is alone with its switchless management link.
                if link.domain.kind != "node":
                    found.setdefault((link.space, link.interface), link)
    return found


def planned_addresses(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return the planned addresses of every namespace, of both families."""
    found: dict[str, list[str]] = {name: [] for name in machines(plan)}
    for node in plan.nodes:
        found[node.name] += [one.ip for own in own_addresses(node).values() for one in own]
    for host in plan.hosts:
        found[host.name] += [one.ip for port in host.ports for one in port.addresses]
    for container in plan.containers:
        found[container.name] = [
            one.ip for attachment in container.attachments for one in attachment.addresses
        ]
    return {space: tuple(dict.fromkeys(own)) for space, own in found.items()}


def left_alone(plan: Plan) -> tuple[str, ...]:
    """Return the interfaces of nodes that are the provider's own, and no part of the lab."""
    return (MANAGEMENT,) if plan.nodes else ()
