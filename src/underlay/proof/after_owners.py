"""Whose the addresses and MAC addresses are that a lab has otherwise after an event.

A runtime that makes a container anew gives it another MAC address, and another address where
nobody fixes one. The plan knows neither, so what answers by them looks like a stranger. What was
seen on the interfaces themselves says whose they are.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.expect.unplanned import planned_addresses
from underlay.observe.unplanned import STRANGER
from underlay.plan import SWITCH
from underlay.proof.after_reasons import CHANGED, STALE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from underlay.faults import Fault
    from underlay.observe.evidence import Evidence
    from underlay.observe.unplanned import Unplanned
    from underlay.plan import Plan
    from underlay.proof.explanation import Cause, Explanation
    from underlay.proof.runs.schema import Changed, Event
    from underlay.verdict import Verdict

HANDED_OUT = (
    "It isn't the plan's since an event of this run: nothing fixes it, so the runtime handed out"
    " another one when the container was made anew."
)
# By the fault that finds it: what an event changes of an interface, and what keeps it for good.
BROUGHT = {"wrong-address": ("address", CHANGED.cure), "other-mac": ("MAC address", STALE.cure)}


def with_owners(
    now: Verdict, before: Verdict, plan: Plan, shows: Evidence, changed: Sequence[Changed]
) -> Verdict:
    """Return the verdict ``now`` with what is beyond the plan told as it is after an event.

    ``shows`` are the interfaces then, and ``changed`` is what the event changed there. An end that
    answers for its own address by a MAC address that it has by now is no finding, unless that was
    one ``before`` the event.
    """
    if now.looked is None:
        return now
    known = {_key(one) for one in before.unplanned}
    handed = {(one.container, ip) for one in changed for ip in one.now.split(", ")}
    handed |= {(one.end, one.address) for one in before.unplanned if one.brought == "event"}
    planned = planned_addresses(plan)
    found = []
    for one in now.unplanned:
        space, interface, own = _owner(shows, one)
        if own and one.address in planned.get(space, ()) and _key(one) not in known:
            continue
        told = replace(one, end=space, interface=interface) if _strange(one) and space else one
        if (told.end.partition("@")[0], told.address) in handed:
            told = replace(told, brought="event")
        found.append(told)
    return replace(now, looked=replace(now.looked, found=tuple(found)))


def _key(one: Unplanned) -> tuple[str, str, str]:
    return one.kind, one.address, one.mac


def _strange(one: Unplanned) -> bool:
    return one.end == STRANGER


def _owner(shows: Evidence, one: Unplanned) -> tuple[str, str, bool]:
    """Return whose the MAC address in an answer is, the interface, and whether it has the address.

    Several interfaces share one with ipvlan: the one that has the address is meant. Empty where
    nobody has it, and where the finding is about what was heard.
    """
    if one.kind not in ("other-mac", "proxy-arp"):
        return "", "", False
    near = [
        (space.name, interface, any(had.ip == one.address for had in space.addresses(interface)))
        for space in shows.spaces()
        for interface, link in space.links.items()
        if link.get("address") == one.mac and space.name != SWITCH
    ]
    return next((place for place in near if place[2]), next(iter(near), ("", "", False)))


def by_events(explanation: Explanation, events: Iterable[Event]) -> Explanation:
    """Return ``explanation`` with those addresses and MAC addresses told that ``events`` brought.

    Putting back the planned one by hand mends that until the next event: fixing it does for good.
    """
    handed = {
        (one.what, one.container, one.interface)
        for event in events
        if event.event != "upgrade"
        for one in event.changed
        if one.now
    }

    def told(cause: Cause) -> Cause:
        finding = cause.finding
        what, cure = BROUGHT.get(finding.fault.id, ("", ""))
        if (what, finding.place.target, finding.place.device) not in handed:
            return cause
        fault = _retold(finding.fault)
        return replace(cause, finding=replace(finding, fault=fault, cure=cure, steps=()))

    return replace(explanation, causes=tuple(told(cause) for cause in explanation.causes))


def _retold(fault: Fault) -> Fault:
    """Return a fault that says of its origin what is known; all else is as it was."""
    same = copy(fault)
    object.__setattr__(same, "cause", HANDED_OUT)
    return same
