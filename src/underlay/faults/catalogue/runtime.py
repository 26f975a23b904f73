"""Faults of runtimes and nodes: containers that don't run, services that are down, hung nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.evidence.lines import port_proof
from underlay.faults.evidence.spaces import switch_ports
from underlay.faults.fault import LIKELY, PROVEN, Effect, Fault, Finding, Place
from underlay.faults.healing import given_back
from underlay.faults.places import ports, second_first
from underlay.faults.scene import Cell, Scene, involving
from underlay.faults.step import Proof, Step
from underlay.plan import SWITCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.observe.evidence import Evidence
    from underlay.plan import PlannedContainer

SUBJECT = "runtimes"

LEASE_PROXY = "netavark-dhcp-proxy"
LEASE_PROXY_SOCKET = f"{LEASE_PROXY}.socket"
IS_MASKED = "systemctl list-unit-files --state=masked,masked-runtime"
# As the node program calls it (ansible/module_utils/underlay_node/podman.py).
PODMAN = (
    "env CONTAINERS_CONF_OVERRIDE=/run/underlay/containers.conf"
    " podman --events-backend=none --cgroup-manager=cgroupfs"
)
# A node's kernel is the process whose command line says so. Those that it traces run the node's own
# processes: it would panic to see one of them stopped by anybody else (arch/um/os-Linux/skas).
SIGNAL = """
reached=
for process in /proc/[0-9]*; do
    if tr '\\0' '\\n' < "$process/cmdline" 2>/dev/null | grep -qx "umid=$1" &&
        grep -q '^TracerPid:[[:space:]]*0$' "$process/status"; then
        kill "-$2" "${process#/proc/}" 2>/dev/null && reached=yes || :
    fi
done
test "$reached"
"""


class ContainerGone(Fault):
    """A container whose network namespace isn't there."""

    layer = "runtime"
    symptom = "no cell of the container can be measured, from it or to it"

    def effect(self, scene: Scene, place: Place) -> Effect:
        """No cell of the container can be measured, whatever was expected of it."""
        return Effect(_of_containers(scene, {place.target}))


class ContainerStopped(ContainerGone):
    """A Docker container isn't running."""

    id = "container-stopped"
    title = "a container isn't running"
    evidence = "`docker ps --all` on the node: exited"
    cause = "The container's process has ended, and its network namespace with it."
    cure = "docker start CONTAINER on the node; `docker logs` says why it ended"
    reference = "Docker docs, reference/cli/docker/container/stop"
    loses_addresses = True
    no_place = "this lab has no Docker container; others keep their network without a process"

    def places(self, scene: Scene) -> Iterator[Place]:
        for container in scene.plan.containers:
            if container.runtime == "docker":
                yield Place(container.name, "", container.node)

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [Step(place.node, 'docker stop --time 0 "$1" >/dev/null', (place.target,))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return [Step(place.node, 'docker start "$1" >/dev/null', (place.target,))]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        started = Step(place.node, f"docker start {place.target}")
        return [started, *given_back(scene, place.target)]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for node in scene.plan.nodes:
            for row in evidence.runtime(node.name).get("docker", ()):
                planned = {c.name for c in scene.plan.containers if c.node == node.name}
                if row["name"] in planned and row["state"] != "running":
                    line = f"{row['name']}  {row['status']}"
                    place = Place(row["name"], "", node.name)
                    yield self.found(scene, place, Proof(node.name, "docker ps --all", (line,)))


class DockerDown(Fault):
    """Docker doesn't run on a node."""

    id = "docker-down"
    layer = "runtime"
    title = "Docker is down on a node"
    symptom = "no cell of the node's Docker containers can be measured"
    evidence = "`systemctl is-active docker` on the node: inactive or failed"
    cause = "The Docker service was stopped or failed, and its containers ended with it."
    cure = (
        "systemctl start docker on the node, after unmask where it is masked, then docker start"
        " for its containers"
    )
    reference = "Docker docs, config/containers/live-restore"
    loses_addresses = True
    no_place = "no container of this lab is Docker's"
    break_script = "systemctl stop docker.socket docker.service"

    def places(self, scene: Scene) -> Iterator[Place]:
        for node in scene.plan.nodes:
            if _docker(scene, node.name):
                yield Place(node.name, "", node.name)

    def effect(self, scene: Scene, place: Place) -> Effect:
        return Effect(_of_containers(scene, set(_docker(scene, place.node))))

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        script = """
systemctl start docker.socket docker.service
for name; do docker start "$name" >/dev/null; done
"""
        return [Step(place.node, script, tuple(_docker(scene, place.node)))]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        names = " ".join(_docker(scene, place.node))
        return [
            *_unmasked(place.node, proofs),
            Step(place.node, "systemctl start docker.socket docker.service"),
            Step(place.node, f"docker start {names}"),
        ]

    def keeps(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return tuple(_docker(scene, place.node))

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find nodes where the service isn't active and its containers can't be looked into."""
        for place in self.places(scene):
            word = evidence.runtime(place.node).get("services", {}).get("docker", "active")
            if word != "active" and set(_docker(scene, place.node)) & set(evidence.failed):
                proof = Proof(place.node, "systemctl is-active docker", (word,))
                yield self.found(scene, place, proof, *_masked(evidence, place.node, "docker"))


class LeaseProxyDown(Fault):
    """Netavark's DHCP proxy is down on a node, and containers that need a lease were restarted."""

    id = "lease-proxy-down"
    layer = "runtime"
    title = "netavark's DHCP proxy is down, and containers that need a lease don't start"
    symptom = "no cell of podman's restarted containers with leases can be measured"
    evidence = "`systemctl is-active netavark-dhcp-proxy.socket` on the node: inactive"
    cause = (
        "Netavark asks for leases by the proxy's socket. Without it running containers keep their"
        " addresses, and none starts again."
    )
    cure = (
        "systemctl start netavark-dhcp-proxy.socket on the node, after unmask where it is masked,"
        " then podman start"
    )
    reference = "netavark, src/dhcp_proxy/lib.rs; podman-network-create(1), --ipam-driver"
    loses_addresses = True
    no_place = "no container of this lab is podman's with a lease"

    def places(self, scene: Scene) -> Iterator[Place]:
        for node in scene.plan.nodes:
            if _leased(scene, node.name):
                yield Place(node.name, "", node.name)

    def effect(self, scene: Scene, place: Place) -> Effect:
        return Effect(_of_containers(scene, set(_leased(scene, place.node))))

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        script = f"""
systemctl stop {LEASE_PROXY}.socket {LEASE_PROXY}.service
{PODMAN} stop --time 0 "$@" >/dev/null 2>&1 || :
! {PODMAN} start "$@" >/dev/null 2>&1
"""
        return [Step(place.node, script, tuple(_leased(scene, place.node)))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        script = f"""
systemctl start {LEASE_PROXY}.socket
{PODMAN} start "$@" >/dev/null
"""
        return [Step(place.node, script, tuple(_leased(scene, place.node)))]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Start the socket and the node's containers; those that run stay as they are."""
        names = _leased(scene, place.node)
        return [
            *_unmasked(place.node, proofs),
            Step(place.node, f"systemctl start {LEASE_PROXY}.socket"),
            Step(place.node, f"{PODMAN} start {' '.join(names)}"),
            *(step for name in names for step in given_back(scene, name)),
        ]

    def keeps(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return tuple(_leased(scene, place.node))

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find nodes where nobody listens for the proxy, and containers that need it are gone."""
        for place in self.places(scene):
            word = evidence.runtime(place.node).get("services", {}).get(LEASE_PROXY_SOCKET)
            gone = set(_leased(scene, place.node)) & set(evidence.failed)
            if word in (None, "active") or not gone:
                continue
            proof = Proof(place.node, f"systemctl is-active {LEASE_PROXY_SOCKET}", (word,))
            effect = Effect(_of_containers(scene, gone))
            masked = _masked(evidence, place.node, LEASE_PROXY)
            yield self.found(scene, place, proof, *masked, effect=effect)


class NodeHung(Fault):
    """A node answers nothing: it is off, or runs and makes no progress."""

    id = "node-hung"
    layer = "node"
    title = "a node is off or hangs"
    symptom = "no cell with an end on the node can be measured"
    evidence = "its ssh doesn't answer; where it is off, its switch ports have no carrier"
    cause = (
        "The node's kernel has ended or makes no progress: it answers neither ssh nor its"
        " neighbours."
    )
    cure = "underlay down, underlay up; its console is in the lab's state folder"
    sudden = True
    reference = "measured: a stopped User Mode Linux process answers nothing"
    no_place = "this lab's switch is a machine of its own, where no node's process is"
    needs_restart = True

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name every node whose process runs beside the segments' bridges, the second one first."""
        for node in () if scene.plan.switch else second_first(scene):
            yield Place(node.name, "", node.name)

    def effect(self, scene: Scene, place: Place) -> Effect:
        ends = {name for name, end in scene.ends.items() if end.node == place.node}
        return Effect(involving(scene.every, *ends))

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [Step(SWITCH, SIGNAL, (place.node, "STOP"))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return [Step(SWITCH, SIGNAL, (place.node, "CONT"))]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for place in self.places(scene):
            reason = evidence.failed.get(place.node)
            if reason:
                proof = Proof(place.node, f"ssh {place.node}", (reason,))
                dead = self._dead_ports(scene, evidence, place)
                sureness = PROVEN if dead else LIKELY
                yield self.found(scene, place, proof, *dead, sureness=sureness)

    def _dead_ports(self, scene: Scene, evidence: Evidence, place: Place) -> list[Proof]:
        """Return the node's switch ports where none has a carrier; nothing where one has."""
        rows = switch_ports(evidence.space(SWITCH))
        own = [rows.get(port) for node, _, port in ports(scene) if node.name == place.node]
        if any(row and "LOWER_UP" in row["flags"] for row in own):
            return []
        return [port_proof(row) for row in own if row]


class NamespaceGone(ContainerGone):
    """A container has no network namespace."""

    id = "namespace-gone"
    title = "a container's network namespace is gone"
    evidence = (
        "/run/netns on the node lacks the container's name; or, with a program of its own,"
        " `podman ps --all` or `crun list` shows that this has ended"
    )
    cause = (
        "The namespace was deleted, or the container was never started, or a program of its own has"
        " ended: its namespace ends with that."
    )
    cure = (
        "underlay down, underlay up; the runtime's own words are in `underlay up`'s output, and a"
        " program's last ones in `podman logs` or, with CNI, in /run/underlay/CONTAINER/log"
    )
    reference = "ip-netns(8)"
    needs_restart = True

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find containers that could not be entered, on nodes that could; Docker's stop instead."""
        for container in scene.plan.containers:
            if container.name in evidence.untried:
                continue
            reason = evidence.failed.get(container.name)
            if reason and container.runtime != "docker" and container.node not in evidence.failed:
                # Without the proxy a restarted container is gone, too.
                follows = LeaseProxyDown.id if _has_lease(scene, container) else ""
                place = Place(container.name, "", container.node)
                proof = Proof(container.node, _shown_by(container), (reason,))
                yield self.found(scene, place, proof, follows=follows)


def _shown_by(container: PlannedContainer) -> str:
    """Return the command that shows on its node whether a container has a namespace."""
    kinds = {"crun": "crun list", "podman": "podman ps --all"}
    own = kinds.get(container.space_kind, "") if container.has_program else ""
    return own or f"ls /run/netns/{container.name}"


def _docker(scene: Scene, node: str) -> list[str]:
    return [c.name for c in scene.plan.containers if (c.node, c.runtime) == (node, "docker")]


def _leased(scene: Scene, node: str) -> list[str]:
    return [c.name for c in scene.plan.containers if c.node == node and _has_lease(scene, c)]


def _has_lease(scene: Scene, container: PlannedContainer) -> bool:
    """Whether podman asks a DHCP server for an address of ``container``."""
    networks = (scene.plan.network(own.network) for own in container.attachments)
    return container.runtime == "podman" and any(one.ipam == "dhcp" for one in networks)


def _of_containers(scene: Scene, names: set[str]) -> frozenset[Cell]:
    ends = {name for name, end in scene.ends.items() if end.space in names}
    return involving(scene.every, *ends)


def _masked(evidence: Evidence, node: str, service: str) -> list[Proof]:
    """Return which of a service's two units are masked, so that nothing starts them; systemctl(1).

    Each is a line of what IS_MASKED prints, the unit and the word that says until when.
    """
    masked = evidence.runtime(node).get("masked", {})
    units = (f"{service}.socket", f"{service}.service")
    lines = tuple(f"{unit} {masked[unit]}" for unit in units if unit in masked)
    return [Proof(node, IS_MASKED, lines)] if lines else []


def _unmasked(node: str, proofs: tuple[Proof, ...]) -> list[Step]:
    """Return how to let the units start again that ``proofs`` show to be masked."""
    found = (line.split() for proof in proofs if proof.command == IS_MASKED for line in proof.lines)
    return [
        Step(node, f"systemctl unmask {'--runtime ' if 'runtime' in until else ''}{unit}")
        for unit, until in found
    ]
