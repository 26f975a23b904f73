"""What will work on machines' segments, in sentences: each with the reason seen and its rule.

Pure: a survey goes in, sentences come out. Rules are those by which labs are predicted
(``drivers/``); a test holds them against packets of labs on the same switch, both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from underlay.observe.survey.model import Seen
from underlay.observe.survey.wiring import Known, Verdict, Wiring, decided

if TYPE_CHECKING:
    from underlay.observe.survey.model import Machine, Survey

BETWEEN, BESIDE, ITSELF = "between machines", "on one machine", "with their own machine"
MACVLAN, IPVLAN = "Linux drivers/net/macvlan.c", "Linux drivers/net/ipvlan/ipvlan_core.c"
VXLAN_HEADERS = 50  # Ethernet 14, IPv4 20, UDP 8, VXLAN 8: RFC 7348, 5
WORDS: dict[Verdict, str] = {"works": "will work", "fails": "won't work"}


class Sentence(Seen):
    """One sentence of a survey."""

    id: str
    """What it is about, for programs: `macvlan-bridge` and where, or a fact's own name."""
    segment: str = ""
    """The segment; empty for one about a machine or all of them."""
    verdict: Verdict
    """Whether it works, fails, or isn't known."""
    text: str
    """The sentence."""
    source: str = ""
    """The rule's source, in the kernel or a standard."""
    what: str = ""
    """Of a way to attach containers: what it is called."""
    where: str = ""
    """And whom it is to connect."""
    reason: str = ""
    """And what was seen that decides, or the rule that does on any wire."""


@dataclass(frozen=True)
class Rule:
    """When a way to attach containers works: all of its conditions have to hold."""

    id: str
    what: str
    where: str
    needs: tuple[Callable[[Wiring], Known], ...]
    source: str


def _never(reason: str) -> Callable[[Wiring], Known]:
    return lambda _: Known("fails", reason, by_rule=True)


def _always(reason: str) -> Callable[[Wiring], Known]:
    return lambda _: Known("works", reason, by_rule=True)


def _module(name: str) -> Callable[[Wiring], Known]:
    return lambda wiring: wiring.has_module(name)


def _free(driver: str) -> Callable[[Wiring], Known]:
    return lambda wiring: wiring.is_free_for(driver)


def _passes(wiring: Wiring) -> Known:
    return wiring.passes


def _sources(wiring: Wiring) -> Known:
    return wiring.takes_sources


def _reflects(wiring: Wiring) -> Known:
    return wiring.reflects


def _reflects_own(wiring: Wiring) -> Known:
    return wiring.reflects_own


_MACVLAN = (_module("macvlan"), _free("macvlan"))
_IPVLAN = (_module("ipvlan"), _free("ipvlan"))
_SIBLINGS = _always("the kernel hands frames from child to child")
RULES: tuple[Rule, ...] = (
    Rule(
        "macvlan-bridge", "macvlan bridge", BETWEEN, (*_MACVLAN, _passes, _sources),
        f"{MACVLAN}, macvlan_queue_xmit: each child is a station with its own MAC address",
    ),
    Rule("macvlan-bridge", "macvlan bridge", BESIDE, (*_MACVLAN, _SIBLINGS),
         f"{MACVLAN}, macvlan_queue_xmit"),
    Rule(
        "macvlan-bridge", "macvlan bridge", ITSELF, (*_MACVLAN, _sources, _reflects),
        f"{MACVLAN}, macvlan_queue_xmit: a child's frames never go up to the parent; a port that"
        " reflects brings them back (bridge(8), hairpin)",
    ),
    Rule("macvlan-private", "macvlan private", BETWEEN, (*_MACVLAN, _passes, _sources),
         f"{MACVLAN}, macvlan_queue_xmit"),
    Rule("macvlan-private", "macvlan private", BESIDE,
         (*_MACVLAN, _never("the mode keeps siblings apart, whatever the switch does")),
         f"{MACVLAN}, macvlan_handle_frame; ip-link(8), macvlan private"),
    Rule("macvlan-vepa", "macvlan vepa", BETWEEN, (*_MACVLAN, _passes, _sources),
         f"{MACVLAN}, macvlan_queue_xmit"),
    Rule(
        "macvlan-vepa", "macvlan vepa", BESIDE, (*_MACVLAN, _sources, _reflects),
        "ip-link(8), macvlan vepa: siblings reach each other by the switch alone",
    ),
    Rule(
        "macvlan-passthru", "macvlan passthru (one child)", BETWEEN, (*_MACVLAN, _passes),
        f"{MACVLAN}, macvlan_handle_frame: the child has the parent's MAC address",
    ),
    Rule(
        "ipvlan-l2", "ipvlan l2", BETWEEN, (*_IPVLAN, _passes),
        f"{IPVLAN}, ipvlan_queue_xmit: all children have the parent's MAC address",
    ),
    Rule("ipvlan-l2", "ipvlan l2", BESIDE, (*_IPVLAN, _SIBLINGS),
         f"{IPVLAN}, ipvlan_xmit_mode_l2"),
    Rule("ipvlan-l2-private", "ipvlan l2 private", BESIDE,
         (*_IPVLAN, _never("the mode keeps siblings apart, whatever the switch does")),
         "Linux Documentation/networking/ipvlan.rst, 5.2 private"),
    Rule(
        "ipvlan-l2-vepa", "ipvlan l2 vepa", BESIDE, (*_IPVLAN, _reflects_own),
        "Linux Documentation/networking/ipvlan.rst, 5.3 VEPA mode",
    ),
    Rule(
        "ipvlan-l3", "ipvlan l3 with routes to each other's subnets", BETWEEN, (*_IPVLAN, _passes),
        "Linux Documentation/networking/ipvlan.rst, 4.2 L3 mode",
    ),
    Rule(
        "bridge", "a bridge with the NIC for a port", BETWEEN,
        (_module("bridge"), _free("bridge"), _passes, _sources),
        "Linux net/bridge/br_forward.c: containers' frames leave with their own MAC addresses",
    ),
)  # fmt: skip


def sentences(survey: Survey) -> list[Sentence]:
    """Return all that a survey says, segment by segment, then of machines."""
    found: list[Sentence] = []
    for group in survey.groups:
        wiring = Wiring(survey, group)
        found += [_of_rule(rule, wiring) for rule in RULES]
        found += _facts(wiring)
    found += _one_wire(survey)
    found += _duplicates(survey)
    found += _senders(survey)
    for machine in survey.machines:
        found += _of_machine(machine, survey)
    return found


def _of_rule(rule: Rule, wiring: Wiring) -> Sentence:
    known = decided(need(wiring) for need in rule.needs)
    slug = {BETWEEN: "between", BESIDE: "beside", ITSELF: "itself"}[rule.where]
    return Sentence(
        id=f"{rule.id}-{slug}",
        segment=wiring.group.name,
        verdict=known.verdict,
        text=told([rule.what], rule.where, known.verdict, known.reason),
        source=rule.source,
        what=rule.what,
        where=rule.where,
        reason=known.reason,
    )


def told(whats: Sequence[str], where: str, verdict: Verdict, reason: str) -> str:
    """Return the sentence about one or several ways to attach containers that fare alike."""
    *others, last = whats
    names = f"{', '.join(others)} and {last}" if others else last
    word = "" if verdict == "unknown" else f" {WORDS[verdict]}"
    return f"{names}{word} {where}: {reason}."


def _made(ident: str, wiring: Wiring, verdict: Verdict, text: str, source: str) -> Sentence:
    return Sentence(
        id=ident, segment=wiring.group.name, verdict=verdict, text=f"{text}.", source=source
    )


def _facts(wiring: Wiring) -> Iterator[Sentence]:
    """Yield what is about the segment itself: tags, sizes, multicast, tunnels."""
    tags = sorted(
        {tag for port in wiring.ports for tag in port.vlans if tag} | set(wiring.group.vlans)
    )
    for tag in tags:
        known = decided([wiring.has_module("8021q"), wiring.carries(tag)])
        words = {"works": "passes", "fails": "doesn't pass whole", "unknown": "may pass"}
        text = f"VLAN {tag} {words[known.verdict]}: {known.reason}"
        yield _made(f"vlan-{tag}", wiring, known.verdict, text, "IEEE 802.1Q; bridge(8), vlan")
    yield from _sizes(wiring)
    yield _multicast(wiring, 4)
    yield _multicast(wiring, 6)
    yield from _foreign(wiring)


def _sizes(wiring: Wiring) -> Iterator[Sentence]:
    source = (
        "Linux net/bridge/br_forward.c, is_skb_forwardable: what is too large is dropped unsaid"
    )
    if wiring.sizes is None:
        why = wiring.not_asked() or Known("unknown", "not known: no frame passes")
        yield _made("mtu", wiring, "unknown", f"the largest packet: {why.reason}", source)
        return
    largest, tried, whole = wiring.sizes
    text = f"packets of {largest} bytes pass, the NICs' own limit"
    if not whole:
        text = (
            f"packets of more than {largest} bytes are lost without a word, and the NICs send up"
            f" to {tried}"
        )
    yield _made("mtu", wiring, "works" if whole else "fails", text, source)
    known = decided([wiring.has_module("vxlan"), wiring.passes])
    text = f"VXLAN between machines: {known.reason}"
    if known.verdict == "works":
        inner = largest - VXLAN_HEADERS
        text = f"VXLAN will work between machines with packets of up to {inner} bytes inside"
    yield _made("vxlan-between", wiring, known.verdict, text, "RFC 7348, 4.3 and 5")


def _multicast(wiring: Wiring, family: int) -> Sentence:
    """Say whether a group's members hear it, and whether others do, too."""
    name = "IPv4 multicast" if family == 4 else "IPv6 multicast, and with it neighbour discovery,"
    source = (
        "RFC 4541, 2.1" if family == 4 else "RFC 4541, 3; RFC 4861, 7.2: by solicited-node groups"
    )
    members, strangers = (wiring.hears(family, members=is_one) for is_one in (True, False))
    ident = f"multicast{family}"
    if members is None:
        why = wiring.not_asked() or Known("unknown", "not known: no member could be asked")
        return _made(ident, wiring, "unknown", f"{name.removesuffix(',')}: {why.reason}", source)
    heard, asked = members
    if heard < asked:
        text = f"{name} won't work: {heard} of {asked} frames reached members of their group"
        return _made(ident, wiring, "fails", text, source)
    how = "members hear their group"
    if strangers is not None:
        snoops = strangers[0] < strangers[1]
        how += ", and no others do: the switch snoops" if snoops else ", and so does everybody else"
    return _made(ident, wiring, "works", f"{name} will work: {how}", source)


def _foreign(wiring: Wiring) -> Iterator[Sentence]:
    asked = [port for port in wiring.ports if port.foreign is not None]
    if not asked:
        return
    refused = [port.name for port in asked if not port.foreign]
    text = "a MAC address of another maker's passes each port"
    if refused:
        text = f"a MAC address of another maker's doesn't pass {', '.join(refused)}"
    verdict: Verdict = "fails" if refused else "works"
    yield _made("foreign-mac", wiring, verdict, text, "IEEE 802, 8.2; bridge(8), locked")


def _one_wire(survey: Survey) -> Iterator[Sentence]:
    """Yield where frames of one segment of the command line arrive in another one."""
    of = {name: group for group in survey.groups for name in group.ports}
    told = set()
    for port in survey.ports:
        for other in port.reaches:
            mine, there = of.get(port.name), of.get(other)
            pair = frozenset({mine.name if mine else "", there.name if there else ""})
            if mine and there and mine != there and pair not in told:
                told.add(pair)
                yield Sentence(
                    id="one-wire",
                    segment=mine.name,
                    verdict="fails",
                    text=f"{mine.name} and {there.name} are one segment: what {port.name} sends"
                    f" arrives at {other}.",
                    source="a frame passes within one layer-2 segment only: IEEE 802.1Q, 6",
                )


def duplicate_addresses(survey: Survey) -> dict[str, list[str]]:
    """Return the machines' addresses for which several MAC addresses answer, with these."""
    macs: dict[str, set[str]] = {}
    for answer in survey.answers:
        macs.setdefault(answer.address, set()).update(answer.macs)
    return {address: sorted(each) for address, each in sorted(macs.items()) if len(each) > 1}


def _duplicates(survey: Survey) -> Iterator[Sentence]:
    """Yield addresses of the machines for which several MAC addresses answer."""
    owners = {
        link.mac: f"{machine.name}:{link.name}"
        for machine in survey.machines
        for link in machine.links
        if not link.parent
    }
    for address, macs in duplicate_addresses(survey).items():
        who = [f"{mac} ({owners.get(mac, 'no machine of the inventory')})" for mac in macs]
        yield Sentence(
            id="duplicate-address",
            verdict="fails",
            text=f"{address} is answered for by {' and '.join(who)}: who reaches which is chance.",
            source="RFC 5227, 1.1; Linux Documentation/networking/ip-sysctl.rst, arp_ignore",
        )


def _senders(survey: Survey) -> Iterator[Sentence]:
    source = "RFC 4861, 6.2: advertisements come every 200 to 600 s; RFC 2131, 3.1"
    if survey.listened is None:
        text = "who advertises itself as a router or offers leases: not known: needs --listen."
        yield Sentence(id="senders", verdict="unknown", text=text, source=source)
        return
    for sender in survey.senders:
        tag = f" with the tag {sender.vlan}" if sender.vlan else ""
        said = f": {sender.said}" if sender.said else ""
        text = f"{sender.address} ({sender.mac}) sends a {sender.kind} at {sender.at}{tag}{said}."
        yield Sentence(id="sender", verdict="works", text=text, source=source)
    if not survey.senders:
        asked = "though they were asked for" if survey.asked else "none was asked for"
        text = (
            f"no router advertisement and no DHCP offer was heard in {survey.listened:g} s,"
            f" {asked}."
        )
        verdict: Verdict = "works" if survey.asked else "unknown"
        yield Sentence(id="senders", verdict=verdict, text=text, source=source)


def _of_machine(machine: Machine, survey: Survey) -> Iterator[Sentence]:
    """Yield what of a machine itself stands in the way, or couldn't be seen."""
    if machine.failed:
        text = f"{machine.name} was not read: {machine.failed}."
        yield Sentence(id="not-read", verdict="unknown", text=text)
        return
    used = {name for group in survey.groups for name in group.ports}
    for link in machine.links:
        if f"{machine.name}:{link.name}" in used and link.owner == "NetworkManager":
            yield Sentence(
                id="owner",
                verdict="fails",
                text=f"NetworkManager owns {link.name} of {machine.name}: it may take children of"
                " it over, and what is set there by hand.",
                source="NetworkManager.conf(5), unmanaged-devices",
            )
    if not machine.runtimes and not machine.plugins:
        text = f"{machine.name} has no container runtime and no CNI plugins that a user sees."
        yield Sentence(id="runtime", verdict="fails", text=text)


def by_segment(found: Sequence[Sentence]) -> dict[str, list[Sentence]]:
    """Return sentences by segment, those about no segment under an empty name, last.

    Those about ways to attach containers that fare alike, by the same reason, are one.
    """
    kept: dict[str, dict[object, list[Sentence]]] = {}
    for one in sorted(found, key=lambda sentence: not sentence.segment):
        alike = (one.verdict, one.where, one.reason) if one.where else one.text
        kept.setdefault(one.segment, {}).setdefault(alike, []).append(one)
    return {
        segment: [_as_one(those) for those in by_likeness.values()]
        for segment, by_likeness in kept.items()
    }


def _as_one(those: Sequence[Sentence]) -> Sentence:
    first = those[0]
    if not first.where:
        return first
    text = told([one.what for one in those], first.where, first.verdict, first.reason)
    sources = "; ".join(dict.fromkeys(one.source for one in those))
    return first.model_copy(update={"text": text, "source": sources})
