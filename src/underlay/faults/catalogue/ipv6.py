"""Faults of IPv6 alone: switched off, without address or route, refused as a duplicate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.catalogue.addressing import ADD, DELETE, owners_of
from underlay.faults.catalogue.filters import APPEND, effect_in, proofs_of, sureness_of
from underlay.faults.catalogue.filters import DELETE as DELETE_RULE
from underlay.faults.catalogue.routing import DefaultRouteMissing
from underlay.faults.evidence.acting import drops
from underlay.faults.evidence.lines import addresses_proof, sysctl_proof
from underlay.faults.evidence.spaces import ipv6_is_off, is_up
from underlay.faults.fault import ORDER, Effect, Fault, Finding, Place
from underlay.faults.healing import given_back, removed
from underlay.faults.next_hops import UNASKED
from underlay.faults.places import neighbour
from underlay.faults.remake import child_at
from underlay.faults.step import Proof, Step
from underlay.plan import Cidr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Scene
    from underlay.observe.evidence import Evidence, Space

SUBJECT = "IPv6"


class Child6Fault(Fault):
    """A fault of one child that has an IPv6 address."""

    layer = "IPv6"
    family = 6
    loses_addresses = True
    no_place = "no network of this lab has IPv6"

    def places(self, scene: Scene) -> Iterator[Place]:
        for child in scene.children:
            pool = child.pool(6)
            if pool.subnet:
                prefix = Cidr(pool.subnet).prefix
                yield Place.of(child, child.end, f"{child.address6}/{prefix}")


class Disabled(Child6Fault):
    """IPv6 is switched off in a container."""

    id = "ipv6-disabled"
    title = "IPv6 is off in a container"
    symptom = "the container's IPv6 cells are lost, its IPv4 cells aren't"
    evidence = "net.ipv6.conf.DEVICE.disable_ipv6 = 1 in the container, and no inet6 address"
    cause = "The kernel's switch takes all IPv6 addresses and routes of the interface away."
    cure = "sysctl -w net.ipv6.conf.DEVICE.disable_ipv6=0, then its addresses and routes"
    reference = "Linux Documentation/networking/ip-sysctl.rst, disable_ipv6"
    break_script = 'echo 1 > "/proc/sys/net/ipv6/conf/$1/disable_ipv6"'
    mend_script = 'echo 0 > "/proc/sys/net/ipv6/conf/$1/disable_ipv6"'

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        on = Step(place.target, f"sysctl -w net/ipv6/conf/{place.device}/disable_ipv6=0")
        return [on, *given_back(scene, place.target, place.device)]

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        if ipv6_is_off(space, place.device):
            yield sysctl_proof(space, f"net.ipv6.conf.{place.device}.disable_ipv6")


class Address6Missing(Child6Fault):
    """A container has lost its IPv6 address, or has another one.

    Where advertisements lead to addresses, a lost one comes back with the next of them: what
    keeps it away is a fault of its own (router_advertisements.py).
    """

    id = "ipv6-address-missing"
    title = "a container lacks its IPv6 address"
    symptom = "the container's IPv6 cells are lost, its IPv4 cells aren't"
    evidence = "`ip -6 address show` in the container lacks the planned address"
    cause = "The address was deleted, or went when the interface was set down: IPv6 addresses do."
    cure = "ip address add ADDRESS dev DEVICE in the container, then its default route"
    reference = "Linux Documentation/networking/ip-sysctl.rst, keep_addr_on_down"
    break_script = DELETE
    mend_script = f"{ADD} nodad"

    def places(self, scene: Scene) -> Iterator[Place]:
        return (p for p in super().places(scene) if not child_at(scene, p).network.slaac)

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return (place.device, place.detail[1])

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        flushed = Step(place.target, f"ip -6 address flush dev {place.device} scope global")
        return [flushed, *given_back(scene, place.target, place.device)]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find children that are up, with IPv6 on, without their planned address."""
        for place in super().places(scene):
            space, device = evidence.space(place.target), place.device
            if space is None or not is_up(space, device) or ipv6_is_off(space, device):
                continue
            seen = [a.ip for a in space.addresses(device) if a.family == 6]
            static = not child_at(scene, place).network.slaac
            if (static or seen) and Cidr(place.detail[1]).ip not in seen:
                yield self.found(scene, place, addresses_proof(space, device))


class DuplicateRefused(Child6Fault):
    """Duplicate address detection has refused a container's address."""

    id = "dad-failed"
    title = "IPv6 has refused an address as a duplicate"
    symptom = "the container's IPv6 cells are lost or reach the other owner; IPv4 goes on"
    evidence = "`ip -6 address show` in the container: dadfailed tentative"
    cause = (
        "Another machine answered when the kernel asked whether the address is free; it doesn't"
        " use the address then."
    )
    cure = "find the other owner (ip -6 address show everywhere), then give one another address"
    reference = "RFC 4862, 5.4; Docker docs, ipvlan.md (dadfailed); rkt/rkt#922; measured"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name children with one of the same network on another node, to take their address."""
        for place in super().places(scene):
            child = child_at(scene, place)
            other = neighbour(scene, child)
            # l3 and l3s have no neighbour discovery, and so no detection.
            if other and child.network.mode not in UNASKED:
                yield Place.of(child, *place.detail, other.container, other.interface)

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        """Give the address to another container, then take it anew where it belongs."""
        _, address, taker, device = place.detail
        again = f"""
{DELETE}
ip address add "$2" dev "$1"
tries=0
until ip -6 address show dev "$1" | grep -q dadfailed; do
    tries=$((tries + 1)); test $tries -lt 100; sleep 0.1
done
"""
        alone = Cidr(address).ip
        return [
            Step(taker, f"{ADD} nodad", (device, f"{alone}/128")),
            Step(place.target, again, (place.device, address)),
        ]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        _, address, taker, device = place.detail
        alone = Cidr(address).ip
        again = f'{DELETE}\nip address add "$2" dev "$1" nodad'
        return [
            Step(taker, DELETE, (device, f"{alone}/128")),
            Step(place.target, again, (place.device, address)),
        ]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for place in super().places(scene):
            space = evidence.space(place.target)
            wanted = Cidr(place.detail[1]).ip
            for info in space.links.get(place.device, {}).get("addr_info", ()) if space else ():
                if space and info.get("local") == wanted and info.get("dadfailed"):
                    line = f"inet6 {wanted}/{info['prefixlen']} dadfailed tentative"
                    command = f"ip -6 address show dev {place.device}"
                    others = [
                        Step(other.name, f"ip address delete {address} dev {device}")
                        for other, device, address in owners_of(scene, evidence).get(wanted, ())
                        if other.name != place.target
                    ]
                    again = Step(place.target, DELETE, (place.device, place.detail[1]))
                    steps = [*others, again, *given_back(scene, place.target, place.device)]
                    proof = Proof(space.name, command, (line,))
                    yield self.found(scene, place, proof, steps=steps)


class DefaultRoute6Missing(DefaultRouteMissing):
    """A container lacks its IPv6 default route."""

    id = "ipv6-default-route-missing"
    layer = "IPv6"
    family = 6
    title = "a container lacks its IPv6 default route"
    symptom = "the container and everything outside of its own prefix lose each other over IPv6"
    evidence = "`ip -6 route show` in the container has no default"
    cause = (
        "Without a default route the container sends nothing to other prefixes. A router"
        " advertisement's default also goes when its lifetime ends, or accept_ra is off."
    )
    cure = "ip -6 route add default dev DEVICE (or via GATEWAY) in the container"
    reference = "RFC 4861, 6.3.4; Linux Documentation/networking/ip-sysctl.rst, accept_ra"
    no_place = "no network of this lab gives its containers an IPv6 default route"


class DiscoveryDropped(Child6Fault):
    """A container's filter discards neighbour discovery."""

    id = "nd-dropped"
    title = "a filter drops neighbour discovery"
    symptom = "the container's IPv6 cells are lost, its IPv4 cells aren't"
    evidence = "an ip6tables rule in the container for ICMPv6 types 133 to 137 that counts"
    cause = (
        "Neighbour discovery is ICMPv6: a filter that drops it leaves the container without its"
        " neighbours' MAC addresses, and them without its own."
    )
    cure = "accept neighbour-solicitation and neighbour-advertisement before the rule"
    reference = "RFC 4890, 4.4.1; ip6tables-extensions(8), icmp6"
    rule = ("INPUT", "-p", "ipv6-icmp", "--icmpv6-type", "neighbour-advertisement", "-j", "DROP")
    loses_addresses = False

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name children with neighbours to find: in l3 and l3s the node finds them."""
        for place in super().places(scene):
            if child_at(scene, place).network.mode not in UNASKED:
                yield place

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [
            Step(place.target, APPEND.replace("iptables", "ip6tables"), r) for r in self._rules()
        ]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        script = DELETE_RULE.replace("iptables", "ip6tables")
        return [Step(place.target, script, rule) for rule in self._rules()]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        return removed(place.target, proofs)

    def _rules(self) -> list[tuple[str, ...]]:
        other = "neighbour-solicitation"
        return [self.rule, tuple(other if w == "neighbour-advertisement" else w for w in self.rule)]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find what takes neighbour discovery in a container: several rules are one fault."""
        for place in self.places(scene):
            space = evidence.space(place.target)
            about = [found for found in drops(space) if found.discovery] if space else []
            if space is None or not about:
                continue
            effects = [effect_in(scene, space, found) for found in about]
            effect = Effect(
                frozenset().union(*(one.certain for one in effects)),
                frozenset().union(*(one.possible for one in effects)),
            )
            sureness = min((sureness_of(found) for found in about), key=ORDER.index)
            proofs = [proof for found in about for proof in proofs_of(space, found)]
            yield self.found(scene, place, *proofs, sureness=sureness, effect=effect)
