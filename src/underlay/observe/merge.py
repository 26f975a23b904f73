"""Joins what the nodes saw: an asker's answer with the receivers' own records."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from underlay.expect import End, Pair, Protocol, ends, pairs, protocols
from underlay.observe.observation import Observation, Seen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from underlay.plan import Plan

STRANGER = "somebody outside the lab"


def merge(
    plan: Plan,
    documents: Mapping[str, Mapping[str, Any]],
    failed: Mapping[str, str] | None = None,
    timings: Mapping[str, float] | None = None,
) -> Observation:
    """Return the observation that the probes' documents, by node, amount to.

    ``failed`` says why a node has no document. Cells from or to such a node, or
    a namespace that its probe could not enter, are not measured.
    """
    reasons = dict(failed or {})
    for node in plan.nodes:
        if node.name not in documents:
            reasons.setdefault(node.name, "its probe gave no answer")
    records = _Records(plan, documents, reasons)
    cells = tuple(
        records.seen(number, pair, protocol)
        for number, pair in enumerate(pairs(plan))
        for protocol in protocols(plan)
    )
    return Observation(cells, dict(timings or {}), reasons)


class _Records:
    def __init__(
        self, plan: Plan, documents: Mapping[str, Mapping[str, Any]], failed: dict[str, str]
    ) -> None:
        self._failed = failed
        self._missing: dict[str, str] = {}
        self._probes: dict[tuple[int, str], Mapping[str, Any]] = {}
        self._receivers: dict[tuple[int, str, int], set[str]] = defaultdict(set)
        self._ends: dict[str, list[End]] = defaultdict(list)
        for end in ends(plan):
            self._ends[end.space].append(end)
        for document in documents.values():
            self._missing |= document["missing"]
            for cell, protocol, attempts, result in document["probes"]:
                self._probes[cell, protocol] = dict(result or {"stop": ""}, attempts=attempts)
            for space, received in document["received"].items():
                for protocol, tokens in received.items():
                    for cell, attempt, *_ in tokens:
                        self._receivers[cell, protocol, attempt].add(space)

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
