"""A rule about hosts' configuration: a function with an id, a severity and a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from underlay.errors import Spot
from underlay.fleet.host import Host, Network
from underlay.lint.finding import Severity

Hosts = tuple[Host, ...]

SPEC = "the CNI specification: https://www.cni.dev/docs/spec/"
HOST_LOCAL = "https://www.cni.dev/plugins/current/ipam/host-local/"
RANGE = "containernetworking/plugins, plugins/ipam/host-local/backend/allocator/range.go"
CONFIG = "containernetworking/plugins, plugins/ipam/host-local/backend/allocator/config.go"
MACVLAN = "https://www.cni.dev/plugins/current/main/macvlan/"
IPVLAN = "https://www.cni.dev/plugins/current/main/ipvlan/"
COMPOSE = "the Compose specification: https://docs.docker.com/reference/compose-file/networks/"
DOCKER_MACVLAN = "https://docs.docker.com/engine/network/drivers/macvlan/"
DOCKER_IPVLAN = "https://docs.docker.com/engine/network/drivers/ipvlan/"
WRITE_FILES = "https://docs.cloud-init.io/en/latest/reference/modules.html#write-files"
NETWORKD = "systemd.network(5), systemd.netdev(5)"


@dataclass(frozen=True)
class Hit:
    """One place that a rule objects to, the fact, the cure, and the other places it is about."""

    spot: Spot
    message: str
    cure: str
    related: tuple[Spot, ...] = ()


Check = Callable[[Hosts], Iterator[Hit]]


@dataclass(frozen=True)
class HostRule:
    """A rule with its check; the check's docstring is the reason that findings give."""

    id: str
    severity: Severity
    source: str
    check: Check


RULES: list[HostRule] = []


def rule(id: str, severity: Severity, source: str) -> Callable[[Check], Check]:
    """Register the function below as a rule."""

    def register(check: Check) -> Check:
        RULES.append(HostRule(id, severity, source, check))
        return check

    return register


def networks(hosts: Hosts, *drivers: str) -> Iterator[tuple[Host, Network]]:
    """Yield each network with its host; only those of ``drivers`` where some are named."""
    for host in hosts:
        for network in host.networks:
            if not drivers or network.driver in drivers:
                yield host, network


def reported(hosts: Hosts, id: str) -> Iterator[Hit]:
    """Yield what reading the files noted under the rule ``id``."""
    for host in hosts:
        for document in host.documents:
            for report in document.reports:
                if report.rule == id:
                    yield Hit(report.spot, report.message, report.cure)
