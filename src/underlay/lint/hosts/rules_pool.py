"""Rules about the subnets, ranges and gateways that Docker's and podman's networks ask for."""

from __future__ import annotations

from collections.abc import Iterator

from underlay.errors import Spot
from underlay.fleet.formats.quadlet import bounds_of
from underlay.fleet.host import (
    Address,
    Claim,
    Network,
    Subnet,
    as_address,
    as_subnet,
    meet,
    whole,
)
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import COMPOSE, Hosts, networks, rule, unknown

IPAM = "moby, daemon/libnetwork/ipams/defaultipam; netavark refuses it as well"
PODMAN = "https://docs.podman.io/en/latest/markdown/podman-network-create.1.html"


def _claims(hosts: Hosts, *runtimes: str) -> Iterator[tuple[Network, Claim]]:
    for _, network in networks(hosts):
        if network.runtime in (runtimes or ("docker", "podman")):
            for claim in network.claims:
                yield network, claim


def _subnets(hosts: Hosts, *runtimes: str) -> Iterator[tuple[Network, Claim, Subnet]]:
    for network, claim in _claims(hosts, *runtimes):
        subnet = as_subnet(claim.subnet)
        if subnet is not None:
            yield network, claim, subnet


@rule("pool-subnet-invalid", "error", f"{COMPOSE}; {PODMAN}")
def pool_subnet_invalid(hosts: Hosts) -> Iterator[Hit]:
    """A subnet is an address and a prefix length; with any other word the network isn't made."""
    for network, claim in _claims(hosts):
        if claim.subnet is None or unknown(claim.subnet) or as_subnet(claim.subnet) is not None:
            continue
        message = f"{network.name}: {str(claim.subnet)[:60]!r} is no subnet"
        yield Hit(claim.spot, message, "write it as 10.1.0.0/24")


@rule(
    "pool-host-bits", "error", "moby, api: `invalid subnet: it should be`; netavark cuts them off"
)
def pool_host_bits(hosts: Hosts) -> Iterator[Hit]:
    """Docker refuses a subnet with host bits; podman cuts them off, and it is another range."""
    for network, claim, subnet in _subnets(hosts):
        if as_address(str(claim.subnet).partition("/")[0]) != subnet.network_address:
            message = f"{network.name}: {claim.subnet} has host bits"
            yield Hit(claim.spot, message, f"did you mean {subnet}?")


@rule("pool-too-small", "error", IPAM)
def pool_too_small(hosts: Hosts) -> Iterator[Hit]:
    """A subnet of one or two addresses has none left for containers behind its gateway."""
    for network, claim, subnet in _subnets(hosts):
        if subnet.num_addresses < 4:
            message = f"{network.name}: {subnet} has no address to give"
            yield Hit(claim.spot, message, "take a /29 or larger")


@rule("pool-gateway-invalid", "error", f"{COMPOSE}; {PODMAN}")
def pool_gateway_invalid(hosts: Hosts) -> Iterator[Hit]:
    """A gateway is a plain address, without a prefix length."""
    for network, claim in _claims(hosts):
        text, spot = claim.gateway
        if text is None or unknown(text) or as_address(text) is not None:
            continue
        plain = str(text).partition("/")[0]
        cure = f"write {plain}" if as_address(plain) else "write it as 10.1.0.1"
        yield Hit(spot, f"{network.name}: {str(text)[:60]!r} is no address", cure)


@rule("pool-gateway-outside", "error", "moby: `no matching subnet for gateway`; netavark likewise")
def pool_gateway_outside(hosts: Hosts) -> Iterator[Hit]:
    """A gateway outside of the subnet is refused: nobody in the subnet could reach it."""
    for network, claim, subnet in _subnets(hosts):
        gateway = as_address(claim.gateway[0])
        if gateway is not None and gateway not in subnet:
            message = f"{network.name}'s gateway {gateway} is not in {subnet}"
            yield Hit(claim.gateway[1], message, f"did you mean {whole(subnet)[0]}?")


@rule("pool-gateway-edge", "error", "RFC 919; RFC 1812")
def pool_gateway_edge(hosts: Hosts) -> Iterator[Hit]:
    """The network's and the broadcast address are nobody's, and so no gateway's."""
    for network, claim, subnet in _subnets(hosts):
        gateway = as_address(claim.gateway[0])
        ends = (subnet.network_address, subnet.broadcast_address)
        if subnet.version == 4 and subnet.num_addresses >= 4 and gateway in ends:
            kind = "network" if gateway == ends[0] else "broadcast"
            message = f"{network.name}'s gateway {gateway} is the {kind} address of {subnet}"
            yield Hit(claim.gateway[1], message, f"did you mean {whole(subnet)[0]}?")


def _edges(claim: Claim) -> Iterator[tuple[Address | None, object, Spot]]:
    """Yield the ends of a range as addresses, with the word and the place of each."""
    for text, spot in claim.parts:
        if not unknown(text):
            bounds = bounds_of(str(text)) if len(claim.parts) == 1 else (as_address(text),)
            for bound in bounds:
                yield bound, text, spot


@rule("pool-range-invalid", "error", f"{COMPOSE}; {PODMAN}")
def pool_range_invalid(hosts: Hosts) -> Iterator[Hit]:
    """A range is a subnet of its own, with podman also FIRST-LAST: nothing else is read."""
    for network, claim in _claims(hosts):
        for bound, text, spot in _edges(claim):
            docker = network.runtime == "docker" and as_subnet(text) is None
            if bound is None or docker:
                message = f"{network.name}: {str(text)[:60]!r} is no range"
                yield Hit(spot, message, "write it as 10.1.0.64/26")
                break


@rule("pool-range-outside", "error", PODMAN)
def pool_range_outside(hosts: Hosts) -> Iterator[Hit]:
    """A range that podman is to hand out lies in its subnet."""
    for network, claim, subnet in _subnets(hosts, "podman"):
        for bound, text, spot in _edges(claim):
            if bound is not None and bound not in subnet:
                message = f"{network.name}: {text} is not in {subnet}"
                yield Hit(spot, message, f"take a part of {subnet}")
                break


@rule("pool-range-reversed", "error", PODMAN)
def pool_range_reversed(hosts: Hosts) -> Iterator[Hit]:
    """A range that ends before it starts has nothing to give."""
    for network, claim in _claims(hosts, "podman"):
        found = [(bound, spot) for bound, _, spot in _edges(claim)]
        if len(found) != 2:
            continue
        (start, _), (end, spot) = found
        if start and end and start.version == end.version and int(end) < int(start):
            message = f"{network.name}: {end} comes before {start}"
            yield Hit(spot, message, "swap them")


@rule("pool-reserved-outside", "error", "moby: `no matching subnet for aux-address`; " + COMPOSE)
def pool_reserved_outside(hosts: Hosts) -> Iterator[Hit]:
    """An address that is to be left out has to be one, and of the subnet that it is left out of."""
    for network, claim, subnet in _subnets(hosts):
        for text, spot in claim.reserved:
            address = as_address(text)
            if not unknown(text) and (address is None or address not in subnet):
                message = f"{network.name}: {str(text)[:60]} is no address of {subnet}"
                yield Hit(spot, message, f"take one of {subnet}, or leave it out")


@rule("pool-twice", "error", "moby: `Pool overlaps with other one on this address space`")
def pool_twice(hosts: Hosts) -> Iterator[Hit]:
    """Two subnets of one network that overlap: the second one is refused."""
    for _, network in networks(hosts):
        seen: list[tuple[Subnet, Spot]] = []
        for claim in network.claims if network.runtime in ("docker", "podman") else ():
            subnet = as_subnet(claim.subnet)
            if subnet is None:
                continue
            met = next(((other, spot) for other, spot in seen if meet(other, subnet)), None)
            if met is not None:
                message = f"{network.name}: {subnet} overlaps {met[0]}"
                yield Hit(claim.spot, message, "keep one of them", (met[1],))
            seen.append((subnet, claim.spot))


@rule(
    "docker-second-subnet", "warning", "moby: one address per family for each container; " + COMPOSE
)
def docker_second_subnet(hosts: Hosts) -> Iterator[Hit]:
    """A container gets one address per family: a second subnet is used once the first is full."""
    for network, claim in _claims(hosts, "docker"):
        subnets = [s for c in network.claims if (s := as_subnet(c.subnet)) is not None]
        subnet = as_subnet(claim.subnet)
        first = next((s for s in subnets if subnet and s.version == subnet.version), None)
        if network.driver == "bridge" and subnet and first and subnet != first:
            message = f"{network.name}: {subnet} is a second one beside {first}"
            cure = "one subnet per family on a bridge, or a network of its own"
            yield Hit(claim.spot, message, cure)


@rule("docker-ipv6-off", "warning", "https://docs.docker.com/engine/daemon/ipv6/")
def docker_ipv6_off(hosts: Hosts) -> Iterator[Hit]:
    """An IPv6 subnet has no effect while the network's IPv6 is off: containers get IPv4 alone."""
    for network, claim, subnet in _subnets(hosts, "docker"):
        body = network.document.value(network.place)
        on = body.get("enable_ipv6", body.get("EnableIPv6")) if isinstance(body, dict) else None
        if subnet.version == 6 and on not in (True, "true") and not unknown(on):
            key = "EnableIPv6" if "Driver" in (body or {}) else "enable_ipv6"
            message = f"{network.name} has the subnet {subnet}, and IPv6 is off"
            yield Hit(claim.spot, message, f"{key}: true")
