"""What packet filters make of a cell that is reachable without them, and ports of one's choice.

A probe is packets both ways: a request, its answer, and over TCP the rest of the connection. Each
has to pass every filter on its way. The first rule of a list that matches a packet decides.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Literal, NamedTuple

from underlay.drivers.rule import Rule
from underlay.expect import filter_hooks
from underlay.expect.ends import FAMILIES, protocols, split_protocol
from underlay.expect.filter_hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from underlay.expect.ends import Family, Pair, Protocol
    from underlay.expect.filter_hooks import Hook
    from underlay.expect.path import Paths
    from underlay.plan import Plan, PlannedFilter

REJECTED = Rule(
    id="filter-rejects",
    relation="routing",
    reachable=False,
    stop="refused",
    because="A filter refuses what comes in, and tells the sender by an ICMP error.",
    reference="iptables-extensions(8), REJECT; Linux net/ipv4/netfilter/ipt_REJECT.c",
)
NOBODY_LISTENS = Rule(
    id="nobody-listens",
    relation="routing",
    reachable=False,
    stop="refused",
    arrives=True,
    because="The packet arrives, but nobody listens on that port: the kernel refuses it.",
    reference=(
        "RFC 9293, 3.10.7.1 (RST); RFC 1122, 4.1.3.1 (port unreachable); Linux "
        "net/ipv4/tcp_ipv4.c, tcp_v4_rcv, and net/ipv4/udp.c, __udp4_lib_rcv"
    ),
)
# How the address families call it, in the words of a filter.
State = Literal["new", "established", "invalid"]


class _Sent(NamedTuple):
    """A packet of a probe: whether it goes to the destination, and what it is.

    ``error`` stands for an ICMP error, which is about a connection and has no port.
    """

    request: bool
    protocol: str
    port: int
    error: bool = False


class Filtering:
    """Finds the rule for each cell, filters and listeners included."""

    def __init__(self, plan: Plan, paths: Mapping[Family, Paths]) -> None:
        self._plan, self._paths = plan, paths
        self._hooks = {family: Hooks(plan, paths[family].world) for family in FAMILIES}
        self._decided: dict[Hashable, tuple[Rule, Pair]] = {}
        self._lists: dict[tuple[str, str], list[PlannedFilter]] = {}
        for one in plan.filters:
            for space in one.spaces:
                self._lists.setdefault((space, one.direction), []).append(one)

    def rule(self, pair: Pair, protocol: Protocol) -> Rule:
        """Return the rule that decides the cell of ``pair`` and ``protocol``."""
        base = self._paths[pair.family].rule(pair).of(split_protocol(protocol)[0])
        if not self._plan.filters and ":" not in protocol:
            return base
        key = (*self._paths[pair.family].kinds.key(pair), pair.family, protocol)
        if key not in self._decided:
            self._decided[key] = self._with_others(pair, protocol, base), pair
        return _at_own(*self._decided[key], pair)

    def _with_others(self, pair: Pair, protocol: Protocol, base: Rule) -> Rule:
        """What a filter of the source's own takes is seen to lack a neighbour where others do.

        All protocols of a pair are asked at a time: one that gets out looks for the neighbour.
        """
        rule = self._followed(pair, protocol, base)
        if rule.id != filter_hooks.OUTGOING.id:
            return rule
        path = self._paths[pair.family].rule(pair)
        others = (
            self._followed(pair, other, path.of(split_protocol(other)[0]))
            for other in protocols(self._plan)
            if other != protocol
        )
        unfound = any("no_neighbour" in (other.stop, *other.also) for other in others)
        return replace(rule, also=("no_neighbour",)) if unfound else rule

    def _followed(self, pair: Pair, protocol: Protocol, base: Rule) -> Rule:
        word, port = split_protocol(protocol)
        hooks, paths = self._hooks[pair.family], self._paths[pair.family]
        request, answer = _Sent(True, word, port), _Sent(False, word, port)
        if not base.reachable:
            own = self._met([hooks.first(pair)], request, {}) if base.stop != "no_route" else None
            return own or base
        there = paths.request(pair)
        back = paths.answer(pair, there.masqueraded)
        ways = {
            True: hooks.request(pair, there),
            # ARP answers before anything else does, and passes tunnels alone.
            False: sorted(hooks.answer(pair, there, back), key=lambda hook: hook.outer is None),
        }
        seen: dict[str, set[bool]] = {}
        stopped = self._met(ways[True], request, seen)
        if stopped and stopped.stop != "refused":
            return stopped
        refused = stopped or self._unheard(pair.destination.space, protocol)
        if refused:
            # A filter and a closed UDP port answer by an ICMP error, a closed TCP port by itself.
            error = _Sent(False, word, port, error=bool(stopped) or word != "tcp")
            return self._met(ways[False], error, seen) or refused
        if lost := self._met(ways[False], answer, seen):
            return lost
        cut = self._met(ways[True], request, seen) if word == "tcp" else None
        return _begun(cut) if cut else base

    def _unheard(self, space: str, protocol: Protocol) -> Rule | None:
        """Return the rule for a port that nobody listens on, if it is one."""
        if ":" not in protocol or protocol in self._plan.listens.get(space, ()):
            return None
        return None if NOBODY_LISTENS.reachable else NOBODY_LISTENS

    def _met(self, hooks: Iterable[Hook], packet: _Sent, seen: dict[str, set[bool]]) -> Rule | None:
        """Return the rule by which a filter takes ``packet``, None where all let it pass.

        ``seen`` holds which directions of the connection each namespace has seen so far.
        """
        for hook in hooks:
            known = seen.setdefault(hook.space, set())
            state = _state(packet, known)
            if not hook.rule.reachable or hook.rule.id == "filter-l3s-child":
                known.add(packet.request)
            for one in self._lists.get((hook.space, hook.direction), ()):
                if not _matches(one, hook, packet, state):
                    continue
                rule = REJECTED if one.action == "reject" else hook.rule
                if one.action != "accept" and not hook.rule.reachable and not rule.reachable:
                    return _said(rule, hook, one, packet)
                break
        return None


def _state(packet: _Sent, known: set[bool]) -> State:
    """What connection tracking calls the packet in a namespace that has seen so much of it.

    An answer whose request went another way begins something new over UDP, and nothing that
    TCP or a ping could begin with (nf_conntrack_proto_tcp.c, nf_conntrack_proto_icmp.c).
    """
    if packet.request:
        if True not in known:
            return "new"
        return "established" if False in known else "invalid"
    if True in known:
        return "established"
    return "new" if packet.protocol == "udp" and not packet.error else "invalid"


def _matches(one: PlannedFilter, hook: Hook, packet: _Sent, state: State) -> bool:
    """Whether a filter's rule matches a packet at a hook."""
    protocol, port = hook.outer or (packet.protocol, packet.port if packet.request else 0)
    if packet.error and hook.outer is None:
        protocol, port = "error", 0
    return (
        one.protocol in ("", protocol)
        and one.port in (0, port)
        and one.state in ("", "new" if hook.outer else state)
        and _inside(hook.source, one.sources)
        and _inside(hook.destination, one.destinations)
    )


def _inside(address: str, subnets: tuple[str, ...]) -> bool:
    """Whether an address is in one of ``subnets``; none of them stands for anybody."""
    return not subnets or any(ip_address(address) in ip_network(one) for one in subnets)


def _at_own(rule: Rule, first: Pair, pair: Pair) -> Rule:
    """Return what was decided of ``first``, a pair of the same kinds, as ``pair`` says it.

    A filter at one of the two, or at the node of one, is one at that of this pair, which has the
    same ones.
    """
    for one, own in ((first.source, pair.source), (first.destination, pair.destination)):
        for there, here in ((one.space, own.space), (one.node, own.node)):
            if there != here and rule.because.endswith(_at(there)):
                because = rule.because.removesuffix(_at(there)) + _at(here)
                return replace(rule, because=because)
    return rule


def _at(space: str) -> str:
    return f", at {space}."


def _begun(rule: Rule) -> Rule:
    """Return the rule by which a filter takes what follows a connection's first segment."""
    because = f"The first segment arrives, but what follows doesn't. {rule.because}"
    return replace(rule, arrives=True, because=because)


def _said(rule: Rule, hook: Hook, one: PlannedFilter, packet: _Sent) -> Rule:
    """Return ``rule`` with the filter named, for a request or for what comes back."""
    line = f", line {one.line}" if one.line else ""
    which = f"It is filters[{one.number}]{line} ({one.text}){_at(hook.space)}"
    if packet.request:
        return replace(rule, because=f"{rule.because} {which}")
    # In a tunnel ARP's own answers are lost, too, so that the neighbour isn't found.
    lost = rule.id == filter_hooks.TUNNELLED.id
    what = "Nobody is found." if lost else "The request arrives, but its answer is lost."
    return replace(
        rule,
        id=f"{rule.id}-answer",
        stop=rule.stop if lost else "no_answer",
        also=rule.also if lost else (),
        arrives=not lost,
        because=f"{what} {rule.because} {which}",
    )
