"""The plan as the prediction sees it: namespaces with links and routes, of one address family."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import TYPE_CHECKING, Literal

from underlay.drivers import driver
from underlay.plan import MANAGEMENT_SEGMENT, VlanLink
from underlay.plan import Route as PlannedRoute
from underlay.plan.addresses import NO_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from underlay.expect.ends import Family
    from underlay.plan import (
        Attachment,
        Cidr,
        HostPort,
        Nic,
        NodeLink,
        Plan,
        PlannedContainer,
        PlannedHost,
        PlannedNetwork,
        PlannedNode,
        PlannedSegment,
    )

EVERYWHERE = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


@dataclass(frozen=True)
class Domain:
    """A layer-2 domain: links of one domain get each other's broadcasts, if nothing forbids.

    ``segment`` is empty where no segment carries the frames as they are: in an overlay, and
    on a device of a node that has no uplink. ``vlan`` is the switch's own where the segment's
    ports have VLANs, and the tag on the cable where not. ``kind`` says who is in it:

    - ``wire``: every station of the segment's VLAN; ``name`` is empty;
    - ``port``: the stations behind one port whose VLANs have no use for their frames, or
      give none back; ``name`` is the machine at that port;
    - ``node``: one node, alone on its management link; ``name`` is that node;
    - ``device``: what sits on one device of a node that has no uplink; ``name`` is both names;
    - ``overlay``: every station of an overlay; ``name`` is that network.
    """

    segment: str
    vlan: int | None = None
    kind: Literal["wire", "port", "node", "device", "overlay"] = "wire"
    name: str = ""


@dataclass(frozen=True)
class Link:
    """An interface of a namespace.

    ``node`` and ``parent`` say whose child it is; a machine's own interface is its own
    parent. ``driver`` is empty for those, and ``mode`` is passthru where a child took its
    unicast away. ``allow`` lists the MAC addresses that a child in source mode takes.
    ``port`` is the node whose switch port its frames use, empty for an external host. ``tag``
    is what they carry on the cable. ``interface`` is its own name, and ``network`` that of a
    container.
    """

    space: str
    node: str
    parent: str
    domain: Domain
    driver: str
    mode: str
    address: str
    mac: str
    interface: str
    mtu: int
    port: str = ""
    allow: tuple[str, ...] = ()
    tag: int | None = None
    network: PlannedNetwork | None = field(default=None, compare=False)

    @property
    def by_node(self) -> bool:
        """Whether the node routes what the link sends, and looks for neighbours in its stead."""
        return driver(self.driver).routes(self.mode)

    @property
    def takes_all(self) -> bool:
        """Whether the parent gives it all that is for its address, ARP too; l3s takes IP only."""
        return self.by_node and not self.mode.startswith("l3s")


@dataclass(frozen=True)
class Route:
    """A route of a namespace: by ``link`` to ``to``, through ``via`` where that isn't empty."""

    to: IPv4Network | IPv6Network
    link: Link
    via: str = ""


@dataclass(frozen=True)
class Space:
    """A network namespace. ``nat`` is the interface's subnet that it masquerades."""

    name: str
    links: tuple[Link, ...]
    routes: tuple[Route, ...]
    forwards: bool = False
    nat: tuple[str, ...] = ()

    def route(self, address: str, parent: str = "") -> Route | None:
        """Return the route to ``address``; with ``parent``, of those over that interface."""
        wanted = _parsed(address)
        if parent:
            fitting = [r for r in self.routes if wanted in r.to and r.link.parent == parent]
            return max(fitting, key=lambda route: route.to.prefixlen, default=None)
        number, bits = int(wanted), wanted.max_prefixlen
        for prefix, routes in self._by_prefix:
            found = routes.get((wanted.version, number >> (bits - prefix)))
            if found:
                return found
        return None

    def route_by(self, address: str, interface: str) -> Route | None:
        """Return the route to ``address``, of equally long ones that over ``interface``."""
        best = self.route(address)
        alike = (r for r in self.routes if best and r.to == best.to)
        return next((r for r in alike if r.link.interface == interface), best)

    @cached_property
    def _by_prefix(self) -> list[tuple[int, dict[tuple[int, int], Route]]]:
        """Its routes by what they lead to, the longest prefixes first; of equal ones the first."""
        found: dict[int, dict[tuple[int, int], Route]] = {}
        for route in self.routes:
            to = route.to
            lead = int(to.network_address) >> (to.max_prefixlen - to.prefixlen)
            found.setdefault(to.prefixlen, {}).setdefault((to.version, lead), route)
        return sorted(found.items(), reverse=True)

    def link(self, address: str) -> Link:
        """Return the first interface that has ``address``."""
        return next(link for link in self.links if link.address == address)

    def owns(self, address: str) -> bool:
        """Whether one of its interfaces has ``address``."""
        return any(link.address == address for link in self.links)


@cache
def _parsed(address: str) -> IPv4Address | IPv6Address:
    return ip_address(address)


class World:
    """Every namespace of a plan, and what the switch does in each segment."""

    def __init__(self, plan: Plan, family: Family = 4) -> None:
        self.plan, self.family = plan, family
        self.segments = {segment.name: segment for segment in plan.segments}
        self._cards = {nic.mac for node in plan.nodes for nic in node.nics}
        # Nodes and interfaces of theirs whose unicast frames a passthru child takes.
        self._taken = {
            (container.node, plan.network(attachment.network).parent)
            for container in plan.containers
            for attachment in container.attachments
            if plan.network(attachment.network).mode == "passthru"
        }
        self.spaces = {node.name: self._node(node) for node in plan.nodes}
        self.spaces |= {host.name: self._host(host) for host in plan.hosts}
        self.spaces |= {c.name: self._container(c) for c in plan.containers}
        self._by_domain: dict[Domain, list[Link]] = {}
        self._answering: dict[tuple[Domain, str], list[Link]] = {}
        for space in self.spaces.values():
            for link in space.links:
                self._by_domain.setdefault(link.domain, []).append(link)
                for address in self._answers(space, link):
                    self._answering.setdefault((link.domain, address), []).append(link)

    def tunnel_is_taken(self, link: Link) -> bool:
        """Whether a passthru child takes what the tunnels of ``link``'s overlay bring its node."""
        overlay = self.overlay(link)
        return overlay is not None and (link.node, overlay.uplink) in self._taken

    def overlay(self, link: Link) -> PlannedNetwork | None:
        """Return the overlay whose layer-2 domain ``link`` is in; None where it is in none."""
        return self.plan.network(link.domain.name) if link.domain.kind == "overlay" else None

    def carrier(self, link: Link) -> PlannedSegment | None:
        """Return the segment that carries ``link``'s frames; an overlay's is its underlay's.

        None stands for a management link, and for a network without uplink.
        """
        overlay = self.overlay(link)
        return self.segments.get(overlay.segment if overlay else link.domain.segment)

    def is_foreign(self, link: Link) -> bool:
        """Whether ``link`` sends by a node's port with a MAC address that is none of a node."""
        return bool(link.port) and link.mac not in self._cards

    def around(self, link: Link) -> list[Link]:
        """Return every link of the layer-2 domain that ``link`` is in, its own included."""
        return self._by_domain[link.domain]

    def answering(self, link: Link, address: str) -> list[Link]:
        """Return the links that answer for ``address`` on the wire that ``link`` is on."""
        return self._answering.get((link.domain, address), [])

    def by_node(self, child: Link, address: str) -> tuple[Link | None, Route | None]:
        """Return the link with which an ipvlan l3 ``child``'s node speaks for it, and its route.

        Over the child's parent for IPv4, and over any interface for IPv6 (ipvlan_core.c in
        drivers/net/ipvlan, ipvlan_process_v4_outbound and ipvlan_process_v6_outbound).
        """
        node = self.spaces[child.node]
        return self.parent_of(child), node.route(address, "" if self.family == 6 else child.parent)

    def parent_of(self, child: Link) -> Link | None:
        """Return the link by which a child's node itself is on its wire.

        None for a dummy, the parent of an internal network: the node doesn't speak on it.
        """
        links = self.spaces[child.node].links
        return next((x for x in links if x.parent == child.parent and not x.driver), None)

    def answer_for(self, domain: Domain, address: str) -> set[str]:
        """Return the namespaces that answer for ``address`` in a layer-2 domain."""
        return {link.space for link in self._answering.get((domain, address), ())}

    def has_ports(self, link: Link) -> bool:
        """Whether a link isn't a bridge of its node's that has no container, tunnel or uplink."""
        if link.space != link.node or link.domain.segment or self.overlay(link):
            return True
        return bool(self._beside[link.node, link.parent] - {link.space})

    @cached_property
    def _beside(self) -> dict[tuple[str, str], set[str]]:
        """The namespaces that are on each parent, or are it."""
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for space in self.spaces.values():
            for link in space.links:
                found[link.node, link.parent].add(space.name)
        return found

    def _answers(self, space: Space, link: Link) -> set[str]:
        """A link answers ARP for all addresses of its machine, but ND for its own alone.

        Each further address of its interface is another link's.
        """
        if self.family == 6:
            return {link.address} - {""}
        others = {one.address for one in space.links if one.interface != link.interface}
        return {link.address, *others} - {""}

    def _mine(self, addresses: Iterable[Cidr]) -> Iterator[Cidr]:
        """Yield those of ``addresses`` that are of this world's family."""
        return (one for one in addresses if one and one.family == self.family)

    def _node(self, node: PlannedNode) -> Space:
        cards: tuple[Nic | VlanLink, ...] = (node.management, *node.nics, *node.vlans)
        segments = {node.management.interface: MANAGEMENT_SEGMENT}
        segments |= {nic.interface: nic.segment for nic in node.nics}
        held = {link.parent: link for link in node.links if link.kind == "bridge" and link.parent}
        overlays = {n.parent: n.name for n in self.plan.networks if n.traits.overlay}
        shims = {n.shim: n for n in self.plan.networks if n.shim}
        links: dict[str, Link] = {}
        routes: list[Route] = []

        def add(
            made: Nic | VlanLink | NodeLink,
            domain: Domain,
            addresses: Iterable[Cidr],
            tag: int | None = None,
        ) -> None:
            mode = "passthru" if (node.name, made.interface) in self._taken else ""
            # A bridge has an address of each of its network's subnets, and is a link for each.
            for address in [*self._mine(addresses)] or [NO_ADDRESS]:
                link = Link(
                    node.name, node.name, made.interface, domain, "", mode,
                    address.ip, made.mac, made.interface, made.mtu, node.name, (), tag,
                )  # fmt: skip
                first = links.setdefault(made.interface, link)
                if link is not first:
                    links[f"{made.interface} {address}"] = link
                if address:
                    routes.append(Route(ip_interface(address).network, first))

        for card in cards:
            nic, tag = (
                (card.link, card.vlan) if isinstance(card, VlanLink) else (card.interface, None)
            )
            domain = self._domain(segments[nic], tag, node.name)
            bridge = held.get(card.interface)
            if bridge:
                add(bridge, domain, bridge.addresses, tag)
            else:
                add(card, domain, (card.address, card.address6), tag)
        for made in node.links:
            if made.kind == "bridge" and not made.parent:
                name = overlays.get(made.interface, "")
                domain = _overlay(name) if name else _device(node.name, made.interface)
                add(made, domain, made.addresses)
            elif made.interface in shims:
                network = shims[made.interface]
                own = next(self._mine(made.addresses), NO_ADDRESS)
                link = self._child(node.name, node.name, network, own.ip, made)
                links[made.interface] = link
                # An address with a prefix of its own brings none (fib_frontend.c, fib_add_ifaddr).
                if own and own.prefix not in ("32", "128"):
                    routes.append(Route(ip_interface(own).network, link))
        routes += self._routes(node.routes, links)
        nat = tuple(
            link.options["masquerade"]
            for link in node.links
            if link.options.get("masquerade") and self.family == 4
        )
        return Space(node.name, tuple(links.values()), tuple(routes), node.forwards, nat)

    def _host(self, host: PlannedHost) -> Space:
        links: dict[str, Link] = {}
        routes = []
        for name, port, tag in _interfaces(host):
            own = port.addresses if name == port.interface else ()
            # Without an address it still answers ARP for those that its machine has elsewhere.
            for address in [*self._mine(own)] or [NO_ADDRESS]:
                domain = self._domain(port.segment, tag, host.name)
                link = Link(
                    host.name, host.name, name, domain, "", "",
                    address.ip, port.mac, name, port.mtu, tag=tag,
                )  # fmt: skip
                links.setdefault(name, link)
                links[f"{name} {address}"] = link
                if address:
                    routes.append(Route(ip_interface(address).network, links[name]))
        routes += self._routes(host.routes, links)
        return Space(host.name, tuple(dict.fromkeys(links.values())), tuple(routes), host.forwards)

    def _routes(
        self, planned: Iterable[PlannedRoute], links: Mapping[str, Link]
    ) -> Iterator[Route]:
        """Yield a machine's planned routes of this world's family, by links that it has."""
        for route in planned:
            to = ip_network(route.to)
            if to.version == self.family and route.interface in links:
                yield Route(to, links[route.interface], route.via)

    def _container(self, container: PlannedContainer) -> Space:
        links, connected, further, defaults = [], [], [], []
        for attachment in container.attachments:
            mine = list(self._mine(attachment.addresses))
            if not mine:
                continue
            network = self.plan.network(attachment.network)
            # An interface with several addresses is a link for each of them.
            every = [
                replace(
                    self._child(container.name, container.node, network, address.ip, attachment),
                    allow=attachment.allow,
                    network=network,
                )
                for address in mine
            ]
            links += every
            link = every[0]
            connected += [Route(ip_interface(address).network, link) for address in mine]
            further += [
                Route(ip_network(route.to), link, route.via)
                for route in network.routes
                if ip_network(route.to).version == self.family
            ]
            gateway = network.pool_of(mine[0].ip).gateway
            if network.default_route == "on-link":
                defaults.append(Route(EVERYWHERE[self.family], link))
            elif network.default_route == "gateway" and gateway:
                defaults.append(Route(EVERYWHERE[self.family], link, gateway))
        own = {link.address for link in links}
        by_plugins = all(
            self.plan.network(one.network).ipam != "dhcp" for one in container.attachments
        )
        # A gateway that is one's own address (scope host) makes an on-link route
        # (net/ipv4/fib_semantics.c, fib_check_nh_v4_gw; net/ipv4/route.c, rt_set_nexthop).
        chosen = [
            replace(route, via="") if route.via in own and self.family == 4 else route
            for route in _default(container.runtime, defaults, by_plugins=by_plugins)
        ]
        # Of two to one subnet the later counts. IPv4 has it in the place of an address's own as
        # well, where IPv6 gives that a metric of 256 and any other 1024 (net/ipv4/fib_trie.c,
        # fib_table_insert; net/ipv6/addrconf.c, addrconf_prefix_route).
        further.reverse()
        routes = [*further, *connected] if self.family == 4 else [*connected, *further]
        return Space(container.name, tuple(links), (*routes, *chosen), container.forwards)

    def _child(
        self,
        space: str,
        node: str,
        network: PlannedNetwork,
        address: str,
        made: Attachment | NodeLink,
    ) -> Link:
        if network.traits.overlay:
            domain = _overlay(network.name)
        elif not network.uplink:
            domain = _device(node, network.parent)
        else:
            domain = self._domain(network.segment, network.vlan, node)
        return Link(
            space=space,
            node=node,
            parent=network.parent,
            domain=domain,
            driver=network.driver,
            mode=network.traits.mode_word(network.mode, network.flag),
            address=address,
            # A dummy's is chosen by its kernel, and those of its ipvlan children are the same.
            mac=made.mac if network.own_mac or network.uplink else "",
            interface=made.interface,
            mtu=network.mtu,
            port=node,
            tag=network.vlan if network.uplink and not network.traits.overlay else None,
        )

    def _domain(self, segment: str, tag: int | None, station: str) -> Domain:
        """Return the layer-2 domain of what ``station`` sends with ``tag`` into ``segment``."""
        if segment == MANAGEMENT_SEGMENT:
            return Domain(segment, tag, "node", station)
        own = self.segments[segment].vlans.get(station)
        if own is None:
            return Domain(segment, tag)
        vlan = own.enters(tag)
        if vlan is None or not own.returns(tag):
            return Domain(segment, tag, "port", station)
        return Domain(segment, vlan)

    def one_way(self, link: Link) -> list[Link]:
        """Return the links that get what ``link`` sends, though none of theirs gets back to it.

        That is so where its port takes in the tag of a VLAN that it gives back without one.
        """
        if link.domain.kind != "port":
            return []
        segment = self.segments[link.domain.segment]
        own = segment.vlans.get(link.port or link.space)
        if own is None or link.tag is None or own.enters(link.tag) is None:
            return []
        inside = self._by_domain.get(Domain(segment.name, link.tag), [])
        # Out of the port that a frame came in by it goes again only where that is hairpin.
        return [one for one in inside if segment.reflects or one.port != link.port]


def _interfaces(host: PlannedHost) -> Iterator[tuple[str, HostPort, int | None]]:
    """Yield a host's interfaces by name, with the port that each is of and its tag.

    A NIC is there as well where the host speaks with tags alone.
    """
    named = {port.interface for port in host.ports}
    for port in host.ports:
        if port.nic not in named:
            named.add(port.nic)
            yield port.nic, port, None
        yield port.interface, port, port.vlan


def _overlay(network: str) -> Domain:
    return Domain("", None, "overlay", network)


def _device(node: str, interface: str) -> Domain:
    return Domain("", None, "device", f"{node} {interface}")


def _default(runtime: str, routes: list[Route], *, by_plugins: bool) -> list[Route]:
    """The default route that holds where several attachments bring one.

    CNI plugins put theirs before those already there (netlink.RouteAddEcmp, which
    asks the kernel neither to refuse nor to append). The other runtimes have one: the first
    on-link one, as the node's program sets it, else the first gateway. So it is with what plugins
    can't set: an on-link one of IPv6, which they take for an address's own, and any with leases.
    """
    on_link = [route for route in routes if not route.via]
    six = any(route.to.version == 6 for route in on_link)
    if runtime == "cni" and by_plugins and not six:
        return routes[-1:]
    return (on_link or routes)[:1]
