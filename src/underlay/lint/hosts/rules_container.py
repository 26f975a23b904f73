"""Rules about the containers that files start: the networks that they ask for."""

from __future__ import annotations

from collections.abc import Iterator

from underlay.errors import did_you_mean, nearest
from underlay.fleet.document import Document, listed, mapping
from underlay.fleet.host import Container, Host, Network
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import Hosts, rule, unknown

# Words for networks that engines have without anybody making them: docker-run(1), podman-run(1).
_THERE = frozenset(
    {"", "default", "host", "none", "bridge", "nat", "ingress", "docker_gwbridge", "podman",
     "private", "pasta", "slirp4netns", "container", "service", "ns"}
)  # fmt: skip


def _asked(hosts: Hosts) -> Iterator[tuple[Host, Container, str]]:
    """Yield each network that a container is started in and that somebody has to make."""
    for host in hosts:
        for container in host.containers:
            # What was inspected runs, whatever made its networks.
            started = container.count > 0 and not container.idle
            by_file = container.document.kind in ("compose", "quadlet", "script")
            for name, _, _ in container.networks if started and by_file else ():
                word = name.partition(":")[0]
                unit = container.document.kind == "quadlet"
                of_unit = unit and word.endswith((".network", ".container"))
                if of_unit or name in _undeclared(container.document):
                    continue
                if word not in _THERE and not unknown(name):
                    yield host, container, name


def _undeclared(document: Document) -> set[str]:
    """Return the networks of services that a Compose file doesn't declare: it is refused."""
    data = mapping(document.data) if document.kind == "compose" else {}
    services = (mapping(body).get("networks") for body in mapping(data.get("services")).values())
    named = {str(name) for found in services for name in (*mapping(found), *listed(found))}
    return named - {*mapping(data.get("networks"))}


def _names(network: Network) -> set[str]:
    return {network.name, network.alias, network.engine_name} - {""}


@rule(
    "network-unmade",
    "error",
    "docker: `network … declared as external, but could not be found`; podman: `unable to find"
    " network with name or ID`",
)
def network_unmade(hosts: Hosts) -> Iterator[Hit]:
    """An engine's networks are one host's own: without its network a container doesn't start."""
    told = {n.runtime for host in hosts for n in host.networks if n.is_underlay}
    for host, container, name in _asked(hosts):
        own = [n for n in host.networks if n.runtime == container.runtime]
        # Where no file makes any network of such an engine, somebody else makes them all.
        if container.runtime not in told or any(name in _names(one) for one in own):
            continue
        others = [
            n for each in hosts for n in each.networks
            if n.runtime == container.runtime and name in _names(n)
        ]  # fmt: skip
        where = f", only {others[0].host}'s do: it isn't one network of both" if others else ""
        message = f"{container.name} is in {name}, which no file of {host.name} makes{where}"
        meant = did_you_mean(nearest(name, sorted({one for n in own for one in _names(n)})))
        cure = meant or f"make {name} in a file of {host.name}"
        yield Hit(container.spot, message, cure, tuple(one.spot() for one in others[:1]))
