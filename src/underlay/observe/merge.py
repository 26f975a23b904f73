"""Joins what the nodes saw: an asker's answer with the receivers' own records."""

from __future__ import annotations

from collections import defaultdict
from itertools import starmap
from typing import TYPE_CHECKING, Any

from underlay.drivers.rule import NOTHING
from underlay.expect import End, Pair, Protocol, ends, machines, protocols
from underlay.expect.value_cells import NOBODY
from underlay.observe.observation import Observation, Seen
from underlay.observe.on_node.cells import Answer, Received

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from underlay.expect import Expectation, Value
    from underlay.observe.numbering import Asked
    from underlay.plan import Plan

STRANGER = "somebody outside the lab"


def merge(
    plan: Plan,
    asked: Asked,
    documents: Mapping[str, Mapping[str, Any]],
    failed: Mapping[str, str] | None = None,
    timings: Mapping[str, float] | None = None,
) -> Observation:
    """Return the observation that the probes' documents, by node, amount to.

    ``asked`` are the cells that they were asked for. ``failed`` says why a
    node has no document. Cells from or to such a node, or a namespace that its probe
    could not enter, are not measured.
    """
    reasons = dict(failed or {})
    for name in machines(plan):
        if name not in documents:
            reasons.setdefault(name, "its probe gave no answer")
    records = _Records(plan, documents, reasons)
    cells = tuple(
        records.seen(one.number, one.pair, protocol)
        for one in asked.pairs
        for protocol in protocols(plan)
    )
    cells += tuple(records.value(one.number, one.wanted) for one in asked.values)
    return Observation(cells, dict(timings or {}), reasons)


class _Records:
    def __init__(
        self, plan: Plan, documents: Mapping[str, Mapping[str, Any]], failed: dict[str, str]
    ) -> None:
        self._failed = failed
        self._missing: dict[str, str] = {}
        self._probes: dict[tuple[int, str], Mapping[str, Any]] = {}
        self._receivers: dict[tuple[int, str, int], set[str]] = defaultdict(set)
        # By cell: the namespaces that received packets of it, and what each packet showed.
        self._arrivals: dict[tuple[int, str], list[tuple[str, Received]]] = defaultdict(list)
        self._ends: dict[str, list[End]] = defaultdict(list)
        self._by_name: dict[str, End] = {}
        for end in ends(plan):
            self._ends[end.space].append(end)
            self._by_name[end.name] = end
        for document in documents.values():
            self._missing |= document["missing"]
            for answer in starmap(Answer, document["probes"]):
                result = dict(answer.result or {"stop": ""}, attempts=answer.attempts)
                self._probes[answer.number, answer.protocol] = result
            for space, received in document["received"].items():
                for protocol, rows in received.items():
                    for row in starmap(Received, rows):
                        self._receivers[row.number, protocol, row.attempt].add(space)
                        self._arrivals[row.number, protocol].append((space, row))

    def seen(self, number: int, pair: Pair, protocol: Protocol) -> Seen:
        names = (pair.source.name, pair.destination.name, protocol)
        reason = self._why_not(pair.source) or self._why_not(pair.destination)
        probe = self._probes.get((number, protocol))
        if reason or probe is None:
            return Seen(
                *names,
                "not_measured",
                reason=reason or "the probe left the cell out",
                family=pair.family,
            )
        receivers = set().union(
            *(self._receivers.get((number, protocol, n), ()) for n in range(probe["attempts"]))
        )
        arrived = pair.destination.space in receivers
        if "by" not in probe:
            return Seen(
                *names,
                "unreachable",
                stopped_at=probe["stop"] or "no_answer",
                answered_by="" if arrived else self._name(receivers, pair),
                arrived=arrived,
                attempts=probe["attempts"],
                reason=probe.get("reason", ""),
                family=pair.family,
            )
        by = {probe["by"]} if probe["by"] else self._receivers[number, protocol, probe["attempt"]]
        if pair.destination.space in by:
            return Seen(
                *names,
                "reachable",
                arrived=True,
                rtt_ms=probe["rtt"],
                attempts=probe["attempts"],
                lost=probe["lost"],
                family=pair.family,
            )
        return Seen(
            *names,
            "unreachable",
            stopped_at="no_answer",
            answered_by=self._name(by, pair) or STRANGER,
            arrived=arrived,
            rtt_ms=probe["rtt"],
            attempts=probe["attempts"],
            family=pair.family,
        )

    def value(self, number: int, wanted: Expectation) -> Seen:
        """Return what was seen in a cell of kind value."""
        check = wanted.protocol
        source, destination = self._by_name[wanted.source], self._by_name.get(wanted.destination)
        reason = self._why_not(source) or (self._why_not(destination) if destination else "")
        probe = self._probes.get((number, check))
        if probe is None or probe["stop"] == "not_measured":
            reason = reason or "the probe left the cell out"
        elif destination is None:
            reason = reason or probe.get("reason", "") or self._who_did_not_listen()
        if reason or probe is None:
            found: Value = "not_measured"
        elif destination is None:
            found = self._hearers(source, self._arrivals[number, check])
        elif check in ("arp", "nd"):
            found = _one(probe["macs"], NOBODY)
        else:
            arrivals = self._arrivals[number, "macs frame" if check == "macs" else check]
            here = [row for space, row in arrivals if space == destination.space]
            if check == "pmtu":  # an attempt's number is the packet's size
                found = str(max(row.attempt for row in here)) if here else NOTHING
            else:
                found = _one((row.detail for row in here), NOTHING)
        return Seen(
            wanted.source,
            wanted.destination,
            check,
            found,
            arrived=bool(found) and found not in (NOBODY, NOTHING, "not_measured"),
            attempts=probe["attempts"] if probe else 0,
            reason=reason or (probe or {}).get("reason", ""),
            family=wanted.family,
            kind="value",
        )

    def _hearers(self, source: End, arrivals: Iterable[tuple[str, Received]]) -> tuple[str, ...]:
        """Return the names of the ends at which the packets in ``arrivals`` were received."""
        names = set()
        for space, row in arrivals:
            here = self._ends.get(space, [])
            named = [end.name for end in here if end.interface == row.detail] or [
                end.name for end in here if end.kind != "container"
            ]
            names |= set(named) if space != source.space else set()
        return tuple(sorted(names))

    def _who_did_not_listen(self) -> str:
        """Return why an end couldn't listen: a list of receivers may lack it. Else nothing."""
        for node, why in self._failed.items():
            return f"{node}: {why}"
        for name, why in self._missing.items():
            return f"{name}: {why}"
        return ""

    def _why_not(self, end: End) -> str:
        if end.node in self._failed:
            return f"{end.node}: {self._failed[end.node]}"
        if end.space in self._missing:
            return f"{end.name}: {self._missing[end.space]}"
        return ""

    def _name(self, spaces: set[str], pair: Pair) -> str:
        """Name the end in another namespace that has the address which was asked for."""
        for space in sorted(spaces):
            there = self._ends.get(space, [])
            for end in there:
                if end.address == pair.destination_address:
                    return end.name
            return there[0].name if there else space
        return ""


def _one(seen: Iterable[Any], none: str) -> Value:
    """Return the one value that was seen, all of several, or the word for none."""
    words = sorted({str(word) for word in seen})
    return words[0] if len(words) == 1 else tuple(words) or none
