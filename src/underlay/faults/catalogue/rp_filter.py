"""The strict reverse-path filter where packets come in by another way than answers go out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.evidence.lines import route_line, sysctl_proof
from underlay.faults.evidence.routes import best
from underlay.faults.evidence.spaces import spaces
from underlay.faults.fault import Effect, Fault, Finding, Place, Proof, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from underlay.faults.scene import Passage, Scene
    from underlay.observe.evidence import Evidence, Space

SUBJECT = "routes"

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
    """Return what tells the packets that a namespace drops, by the routes that it shows."""

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
