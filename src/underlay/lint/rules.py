"""The lint rules about labs: what can be read, but would not do what it seems to say.

Each is a small function that gets a Subject and yields Hits. It speaks of what the lab's
own nodes would do, and leaves what can't be planned at all to ``keys/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, ip_address, ip_network
from itertools import combinations, product

from underlay.drivers import Driver
from underlay.errors import Spot
from underlay.fleet.formats.ignition import is_newer, not_judged, spot_of_version, version_of
from underlay.lab import Lab
from underlay.lab.text import LabText
from underlay.lint.finding import Finding, Hit, Rules
from underlay.lint.keys.networks import parent_key
from underlay.plan import (
    MANAGEMENT,
    Attachment,
    Plan,
    PlannedContainer,
    PlannedFilter,
    PlannedNetwork,
    memory,
    own_addresses,
    parent_address,
)
from underlay.plan.filters import NOBODY
from underlay.plan.hosts import in_one_vlan
from underlay.plan.naming import PROBE_PORT

# DHCP's ports of both families.
DHCP = {"udp:67", "udp:68", "udp:546", "udp:547"}


@dataclass(frozen=True)
class Subject:
    """What rules look at: the lab, what it leads to, and the text it was read from."""

    lab: Lab
    plan: Plan
    text: LabText

    @cached_property
    def nodes_of(self) -> dict[str, set[str]]:
        """The nodes with children in each network, shims too: all of them for an empty one."""
        used: dict[str, set[str]] = {network.name: set() for network in self.plan.networks}
        for container in self.plan.containers:
            for attachment in container.attachments:
                used[attachment.network].add(container.node)
        everywhere = {node.name for node in self.plan.nodes}
        for network in self.plan.networks:
            made = ((node, link) for node in self.plan.nodes for link in node.links)
            used[network.name] |= {
                node.name for node, link in made if network.shim == link.interface
            }
        return {name: nodes or everywhere for name, nodes in used.items()}

    def spot(self, *place: str | int) -> Spot:
        """Return where the key at ``place`` stands in the lab file."""
        return self.text.spot(place)

    def sharing(
        self, wanted: Callable[[Driver], bool]
    ) -> Iterator[tuple[PlannedNetwork, PlannedNetwork]]:
        """Yield each two networks of ``wanted`` drivers on one parent of at least one node."""
        networks = [network for network in self.plan.networks if wanted(network.traits)]
        for first, second in combinations(networks, 2):
            together = self.nodes_of[first.name] & self.nodes_of[second.name]
            if first.parent == second.parent and together:
                yield first, second

    def children(self, parent: str) -> dict[str, int]:
        """Return how many interfaces each node puts on ``parent``: containers' and its shims."""
        shims = {n.shim for n in self.plan.networks if n.shim and n.parent == parent}
        count = {
            node.name: sum(link.interface in shims for link in node.links)
            for node in self.plan.nodes
        }
        for container in self.plan.containers:
            for attachment in container.attachments:
                if self.plan.network(attachment.network).parent == parent:
                    count[container.node] += 1
        return count


RULES: Rules[Subject] = Rules("lint-rules.md")
rule = RULES.rule


def lint_lab(lab: Lab, text: LabText, plan: Plan) -> list[Finding]:
    """Return the findings about a lab that was read from ``text``, in file order."""
    findings = RULES.findings(Subject(lab, plan, text))
    return sorted(findings, key=lambda finding: (finding.line, finding.column))


@rule(
    "management-master",
    "error",
    "Vagrant assumes a NAT device on eth0, which is separate for each machine:"
    " https://developer.hashicorp.com/vagrant/docs/networking",
)
def management_master(subject: Subject) -> Iterator[Hit]:
    """The management NIC is every node's own: what is sent there reaches no other node."""
    nics = subject.plan.nodes[0].nics
    named = ", ".join(f"{nic.interface} ({nic.segment})" for nic in nics)
    for network in subject.plan.networks:
        if network.nic == MANAGEMENT:
            yield Hit(
                subject.spot(*parent_key(subject.text, network.name)),
                f"{network.name} sits on {network.parent}: {MANAGEMENT} is the management NIC,"
                " separate for each node, so no container hears another node's",
                f"put it on an underlay: parent: {nics[0].interface}, or segment:"
                f" {nics[0].segment} (the underlay NICs are {named})",
            )


@rule(
    "duplicate-range",
    "error",
    "host-local ensures uniqueness of IP addresses on a single host:"
    " https://www.cni.dev/plugins/current/ipam/host-local/;"
    " k8snetworkplumbingwg/multus-cni#52",
)
def duplicate_range(subject: Subject) -> Iterator[Hit]:
    """A runtime that knows only its own node starts each node's range at the same address."""
    for name, network in subject.lab.networks.items():
        owners: dict[str, list[str]] = {}
        for container in subject.plan.containers:
            for attachment in container.attachments:
                for own in attachment.addresses if attachment.network == name else ():
                    here = owners.setdefault(own.ip, [])
                    here.append(f"{container.name} on {container.node}")
        twice = {address: names for address, names in owners.items() if len(names) > 1}
        if network.sliced or not twice:
            continue
        address, names = next(iter(twice.items()))
        ipam = "host-local" if network.runtime == "cni" else "Docker"
        yield Hit(
            subject.spot("networks", name, "sliced"),
            f"{ipam} on every node hands out {network.subnet} from its start: {address} goes to"
            f" {', '.join(names)}; {len(twice)} address{'' if len(twice) == 1 else 'es'}"
            f" in {name} {'is' if len(twice) == 1 else 'are'} not unique",
            "leave `sliced: false` out: each node then gets a range of its own"
            " (rangeStart and rangeEnd, or IPRange)",
        )


@rule(
    "mixed-parent",
    "error",
    "a master can't have macvlan and ipvlan children:"
    " https://www.cni.dev/plugins/current/main/ipvlan/; containernetworking/cni#7",
)
def mixed_parent(subject: Subject) -> Iterator[Hit]:
    """A device has one receive handler: the second driver gets EBUSY."""
    for first, second in subject.sharing(lambda driver: driver.has_children):
        if first.traits.receiver != second.traits.receiver:
            yield Hit(
                subject.spot("networks", second.name, "driver"),
                f"{second.name} puts {second.driver} on {second.parent}, where {first.name} has"
                f" {first.driver}: the second gets `Device or resource busy`",
                "use one driver for both, another segment, or a vlan of its own",
            )


@rule(
    "docker-parent",
    "error",
    "moby, daemon/libnetwork/drivers/macvlan/macvlan_network.go and ipvlan/ipvlan_network.go;"
    " moby/libnetwork#2384",
)
def docker_parent(subject: Subject) -> Iterator[Hit]:
    """Docker itself refuses a second macvlan or ipvlan network on a parent, used or not."""
    by_docker = (n for n in subject.plan.networks if n.runtime == "docker")
    networks = [network for network in by_docker if network.traits.has_children]
    for first, second in combinations(networks, 2):
        alike = (first.parent, first.driver) == (second.parent, second.driver)
        if alike and not _on_other_nodes(first, second):
            yield Hit(
                subject.spot(*parent_key(subject.text, second.name)),
                f"Docker will not create {second.name}: its {first.driver} network {first.name}"
                f" `is already using parent interface {first.parent}`",
                "give one of them a vlan of its own, or another segment",
            )


@rule(
    "ipvlan-mode-shared",
    "error",
    "Linux, drivers/net/ipvlan/ipvlan_main.c: mode and flags are per port,"
    " and the latest update overrides",
)
def ipvlan_mode_shared(subject: Subject) -> Iterator[Hit]:
    """An ipvlan mode belongs to the parent; the child made last sets it for all."""
    for first, second in subject.sharing(lambda driver: driver.by_address):
        if first.mode != second.mode and not _on_other_nodes(first, second):
            key = "mode" if subject.lab.networks[second.name].mode else "driver"
            yield Hit(
                subject.spot("networks", second.name, key),
                f"{second.name} wants {second.mode} and {first.name} {first.mode} on"
                f" {second.parent}: the mode belongs to the parent, and whichever"
                " container starts last sets it for all",
                "use one mode on both, or a vlan or segment of its own",
            )


@rule(
    "public-range",
    "warning",
    "RFC 1918 and the IANA IPv4 special-purpose address registry (RFC 6890)",
)
def public_range(subject: Subject) -> Iterator[Hit]:
    """Addresses that belong to somebody on the internet."""
    subnets: dict[tuple[str, str], IPv4Network] = {
        **{("segments", name): entry.subnet for name, entry in subject.lab.segments.items()},
        **{("networks", n): one.subnet for n, one in subject.lab.networks.items() if one.subnet},
    }
    for (section, name), subnet in subnets.items():
        if subnet.network_address.is_global or subnet.broadcast_address.is_global:
            yield Hit(
                subject.spot(section, name, "subnet"),
                f"{subnet} is globally routable: the addresses are somebody's, and out of"
                f" reach for {name}",
                "fine in a closed lab; elsewhere take 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
            )


@rule(
    "gateway-unowned",
    "warning",
    "host-local: a route without gw goes through the gateway, whoever owns it:"
    " https://www.cni.dev/plugins/current/ipam/host-local/; Docker routes by it, too:"
    " https://docs.docker.com/engine/network/drivers/macvlan/",
)
def gateway_unowned(subject: Subject) -> Iterator[Hit]:
    """A gateway that nobody answers for."""
    unowned = list(_unowned(subject))
    router = _router(subject, unowned)
    told = ""
    for network, gateway in unowned:
        # Docker gives containers of ipvlan l3 a default route on the link by itself.
        dockers = network.runtime == "docker" and network.mode != "l3"
        used = network.default_route == "gateway" or any(
            route.via == gateway for route in network.routes
        )
        cure = "leave `gateway` out where nothing is to be routed"
        if network.segment:
            # One router is the cure for all, and is said once.
            cure += f", or {f'have the router that {told} names' if told else router}"
            told = told or network.name
        yield Hit(
            subject.spot(*gateway_key(subject.lab, network.name, gateway)),
            f"no node, host or container on {network.parent} owns {gateway}: "
            + (_LOST if used else _UNUSED)
            + (_DOCKERS if not used and dockers else ""),
            cure,
        )


def _unowned(subject: Subject) -> Iterator[tuple[PlannedNetwork, str]]:
    """Yield each gateway that nobody on its network's wire has, with the network."""
    for network in subject.plan.networks:
        gateways = [pool.gateway for pool in network.pools if pool.gateway and pool.family == 4]
        near = {address for _, address in _near(subject, network)} if gateways else set()
        yield from ((network, gateway) for gateway in gateways if gateway not in near)


def _router(subject: Subject, unowned: Iterable[tuple[PlannedNetwork, str]]) -> str:
    """Return the external host that would have all these gateways, and forwards between them."""
    ports: dict[str, dict[int | None, list[str]]] = {}
    for network, gateway in unowned:
        length = network.pool_of(gateway).subnet.partition("/")[2]
        own = ports.setdefault(network.segment, {}).setdefault(network.vlan, [])
        own += [] if f"{gateway}/{length}" in own else [f"{gateway}/{length}"]
    ports.pop("", None)
    sits = []
    for segment, by_vlan in ports.items():
        each = [
            f"{{addresses: [{', '.join(own)}]" + (f", vlan: {vlan}}}" if vlan else "}")
            for vlan, own in by_vlan.items()
        ]
        sits.append(f"{segment}: " + (each[0] if len(each) == 1 else f"[{', '.join(each)}]"))
    taken = {node.name for node in subject.plan.nodes} | {host.name for host in subject.plan.hosts}
    names = ("router", *(f"router-{number}" for number in range(2, len(taken) + 3)))
    name = next(one for one in names if one not in taken)
    host = f"{name}: {{on: {{{', '.join(sits)}}}, forwards: true}}"
    return f"give it to a host that forwards: `hosts: {{{host}}}`"


_LOST = "routes through it lead nowhere"
_UNUSED = "no route uses it, for containers here ask for other subnets on the link"
_DOCKERS = ", where Docker itself would route by it (`default_route: gateway`)"


def gateway_key(lab: Lab, network: str, gateway: str) -> tuple[str | int, ...]:
    """Return the place of the key that names ``gateway``."""
    for position, pool in enumerate(lab.networks[network].subnets):
        if pool.gateway == gateway:
            return ("networks", network, "subnets", position, "gateway")
    return ("networks", network, "gateway")


@rule(
    "address-taken",
    "error",
    "whose answer is last heard gets the packets: RFC 5227 (address conflict detection), 1.2.1",
)
def address_taken(subject: Subject) -> Iterator[Hit]:
    """A container has the address of another one, a node or an external host on its own wire."""
    for network in subject.plan.networks:
        if not network.uplink:
            continue
        owners = {address: name for name, address in _machines(subject, network)}
        # Where each node hands out the whole subnet, duplicate-range says it of all at once.
        is_told = not subject.lab.networks[network.name].sliced
        for container, attachment in _attached(subject.plan, network):
            for own in (address.ip for address in attachment.addresses):
                if own not in owners:
                    owners |= {} if is_told else {own: container.name}
                else:
                    place, cure = _given(subject.lab, network.name, own)
                    message = f"{container.name} has {own}, and so has {owners[own]}"
                    yield Hit(subject.spot(*place), message, cure)


@rule(
    "address-answered",
    "error",
    "Linux Documentation/networking/ip-sysctl.rst, arp_ignore: by default a machine answers for"
    " all its addresses on any interface; RFC 5227, 1.2.1",
)
def address_answered(subject: Subject) -> Iterator[Hit]:
    """A container answers in one network for its address in another, which somebody has there."""
    for network in subject.plan.networks:
        if network.traits.routes(network.mode):
            continue
        wide = bool(network.uplink or network.traits.overlay)
        owners = {
            (address.ip, "" if wide else container.node): container.name
            for container, attachment in _attached(subject.plan, network)
            for address in attachment.addresses
            if address.family == 4
        }
        for container, attachment in _attached(subject.plan, network):
            for other in container.attachments:
                for address in other.addresses if other is not attachment else ():
                    owner = owners.get((address.ip, "" if wide else container.node))
                    if owner not in (None, container.name):
                        yield Hit(
                            subject.spot("networks", other.network, "subnet"),
                            f"{container.name} is in {network.name} as well, and answers there for"
                            f" {address.ip}, which is {owner}'s",
                            f"give {other.network} and {network.name} subnets apart",
                        )


def _attached(plan: Plan, network: PlannedNetwork) -> Iterator[tuple[PlannedContainer, Attachment]]:
    """Yield each attachment of a container to ``network``, with its container."""
    for container in plan.containers:
        for attachment in container.attachments:
            if attachment.network == network.name:
                yield container, attachment


def _given(lab: Lab, network: str, address: str) -> tuple[tuple[str | int, ...], str]:
    """Return the place of the key that gives a container ``address``, and what would help."""
    for index, group in enumerate(lab.containers):
        for key in ("addresses", "addresses6"):
            if str(getattr(group, key).get(network)) == address:
                return ("containers", index, key, network), "give the container another one"
    return ("networks", network), f"leave it out of what is handed out: reserved: [{address}]"


def _machines(subject: Subject, network: PlannedNetwork) -> Iterator[tuple[str, str]]:
    """Yield each node and external host with an address of its own on ``network``'s wire."""
    plan = subject.plan
    for node in plan.nodes:
        for family in (4, 6):
            yield node.name, parent_address(plan, node, network, family)
        held = (link.addresses for link in node.links if link.interface == network.parent)
        yield from ((node.name, address.ip) for own in held for address in own)
    for host in plan.hosts:
        for port in host.ports:
            segment = subject.lab.segments.get(network.segment)
            if segment is None or port.segment != network.segment:
                continue
            if in_one_vlan(segment, host.name, port.vlan, network.vlan):
                yield from ((host.name, address.ip) for address in port.addresses)


def _near(subject: Subject, network: PlannedNetwork) -> Iterator[tuple[str, str]]:
    """Yield every address that answers on ``network``'s wire, after whose it is."""
    plan = subject.plan
    same = {n.name for n in plan.networks if n.parent == network.parent}
    yield from _machines(subject, network)
    for container in plan.containers:
        for attachment in container.attachments:
            if attachment.network in same:
                yield from ((container.name, address.ip) for address in attachment.addresses)


@rule(
    "passthru-single",
    "error",
    "Linux, drivers/net/macvlan.c: macvlan_common_newlink gives EINVAL; ip-link(8)",
)
def passthru_single(subject: Subject) -> Iterator[Hit]:
    """A parent with a passthru child takes no other child."""
    for network in subject.plan.networks:
        if network.mode != "passthru":
            continue
        # Another node's children of that interface have a parent without a passthru child.
        near = subject.nodes_of[network.name]
        children = {n: c for n, c in subject.children(network.parent).items() if n in near}
        node, most = max(children.items(), key=lambda item: item[1])
        if most > 1:
            yield Hit(
                subject.spot("networks", network.name, "mode"),
                f"{node} puts {most} children on {network.parent}; beside a passthru child"
                " every other one is refused with `Invalid argument`",
                f"one container per node on {network.parent}, or another mode",
            )


@rule(
    "mtu-over-parent",
    "error",
    "Linux, drivers/net/macvlan.c and net/8021q/vlan_dev.c: EINVAL and ERANGE above"
    " the parent's MTU",
)
def mtu_refused(subject: Subject) -> Iterator[Hit]:
    """A macvlan child or VLAN sub-interface larger than its parent is refused."""
    for network in subject.plan.networks:
        if network.traits.by_mac or network.vlan is not None:
            yield from _mtu(subject, network, "the kernel refuses that")


@rule(
    "mtu-lost",
    "warning",
    "Linux, drivers/net/ipvlan/ipvlan_main.c: a child has no limit of its own",
)
def mtu_lost(subject: Subject) -> Iterator[Hit]:
    """An ipvlan child larger than its parent is accepted, and its large packets are lost."""
    for network in subject.plan.networks:
        if network.traits.by_address and network.vlan is None:
            yield from _mtu(subject, network, "ipvlan takes it, and large packets are lost")


def _mtu(subject: Subject, network: PlannedNetwork, then: str) -> Iterator[Hit]:
    segments = {segment.name: segment.mtu for segment in subject.plan.segments}
    limit = segments.get(network.segment, subject.plan.nodes[0].management.mtu)
    if network.mtu > limit:
        yield Hit(
            subject.spot("networks", network.name, "mtu"),
            f"{network.name} has MTU {network.mtu}, its parent {limit}: {then}",
            f"mtu: {limit} or less, or raise the segment's",
        )


@rule(
    "overlapping-networks",
    "error",
    "host-local keeps one store per network name, not per parent:"
    " https://www.cni.dev/plugins/current/ipam/host-local/",
)
def overlapping_networks(subject: Subject) -> Iterator[Hit]:
    """Two networks on one parent that hand out the same addresses."""
    for first, second in combinations(subject.plan.networks, 2):
        found = _overlap(first, second)
        apart = _on_other_nodes(first, second) and not _meet(first, second)
        if first.parent == second.parent and found and not apart:
            yield Hit(
                subject.spot(*_subnet_key(subject.lab, second.name, found[1])),
                f"{second.name}'s {found[1]} overlaps {first.name}'s {found[0]} on"
                f" {first.parent}: each hands out its addresses without knowing of the other",
                "give them subnets apart, or make them one network",
            )


@rule(
    "docker-pool",
    "error",
    "moby: `Pool overlaps with other one on this address space`; moby/libnetwork#2334",
)
def docker_pool(subject: Subject) -> Iterator[Hit]:
    """One Docker daemon takes no two networks with overlapping subnets, on whatever parents."""
    networks = [network for network in subject.plan.networks if network.runtime == "docker"]
    for first, second in combinations(networks, 2):
        found = _overlap(first, second)
        if first.parent != second.parent and found and not _on_other_nodes(first, second):
            yield Hit(
                subject.spot(*_subnet_key(subject.lab, second.name, found[1])),
                f"Docker will not create {second.name}: {found[1]} overlaps"
                f" {first.name}'s {found[0]}",
                "give them subnets apart; Docker has one address space per daemon",
            )


@rule(
    "docker-l3-twice",
    "error",
    "moby, daemon/libnetwork/drivers/ipvlan/ipvlan_joinleave.go (AddStaticRoute); moby/moby#48576,"
    " #34313; measured with 26.1 in either order, at connect and at start: `file exists`",
)
def docker_l3_twice(subject: Subject) -> Iterator[Hit]:
    """Docker gives a container a default route for an ipvlan l3 network, and one for any other."""
    for spot, networks in _groups(subject):
        dockers = [n for n in networks if n.runtime == "docker" and not n.internal]
        routed = [n for n in dockers if n.mode in n.traits.l3_modes]
        if not routed or len(dockers) < 2:
            continue
        first = routed[0]
        second = next(n for n in dockers if n is not first)
        yield Hit(
            spot,
            f"Docker will not connect a container to {second.name} besides {first.name}, which is"
            f" {first.driver} {first.mode}: each brings a default route (`file exists`)",
            "only internal networks beside an l3 one, or mode l2; iproute2 takes several",
        )


@rule(
    "podman-subnet-twice",
    "error",
    "containers/netavark, src/network/types.rs, NetworkOptions: networks are in a HashMap, and it"
    " has no order; measured with 1.14 and podman 5.4: another one at each of three starts",
)
def podman_subnet_twice(subject: Subject) -> Iterator[Hit]:
    """Of two networks with one subnet podman sets up either first, whose route to it counts."""
    for spot, networks in _groups(subject):
        by_podman = [network for network in networks if network.runtime == "podman"]
        for first, second in combinations(by_podman, 2):
            subnets = {pool.subnet for pool in first.pools}
            both = [str(pool.subnet) for pool in second.pools if pool.subnet in subnets]
            if both:
                yield Hit(
                    spot,
                    f"podman sets up {first.name} and {second.name} in no fixed order: which one"
                    f" leads to {both[0]} changes from start to start",
                    "another subnet in one of them, or iproute2, which has the order of the file",
                )


@rule(
    "cni-gateways-twice",
    "error",
    "containernetworking/plugins, pkg/ipam/ipam_linux.go, ConfigureIface (netlink.RouteAddEcmp);"
    " Linux net/ipv6/ip6_fib.c, fib6_add_rt2node (rt6_qualify_for_ecmp); measured",
)
def cni_gateways_twice(subject: Subject) -> Iterator[Hit]:
    """Of two IPv6 default routes of CNI the kernel makes one of two ways: a flow takes either."""
    for spot, networks in _groups(subject):
        of_six = [n for n in networks if n.runtime == "cni" and n.first_pool(6).subnet]
        # These have one default route, which the node's program sets.
        if any(n.default_route == "on-link" or n.ipam == "dhcp" for n in of_six):
            continue
        by_gateway = [(n, n.first_pool(6).gateway) for n in of_six if n.default_route == "gateway"]
        machines = {_owner(subject, n, gateway): n for n, gateway in reversed(by_gateway)}
        if len(machines) > 1:
            first, second = list(machines.values())[:2][::-1]
            yield Hit(
                spot,
                f"of IPv6 a container has one default route by the gateways of {first.name} and"
                f" {second.name}, which are two machines: which one a flow takes goes by its hash",
                "`default_route: none` in all but one of them; iproute2 takes the first one's",
            )


def _groups(subject: Subject) -> Iterator[tuple[Spot, list[PlannedNetwork]]]:
    """Yield the networks of each entry of containers, and where they stand."""
    for index, group in enumerate(subject.lab.containers):
        networks = [subject.plan.network(name) for name in group.networks]
        yield subject.spot("containers", index, "networks"), networks


def _owner(subject: Subject, network: PlannedNetwork, address: str) -> str:
    """Return who answers for ``address`` on the network's wire; the address where nobody does."""
    near = (name for name, own in _near(subject, network) if own == address)
    return next(near, address)


@rule(
    "pool-unused",
    "warning",
    "libnetwork, endpoint.assignAddressVersion: a container gets one address of each family, of the"
    " first pool with room; Docker docs, engine/network/drivers/ipvlan.md",
)
def pool_unused(subject: Subject) -> Iterator[Hit]:
    """Docker takes no address of a second subnet while the first one has room."""
    for network in subject.plan.networks:
        own = [
            address.ip
            for container in subject.plan.containers
            for attachment in container.attachments
            if attachment.network == network.name
            for address in attachment.addresses
        ]
        firsts = {network.first_pool(4).subnet, network.first_pool(6).subnet}
        for pool in network.pools:
            if pool.subnet not in firsts and not any(pool.holds(address) for address in own):
                yield Hit(
                    subject.spot(*_subnet_key(subject.lab, network.name, pool.subnet)),
                    f"no container of {network.name} gets an address of {pool.subnet}: Docker gives"
                    " one of each family, of the first subnet with room",
                    "give containers fixed addresses in it (`addresses`), or a network of its own",
                )


@rule(
    "no-address",
    "error",
    "host-local: `no IP addresses available in range set`; Docker: `no available IPv4 addresses on"
    " this network's address pools`",
)
def no_address(subject: Subject) -> Iterator[Hit]:
    """A node whose range has no address left for a container."""
    for network in subject.plan.networks:
        families = [pool.family for pool in network.pools]
        wanted = len(set(families)) if network.one_of_each_family else len(families)
        for container in subject.plan.containers:
            short = [
                attachment
                for attachment in container.attachments
                if attachment.network == network.name and len(attachment.addresses) < wanted
            ]
            if short:
                got = ", ".join(short[0].addresses) or "none"
                lab = subject.lab.networks[network.name]
                yield Hit(
                    subject.spot("networks", network.name, "subnets" if lab.subnets else "subnet"),
                    f"{container.name} on {container.node} needs {wanted} address"
                    f"{'' if wanted == 1 else 'es'} of {network.name} and gets {got}:"
                    f" {container.node}'s range has no more",
                    "a larger subnet or range, or fewer containers",
                )
                break


@rule(
    "gateway-in-range",
    "warning",
    "host-local and Docker skip the gateway that they are told; a node that isn't told it hands it"
    " out: https://www.cni.dev/plugins/current/ipam/host-local/",
)
def gateway_in_range(subject: Subject) -> Iterator[Hit]:
    """A gateway within the range that a node hands out is one slip from being a container's."""
    for name, network in subject.lab.networks.items():
        for pool in subject.plan.network(name).pools:
            stated = next(one for one in network.pools if one.subnet == pool.subnet)
            for node in stated.ranges if pool.gateway else ():
                if pool.slices[node].holds(pool.gateway):
                    yield Hit(
                        subject.spot(*gateway_key(subject.lab, name, pool.gateway)),
                        f"the gateway {pool.gateway} is in {node}'s range, {stated.ranges[node]}",
                        "give the nodes ranges that leave it out",
                    )


@rule(
    "subnet-twice",
    "error",
    "Linux, net/ipv4/fib_frontend.c, fib_magic: an address's route is appended to the one that"
    " is there",
)
def subnet_twice(subject: Subject) -> Iterator[Hit]:
    """A node that is in one subnet by two interfaces sends by whichever came up first."""
    node = subject.plan.nodes[0]
    bridges = [link for link in node.links if link.kind == "bridge"]
    by_interface = {link.interface: link.addresses for link in node.vlans}
    by_interface |= {link.interface: link.addresses for link in bridges}
    seen: dict[str, str] = {}
    for network in subject.plan.networks:
        # A bridge has taken the address of the uplink that it holds.
        interface = network.parent if network.parent in by_interface else network.uplink
        if interface not in by_interface or network.shim:
            continue
        for address in by_interface[interface]:
            subnet = address.subnet
            other = seen.setdefault(subnet, interface)
            if other != interface and subnet in (network.subnet, network.subnet6):
                key = "subnet" if subnet == network.subnet else "subnet6"
                yield Hit(
                    subject.spot("networks", network.name, key),
                    f"each node is in {subnet} by {interface} and by {other}: which one it asks"
                    " on is a matter of which came up first",
                    "give the networks subnets apart",
                )


@rule(
    "bridge-reflected",
    "error",
    "Linux, net/bridge/br_fdb.c, br_fdb_update: the entry moves to the port that the frame"
    " came in by; net/bridge/br_forward.c, should_deliver; bridge(8), hairpin",
)
def bridge_reflected(subject: Subject) -> Iterator[Hit]:
    """A bridge learns its own containers at the uplink from the frames that hairpin sends back."""
    hairpin = {segment.name for segment in subject.plan.segments if segment.reflects}
    for network in subject.plan.networks:
        bridged = network.traits.bridges_uplink and network.uplink
        if bridged and network.segment in hairpin:
            yield Hit(
                subject.spot("networks", network.name, "driver"),
                f"{network.name}'s bridge holds {network.uplink}, where the switch sends each"
                " broadcast back (hairpin): the bridge then looks for its own container at the"
                " uplink, and drops what comes in there for it, until the container sends again",
                f"leave hairpin out of {network.segment}, or use macvlan or ipvlan on it",
            )


@rule(
    "filter-nobody",
    "error",
    "a filter is on somebody, and from or to somebody: docs/lab-file.md",
)
def filter_nobody(subject: Subject) -> Iterator[Hit]:
    """A name that no container, network, node or host has would make a filter of nothing."""
    for one, written in zip(subject.plan.filters, subject.lab.filters, strict=True):
        place = ("filters", one.number)
        names = ", ".join([written.on] if isinstance(written.on, str) else written.on)
        found = [("on", names)] if not one.spaces else []
        found += [("from", str(written.from_))] if one.sources == NOBODY else []
        found += [("to", str(written.to))] if one.destinations == NOBODY else []
        for key, name in found:
            yield Hit(
                subject.spot(*place, key),
                f"the filter is {key} {name}, which stands for nobody in this lab",
                "write a container's name as `underlay status` shows it, or its network's",
            )


@rule(
    "filter-unasked",
    "warning",
    "Linux, drivers/net/macvlan.c, macvlan_handle_frame, and drivers/net/ipvlan/ipvlan_core.c,"
    " ipvlan_handle_frame; measured: docs/concepts/filters.md",
)
def filter_unasked(subject: Subject) -> Iterator[Hit]:
    """A node's filter isn't asked about its macvlan and ipvlan l2 containers' packets."""
    nodes = {node.name for node in subject.plan.nodes}
    unseen = {
        pool.subnet: network
        for network in subject.plan.networks
        if _passes_by(network)
        for pool in network.pools
    }
    for one in subject.plan.filters:
        if not one.spaces or not nodes.issuperset(one.spaces) or _from_other_nodes(subject, one):
            continue
        about = [subnet for subnet in (*one.sources, *one.destinations) if subnet in unseen]
        if about:
            network = unseen[about[0]]
            whom = f"containers of {network.name} send and get"
            where = f"{network.name}: each container then has it in its own namespace"
        elif alone := _unseen_alone(subject, one):
            container, network = alone
            whom = f"{container} sends and gets"
            where = f"{container}, which then has it in its own namespace"
        else:
            continue
        yield Hit(
            subject.spot("filters", one.number, "on"),
            f"the filter of {', '.join(one.spaces)} isn't asked about what {whom}:"
            f" {network.driver} {network.mode} never passes the node's IP stack",
            f"put it on {where}",
        )


def _passes_by(network: PlannedNetwork) -> bool:
    """Whether what a network's containers send and get never passes their node's IP stack."""
    return network.traits.has_children and network.mode not in network.traits.l3_modes


def _from_other_nodes(subject: Subject, one: PlannedFilter) -> bool:
    """Whether a filter of nodes is about what one says to other nodes' containers, or hears.

    Those packets come by the wire, and end or begin in the node's own IP stack: it is asked then.
    """
    whom = {"in": one.sources, "out": one.destinations}.get(one.direction, ())
    plan = subject.plan
    return any(
        ip_address(address.ip) in ip_network(subnet)
        for container in plan.containers
        if {*one.spaces} - {container.node}
        for attachment in container.attachments
        if plan.network(attachment.network).uplink
        for address in attachment.addresses
        for subnet in whom
        if address
    )


def _unseen_alone(subject: Subject, one: PlannedFilter) -> tuple[str, PlannedNetwork] | None:
    """Return whom a filter of nodes is about in vain: some containers' addresses and no others.

    What a node itself says to a container, and hears from it, does pass: where it has an address
    in the container's subnet, a filter may mean that.
    """
    plan = subject.plan
    own = {name: _own_subnets(subject, name) for name in one.spaces}
    for whom, asked in ((one.sources, "out"), (one.destinations, "in")):
        met = [_met(subject, subnet) for subnet in whom]
        if not met or not all(met):
            continue
        container, name = next(iter(met[0]))
        network = plan.network(name)
        pools = {pool.subnet for _, other in met[0] for pool in plan.network(other).pools}
        talks = one.direction != asked and any(pools & subnets for subnets in own.values())
        if not talks:
            return container, network
    return None


def _own_subnets(subject: Subject, name: str) -> set[str]:
    """Return the subnets that the node called ``name`` has addresses in."""
    node = next(node for node in subject.plan.nodes if node.name == name)
    return {str(one.subnet) for found in own_addresses(node).values() for one in found if one}


def _met(subject: Subject, subnet: str) -> dict[tuple[str, str], None]:
    """Return the containers and networks with an address in ``subnet``; none if others have, too.

    Others are whoever a node's filter can be asked about.
    """
    plan, whole = subject.plan, ip_network(subnet)
    others = [
        address
        for node in plan.nodes
        for found in own_addresses(node).values()
        for address in found
    ]
    others += [address for host in plan.hosts for p in host.ports for address in p.addresses]
    found: dict[tuple[str, str], None] = {}
    for container in plan.containers:
        for attachment in container.attachments:
            network = plan.network(attachment.network)
            for address in attachment.addresses:
                if not _passes_by(network):
                    others.append(address)
                elif address and ip_address(address.ip) in whole:
                    found[container.name, network.name] = None
    if any(address and ip_address(address.ip) in whole for address in others):
        return {}
    return found


@rule(
    "port-unmeasured",
    "warning",
    "cells are measured by `protocols` alone: docs/lab-file.md",
)
def port_unmeasured(subject: Subject) -> Iterator[Hit]:
    """A port that no cell asks for is green whatever its filter or its listener does."""
    lab = subject.lab
    # A tunnel's outer packets are asked for by what travels in it.
    measured = {*lab.protocols, *(f"udp:{n.port}" for n in subject.plan.networks if n.port)}
    measured |= {f"{word}:{PROBE_PORT}" for word in ("tcp", "udp") if word in lab.protocols}
    if any(network.ipam == "dhcp" for network in subject.plan.networks):
        measured |= DHCP
    places: list[tuple[tuple[str | int, ...], str, str]] = [
        (("filters", one.number, "port"), f"{one.protocol}:{one.port}", "the filter is about")
        for one in subject.plan.filters
        if one.port
    ]
    for key, listening in (("containers", dict(enumerate(lab.containers))), ("hosts", lab.hosts)):
        places += [
            ((key, name, "listens", position), str(word), "somebody listens on")
            for name, entry in listening.items()
            for position, word in enumerate(entry.listens)
        ]
    places += [
        (("containers", number, "ports", position), f"tcp:{port}", "a program listens on")
        for number, group in enumerate(lab.containers)
        for position, port in enumerate(group.ports)
    ]
    for place, word, what in places:
        if word not in measured:
            yield Hit(
                subject.spot(*place),
                f"{what} {word}, which `protocols` doesn't name: no cell asks for it",
                f"protocols: [{', '.join([*lab.protocols, word])}]",
            )


@rule(
    "filter-forwards-nothing",
    "warning",
    "Linux, net/ipv4/ip_forward.c, and net/bridge/br_netfilter_hooks.c, br_nf_forward",
)
def filter_forwards_nothing(subject: Subject) -> Iterator[Hit]:
    """A forward chain is asked by who forwards, and by bridges that are told to ask it."""
    plan = subject.plan
    able = {c.name for c in plan.containers if c.forwards}
    able |= {host.name for host in plan.hosts if host.forwards}
    able |= {
        node.name
        for node in plan.nodes
        if node.forwards or any("masquerade" in link.options for link in node.links)
    }
    able |= {name for one in plan.filters if one.bridged for name in one.spaces}
    for one in plan.filters:
        idle = [name for name in one.spaces if name not in able]
        if one.direction == "forward" and idle:
            yield Hit(
                subject.spot("filters", one.number, "direction"),
                f"{', '.join(idle[:3])}{' …' if idle[3:] else ''} forward{'s' * (len(idle) == 1)}"
                " nothing: this filter is never asked",
                "direction: in or out; `forwards: true` for a router; `bridged: true` here for a"
                " node's bridges",
            )


@rule(
    "memory-short",
    "warning",
    "measured on real nodes: docs/proof/memory-full.json; 62 Docker containers fill one of 512 MiB",
)
def memory_short(subject: Subject) -> Iterator[Hit]:
    """A node whose memory is full starts no more containers: each fails with exit code 137."""
    needs = {node.name: memory.need(subject.plan, node) for node in subject.plan.nodes}
    node = max(subject.plan.nodes, key=lambda node: needs[node.name].mib - node.memory)
    most = needs[node.name]
    if most.mib > node.memory:
        short = sum(needs[each.name].mib > each.memory for each in subject.plan.nodes)
        others = f", and so do {short - 1} more nodes" if short > 1 else ""
        yield Hit(
            subject.spot("nodes", "memory"),
            f"{node.name} needs some {most.mib} MiB of memory ({', '.join(most.parts)}) and has"
            f" {node.memory}{others}",
            f"nodes: {{memory: {most.enough}}}, or fewer containers on each node",
        )


def _overlap(first: PlannedNetwork, second: PlannedNetwork) -> tuple[str, str] | None:
    """Return the subnets of the two that overlap, of either family."""
    for one, other in product(first.pools, second.pools):
        if one.family == other.family and ip_network(one.subnet).overlaps(ip_network(other.subnet)):
            return one.subnet, other.subnet
    return None


@rule("fleet-interface-name", "warning", "lint/derived.py: nodes' NICs have one name in a segment")
def fleet_interface_name(subject: Subject) -> Iterator[Hit]:
    """The prediction is of the hosts. Their nodes have another interface of that name, or none.

    So what the files say of it does nothing on a node, or something else.
    """
    nodes = {node.name: dict(node.also) for node in subject.plan.nodes}
    for one in subject.lab.own.renamed:
        # It has that name as well, by which everybody finds it.
        if nodes.get(one.node, {}).get(one.name) == one.called:
            continue
        message = f"{one.name} of {one.node} is called {one.called} on its node"
        cure = (
            "lint, predict and diff take it as it is meant; to boot the files, call it alike on"
            " every host, and not eth0, which is a node's management. Docker, CNI and networkd take"
            " a second name, podman doesn't"
        )
        yield Hit(one.spot, message, cure)


@rule(
    "ignition-newer",
    "error",
    "Ignition, config/config.go, Parse: `unsupported config version`;"
    " Debian 13 has Ignition 2.14: https://packages.debian.org/trixie/ignition",
)
def ignition_newer(subject: Subject) -> Iterator[Hit]:
    """Nodes of this lab are made by Debian's Ignition, which refuses a later specification."""
    for node in subject.plan.nodes:
        if node.config != "ignition" or node.ignition_as:
            continue
        for file in node.own:
            version = version_of(file.text) if file.program == "ignition" else ""
            if version and is_newer(version):
                yield Hit(spot_of_version(file.source, file.text), *not_judged(version))


def _on_other_nodes(first: PlannedNetwork, second: PlannedNetwork) -> bool:
    """Whether hosts' own files make the two, and no host has both."""
    ones, others = dict(first.made_by), dict(second.made_by)
    return bool(ones and others) and not ones.keys() & others.keys()


def _meet(first: PlannedNetwork, second: PlannedNetwork) -> bool:
    """Whether a host that makes the one hands out an address that another's file hands out, too."""
    ones, others = (
        [
            pool.slices[node]
            for pool in network.pools
            for node, _ in network.made_by
            if node in pool.slices
        ]
        for network in (first, second)
    )
    return any(
        one.holds(other.first) or other.holds(one.first) for one, other in product(ones, others)
    )


def _subnet_key(lab: Lab, network: str, subnet: str) -> tuple[str | int, ...]:
    """Return the place of the key that names ``subnet``."""
    entry = lab.networks[network]
    for position, pool in enumerate(entry.subnets):
        if pool.subnet == subnet:
            return ("networks", network, "subnets", position, "subnet")
    return ("networks", network, "subnet6" if str(entry.subnet6) == subnet else "subnet")
