"""What was measured, before anybody judges it.

What the nodes saw is joined to it: an asker's answer with the receivers' own records.
"""

from __future__ import annotations

import errno
import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Any, Literal

from underlay.drivers.rule import NOTHING
from underlay.expect import (
    Check,
    End,
    Family,
    Pair,
    Protocol,
    Stop,
    Value,
    ends,
    machines,
    protocols,
    split_protocol,
)
from underlay.expect.value_cells import NOBODY
from underlay.observe.on_node.cells import TOGETHER, Answer, Received
from underlay.observe.on_node.question import ALONE
from underlay.observe.unplanned import Looked, looked, looked_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from underlay.expect import Expectation
    from underlay.observe.tasks import Asked, AskedPair
    from underlay.plan import Plan

Observed = Literal["reachable", "unreachable", "not_measured"]
STRANGER = "somebody outside the lab"
UNDECIDED = "it was still undecided when the time for it was over"
PMTU_TWICE = 2  # datagrams: the largest, and the same again
# What the probe says where a device took a frame and discarded it.
DISCARDED = f"[Errno {errno.ENOBUFS}]"
UNSENT = "nothing of it was seen to leave its source"


@dataclass(frozen=True)
class Seen:
    """What was measured in one cell.

    Reachable means that the destination itself received the probe and its answer
    came back. ``stopped_at`` says where an unreachable probe stopped, ``arrived``
    whether the destination received it all the same, ``answered_by`` which other
    end answered in its stead. ``attempts`` counts packets sent, ``lost`` those of
    an answered probe that got lost, or that a lost ARP request held back.
    ``reason`` is the kernel's or the probe's own word, if there is one. ``unsent`` says that
    nothing was seen to leave the source, though the kernel took it; in a cell of kind
    ``value``, which isn't measured then, that nothing can have left it at all. In such a cell
    ``observed`` is the value that was seen, a text or a list of them.
    """

    source: str
    destination: str
    protocol: Protocol | Check
    observed: Observed | Value
    stopped_at: Stop = ""
    answered_by: str = ""
    arrived: bool = False
    rtt_ms: float | None = None
    attempts: int = 0
    lost: int = 0
    reason: str = ""
    family: Family = 4
    kind: Literal["reach", "value"] = "reach"
    unsent: bool = False


@dataclass(frozen=True)
class Observation:
    """All cells of a matrix as measured, and the seconds that each phase took.

    ``failed`` says why a node gave no answer, by node. ``looked`` is what is there beyond the
    plan; None where nobody looked.
    """

    cells: tuple[Seen, ...]
    timings: dict[str, float]
    failed: dict[str, str]
    looked: Looked | None = None

    def to_json(self) -> str:
        """Return the observation as JSON text."""
        return json.dumps(asdict(self), indent=2) + "\n"


def observation_from_json(text: str) -> Observation:
    """Return the Observation that ``to_json`` wrote; raise ValueError where it isn't one."""
    try:
        data = json.loads(text)
        cells = tuple(_seen(cell) for cell in data["cells"])
        return Observation(cells, data["timings"], data["failed"], looked_from(data.get("looked")))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an observation: {error}") from error


def _seen(cell: dict[str, Any]) -> Seen:
    if isinstance(cell["observed"], list):
        cell = cell | {"observed": tuple(cell["observed"])}
    return Seen(**cell)


def merge(
    plan: Plan,
    asked: Asked,
    documents: Mapping[str, Mapping[str, Any]],
    failed: Mapping[str, str] | None = None,
    timings: Mapping[str, float] | None = None,
) -> Observation:
    """Return the observation that the probes' documents, by node, amount to.

    ``asked`` are the cells that they were asked for. ``failed`` says why a node has no document,
    or one that isn't whole. Such a node's own cells are measured as far as it told of them, and
    those to it where its records, or its name in the answer, leave no doubt. Cells of a
    namespace that a probe could not enter are not measured.
    """
    reasons = dict(failed or {})
    for name in machines(plan):
        if name not in documents:
            reasons.setdefault(name, "its probe gave no answer")
    records = _Records(plan, documents, reasons)
    cells = tuple(
        records.seen(one, protocol) for one in asked.pairs for protocol in protocols(plan)
    )
    cells += tuple(records.value(one.number, one.wanted) for one in asked.values)
    found = looked(asked.planned, documents, reasons) if asked.planned else None
    return Observation(cells, dict(timings or {}), reasons, found)


def grown(before: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return a probe's document with what it has told since."""
    if not before:
        return more
    received = before["received"]
    for space, by_protocol in more["received"].items():
        for protocol, rows in by_protocol.items():
            received.setdefault(space, {}).setdefault(protocol, []).extend(rows)
    before["probes"] += more["probes"]
    return before | {"missing": more["missing"], "whole": more["whole"]}


class _Records:
    def __init__(
        self, plan: Plan, documents: Mapping[str, Mapping[str, Any]], failed: dict[str, str]
    ) -> None:
        self._failed = failed
        self._missing: dict[str, str] = {}
        # By node that failed: the phases of which it has told all that it saw.
        self._whole = {node: set(documents[node]["whole"]) for node in failed if node in documents}
        self._probes: dict[tuple[int, str], Mapping[str, Any]] = {}
        self._receivers: dict[tuple[int, str, int], set[str]] = defaultdict(set)
        # By cell: the namespaces that received packets of it, and what each packet showed.
        # First segments of TCP, by namespace, port, source, destination and phase: the ports
        # that they came from.
        self._begun: dict[tuple[str, ...], set[int]] = defaultdict(set)
        self._arrivals: dict[tuple[int, str], list[tuple[str, Received]]] = defaultdict(list)
        self._ends: dict[str, list[End]] = defaultdict(list)
        self._by_name: dict[str, End] = {}
        self._owners: dict[str, set[str]] = defaultdict(set)
        for end in ends(plan):
            self._owners[end.address].add(end.space)
            self._owners[end.address6].add(end.space)
            self._ends[end.space].append(end)
            self._by_name[end.name] = end
        for document in documents.values():
            self._missing |= document["missing"]
            for answer in starmap(Answer, document["probes"]):
                result = {"undecided": UNDECIDED} if answer.result is None else answer.result
                # What is told again, for an answer that came late, holds instead.
                key = answer.number, answer.protocol
                self._probes[key] = result | {"attempts": answer.attempts}
            for space, received in document["received"].items():
                for protocol, rows in received.items():
                    for row in starmap(Received, rows):
                        if protocol == "syn":
                            by, *way = row.detail.split()
                            self._begun[space, str(row.number), *way].add(int(by))
                            continue
                        self._receivers[row.number, protocol, row.attempt].add(space)
                        self._arrivals[row.number, protocol].append((space, row))

    def seen(self, one: AskedPair, protocol: Protocol) -> Seen:
        number, pair = one.number, one.pair
        names = (pair.source.name, pair.destination.name, protocol)
        cell = partial(Seen, *names, family=pair.family)
        probe = self._probes.get((number, protocol))
        reason = self._undecided(pair.source, probe) or self._absent(pair.destination)
        if reason or probe is None:
            return cell("not_measured", reason=reason)
        attempts, first = probe["attempts"], probe.get("first", 0)
        receivers = set().union(
            *(self._receivers.get((number, protocol, first + n), ()) for n in range(attempts))
        )
        phase = probe.get("phase", one.phase)
        # Who isn't found when it is asked alone gets nothing, whatever others' help has brought it.
        unfound = phase == TOGETHER and probe["stop"] in ALONE
        arrived = pair.destination.space in receivers or (
            protocol.startswith("tcp")
            and self._is_begun(pair, protocol, phase, probe.get("ports", ()))
        )
        # What is no name of ours was said by a program of somebody's own: whose, shows there.
        by = {probe["by"]} if probe.get("by") in self._ends else set()
        if "by" in probe and not by:
            by = self._receivers[number, protocol, probe["attempt"]] or self._begun_at(
                pair, protocol, phase
            )
        unsaid = self._unsaid(pair.destination.node, phase)
        # Only who was meant, named by its own record or answer, needs no other record.
        if unsaid and pair.destination.space not in by:
            return cell("not_measured", reason=unsaid)
        if "by" not in probe:
            return cell(
                "unreachable",
                stopped_at=probe["stop"] or "no_answer",
                answered_by="" if arrived else self._name(receivers, pair),
                arrived=arrived and not unfound,
                attempts=attempts,
                reason=probe.get("reason", ""),
                unsent=probe["stop"] == "not_sent" and "reason" not in probe,
            )
        answered = partial(cell, rtt_ms=probe["rtt"], attempts=attempts)
        if pair.destination.space in by:
            return answered("reachable", arrived=True, lost=probe["lost"])
        return answered(
            "unreachable",
            stopped_at="no_answer",
            answered_by=self._name(by, pair) or STRANGER,
            arrived=arrived,
        )

    def _is_begun(self, pair: Pair, protocol: Protocol, phase: str, ports: Iterable[int]) -> bool:
        """Whether the destination got the first segment of a connection, answered or not.

        It came from one of ``ports``, unless a router on the way has put another in its place:
        that is believed, but where the plan gives the source's address to others, too, in networks
        that don't meet.
        """
        port = str(split_protocol(protocol)[1])
        addresses = pair.source_address, pair.destination_address
        came = self._begun.get((pair.destination.space, port, *addresses, phase), set())
        shared = len(self._owners.get(pair.source_address, ())) > 1
        return bool(came.intersection(ports) if shared else came)

    def _begun_at(self, pair: Pair, protocol: Protocol, phase: str) -> set[str]:
        """Return whom the first segment of a connection came to that nobody has put a name to.

        So it is where a program of the user's own takes it. The source's node may have put its own
        address in the place of the source's.
        """
        word, port = split_protocol(protocol)
        nodes = {end.address for end in self._ends[pair.source.node]}
        sources = {pair.source_address, *nodes} if word == "tcp" else set()
        return {
            space
            for space, to_port, source, destination, when in self._begun
            if (to_port, destination, when) == (str(port), pair.destination_address, phase)
            and source in sources
        }

    def value(self, number: int, wanted: Expectation) -> Seen:
        """Return what was seen in a cell of kind value."""
        check = wanted.protocol
        source, destination = self._by_name[wanted.source], self._by_name.get(wanted.destination)
        probe = self._probes.get((number, check))
        reason = self._undecided(source, probe)
        if destination is not None:
            reason = reason or self._absent(destination)
            if not (probe and probe.get("macs")):  # what an asker was told needs no record
                reason = reason or self._unsaid(destination.node, check)
        elif probe is not None:
            reason = reason or probe.get("reason", "") or self._who_did_not_listen(check)
        found: Value = "not_measured"
        lost, unsent = 0, False
        if not reason and probe is not None:
            found, lost = self._found(number, source, destination, check, probe)
            # Of whom nothing left nobody knows what it would have been told.
            if destination is not None and found in (NOBODY, NOTHING):
                reason = _unsent(probe)
                unsent = bool(reason)
                found = "not_measured" if unsent else found
        return Seen(
            wanted.source,
            wanted.destination,
            check,
            found,
            arrived=bool(found) and found not in (NOBODY, NOTHING, "not_measured"),
            attempts=probe["attempts"] if probe else 0,
            lost=lost,
            reason=reason or (probe or {}).get("reason", ""),
            family=wanted.family,
            kind="value",
            unsent=unsent,
        )

    def _found(
        self, number: int, source: End, to: End | None, check: str, probe: Mapping[str, Any]
    ) -> tuple[Value, int]:
        """Return the value that was seen where a cell was decided, and how many packets got lost.

        ``to`` is the destination, None where that is everybody.
        """
        lost = probe.get("lost", 0)
        if to is None:
            arrivals = self._arrivals[number, check]
            return self._hearers(source, arrivals), _missed(arrivals, probe["attempts"])
        if check in ("arp", "nd"):
            return _one(probe["macs"], NOBODY), lost
        arrivals = self._arrivals[number, "macs frame" if check == "macs" else check]
        here = [row for space, row in arrivals if space == to.space]
        if check != "pmtu":
            return _one((row.detail for row in here), NOTHING), lost
        # An attempt's number is the packet's size. Where two were sent they were as large: the
        # first was late. Of more nobody knows which were too large and which got lost.
        lost = max(0, probe["attempts"] - len(here)) if probe["attempts"] == PMTU_TWICE else 0
        return (str(max(row.attempt for row in here)), lost) if here else (NOTHING, 0)

    def _hearers(self, source: End, arrivals: Iterable[tuple[str, Received]]) -> tuple[str, ...]:
        """Return the names of the ends at which the packets in ``arrivals`` were received."""
        names = set()
        for space, row in arrivals:
            here = self._ends.get(space, [])
            heard = (end for end in here if end.interface == row.detail and not end.further)
            named = [end.name for end in heard] or [
                end.name for end in here if end.kind != "container"
            ]
            names |= set(named) if space != source.space else set()
        return tuple(sorted(names))

    def _who_did_not_listen(self, check: str) -> str:
        """Return why an end couldn't listen: a list of receivers may lack it. Else nothing."""
        for node in self._failed:
            if unsaid := self._unsaid(node, check):
                return unsaid
        for name, why in self._missing.items():
            return f"{name}: {why}"
        return ""

    def _undecided(self, source: End, probe: Mapping[str, Any] | None) -> str:
        """Return why nothing was decided at a cell's source; nothing where it was."""
        if absent := self._absent(source):
            return absent
        if probe is None:
            lost = self._failed.get(source.node)
            return f"{source.node}: {lost}" if lost else "the probe left the cell out"
        if probe.get("stop") == "not_measured":
            return "the probe left the cell out"
        return str(probe.get("undecided", ""))

    def _unsaid(self, node: str, phase: str) -> str:
        """Return why it isn't known what a node received in ``phase``; nothing where it is."""
        if node not in self._failed or phase in self._whole.get(node, ()):
            return ""
        return f"{node}: {self._failed[node]}"

    def _absent(self, end: End) -> str:
        missing = self._missing.get(end.space)
        return f"{end.name}: {missing}" if missing else ""

    def _name(self, spaces: set[str], pair: Pair) -> str:
        """Name the end in another namespace that has the address which was asked for."""
        for space in sorted(spaces):
            there = self._ends.get(space, [])
            for end in there:
                if end.address == pair.destination_address:
                    return end.name
            return there[0].name if there else space
        return ""


def _unsent(probe: Mapping[str, Any]) -> str:
    """Return why nothing can have left an asker, by its probe's word; nothing where it can."""
    if probe.get("stop") not in ("no_route", "not_sent"):
        return ""
    reason = str(probe.get("reason") or UNSENT)
    # An ipvlan l3 child discards every request for a neighbour, and is no less alive for that.
    return "" if reason.startswith(DISCARDED) else reason


def _missed(arrivals: Iterable[tuple[str, Received]], sent: int) -> int:
    """Return how many of the packets ``sent`` didn't come to all who heard one of them."""
    heard: dict[str, set[int]] = defaultdict(set)
    for space, row in arrivals:
        heard[space].add(row.attempt)
    return sum(any(n not in attempts for attempts in heard.values()) for n in range(sent))


def _one(seen: Iterable[Any], none: str) -> Value:
    """Return the one value that was seen, all of several, or the word for none."""
    words = sorted({str(word) for word in seen})
    return words[0] if len(words) == 1 else tuple(words) or none
