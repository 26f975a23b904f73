"""Whose what isn't planned is after an event: known by the interfaces, never told as strangers."""

from __future__ import annotations

from dataclasses import replace

from underlay.faults import Effect, Finding, Place
from underlay.faults.catalogue.addressing import OtherMac, WrongAddress
from underlay.observe.unplanned import STRANGER, Looked, Unplanned
from underlay.proof.after import changes_of
from underlay.proof.after_owners import by_events, with_owners
from underlay.proof.after_reasons import CHANGED, STALE
from underlay.proof.explanation import NOTHING, Cause
from underlay.proof.runs.schema import Changed
from underlay.report.unplanned import cause
from underlay.verdict import Verdict
from unit.proof.test_after import OTHER, event_of, link, seen_of, verdict_of
from unit.report.test_report import plan_of

NEW = "92:14:11:a0:d2:84"
BEFORE = seen_of(
    lannet_1a=[link("eth0", "20.1.1.65")], lannet_1b=[link("eth0", "20.1.1.66", OTHER)]
)


def other_mac(address: str, mac: str = NEW) -> Unplanned:
    return Unplanned("other-mac", STRANGER, address, "", mac, ("lannet-2a",), ("lannet-2a",))


def verdict_with(*found: Unplanned) -> Verdict:
    return replace(verdict_of(plan_of()), looked=Looked(found))


def found_after(
    *found: Unplanned, before: tuple[Unplanned, ...] = (), **spaces: object
) -> tuple[Unplanned, ...]:
    shows = seen_of(**spaces)  # type: ignore[arg-type]
    changed = changes_of(plan_of(), BEFORE, shows)
    now = with_owners(verdict_with(*found), verdict_with(*before), plan_of(), shows, changed)
    return now.unplanned


def planned_address() -> str:
    (container,) = (one for one in plan_of().containers if one.name == "lannet-1a")
    return container.attachments[0].addresses[0].ip


def test_an_end_with_its_own_address_and_another_mac_address_is_no_stranger() -> None:
    own = planned_address()
    assert not found_after(other_mac(own), lannet_1a=[link("eth0", own, NEW)])


def test_somebody_else_with_that_address_is_told_by_name() -> None:
    own = planned_address()
    (one,) = found_after(other_mac(own), lannet_1b=[link("eth0", own, NEW)])
    assert (one.kind, one.end, one.interface, one.brought) == (
        "other-mac",
        "lannet-1b",
        "eth0",
        "event",
    )
    assert "the runtime handed out another one" in cause(one)


def test_who_is_on_no_interface_stays_a_stranger() -> None:
    own = planned_address()
    (one,) = found_after(other_mac(own), lannet_1a=[link("eth0", own)])
    assert one == other_mac(own)


def test_what_was_found_before_the_event_is_told_after_it_as_well() -> None:
    own = planned_address()
    was = other_mac(own)
    (one,) = found_after(was, before=(was,), lannet_1a=[link("eth0", own, NEW)])
    assert (one.kind, one.end) == ("other-mac", "lannet-1a")


def stray(address: str) -> Unplanned:
    return Unplanned(
        "address", "lannet-1b", address, "eth0", OTHER, ("lannet-2a",), ("lannet-2a",), "hand"
    )


def test_an_address_that_the_runtime_handed_out_is_not_told_as_one_by_hand() -> None:
    now = link("eth0", "20.1.1.67", OTHER)
    (one,) = found_after(stray("20.1.1.67"), lannet_1b=[now])
    assert one.brought == "event"
    # It is still the event's after the next one, and one that was there before is a hand's.
    (again,) = found_after(stray("20.1.1.67"), before=(one,), lannet_1b=[link("eth0", "20.1.1.66")])
    assert again.brought == "event"
    (other,) = found_after(stray("20.1.1.99"), lannet_1b=[now])
    assert (other.brought, "by hand" in cause(other)) == ("hand", True)


def test_a_cause_that_an_event_brought_says_so_and_is_cured_for_good() -> None:
    def told(*changed: Changed) -> Finding:
        finding = Finding(
            WrongAddress(), Place("lannet-1b", "eth0"), Effect(frozenset()), (), "proven", "hand"
        )
        explanation = replace(NOTHING, causes=(Cause(finding, "proven", ()),))
        return by_events(explanation, [event_of(changed=changed)]).causes[0].finding

    change = Changed(
        container="lannet-1b", interface="eth0", what="address", before="20.1.1.66", now="20.1.1.67"
    )
    now = told(change)
    assert (now.cure, now.steps) == (CHANGED.cure, ())
    assert "the runtime handed out" in now.fault.cause
    assert "a hand" in WrongAddress.cause
    assert "a hand" in told(change.model_copy(update={"interface": "eth1"})).fault.cause
    assert isinstance(now.fault, WrongAddress)


def test_a_mac_address_that_an_event_brought_is_cured_by_fixing_it() -> None:
    place = Place("lannet-1b", "eth0", "core-01", ("lannet-1b", "02:75:10:01:00:02"))
    finding = Finding(OtherMac(), place, Effect(frozenset()), (), "proven", "hand")
    explanation = replace(NOTHING, causes=(Cause(finding, "proven", ()),))
    change = {"container": "lannet-1b", "interface": "eth0", "before": "a", "now": "b"}

    def told(what: str) -> Finding:
        changed = Changed.model_validate({**change, "what": what})
        return by_events(explanation, [event_of(changed=(changed,))]).causes[0].finding

    assert told("MAC address").cure == STALE.cure
    assert told("address").cure == "hand"


def test_nobody_looked_is_still_nobody_looked() -> None:
    blind = replace(verdict_of(plan_of()), looked=None)
    assert with_owners(blind, blind, plan_of(), BEFORE, ()) == blind
