"""Packet filters as iptables-restore(8), ip6tables-restore(8) and nft(8) read them.

A namespace has chains of its own for them, which its built-in ones jump to: they are made and
removed without a look at anybody else's. To accept a packet is to return from there, so that
whoever else filters is asked, too.
"""

from __future__ import annotations

from ipaddress import ip_network
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.plan.values import Plan, PlannedFilter

CHAINS = {"in": "UNDERLAY-IN", "out": "UNDERLAY-OUT", "forward": "UNDERLAY-FORWARD"}
BUILT_IN = {CHAINS["in"]: "INPUT", CHAINS["out"]: "OUTPUT", CHAINS["forward"]: "FORWARD"}
TARGETS = {"accept": "RETURN", "drop": "DROP", "reject": "REJECT"}
STATES = {"new": "NEW", "established": "ESTABLISHED,RELATED"}
# Echo request and reply; RFC 792, RFC 4443.
ECHOES = {4: ("icmp --icmp-type 8", "icmp --icmp-type 0"),
          6: ("icmpv6 --icmpv6-type 128", "icmpv6 --icmpv6-type 129")}  # fmt: skip
# What finds neighbours and says who is in which group is no traffic of anybody's, as ARP isn't:
# IGMP; multicast listeners, routers and neighbours (RFC 2710, RFC 4861, RFC 3810).
UNFILTERED = {
    4: ("igmp",),
    6: tuple(f"icmpv6 --icmpv6-type {kind}" for kind in (*range(130, 138), 143)),
}


def filter_rules(plan: Plan) -> dict[str, dict[str, str]]:
    """Return the text for iptables-restore (v4) and ip6tables-restore (v6), by namespace.

    A lab without IPv6 has none for the second. External hosts have one for nft besides, which is
    what this machine has; nodes and the switch's kernel know iptables.
    """
    both = any(network.subnet6 for network in plan.networks) or any(
        segment.subnet6 for segment in plan.segments
    )
    machines = {node.name: node.management.interface for node in plan.nodes}
    names = dict.fromkeys(space for one in plan.filters for space in one.spaces)
    hosts = {host.name for host in plan.hosts}
    return {
        name: {
            f"v{family}": "".join(f"{line}\n" for line in _lines(plan, name, machines, family))
            for family in ((4, 6) if both else (4,))
        }
        | ({"nft": "".join(f"{line}\n" for line in _of_nft(plan, name))} if name in hosts else {})
        for name in names
    }


def _lines(plan: Plan, space: str, machines: dict[str, str], family: int) -> Iterator[str]:
    here = [one for one in plan.filters if space in one.spaces]
    directions = [way for way in CHAINS if any(one.direction == way for one in here)]
    yield "*filter"
    yield from (f":{CHAINS[way]} - [0:0]" for way in directions)
    for way in directions:
        yield from (f"-A {CHAINS[way]} {words}" for words in _spared(way, machines.get(space, "")))
        for what in UNFILTERED[family]:
            yield f"-A {CHAINS[way]} -p {what} -j RETURN"
        for one in here:
            if one.direction == way:
                yield from (f"-A {CHAINS[way]} {words}" for words in _rule(one, family))
    yield "COMMIT"


HOOKS = {"in": "input", "out": "output", "forward": "forward"}
VERDICTS = {"accept": "accept", "drop": "drop", "reject": "reject"}
ECHO_TYPES = {
    4: "icmp type { echo-request, echo-reply }",
    6: "icmpv6 type { echo-request, echo-reply }",
}
# The same that is never filtered: IGMP, and ICMPv6's messages 130 to 137 and 143.
NFT_UNFILTERED = ("meta l4proto igmp", "icmpv6 type { 130-137, 143 }")


def _of_nft(plan: Plan, space: str) -> Iterator[str]:
    """Yield the lines of a table for both families, which nft -f reads."""
    here = [one for one in plan.filters if space in one.spaces]
    yield "table inet underlay {"
    for way, hook in HOOKS.items():
        listed = [one for one in here if one.direction == way]
        if not listed:
            continue
        yield f"  chain {way} {{"
        yield f"    type filter hook {hook} priority filter; policy accept;"
        if way != "forward":
            yield f"    {'iif' if way == 'in' else 'oif'} lo accept"
        yield from (f"    {what} accept" for what in NFT_UNFILTERED)
        for one in listed:
            yield from (f"    {words}" for words in _nft_rule(one))
        yield "  }"
    yield "}"


def _nft_rule(one: PlannedFilter) -> Iterator[str]:
    for family, word in ((4, "ip"), (6, "ip6")):
        sources, destinations = (
            _of_family(subnets, family) for subnets in (one.sources, one.destinations)
        )
        for source, destination in product(sources, destinations):
            words = [f"{word} saddr {source}"] if source else []
            words += [f"{word} daddr {destination}"] if destination else []
            words += [] if words else [f"meta nfproto ipv{family}"]
            if one.protocol == "icmp":
                words.append(ECHO_TYPES[family])
            elif one.port:
                words.append(f"{one.protocol} dport {one.port}")
            elif one.protocol:
                words.append(f"meta l4proto {one.protocol}")
            words += [f"ct state {STATES[one.state].lower()}"] if one.state else []
            comment = f'comment "filters[{one.number}]"'
            yield " ".join([*words, "counter", VERDICTS[one.action], comment])


def chains_of(text: str) -> list[str]:
    """Return the chains that a text for iptables-restore makes."""
    return [line[1:].split()[0] for line in text.splitlines() if line.startswith(":")]


def hooked(text: str) -> str:
    """Return what iptables-restore reads with the jumps to its own chains, for a new namespace."""
    found = [f"-A {BUILT_IN[chain]} -j {chain}\n" for chain in chains_of(text)]
    return text.replace("COMMIT\n", "".join([*found, "COMMIT\n"]))


def _spared(way: str, management: str) -> Iterator[str]:
    """What is never filtered: a machine's talk with itself, and a node's management."""
    if way == "forward":
        return
    option = "-i" if way == "in" else "-o"
    yield f"{option} lo -j RETURN"
    if management:
        yield f"{option} {management} -j RETURN"


def _rule(one: PlannedFilter, family: int) -> Iterator[str]:
    """Yield the rules that a filter comes to: one for each two subnets, and each ICMP message."""
    sources, destinations = (
        _of_family(subnets, family) for subnets in (one.sources, one.destinations)
    )
    kinds: tuple[str, ...] = (one.protocol,)
    if one.protocol == "icmp":
        kinds = ECHOES[family]
    for source, destination, kind in product(sources, destinations, kinds):
        words = [f"-s {source}"] if source else []
        words += [f"-d {destination}"] if destination else []
        words += [f"-p {kind}"] if kind else []
        words += [f"--dport {one.port}"] if one.port else []
        words += [f"-m conntrack --ctstate {STATES[one.state]}"] if one.state else []
        yield " ".join([*words, f'-m comment --comment "filters[{one.number}]"',
                        f"-j {TARGETS[one.action]}"])  # fmt: skip


def _of_family(subnets: tuple[str, ...], family: int) -> list[str]:
    """Return those of ``subnets`` that are of ``family``; an empty word stands for anybody."""
    return [one for one in subnets if ip_network(one).version == family] if subnets else [""]
