"""Faults of routes and rules, in containers and on nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from underlay.faults.evidence.lines import route_line, routes_proof
from underlay.faults.evidence.routes import best, contains, every_route, main_routes, route_family
from underlay.faults.evidence.spaces import is_up, spaces
from underlay.faults.fault import Effect, Fault, Finding, Layer, Place, Proof, Step
from underlay.faults.places import neighbour
from underlay.faults.remake import child_at, unused_address
from underlay.faults.scene import Scene
from underlay.plan import family_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Cell, Child, Passage
    from underlay.observe.evidence import Evidence, Space

SUBJECT = "routes"

REFUSING = ("blackhole", "unreachable", "prohibit", "throw")
USUAL_RULES = (("local", 0), ("main", 32766), ("default", 32767))


def towards(
    scene: Scene, space: str, interface: str, network: str, family: int = 4
) -> frozenset[Cell]:
    """Return the cells with a packet that leaves ``space`` for an address in ``network``."""

    def leaving(passage: Passage) -> bool:
        there = passage.packet.destination
        return passage.direction == "out" and contains(network, there, family)

    own = scene.cells("space", space, interface, leaving)
    return own | scene.cells("route", space, interface, leaving)


def taken(
    scene: Scene, space: Space, row: dict[str, Any], planned: set[str] | None = None
) -> Effect:
    """Return the cells that take a route that is there, and no more specific one.

    ``planned`` are the interfaces that they should leave by; None for any.
    """

    def astray(passage: Passage) -> bool:
        if passage.direction != "out" or (planned is not None and passage.interface not in planned):
            return False
        return best(space, passage.packet.destination) == row

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
        return child.network.subnet if self.family == 4 else child.network.subnet6

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

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        script = 'ip route replace "$1" via "$2" dev "$3" onlink'
        gateway = unused_address(scene, place)
        return [Step(place.target, script, (place.detail[1], gateway, place.device))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        script = 'ip route delete "$1" via "$2" 2>/dev/null || :'
        return [Step(place.target, script, (place.detail[1], unused_address(scene, place)))]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find routes by a gateway that the plan doesn't have, which some packet takes."""
        planned = set(_planned_gateways(scene))
        for space in spaces(scene, evidence):
            for row in every_route(space):
                gateway, device = row.get("gateway"), row.get("dev", "")
                if not gateway or gateway in planned:
                    continue
                if device == "eth0" and space.name == space.node:
                    continue  # a node's own default route, over management
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
        return Effect(towards(scene, place.target, place.device, place.detail[1]))

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return (place.detail[1], place.device)

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


def _planned_gateways(scene: Scene) -> Iterator[str]:
    """Yield every address that the plan itself routes by, of both families."""
    for network in scene.plan.networks:
        yield from (network.gateway, network.gateway6)
        yield from (route.via for route in network.routes)
    for node in scene.plan.nodes:
        yield from (route.via for route in node.routes)
    for host in scene.plan.hosts:
        yield from (route.via for route in host.routes)
