"""Faults of router advertisements: refused, lost, or somebody else's, where SLAAC gives addresses.

A container that lost its address for good shows as one whose router is silent or unheard: the
address of a heard one is back with the next advertisement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.evidence.lines import addresses_proof, route_line
from underlay.faults.evidence.routes import contains, main_routes
from underlay.faults.evidence.spaces import ipv6_is_off, is_up, spaces
from underlay.faults.fault import LIKELY, Effect, Fault, Finding, Layer, Place
from underlay.faults.remake import child_at
from underlay.faults.step import Proof, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Cell, Child, Passage, Scene
    from underlay.observe.evidence import Evidence, Space
    from underlay.plan import PlannedHost

SUBJECT = "IPv6"

FLUSH = 'ip -6 address flush dev "$1" scope global'
# The kernel solicits a router where an interface comes up, and not again: this asks each second.
# The detection of duplicates takes one more.
ADDRESSED = """
tries=0
until ip -6 -oneline address show dev "$1" | grep "inet6 $2/" | grep -qv tentative; do
    tries=$((tries + 1)); test $tries -lt 30
    python3 - "$1" <<'END'
import socket, sys
asker = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
asker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
asker.sendto(bytes([133, *bytes(7)]), ("ff02::2", 0, 0, socket.if_nametoindex(sys.argv[1])))
END
    sleep 1
done
"""
# An advertisement by hand: hop limit 64, preference high, lifetime, the source's MAC address.
ADVERTISE = """
python3 - "$1" "$2" "$3" <<'END'
import socket, struct, sys
device, mac, lifetime = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", "")), int(sys.argv[3])
sender = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
said = struct.pack("!BBHBBHII", 134, 0, 0, 64, 8, lifetime, 0, 0) + bytes([1, 1]) + mac
for _ in range(3):
    sender.sendto(said, ("ff02::1", 0, 0, socket.if_nametoindex(device)))
END
"""
# The processes of a host's network namespace that are its server of advertisements.
SIGNAL = """
for process in /proc/[0-9]*; do
    test "$(readlink $process/ns/net)" = "$(readlink /proc/self/ns/net)" || continue
    grep -qx dnsmasq $process/comm 2>/dev/null && kill -"$1" ${process#/proc/} || :
done
"""


class AdvertisedFault(Fault):
    """A fault that leaves containers without the address that an advertisement leads to."""

    layer: Layer = "IPv6"
    reference = "RFC 4862, 5.5; Linux Documentation/networking/ip-sysctl.rst, accept_ra"
    no_place = "no network of this lab gets its IPv6 addresses from router advertisements"

    def cells_of(self, scene: Scene, children: list[Child]) -> Effect:
        """Return all IPv6 cells of these children."""
        cells = [
            scene.cells("space", c.container, c.interface, lambda p: p.packet.family == 6)
            for c in children
        ]
        return Effect(frozenset().union(*cells))


class Ignored(AdvertisedFault):
    """A container takes no notice of router advertisements."""

    id = "ra-ignored"
    title = "a container ignores router advertisements"
    symptom = "the container's IPv6 cells are lost once its address has expired, or at its start"
    evidence = (
        "net.ipv6.conf.DEVICE.accept_ra = 0, or 1 with forwarding = 1, in the container, and no"
        " address of the advertised prefix"
    )
    cause = (
        "With accept_ra = 0 the kernel makes no address of an advertisement, and no route; with"
        " accept_ra = 1 it doesn't where it forwards itself."
    )
    cure = "sysctl -w net.ipv6.conf.DEVICE.accept_ra=1 in the container; 2 where it forwards"
    break_script = f'echo 0 > "/proc/sys/net/ipv6/conf/$1/accept_ra"\n{FLUSH}'

    def places(self, scene: Scene) -> Iterator[Place]:
        for child in advertised(scene):
            yield Place.of(child, child.end, child.address6)

    def effect(self, scene: Scene, place: Place) -> Effect:
        return self.cells_of(scene, [c for c in scene.children if c.end == place.detail[0]])

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        """Accept advertisements again, and wait for the next one."""
        script = f'echo 1 > "/proc/sys/net/ipv6/conf/$1/accept_ra"\n{ADDRESSED}'
        return [Step(place.target, script, (place.device, place.detail[1]))]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """A machine that forwards takes advertisements with 2 alone."""
        value = 2 if "forwarding" in proofs[0].command else 1
        accepted = Step(place.target, f"sysctl -w net/ipv6/conf/{place.device}/accept_ra={value}")
        child = child_at(scene, place)
        return [accepted, Step(place.target, ADDRESSED, (place.device, child.address6))]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for child, space in unaddressed(scene, evidence):
            refusing = refusal(space, child.interface)
            if refusing:
                place = Place.of(child, child.end)
                proof = Proof(space.name, f"sysctl {' '.join(refusing)}", tuple(refusing.values()))
                shown = addresses_proof(space, child.interface)
                yield self.found(scene, place, proof, shown)


class Lost(AdvertisedFault):
    """No router advertisement reaches the containers of a segment, or one of them."""

    id = "ra-lost"
    title = "no router advertisement arrives"
    symptom = "IPv6 cells are lost once addresses have expired, or at a container's start"
    evidence = (
        "`ip -6 address show` in the container has no address of the advertised prefix, though"
        " accept_ra allows it"
    )
    cause = (
        "Nobody advertises the prefix any more, or a switch (RA guard, multicast snooping) or a"
        " filter keeps ICMPv6 type 134 away: addresses expire and no new ones come. One that was"
        " deleted by hand is back with the next advertisement."
    )
    cure = "start the router's daemon (radvd, dnsmasq) again; let ICMPv6 type 134 to ff02::1 pass"
    reference = "RFC 4861, 6.2; RFC 6105 (RA guard)"

    def places(self, scene: Scene) -> Iterator[Place]:
        for host, _ in advertisers(scene):
            yield Place(host.name, host.ports[0].interface, host.name)

    def effect(self, scene: Scene, place: Place) -> Effect:
        return self.cells_of(scene, hearers(scene, place.target))

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        """Stop the server, and lose the addresses that are left of what it said."""
        flushes = [Step(c.container, FLUSH, (c.interface,)) for c in hearers(scene, place.target)]
        return [Step(place.target, SIGNAL, ("STOP",)), *flushes]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        """Let the server go on, and wait for its next advertisement."""
        waits = [
            Step(c.container, ADDRESSED, (c.interface, c.address6))
            for c in hearers(scene, place.target)
        ]
        return [Step(place.target, SIGNAL, ("CONT",)), *waits]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Nothing is known to do where it isn't the router that is silent."""
        servers = {host.name for host, _ in advertisers(scene)}
        return self.undo(scene, place) if place.target in servers else []

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find children without an address that would accept one, by router, node or alone."""
        lacking = [
            c for c, space in unaddressed(scene, evidence) if not refusal(space, c.interface)
        ]
        groups = [(place, hearers(scene, place.target)) for place in self.places(scene)]
        for (node, parent), children in on_parents(scene).items():
            if len(children) > 1:
                groups.append((Place(node, parent, node), children))
        groups += [(Place.of(child, child.end), [child]) for child in lacking]
        for place, children in groups:
            if children and all(child in lacking for child in children):
                yield self._silent(scene, evidence, place, children)
                lacking = [child for child in lacking if child not in children]

    def _silent(
        self, scene: Scene, evidence: Evidence, place: Place, children: list[Child]
    ) -> Finding:
        shown = [(evidence.space(child.container), child) for child in children]
        proofs = [addresses_proof(space, child.interface) for space, child in shown if space]
        effect = self.cells_of(scene, children)
        return self.found(scene, place, *proofs, sureness=LIKELY, effect=effect)


class Rogue(AdvertisedFault):
    """Somebody advertises itself as a router who is none."""

    id = "rogue-ra"
    title = "a rogue router advertisement takes over the default route"
    symptom = "containers that heard it lose what is outside of their prefix, over IPv6 alone"
    evidence = "`ip -6 route show` in containers: default via an unplanned fe80:: address, proto ra"
    cause = (
        "Whoever sends a router advertisement becomes the default router of all that hear it; one"
        " of high preference goes before every other. It doesn't forward what it gets."
    )
    cure = "stop the sender; block ICMPv6 type 134 from ports without a router (RA guard)"
    reference = "RFC 6104; RFC 4191, 2.1; RFC 6105"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name macvlan children with an advertised address; their own nodes don't hear them."""
        for child in advertised(scene):
            if child.network.traits.by_mac:
                yield Place.of(child, child.mac, child.end)

    def effect(self, scene: Scene, place: Place) -> Effect:
        """What those that hear it send by default routes is lost, but for the sender's own."""
        rogue = place.detail[1]
        heard_by = {cell[1] for cell in scene.healthy if cell[0] == rogue and cell[3] == 6}
        hearing = [child for child in advertised(scene) if child.end in heard_by]
        return self._led_astray(scene, hearing, rogue)

    def _led_astray(self, scene: Scene, hearing: list[Child], rogue: str) -> Effect:
        """Return what leaves for a router: a segment's advertised prefixes are on its link."""
        cells: frozenset[Cell] = frozenset()
        for child in hearing:
            near = [c for c in advertised(scene) if c.network.segment == child.network.segment]
            prefixes = {c.network.subnet6 for c in near}

            def outside(passage: Passage, prefixes: set[str] = prefixes) -> bool:
                packet = passage.packet
                if passage.direction != "out" or packet.family != 6 or packet.receiver == rogue:
                    return False
                return not any(contains(one, packet.destination, 6) for one in prefixes)

            cells |= scene.cells("space", child.container, child.interface, outside)
        return Effect(cells)

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [Step(place.target, ADVERTISE, (place.device, place.detail[0], "1800"))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        """Advertise a lifetime of zero, which takes the route away."""
        return [Step(place.target, ADVERTISE, (place.device, place.detail[0], "0"))]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Delete the route wherever it was heard; the sender may send another one."""
        return [
            Step(proof.node, f"ip -6 route delete {line}")
            for proof in proofs
            for line in proof.lines
        ]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find default routes of advertisements whose router isn't one of the plan's."""
        planned = {host.name for host, _ in advertisers(scene)}
        hearing: dict[str, list[tuple[Child, Proof]]] = {}
        for child in advertised(scene):
            space = evidence.space(child.container)
            for row in main_routes(space, 6) if space else ():
                if (row["dst"], row.get("protocol")) == ("default", "ra") and "gateway" in row:
                    shown = Proof(child.container, "ip -6 route show", (route_line(row),))
                    hearing.setdefault(row["gateway"], []).append((child, shown))
        for gateway, heard_by in hearing.items():
            owner, device, node = owner_of(scene, evidence, gateway)
            if owner not in planned:
                children = [child for child, _ in heard_by]
                effect = self._led_astray(scene, children, owner)
                proofs = [proof for _, proof in heard_by]
                yield self.found(scene, Place(owner, device, node), *proofs, effect=effect)


def advertised(scene: Scene) -> list[Child]:
    """Return the children whose addresses come from advertisements."""
    return [child for child in scene.children if child.network.slaac and child.address6]


def advertisers(scene: Scene) -> Iterator[tuple[PlannedHost, set[str]]]:
    """Yield the hosts that advertise, with the segments that hear them."""
    for host in scene.plan.hosts:
        if "enable-ra" in host.services:
            yield host, {port.segment for port in host.ports}


def hearers(scene: Scene, name: str) -> list[Child]:
    """Return the children that get their addresses from the advertisements of host ``name``."""
    segments = next((s for host, s in advertisers(scene) if host.name == name), set())
    return [child for child in advertised(scene) if child.network.segment in segments]


def on_parents(scene: Scene) -> dict[tuple[str, str], list[Child]]:
    """Return the children whose addresses come from advertisements, by node and parent."""
    found: dict[tuple[str, str], list[Child]] = {}
    for child in advertised(scene):
        found.setdefault((child.node, child.network.own), []).append(child)
    return found


def unaddressed(scene: Scene, evidence: Evidence) -> Iterator[tuple[Child, Space]]:
    """Yield children that are up, with IPv6 on, without any global IPv6 address."""
    for child in advertised(scene):
        space, device = evidence.space(child.container), child.interface
        if space is None or not is_up(space, device) or ipv6_is_off(space, device):
            continue
        if not any(address.family == 6 for address in space.addresses(device)):
            yield child, space


def refusal(space: Space, interface: str) -> dict[str, str]:
    """Return the switches by which a namespace refuses advertisements, with their values."""
    names = [f"net.ipv6.conf.{interface}.{key}" for key in ("accept_ra", "forwarding")]
    accept, forwarding = (space.sysctl.get(name, "") for name in names)
    if accept == "0":
        return {names[0]: f"{names[0]} = 0"}
    if accept == "1" and forwarding == "1":
        return {name: f"{name} = 1" for name in names}
    return {}


def owner_of(scene: Scene, evidence: Evidence, address: str) -> tuple[str, str, str]:
    """Return whose interface has an address, on which node; the address itself where unseen."""
    for space in spaces(scene, evidence):
        for device, link in space.links.items():
            if any(info.get("local") == address for info in link.get("addr_info", ())):
                return space.name, device, space.node
    return address, "", ""
