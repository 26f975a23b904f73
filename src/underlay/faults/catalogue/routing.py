"""Faults of routes, rules and the reverse-path filter, in containers and on nodes."""

from __future__ import annotations

from functools import cache
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from underlay.expect.kinds import gateways
from underlay.faults.evidence.lines import route_line, routes_proof, sysctl_proof
from underlay.faults.evidence.routes import best, contains, every_route, main_routes, route_family
from underlay.faults.evidence.spaces import info, is_up, spaces
from underlay.faults.fault import Effect, Fault, Finding, Layer, Place
from underlay.faults.healing import given_back
from underlay.faults.next_hops import UNASKED
from underlay.faults.places import neighbour
from underlay.faults.remake import child_at, unused_address
from underlay.faults.scene import Cell, Child, Passage, Scene
from underlay.faults.step import Proof, Step
from underlay.plan import MANAGEMENT, family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from underlay.observe.evidence import Evidence, Space

SUBJECT = "routes"

REFUSING = ("blackhole", "unreachable", "prohibit", "throw")
USUAL_RULES = (("local", 0), ("main", 32766), ("default", 32767))


def towards(
    scene: Scene,
    space: str,
    interface: str,
    network: str,
    family: int = 4,
    *,
    narrower: Iterable[str] = (),
) -> frozenset[Cell]:
    """Return the cells with a packet that leaves ``space`` for an address in ``network``.

    Addresses in a network that is ``narrower`` don't count: another route leads there.
    """

    def leaving(passage: Passage) -> bool:
        there = passage.packet.destination
        if any(contains(one, there, family_of(one)) for one in narrower):
            return False
        return passage.direction == "out" and contains(network, there, family)

    own = scene.cells("space", space, interface, leaving)
    return own | scene.cells("route", space, interface, leaving)


def within(network: str, other: str) -> bool:
    """Whether all addresses of ``network`` are in ``other``, another one of any family."""
    one, two = ip_network(network, strict=False), ip_network(other, strict=False)
    return one.version == two.version and one.subnet_of(two)  # type: ignore[arg-type]


def taken(
    scene: Scene, space: Space, row: dict[str, Any], planned: set[str] | None = None
) -> Effect:
    """Return the cells that take a route that is there, and no more specific one.

    ``planned`` are the interfaces that they should leave by; None for any.
    """

    @cache  # a thousand packets have a few dozen destinations
    def takes_it(destination: str) -> bool:
        fits = contains(row["dst"], destination, route_family(row))
        return fits and best(space, destination) == row

    def astray(passage: Passage) -> bool:
        if passage.direction != "out" or (planned is not None and passage.interface not in planned):
            return False
        return takes_it(passage.packet.destination)

    return Effect(scene.cells("space", space.name, "", astray))


class DefaultRouteMissing(Fault):
    """A container lacks its default route."""

    id = "default-route-missing"
    layer: Layer = "routing"
    title = "a container lacks its default route"
    symptom = "the container and everything outside of its own subnet lose each other"
    evidence = "`ip route show` in the container has no default"
    cause = (
        "Without a default route the container sends nothing to other subnets, not even answers: "
        "requests arrive there and nothing comes back."
    )
    cure = "ip route add default dev DEVICE (or via GATEWAY) in the container"
    reference = "Linux net/ipv4/route.c, ip_route_output_key_hash_rcu (ENETUNREACH)"
    loses_addresses = True
    family = 4
    no_place = "no network of this lab gives its containers a default route"

    def places(self, scene: Scene) -> Iterator[Place]:
        for child in scene.children:
            if child.network.default_route != "none" and self._subnet(child):
                yield Place.of(child, child.end)

    def takes(self, scene: Scene, place: Place, passage: Passage) -> bool:
        there = passage.packet.destination
        if passage.direction != "out" or family_of(there) != self.family:
            return False
        return not contains(self._subnet(child_at(scene, place)), there)

    def _subnet(self, child: Child) -> str:
        return child.pool(self.family).subnet

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [Step(place.target, f"ip -{self.family} route delete default")]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return []

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        routes = main_routes(space, self.family)
        lacking = not any(row["dst"] == "default" for row in routes)
        if lacking and usable(space, child_at(scene, place), self.family):
            yield routes_proof(space, routes, self.family)


class RefusingRoute(Fault):
    """A blackhole, unreachable or prohibit route in a container."""

    id = "blackhole-route"
    layer = "routing"
    title = "a route of a container discards what it should send"
    symptom = "the container and the destinations of that route lose each other"
    evidence = "`ip route show` in the container: blackhole, unreachable or prohibit"
    cause = "A more specific route discards packets to those destinations, answers included."
    cure = "ip route delete blackhole NETWORK in the container"
    reference = "ip-route(8), types blackhole, unreachable, prohibit"
    break_script = 'ip route replace blackhole "$1"'
    mend_script = 'ip route delete blackhole "$1" 2>/dev/null || :'

    def places(self, scene: Scene) -> Iterator[Place]:
        for child in scene.children:
            other = neighbour(scene, child)
            if other:
                yield Place.of(child, child.end, f"{other.address}/32")

    def effect(self, scene: Scene, place: Place) -> Effect:
        return Effect(towards(scene, place.target, "", place.detail[1]))

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return (place.detail[1],)

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for space in spaces(scene, evidence):
            for row in every_route(space):
                if row.get("type") in REFUSING:
                    effect = Effect(towards(scene, space.name, "", row["dst"], route_family(row)))
                    yield self.shown_by(scene, space, row, effect)

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Delete the routes that the evidence shows, and put a default one back."""
        network = place.detail[1]
        six = " -6" if network != "default" and family_of(network) == 6 else ""
        steps = [
            Step(proof.node, f"ip{six} route delete {line}")
            for proof in proofs
            for line in proof.lines
        ]
        return steps + (given_back(scene, place.target) if network == "default" else [])

    def shown_by(
        self, scene: Scene, space: Space, row: dict[str, Any], effect: Effect, device: str = ""
    ) -> Finding:
        """Return the finding that a route of a namespace is this fault."""
        place = Place(space.name, device, space.node, (space.name, row["dst"]))
        proof = Proof(space.name, "ip route show", (route_line(row),))
        return self.found(scene, place, proof, effect=effect)


class WrongNextHop(RefusingRoute):
    """A more specific route leads to a gateway that nobody is."""

    id = "wrong-next-hop"
    title = "a route of a container leads to the wrong gateway"
    symptom = "the container and the destinations of that route lose each other"
    evidence = "`ip route get` in the container: via a gateway that isn't the plan's"
    cause = (
        "Packets to those destinations go to a gateway that nobody is, or to one that"
        " doesn't forward."
    )
    cure = "ip route delete NETWORK in the container, or name the right gateway"
    reference = "Linux net/ipv4/fib_semantics.c; ip-route(8), via"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name children whose next hop gets their frames: in l3 and l3s the node routes anew."""
        for place in super().places(scene):
            if child_at(scene, place).network.mode not in UNASKED:
                yield place

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        script = 'ip route replace "$1" via "$2" dev "$3" onlink'
        gateway = unused_address(scene, place)
        return [Step(place.target, script, (place.detail[1], gateway, place.device))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        script = 'ip route delete "$1" via "$2" 2>/dev/null || :'
        return [Step(place.target, script, (place.detail[1], unused_address(scene, place)))]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find routes by a gateway that the plan doesn't have, which some packet takes."""
        planned = set(gateways(scene.plan))
        for space in spaces(scene, evidence):
            for row in every_route(space):
                gateway, device = row.get("gateway"), row.get("dev", "")
                if not gateway or gateway in planned:
                    continue
                if device == MANAGEMENT and space.name == space.node:
                    continue  # a node's own default route, over management
                if info(space, device).get("mode") in UNASKED:
                    continue  # the node routes anew what leaves by it
                if towards(scene, space.name, "", row["dst"], route_family(row)):
                    effect = taken(scene, space, row)
                    yield self.shown_by(scene, space, row, effect, device)


class WrongDevice(RefusingRoute):
    """A more specific route leaves by another interface."""

    id = "wrong-device"
    title = "a route leads out by the wrong interface"
    evidence = "`ip route show`: a destination by another device than its network's"
    cause = "Packets to those destinations leave by an interface where they aren't."
    cure = "ip route delete NETWORK dev DEVICE"
    reference = "Linux net/ipv4/fib_semantics.c; ip-route(8), via"
    break_script = 'ip route replace "$1" dev lo'
    mend_script = 'ip route delete "$1" dev lo 2>/dev/null || :'

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find direct routes that leave by another interface than the packet's network."""
        for space in spaces(scene, evidence):
            for row in every_route(space):
                if "gateway" in row or "dev" not in row:
                    continue
                if row.get("type", "unicast") != "unicast":
                    continue
                several = len([c for c in scene.children if c.container == space.name]) > 1
                if several or row["dev"] == "eth0":
                    continue
                others = set(space.links) - {row["dev"]}
                effect = taken(scene, space, row, others)
                if effect.certain:
                    yield self.shown_by(scene, space, row, effect, row["dev"])


class PolicyRule(RefusingRoute):
    """A policy rule discards packets before the main table is asked."""

    id = "policy-rule"
    title = "a policy rule takes packets away from the main table"
    evidence = "`ip rule show` in the container has more than local, main and default"
    cause = "A rule of higher priority sends those packets to another table or discards them."
    cure = "ip rule delete with the rule's own words"
    reference = "ip-rule(8)"
    break_script = 'ip rule add to "$1" priority 100 blackhole'
    mend_script = 'ip rule delete to "$1" priority 100 2>/dev/null || :'

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        words = proofs[0].lines[0].split()
        number = words[words.index("priority") + 1]
        return [Step(place.target, f"ip rule delete priority {number}")]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for space in spaces(scene, evidence):
            for row in space.rows("rules"):
                if (row.get("table"), row["priority"]) in USUAL_RULES:
                    continue
                to = row.get("dst", "all")
                network = "default" if to == "all" else f"{to}/{row.get('dstlen', 32)}"
                words = " ".join(f"{key} {value}" for key, value in row.items())
                place = Place(space.name, "", space.node, (space.name, network))
                yield self.found(scene, place, Proof(space.name, "ip rule show", (words,)))


class NodeRouteMissing(Fault):
    """A node lacks its route to a container network."""

    id = "node-route-missing"
    layer = "routing"
    title = "a node lacks its route to a container network"
    symptom = "the node and containers of other nodes lose each other; containers don't notice"
    evidence = "`ip route show` on the node lacks the container subnet"
    cause = (
        "The container subnet isn't the parent's own: without a route the node sends requests and"
        " answers to its default gateway, or nowhere."
    )
    cure = "ip route add SUBNET dev PARENT on the node"
    reference = "Linux net/ipv4/route.c, ip_route_output_key_hash_rcu"
    loses_addresses = True
    no_place = "no node of this lab needs a route to its containers' subnets"
    break_script = 'ip route delete "$1" dev "$2"'

    def places(self, scene: Scene) -> Iterator[Place]:
        for node in scene.plan.nodes:
            for route in node.routes:
                yield Place(node.name, route.interface, node.name, (node.name, route.to))

    def effect(self, scene: Scene, place: Place) -> Effect:
        """What no more specific one of the node's planned routes leads there is lost."""
        network = place.detail[1]
        planned = next(node for node in scene.plan.nodes if node.name == place.target)
        narrower = [r.to for r in planned.routes if r.to != network and within(r.to, network)]
        return Effect(towards(scene, place.target, place.device, network, narrower=narrower))

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return (place.detail[1], place.device)

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        return given_back(scene, place.target, place.device)

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        """Yield a node's routes without the planned one, if the parent is up and addressed."""
        family = family_of(place.detail[1])
        routes = main_routes(space, family)
        lacking = not any(row["dst"] == place.detail[1] for row in routes)
        if lacking and is_up(space, place.device) and space.addresses(place.device):
            yield routes_proof(space, routes, family)


def usable(space: Space, child: Child, family: int = 4) -> bool:
    """Whether a child is up and has its address, so that a missing route is a fault of its own."""
    wanted = child.address if family == 4 else child.address6
    seen = [address.ip for address in space.addresses(child.interface)]
    return is_up(space, child.interface) and wanted in seen


SWITCHED = "net.ipv4.conf.{}.rp_filter"
DROPPED = "TcpExtIPReversePathFilter"
STRICT = 1
ALL = "all"


class ReversePath(Fault):
    """A namespace drops what its own route back would not leave by the same interface."""

    id = "rp-filter"
    layer = "routing"
    title = "a strict reverse-path filter drops packets"
    symptom = (
        "only what comes in by another interface than answers would leave by is lost, such as"
        " what one network sends to a container's address in another one"
    )
    evidence = f"{SWITCHED.format('DEVICE')} = 1, and `ip route get SOURCE` names another device"
    cause = (
        "With rp_filter = 1 the kernel drops a packet whose source it would not itself reach by"
        " the interface that the packet came in by. The larger of conf.all and conf.DEVICE holds."
    )
    cure = f"sysctl -w {SWITCHED.format('DEVICE')}=2 (loose) or 0, or route both ways alike"
    reference = (
        "RFC 3704, 2.2; Linux Documentation/networking/ip-sysctl.rst, rp_filter;"
        " net/ipv4/fib_frontend.c, __fib_validate_source"
    )
    no_place = "every packet of this lab comes in where its answer leaves: the filter drops none"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name interfaces that healthy packets come in by, and would not be answered by."""
        homes = {end.space: end.node for end in scene.ends.values()}
        ways = scene.healthy.values()
        found = {(p.where, p.interface) for way in ways for p in way if _astray(scene, p)}
        # Containers before nodes.
        for space, device in sorted(found, key=lambda one: (homes.get(one[0]) == one[0], one)):
            yield Place(space, device, homes.get(space, space))

    def effect(self, scene: Scene, place: Place) -> Effect:
        device = "" if place.device == ALL else place.device
        astray = scene.cells("space", place.target, device, lambda p: _astray(scene, p))
        return Effect(astray)

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [_step(place, STRICT)]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return [_step(place, 0)]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        return [Step(place.target, f"sysctl -w net/ipv4/conf/{place.device}/rp_filter=0")]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find strict interfaces in namespaces whose routes back lead elsewhere."""
        for space in spaces(scene, evidence):
            name, strict = space.name, _strict(space)
            if not strict:
                continue
            own = [device for device in strict if space.sysctl[SWITCHED.format(device)] == "1"]
            # One switch for all of them is one fault.
            for device in own or [ALL]:
                place = Place(name, device, space.node)
                wanted = _met(space, strict if device == ALL else [device])
                cells = scene.cells("space", name, "", wanted)
                if cells:
                    proofs = [sysctl_proof(space, SWITCHED.format(device))]
                    proofs += [_route_back(scene, space, wanted), *_counted(space)]
                    yield self.found(scene, place, *proofs, effect=Effect(cells))


def _step(place: Place, value: int) -> Step:
    script = 'echo "$2" > "/proc/sys/net/ipv4/conf/$1/rp_filter"'
    return Step(place.target, script, (place.device, str(value)))


def _astray(scene: Scene, passage: Passage) -> bool:
    """Whether a packet comes in by another interface than the plan's routes lead back by."""
    if (passage.kind, passage.direction, passage.packet.family) != ("space", "in", 4):
        return False
    return scene.leads(passage.where, passage.packet.source) != passage.interface


def _strict(space: Space) -> list[str]:
    """Return the interfaces whose filter is strict: the larger of two switches holds."""
    switches = space.sysctl
    every = int(switches.get(SWITCHED.format(ALL), "0"))
    return [
        device
        for device in space.links
        if max(every, int(switches.get(SWITCHED.format(device), "0"))) == STRICT
    ]


def _met(space: Space, devices: list[str]) -> Callable[[Passage], bool]:
    """Return a test for the packets that a namespace drops, by the routes in its evidence."""

    def wanted(passage: Passage) -> bool:
        if passage.direction != "in" or passage.packet.family != 4:
            return False
        if passage.interface not in devices:
            return False
        route = best(space, passage.packet.source)
        return route is None or route.get("dev") != passage.interface

    return wanted


def _route_back(scene: Scene, space: Space, wanted: Callable[[Passage], bool]) -> Proof:
    ways = scene.healthy.values()
    one = next(p for way in ways for p in way if _there(p, space.name) and wanted(p))
    route = best(space, one.packet.source)
    line = route_line(route) if route else "no route"
    return Proof(space.name, f"ip route get {one.packet.source}", (line,))


def _counted(space: Space) -> tuple[Proof, ...]:
    """Return the kernel's own count of what the filter dropped in a namespace, if any."""
    count = space.counters.get(DROPPED)
    shown = (f"{DROPPED} {count}",)
    return (Proof(space.name, f"nstat -az {DROPPED}", shown),) if count else ()


def _there(passage: Passage, space: str) -> bool:
    return (passage.kind, passage.where) == ("space", space)
