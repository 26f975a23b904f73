"""Sentences from surveys that never ran: each condition by itself, and what nobody looked at."""

from __future__ import annotations

import json

import pytest

import doc_pages
from documents import problems
from underlay.observe.survey.asking import first_sizes, grouped, narrowed, next_sizes
from underlay.observe.survey.drift import coverage, stable
from underlay.observe.survey.model import Answer, Group, Link, Machine, Port, Sender, Survey
from underlay.observe.survey.sentences import sentences
from underlay.report.documents.kinds import stamped
from underlay.report.survey import survey_document, survey_text

MODULES = dict.fromkeys(("macvlan", "ipvlan", "8021q", "bridge", "vxlan"), "to be loaded")
OPEN = {"sources": (4, 4), "returned": (4, 4), "foreign": True, "largest": 1500, "tried": 1500}
BACK = {"reflected": (0, 5), "reflected_own": (0, 5), "group4": (1, 1), "group6": (1, 1)}


def machine(name: str, **more: object) -> Machine:
    link = {"name": "eth1", "mac": f"02:00:00:00:00:0{name[-1]}"} | more.pop("link", {})  # type: ignore[operator]
    values = {"name": name, "links": [Link(**link)], "modules": MODULES, "runtimes": {"crun": "x"}}
    return Machine(**values | more)  # type: ignore[arg-type]


def survey(
    *, sent: bool = True, links: object = None, modules: object = None, **port: object
) -> Survey:
    names = ("a1", "a2")
    more: dict[str, object] = {"modules": MODULES | modules} if modules else {}  # type: ignore[operator]
    ports = []
    for one, other in (names, names[::-1]):
        values = {"reaches": [f"{other}:eth1"], "partner": f"{other}:eth1"} | OPEN | BACK | port
        ports.append(Port(machine=one, nic="eth1", **values))  # type: ignore[arg-type]
    machines = [machine("a1", link=links or {}, **more), machine("a2")]
    group = Group(name="lan", ports=["a1:eth1", "a2:eth1"], vlans=[10])
    return Survey(machines=machines, sent=sent, ports=ports if sent else [], groups=[group])


def said(seen: Survey, ident: str) -> tuple[str, str]:
    (found,) = [one for one in sentences(seen) if one.id == ident]
    return found.verdict, found.text


def test_without_frames_nothing_is_claimed_that_only_frames_show() -> None:
    seen = survey(sent=False)
    for ident in ("macvlan-bridge-between", "ipvlan-l2-between", "macvlan-vepa-beside", "mtu"):
        verdict, text = said(seen, ident)
        assert verdict == "unknown"
        assert "needs --send" in text
    # What the kernel does by itself needs no frame.
    assert said(seen, "macvlan-bridge-beside")[0] == "works"
    assert said(seen, "macvlan-private-beside")[0] == "fails"


@pytest.mark.parametrize(
    ("port", "ident", "verdict", "words"),
    [
        ({}, "macvlan-bridge-between", "works", "4 more MAC addresses pass each port"),
        ({"sources": (0, 4)}, "macvlan-bridge-between", "fails", "0 of 4 MAC addresses"),
        ({"sources": (2, 4)}, "macvlan-bridge-between", "fails", "pass out of a1:eth1: a limit"),
        ({"returned": (0, 4)}, "macvlan-bridge-between", "fails", "are not delivered there"),
        ({"sources": (0, 4)}, "ipvlan-l2-between", "works", "frames pass between all of its"),
        ({"reaches": []}, "ipvlan-l2-between", "fails", "no frame passes between its 2 ports"),
        ({"reaches": []}, "macvlan-bridge-beside", "works", "child to child"),
        ({}, "macvlan-vepa-beside", "fails", "reflect (a1:eth1: 0 of 5 frames came back)"),
        ({"reflected": (5, 5)}, "macvlan-vepa-beside", "works", "5 of 5"),
        ({"reflected": (5, 5), "sources": (0, 4)}, "macvlan-vepa-beside", "fails", "0 of 4"),
        ({"reflected": (5, 5)}, "ipvlan-l2-vepa-beside", "fails", "doesn't reflect"),
        ({"reflected_own": (5, 5)}, "ipvlan-l2-vepa-beside", "works", "came back"),
        ({"reflected": (5, 5)}, "macvlan-bridge-itself", "works", "came back"),
        ({"foreign": False}, "foreign-mac", "fails", "doesn't pass a1:eth1, a2:eth1"),
        ({"largest": 1400}, "mtu", "fails", "more than 1400 bytes are lost"),
        ({}, "mtu", "works", "packets of 1500 bytes pass"),
        ({"largest": 1400}, "vxlan-between", "works", "up to 1350 bytes inside"),
        ({"group6": (0, 1)}, "multicast6", "fails", "neighbour discovery, won't work: 0 of 2"),
        ({"strangers4": (0, 1)}, "multicast4", "works", "the switch snoops"),
        ({"strangers4": (1, 1)}, "multicast4", "works", "so does everybody else"),
        ({"group4": None}, "multicast4", "unknown", "no member could be asked"),
        ({"vlans": {10: []}}, "vlan-10", "fails", "lost on all of its 2 ways"),
        ({"vlans": {10: ["a2:eth1=10", "a1:eth1=10"]}}, "vlan-10", "works", "all of its 2 ports"),
        ({"vlans": {10: ["a2:eth1=none"]}}, "vlan-10", "fails", "arrives at a2:eth1 without a tag"),
    ],
)  # fmt: skip
def test_each_answer_of_a_port_decides(
    port: dict[str, object], ident: str, verdict: str, words: str
) -> None:
    found = said(survey(**port), ident)
    assert found[0] == verdict
    assert words in found[1]


def test_kernels_and_nics_decide_as_well() -> None:
    assert "no ipvlan" in said(survey(modules={"ipvlan": "absent"}), "ipvlan-l2-beside")[1]
    assert said(survey(modules={"ipvlan": "unknown"}), "ipvlan-l2-beside")[0] == "unknown"
    assert said(survey(modules={"ipvlan": "absent"}), "macvlan-bridge-beside")[0] == "works"
    seen = survey()
    bridged = machine("a1", link={"master": "br0"})
    bridge = Link(name="br0", kind="bridge")
    bridged = bridged.model_copy(update={"links": [*bridged.links, bridge]})
    seen = seen.model_copy(update={"machines": [bridged, seen.machines[1]]})
    assert "eth1 of a1 is a port of br0 already" in said(seen, "macvlan-bridge-between")[1]
    child = Link(name="mv0", kind="macvlan", parent="eth1", mode="bridge")
    with_child = machine("a1")
    with_child = with_child.model_copy(update={"links": [*with_child.links, child]})
    seen = seen.model_copy(update={"machines": [with_child, seen.machines[1]]})
    assert "the macvlan child mv0" in said(seen, "ipvlan-l2-between")[1]
    assert said(seen, "macvlan-bridge-between")[0] == "works"


def test_two_machines_that_answer_for_one_address_are_named() -> None:
    macs = ["02:00:00:00:00:01", "02:aa:00:00:00:01"]
    answer = Answer(address="10.0.0.1", owner="a1:eth1", asked_from="a2:eth1", macs=macs)
    seen = survey().model_copy(update={"answers": [answer]})
    verdict, text = said(seen, "duplicate-address")
    assert verdict == "fails"
    assert "(a1:eth1)" in text
    assert "(no machine of the inventory)" in text
    alone = survey().model_copy(update={"answers": [answer.model_copy(update={"macs": macs[:1]})]})
    assert not [one for one in sentences(alone) if one.id == "duplicate-address"]


def test_silence_of_routers_says_little_unless_they_were_asked() -> None:
    assert said(survey(), "senders")[0] == "unknown"
    heard = survey().model_copy(update={"listened": 5.0})
    assert said(heard, "senders")[0] == "unknown"
    assert said(heard.model_copy(update={"asked": True}), "senders")[0] == "works"
    sender = Sender(
        kind="router advertisement", at="a1:eth1", mac="02:00:00:00:00:fe", address="fe80::1"
    )
    verdict, text = said(heard.model_copy(update={"senders": [sender]}), "sender")
    assert verdict == "works"
    assert text.startswith("fe80::1 (02:00:00:00:00:fe) sends a router advertisement at a1:eth1")


def test_two_names_of_one_wire_are_found() -> None:
    seen = survey()
    groups = [
        Group(name=n, stated=True, ports=[p]) for n, p in (("lan", "a1:eth1"), ("wan", "a2:eth1"))
    ]
    assert (
        "lan and wan are one segment"
        in said(seen.model_copy(update={"groups": groups}), "one-wire")[1]
    )


def test_a_machine_that_was_not_read_costs_its_own_part() -> None:
    gone = Machine(name="a3", failed="ssh did not get there")
    seen = survey()
    seen = seen.model_copy(update={"machines": [*seen.machines, gone]})
    assert said(seen, "not-read")[1] == "a3 was not read: ssh did not get there."
    assert said(seen, "macvlan-bridge-between")[0] == "works"


def documented(seen: Survey) -> dict[str, object]:
    """Return the document about ``seen`` with a baseline, so that it has all of its fields."""
    known = coverage(stable(seen), seen)
    return survey_document(seen, sentences(seen), ["eth1 is gone."], known)


def test_the_document_is_as_its_schema_says_and_can_be_read_again() -> None:
    seen = survey()
    document = stamped(
        "survey",
        documented(seen),
    )
    assert not problems("survey", document)
    assert Survey.model_validate(document) == seen


def test_the_page_lists_the_documents_fields() -> None:
    named = {
        "routes": [{"dst": "default"}],
        "plugins": {"/opt/cni/bin": ["macvlan"]},
        "sysctls": {"ip_forward": "0"},
    }
    machines = [machine(name, **named) for name in ("a1", "a2")]
    answer = Answer(address="192.168.1.1", owner="a1:eth1", asked_from="a2:eth1", macs=["x"])
    sender = Sender(kind="DHCP offer", at="a1:eth1", mac="x", address="192.168.1.9")
    more = {"machines": machines, "answers": [answer], "senders": [sender]}
    seen = survey(vlans={10: ["a2:eth1=10"]}).model_copy(update=more)
    document = documented(seen)
    # A document has texts as keys of mappings.
    document = json.loads(json.dumps(document))
    assert not doc_pages.wrong_fields(doc_pages.DOCS / "verbs" / "survey.md", document)


def test_the_text_names_the_ports_and_every_sentence() -> None:
    seen = survey()
    found = sentences(seen)
    text = str(survey_text(seen, found, width=4000))
    assert "lan: a1:eth1, a2:eth1" in text
    for one in found:
        assert one.text in text or f"{one.where}: {one.reason}." in text
    # Those that fare alike are one: by the NIC's own MAC address, and by several.
    assert text.count("will work between machines: frames pass") == 2
    told = str(survey_text(seen, found, width=4000, sources=True))
    assert "Documentation/networking/ipvlan.rst" in told


@pytest.mark.parametrize("limit", [68, 576, 1279, 1404, 1500, 8999, 9000])
def test_the_largest_size_is_found_exactly_and_in_a_few_rounds(limit: int) -> None:
    known, sizes, rounds = (0, 9001), first_sizes(9000), 0
    while sizes:
        known = narrowed(known, sizes, {size for size in sizes if size <= limit})
        sizes = next_sizes(*known)
        rounds += 1
    assert known[0] == limit
    assert rounds <= 4


def test_segments_are_who_hears_whom_unless_they_are_named() -> None:
    names = ["a:eth1", "b:eth1", "c:eth1", "c:eth2"]
    linked = {"a:eth1": {"b:eth1"}}
    found = grouped(names, linked, {}, [])
    assert [group.ports for group in found] == [["a:eth1", "b:eth1"], ["c:eth1"], ["c:eth2"]]
    assert len({group.name for group in found}) == 3
    found = grouped(names, linked, {"lan": ["a:eth1", "c:eth1"]}, [])
    assert [(g.name, g.stated) for g in found][:1] == [("lan", True)]
    assert [group.ports for group in found[1:]] == [["b:eth1"], ["c:eth2"]]
