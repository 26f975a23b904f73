"""A network that is in use, read from the machines in it: what any user there can find out.

One program (reader.py) on each machine asks every address of the plan that it has a cell for, and
the other machines, and comes back with what it read. Rows of containers aren't measured: nobody but
root enters a namespace.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from underlay.expect import machines, pairs, protocols, split_protocol
from underlay.expect.ends import is_link_local
from underlay.observe.commands import reader_command, reader_input
from underlay.observe.evidence import Evidence
from underlay.observe.observation import Observation, Seen
from underlay.plan import SWITCH
from underlay.plan.make import own_addresses
from underlay.plan.naming import PROBE_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from underlay.cluster.machines import Answered, Ways
    from underlay.expect import Expectation, Pair
    from underlay.plan import Cidr, Plan

Tier = Literal["reader", "probe"]
RATE = 100.0  # packets a second that leave a machine
# s for ssh, Python and reading, and what silence and the search for sizes cost at worst.
MARGIN, PER_PACKET, PER_SIZE = 45.0, 3, 30
ABSENT = "is not in the inventory"
UNASKED = "not_measured"
NEEDS_PROBE = "needs the probe: nobody but root enters a container's namespace"
NEEDS_PROBE_HERE = "needs the probe: it is heard or seen from inside"
CLOSED = "its address answered: no program of a probe listens there"
# What one tier can't see, in words.
UNSEEN = {
    "reader": (
        "what containers reach: their rows need the probe",
        "who has an address: whoever answered may be another than the one that is meant",
        "packet filters, and what counts packets there",
    ),
    "probe": (
        "what is meant for everybody, and what nobody planned: nothing is sent to look for it",
        "the switch, and whatever else is no machine of the inventory",
    ),
}


@dataclass(frozen=True)
class Way:
    """From one machine to another by their own addresses: by which protocols, and how large.

    ``reached`` and ``missed`` are protocols, ``missed`` with where it stopped; ``mtu`` is the
    largest packet that comes in one piece, 0 where that isn't known; ``reason`` says why then.
    """

    source: str
    destination: str
    source_address: str
    destination_address: str
    reached: tuple[str, ...] = ()
    missed: dict[str, str] = field(default_factory=dict)
    mtu: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Live:
    """How a network that is in use was measured, and what isn't known of it therefore.

    Tables were ``flushed`` on the user's word alone; else verdicts are warm. ``rate`` is how many
    packets a second left each machine. ``unread`` says by machine what could not be read there,
    ``icmp`` by which way echo requests left it.
    """

    tier: Tier
    flushed: bool
    rate: float
    cannot: tuple[str, ...] = ()
    unread: dict[str, str] = field(default_factory=dict)
    icmp: dict[str, str] = field(default_factory=dict)
    ways: tuple[Way, ...] = ()


@dataclass(frozen=True)
class Read:
    """What readers brought back: cells, the ways between machines, and what the machines show."""

    observation: Observation
    live: Live
    evidence: Evidence


def read_machines(
    plan: Plan,
    ways: Ways,
    *,
    expectations: Sequence[Expectation],
    rate: float = RATE,
    deadline: float | None = None,
) -> Read:
    """Ask from each machine of ``plan`` that ``ways`` lead to, and read what any user may read.

    Machines are known by their names. Nothing is sent to one that ``ways`` don't know, nor to its
    containers. ``expectations`` are the plan's own; by them answers are told apart that look alike
    from outside. One that isn't reached, or is late by its ``deadline`` in seconds, costs its own
    cells. Nothing is raised for that.
    """
    asked = _Asked(plan, set(ways.machines))
    began = time.monotonic()
    documents, failed = _answers(asked.tasks(rate), ways, rate, deadline)
    seconds = round(time.monotonic() - began, 3)
    cells = _Merged(plan, asked, documents, failed, expectations)
    observation = Observation(tuple(cells.seen()), {"probe": seconds}, failed)
    live = _live(asked, rate, documents, failed)
    return Read(observation, live, _evidence(plan, documents, failed))


def read_ways(plan: Plan, ways: Ways, *, rate: float = RATE, deadline: float | None = None) -> Live:
    """Return what ``read_machines`` finds out between machines; no cell is asked for that."""
    asked = _Asked(plan, set(ways.machines))
    tasks = asked.tasks(rate, cells=False)
    return _live(asked, rate, *_answers(tasks, ways, rate, deadline))


def _live(
    asked: _Asked,
    rate: float,
    documents: Mapping[str, Mapping[str, Any]],
    failed: Mapping[str, str],
) -> Live:
    return Live(
        "reader",
        flushed=False,
        rate=rate,
        cannot=UNSEEN["reader"],
        unread={name: ", ".join(found["unread"]) for name, found in documents.items()},
        icmp={name: found["icmp"] or "none" for name, found in documents.items()},
        ways=tuple(asked.ways(documents, failed)),
    )


def _answers(
    tasks: Mapping[str, Mapping[str, Any]], ways: Ways, rate: float, deadline: float | None
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Have each machine's reader do its task; return documents, and why others have none."""
    commands = {name: reader_command(ways.machines[name].python) for name in tasks}
    given = {name: reader_input(task) for name, task in tasks.items()}
    limit = deadline or max((_limit(task, rate) for task in tasks.values()), default=MARGIN)
    return _documents(ways.ask(commands, deadline=limit, given=given))


def _limit(task: Mapping[str, Any], rate: float) -> float:
    packets = sum(PER_PACKET * len(cell[3:]) for cell in task["cells"])
    return MARGIN + packets / rate * 2 + PER_SIZE * (1 + len(task["sizes"]) * PER_SIZE / rate)


def _documents(answers: Mapping[str, Answered]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return what each machine printed, and why of the others nothing can be read."""
    documents, failed = {}, {}
    for name, answer in answers.items():
        if answer.error:
            failed[name] = answer.error.removeprefix(f"{name}: ")
            continue
        try:
            documents[name] = json.loads(answer.out)
        except ValueError:
            said = answer.err.strip().splitlines()[-1:] or [f"exit code {answer.code}"]
            failed[name] = f"its reader gave no answer: {said[0]}"
    return documents, failed


def _evidence(
    plan: Plan, documents: Mapping[str, Mapping[str, Any]], failed: Mapping[str, str]
) -> Evidence:
    """Return what machines show of themselves; containers and the switch are out of sight."""
    found = {
        name: {
            "node": name,
            "spaces": {name: document["seen"]},
            "missing": {},
            "unread": document["unread"],
        }
        for name, document in documents.items()
    }
    unseen = {**failed, SWITCH: "the switch isn't one of the inventory's machines"}
    inside = {container.name: NEEDS_PROBE for container in plan.containers}
    return Evidence(found, unseen | inside, untried=frozenset(inside))


class _Asked:
    """Who is asked by whom; both know a question by its number."""

    def __init__(self, plan: Plan, known: set[str]) -> None:
        self.plan, self.known = plan, known
        self.pairs: tuple[Pair, ...] = tuple(pairs(plan))
        self.protocols = protocols(plan)
        self._own_ports = {c.name: c.own_protocols for c in plan.containers}
        having = {name: _addresses(plan, name) for name in machines(plan)}
        between = (
            (one, other, *addresses)
            for one in having
            for other in having
            if one != other
            for addresses in _between(having[one], having[other])
        )
        self.between = tuple(between)

    def refused(self, pair: Pair) -> str:
        """Return why a cell isn't asked at all; nothing where it is."""
        for end in (pair.source, pair.destination):
            if end.node not in self.known:
                return f"{end.node} {ABSENT}"
        if pair.source.kind == "container":
            return NEEDS_PROBE
        if is_link_local(pair.destination_address):
            return "needs the probe: the address is good for one link alone"
        return ""

    def tasks(self, rate: float, *, cells: bool = True) -> dict[str, dict[str, Any]]:
        """Return what each machine's reader is to do; without ``cells`` between machines alone."""
        nonce = secrets.token_hex(4)
        found: dict[str, dict[str, Any]] = {
            name: {
                "node": name,
                "nonce": nonce,
                "port": PROBE_PORT,
                "rate": rate,
                "cells": [],
                "sizes": [],
            }
            for name in machines(self.plan)
            if name in self.known
        }
        for number, pair in enumerate(self.pairs):
            if cells and not self.refused(pair):
                row = [number, pair.source_address, pair.destination_address, *self.protocols]
                found[pair.source.node]["cells"].append(row)
        first = len(self.pairs)
        for number, (source, destination, own, there) in enumerate(self.between, first):
            if {source, destination} <= self.known:
                found[source]["cells"].append([number, own, there, "icmp", "tcp", "udp"])
                found[source]["sizes"].append([number, own, there])
        return found

    def ways(
        self, documents: Mapping[str, Mapping[str, Any]], failed: Mapping[str, str]
    ) -> Iterator[Way]:
        """Yield what is known of each way from machine to machine."""
        # Once for all ways: of a hundred machines there are ten thousand.
        told_of: dict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
        for (number, protocol), (_, result) in _rows(documents).items():
            told_of[number][protocol] = result
        sizes = {row[0]: row[1:] for found in documents.values() for row in found["sizes"]}
        for number, ends_of_way in enumerate(self.between, len(self.pairs)):
            source, destination = ends_of_way[:2]
            outside = [name for name in (source, destination) if name not in self.known]
            if outside:
                yield Way(*ends_of_way, reason=f"{outside[0]} {ABSENT}")
                continue
            if source not in documents:
                yield Way(*ends_of_way, reason=failed.get(source, "its reader gave no answer"))
                continue
            mtu, reason = sizes.get(number, (0, "it wasn't asked"))
            told = told_of.get(number, {})
            reached = tuple(p for p in ("icmp", "tcp", "udp") if p in told and not told[p]["stop"])
            missed = {p: _stop(r) for p, r in told.items() if r["stop"] not in ("", UNASKED)}
            yield Way(*ends_of_way, reached, missed, mtu, reason)


def _stop(result: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (result["stop"], result.get("reason", ""))))


def _rows(
    documents: Mapping[str, Mapping[str, Any]],
) -> dict[tuple[int, str], tuple[int, dict[str, Any]]]:
    """Return all answers by number and protocol: packets, and what came of them."""
    return {(row[0], row[1]): (row[2], row[3]) for d in documents.values() for row in d["rows"]}


def _between(one: Sequence[Cidr], other: Sequence[Cidr]) -> Iterator[tuple[str, str]]:
    """Yield those of the addresses of two machines by which they meet: those in one network."""
    for own in one:
        for there in other:
            if own.subnet == there.subnet and own.ip != there.ip:
                yield own.ip, there.ip


def _addresses(plan: Plan, name: str) -> list[Cidr]:
    """Return all addresses of a machine, but those of its management."""
    host = next((host for host in plan.hosts if host.name == name), None)
    if host is not None:
        found = [address for port in host.ports for address in port.addresses]
    else:
        node = plan.node(name)
        apart = node.management.interface
        own = own_addresses(node).items()
        found = [address for card, every in own if card != apart for address in every]
    return list(dict.fromkeys(address for address in found if address and address.ip))


class _Merged:
    """Joins what was asked with what came of it, cell by cell."""

    def __init__(
        self,
        plan: Plan,
        asked: _Asked,
        documents: Mapping[str, Mapping[str, Any]],
        failed: Mapping[str, str],
        expectations: Sequence[Expectation],
    ) -> None:
        self._plan, self._asked, self._failed = plan, asked, failed
        self._rows = _rows(documents)
        self._refused = {
            (e.source, e.destination, e.protocol, e.family)
            for e in expectations
            if not e.reachable and "refused" in (e.stop, *e.also)
        }
        self._values = [e for e in expectations if e.kind == "value"]
        self._listens: dict[str, set[str]] = defaultdict(set)
        for name, ports in plan.listens.items():
            self._listens[name] |= set(ports)
        for container in plan.containers:
            self._listens[container.name] |= set(container.own_protocols)

    def seen(self) -> Iterator[Seen]:
        """Yield every cell of the matrix, and every one of kind value, which none can answer."""
        for number, pair in enumerate(self._asked.pairs):
            for protocol in self._asked.protocols:
                yield self._cell(number, pair, protocol)
        for wanted in self._values:
            yield Seen(
                wanted.source,
                wanted.destination,
                wanted.protocol,
                "not_measured",
                reason=NEEDS_PROBE_HERE,
                family=wanted.family,
                kind="value",
            )

    def _cell(self, number: int, pair: Pair, protocol: Any) -> Seen:
        names = (pair.source.name, pair.destination.name, protocol)

        def unknown(why: str, attempts: int = 0) -> Seen:
            return Seen(*names, "not_measured", attempts=attempts, reason=why, family=pair.family)

        if why := self._asked.refused(pair) or self._failed.get(pair.source.node, ""):
            return unknown(why)
        if (number, protocol) not in self._rows:
            return unknown("its reader left the cell out")
        attempts, result = self._rows[number, protocol]
        if result["stop"] == "not_measured":
            return unknown(result["reason"])
        listens = protocol in self._listens.get(pair.destination.space, ())
        heard, reason = result.get("heard", ""), result.get("reason", "")
        if not result["stop"]:
            closed = heard in ("reset", "port unreachable")
            if closed and listens:
                return Seen(
                    *names,
                    "unreachable",
                    stopped_at="refused",
                    arrived=True,
                    attempts=attempts,
                    reason="its address answered, and no program listens there",
                    family=pair.family,
                )
            if closed and (*names, pair.family) in self._refused:
                why = "refused, by a filter or as nobody listens: the probe alone can tell"
                return unknown(why, attempts)
            return Seen(
                *names,
                "reachable",
                arrived=True,
                rtt_ms=result.get("rtt"),
                attempts=attempts,
                reason=CLOSED if closed else "",
                family=pair.family,
            )
        if self._may_be_taken(number, protocol, result):
            return unknown(
                "no answer, and no word that nobody listens: a filter, a limit, or a program that"
                " took it: the probe alone can tell",
                attempts,
            )
        return Seen(
            *names,
            "unreachable",
            stopped_at=result["stop"],
            attempts=attempts,
            reason=reason,
            family=pair.family,
        )

    def _may_be_taken(self, number: int, protocol: str, result: Mapping[str, Any]) -> bool:
        """Whether silence may be that of somebody who got a datagram: others of the cell did."""
        word, _ = split_protocol(protocol)
        if word != "udp" or result["stop"] != "no_answer" or result.get("reason"):
            return False
        others = (self._rows.get((number, each)) for each in self._asked.protocols)
        return any(other and not other[1]["stop"] for other in others)
