"""Wrong masks: an address that is right with a prefix length that isn't."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_network
from typing import TYPE_CHECKING

from underlay.faults.catalogue.addressing import DELETE, addressed
from underlay.faults.evidence.lines import addresses_proof
from underlay.faults.evidence.routes import best, contains
from underlay.faults.fault import Effect, Fault, Finding, Place, Step
from underlay.faults.remake import child_at
from underlay.plan import Cidr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Passage, Scene
    from underlay.observe.evidence import Evidence, Space

SUBJECT = "addresses"

AGAIN = f"""
{DELETE}
ip address replace "$3" dev "$1"
ip route replace default via "$4" dev "$1"
"""


class WrongMask(Fault):
    """A container's mask takes in more than its subnet: it looks for others on its own wire."""

    id = "wrong-mask"
    layer = "addressing"
    title = "a container's address has the wrong mask"
    symptom = "the container loses what lies behind its gateway, and keeps its own subnet"
    evidence = "`ip address show` in the container: the right address with another prefix length"
    cause = (
        "With a mask that is too short the container takes other subnets to be on its own wire"
        " and asks there by ARP, instead of its gateway; with one too long it's the other way."
    )
    cure = "ip address add ADDRESS/LENGTH dev DEVICE, delete the other, then the default route"
    reference = "RFC 1122, 3.3.1.1; Linux net/ipv4/fib_frontend.c, fib_add_ifaddr"
    loses_addresses = True
    no_place = "no container of this lab reaches another subnet by a gateway"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name children that reach another subnet by a gateway, with a mask that takes in both."""
        for place in addressed(scene):
            child = child_at(scene, place)
            if child.network.default_route != "gateway" or not child.network.gateway:
                continue
            beyond = _beyond(scene, place, child.network.subnet)
            if beyond:
                wide = _holding(child.address, beyond)
                detail = (*place.detail, f"{child.address}/{wide}", child.network.gateway)
                yield Place(place.target, place.device, place.node, detail)

    def effect(self, scene: Scene, place: Place) -> Effect:
        """What leaves for the subnets that the mask takes in is lost."""
        right, wrong = (str(ip_network(one, strict=False)) for one in place.detail[1:3])

        def astray(passage: Passage) -> bool:
            there = passage.packet.destination
            taken = contains(wrong, there) and not contains(right, there)
            return passage.direction == "out" and taken

        return _but_hosts(scene, scene.cells("space", place.target, place.device, astray))

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [Step(place.target, AGAIN, (place.device, *place.detail[1:]))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        _, right, wrong, gateway = place.detail
        return [Step(place.target, AGAIN, (place.device, wrong, right, gateway))]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find planned addresses with another prefix length, where that leads packets elsewhere."""
        for place in addressed(scene):
            space = evidence.space(place.target)
            if space is None or not _masked_otherwise(space, place):
                continue
            effect = self._misled(scene, space, place)
            if effect.every:
                shown = addresses_proof(space, place.device)
                yield self.found(scene, place, shown, effect=effect)

    def _misled(self, scene: Scene, space: Space, place: Place) -> Effect:
        """Return what is sent by a gateway in the plan alone, or in the container alone."""
        child = child_at(scene, place)

        def astray(passage: Passage) -> bool:
            there = passage.packet.destination
            if passage.direction != "out" or passage.packet.family != 4:
                return False
            direct = contains(child.network.subnet, there)
            by_gateway = child.network.default_route == "gateway" and not direct
            route = best(space, there)
            return route is None or ("gateway" in route) != by_gateway

        return _but_hosts(scene, scene.cells("space", place.target, place.device, astray))


def _masked_otherwise(space: Space, place: Place) -> bool:
    """Whether an interface has its planned address with another mask, alone or as well."""
    alone = Cidr(place.detail[1]).ip
    seen = space.addresses(place.device)
    return any(a.ip == alone and a != place.detail[1] for a in seen)


def _but_hosts(scene: Scene, cells: frozenset[tuple[str, str, str, int]]) -> Effect:
    """A host on the wire answers for each of its addresses, whatever subnet that is in."""
    hosts = {host.name for host in scene.plan.hosts}
    certain = frozenset(cell for cell in cells if not hosts & set(cell[:2]))
    return Effect(certain, cells - certain)


def _beyond(scene: Scene, place: Place, subnet: str) -> str:
    """Return an address outside of a subnet that the child's packets go to."""
    found: set[IPv4Address] = set()
    for cell in scene.cells("space", place.target, place.device):
        for passage in scene.passages(cell):
            there = ip_address(passage.packet.destination)
            own = (passage.kind, passage.where) == ("space", place.target)
            if own and passage.direction == "out" and isinstance(there, IPv4Address):
                found.add(there)
    own_subnet = ip_network(subnet)
    return str(min((one for one in found if one not in own_subnet), default=""))


def _holding(one: str, other: str) -> int:
    """Return the length of the longest prefix that two addresses share."""
    return 32 - (int(IPv4Address(one)) ^ int(IPv4Address(other))).bit_length()
