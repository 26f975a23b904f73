"""Every cell is what it is when nothing else is asked: samples are asked by themselves.

How many were, and how many of them came out the same, is kept in docs/proof/alone.json: of healthy
labs, and of labs with an end that can't be found, where others' packets would help most.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from cluster.hand import BY_NFT, NO_NFT, NO_TC_IN, NO_TC_OUT, TC_OUT
from cluster.near import look, name, shell, state_of
from cluster.running import Lab
from proof import of_lab
from underlay.cluster.access import spawn_as_root
from underlay.expect import PROTOCOLS
from underlay.observe import Seen, measure
from underlay.observe.tasks import one_by_one
from underlay.proof.lab import RunningLab, measure_and_judge
from underlay.proof.records.keeping import keep
from underlay.verdict import Cell

SAMPLE = 24
# Where others' packets help most, and one of each way that a packet can take.
MORE = (
    "two-networks",
    "two-links-private",
    "two-links-ipvlan",
    "gateway-ipvlan",
    "detour-ipvlan",
    "router-subnets",
    "overlay-vxlan",
    "macvlan-source",
    "docker-ipvlan-l3",
    "nat-two-homed",
    "filters",
    "filter-runtimes",
    "dual-stack",
    "slaac",
    "shim",
)
Name = tuple[str, str, str, int]
Pair = tuple[str, str, int]

NO_ANSWER = "net.ipv4.conf.{}.arp_ignore={}"
NO_ND = "ip6tables {} INPUT {} -p ipv6-icmp --icmpv6-type neighbour-solicitation -j DROP"
# What asks, and nothing that answers, ends before the containers' interfaces and the node's own.
NO_ASKING = "tc qdisc add dev eth1 ingress; tc filter add dev eth1 parent ffff: {} action drop"
ASKS_BY_ARP = "protocol arp u32 match u16 1 0xffff at 6"
ASKS_BY_ND = "protocol ipv6 u32 match u8 58 0xff at 6 match u8 135 0xff at 40"


@dataclass(frozen=True)
class Unfound:
    """What keeps ends from being found, and nothing else: it takes who asks, and no answer.

    ``red`` says who asks whom in vain, by hand: the one that can't be found, and those on its wire
    that look for it themselves. ``cause`` is the fault that is to be named, with its place.
    """

    target: str
    broken: str
    mended: str
    cause: tuple[str, str]
    red: Mapping[str, tuple[str, ...]]
    lab: str = "dual-stack"
    family: int = 4

    @property
    def pairs(self) -> frozenset[Pair]:
        """Who asks whom in vain, each with the family."""
        pairs = ((one, to) for to, askers in self.red.items() for one in askers)
        return frozenset((*pair, self.family) for pair in pairs)

    @property
    def cells(self) -> set[Name]:
        """The cells that are to be red: one way of each pair, by each protocol."""
        return {(*pair[:2], protocol, pair[2]) for pair in self.pairs for protocol in PROTOCOLS}


def arp_ignored(target: str, device: str, *askers: str, lab: str = "dual-stack") -> Unfound:
    told = [f"sysctl -qw {NO_ANSWER.format(device, value)}" for value in (8, 0)]
    return Unfound(target, *told, ("arp-ignored", f"{target}, {device}"), {target: askers}, lab)


def nd_dropped(target: str, device: str, fault: str, *askers: str) -> Unfound:
    match = f"-i {device}"
    told = [NO_ND.format(word, match) for word in ("-I", "-D")]
    return Unfound(target, *told, (fault, f"{target}, {device}"), {target: askers}, family=6)


# A macvlan container and the node below it don't hear each other, faults or not.
THERE = ("mac-1a", "mac-1b", "core-01")
BEHIND = {"mac-2a": THERE, "mac-2b": THERE, "core-02": ("mac-1a", "mac-1b")}
UNFOUND = {
    "container": arp_ignored(
        "lannet-2a", "eth0", "lannet-1a", "lannet-1b", "lannet-2b", "lannet-3a", "lannet-3b",
        "core-01", "core-03", lab="coreos",
    ),
    "container-ipv6": nd_dropped("mac-2a", "eth0", "nd-dropped", *THERE, "mac-2b"),
    "ipvlan-container": arp_ignored("ip-2a", "eth0", "ip-1a", "ip-1b", "core-01", "ip-2b"),
    "ipvlan-container-ipv6": nd_dropped(
        "ip-2a", "eth0", "nd-dropped", "ip-1a", "ip-1b", "core-01", "ip-2b"
    ),
    "node": arp_ignored("core-02", "eth1", "mac-1a", "mac-1b"),
    "node-ipv6": nd_dropped("core-02", "eth1", "node-drops", "mac-1a", "mac-1b"),
    "below-node": Unfound(
        "core-02", NO_ASKING.format(ASKS_BY_ARP), NO_TC_IN.format("eth1"),
        ("parent-drops-incoming", "core-02, eth1"), BEHIND,
    ),
    "below-node-ipv6": Unfound(
        "core-02", NO_ASKING.format(ASKS_BY_ND), NO_TC_IN.format("eth1"),
        ("parent-drops-incoming", "core-02, eth1"), BEHIND, family=6,
    ),
    "switch": Unfound(
        "switch", BY_NFT.format(rule='oifname "lan-2" arp operation request counter drop'), NO_NFT,
        ("switch-drops", "switch, lan-2"), BEHIND,
    ),
    "switch-ipv6": Unfound(
        "switch",
        BY_NFT.format(rule='oifname "lan-2" icmpv6 type nd-neighbor-solicit counter drop'), NO_NFT,
        ("switch-drops", "switch, lan-2"), BEHIND, family=6,
    ),
}  # fmt: skip
DAILY = ("container",)
# Those under which samples are asked by themselves.
SAMPLED = ("container", "container-ipv6", "node", "switch")


def came(cell: Cell | Seen) -> tuple[object, ...]:
    """Return what came of a cell: whether it was reached, where it stopped, whether it arrived."""
    return cell.observed, cell.stopped_at, cell.arrived


def judged(lab: Lab) -> dict[Name, Cell]:
    verdict = measure_and_judge(RunningLab(state_of(lab)), lambda _: None)
    return {(c.source, c.destination, c.protocol, c.family): c for c in verdict.reach}


@contextmanager
def unfound(lab: Lab, what: Unfound) -> Iterator[None]:
    """Have ends of ``lab`` not found meanwhile."""
    shell(lab, what.target, what.broken)
    try:
        yield
    finally:
        shell(lab, what.target, what.mended)


@dataclass(frozen=True)
class Sample:
    """How many cells were asked together, how many of them alone, and which came otherwise then."""

    cells: int
    asked: int
    otherwise: frozenset[Name]

    @property
    def row(self) -> dict[str, int]:
        """What is kept of it."""
        equal = self.asked - len(self.otherwise)
        return {"cells": self.cells, "sampled": self.asked, "equal": equal}


def sampled(
    lab: Lab, together: Mapping[Name, Cell], always: frozenset[Pair], size: int = SAMPLE
) -> Sample:
    """Ask some pairs of those that were asked ``together`` alone: of ``always``, and of others."""
    pairs = sorted({(source, destination, family) for source, destination, _, family in together})
    assert always <= set(pairs)
    others = [pair for pair in pairs if pair not in always]
    most = max(size - len(always), size // 2)
    chosen = [*sorted(always), *random.Random(7).sample(others, min(most, len(others)))]
    running = RunningLab(state_of(lab))
    asked = one_by_one(running.prediction.plan, chosen)
    alone = measure(running.prediction.plan, spawn_as_root(running.state), asked=asked)
    assert not alone.failed
    assert len(alone.cells) >= len(chosen)
    named = {(c.source, c.destination, c.protocol, c.family): c for c in alone.cells}
    otherwise = {cell for cell, seen in named.items() if came(seen) != came(together[cell])}
    return Sample(len(together), len(named), frozenset(otherwise))


@pytest.mark.parametrize(
    "lab", ["coreos", *(pytest.param(lab, marks=pytest.mark.all) for lab in MORE)], indirect=True
)
def test_a_cell_is_what_it_is_alone(lab: Lab, request: pytest.FixtureRequest) -> None:
    """Its row is kept in the full proof: a run of every day records nothing, and asks less."""
    whole = request.config.getoption("--all")
    sample = sampled(lab, judged(lab), frozenset(), SAMPLE if whole else SAMPLE // 4)
    if whole:
        keep("alone", {lab.name: {**of_lab(lab.file), **sample.row}})
    assert not sample.otherwise


def each(*names: str) -> list[object]:
    """Return parameters for some of what keeps ends from being found, each with its lab."""
    return [
        pytest.param(
            UNFOUND[word].lab, word, id=f"{UNFOUND[word].lab}-{word}",
            marks=() if word in DAILY else pytest.mark.all,
        )
        for word in names
    ]  # fmt: skip


# Beside a direct parameter pytest would boot the lab for each test.
@pytest.mark.parametrize(("lab", "where"), each(*UNFOUND), indirect=["lab"], scope="session")
def test_who_cannot_be_found_is_not_reached_for_having_asked(lab: Lab, where: str) -> None:
    """It reaches everybody, and nobody reaches it, as people know it from pings of both sides."""
    what = UNFOUND[where]
    with unfound(lab, what):
        seen = look(lab)
    assert seen.differing == what.cells
    assert not seen.unmeasured
    red = [cell for cell in seen.judged if name(cell) in what.cells]
    assert {came(cell) for cell in red} == {("unreachable", "no_neighbour", False)}
    # The other way round each of them is reached, though it has just been asked in vain.
    back = {(cell.destination, cell.source, str(cell.protocol), int(cell.family)) for cell in red}
    back -= what.cells
    assert back
    answered = {name(cell) for cell in seen.judged if cell.observed == "reachable"}
    assert back <= answered
    assert [tuple(cause[:2]) for cause in seen.causes] == [what.cause]
    assert not seen.unexplained


@pytest.mark.all
@pytest.mark.parametrize(("lab", "where"), each(*SAMPLED), indirect=["lab"], scope="session")
def test_a_cell_is_what_it_is_alone_under_a_fault(lab: Lab, where: str) -> None:
    what = UNFOUND[where]
    with unfound(lab, what):
        sample = sampled(lab, judged(lab), what.pairs)
    fault, place = what.cause
    row = {"lab": lab.name, "fault": fault, "where": place, **sample.row}
    keep("alone", {f"{lab.name}-unfound-{where}": row})
    assert not sample.otherwise


@pytest.mark.all
@pytest.mark.parametrize(("lab", "where"), each(*DAILY), indirect=["lab"], scope="session")
def test_what_comes_otherwise_alone_is_seen(lab: Lab, where: str) -> None:
    """The twin: asked alone under a fault, and together before it."""
    what = UNFOUND[where]
    healthy = judged(lab)
    with unfound(lab, what):
        assert sampled(lab, healthy, what.pairs).otherwise == what.cells


@pytest.mark.all
@pytest.mark.parametrize("lab", ["overlay-vxlan"], indirect=True)
def test_a_node_that_cannot_be_found_is_not_reached_through_a_list_of_nodes(lab: Lab) -> None:
    """Its containers reach the others', whose nodes it finds. To it no packet can be sent."""
    shell(lab, "core-02", "sysctl -qw net.ipv4.conf.eth1.arp_ignore=8")
    try:
        cells = judged(lab)
    finally:
        shell(lab, "core-02", "sysctl -qw net.ipv4.conf.eth1.arp_ignore=0")
    there = {"listed-2a", "listed-2b"}
    crossing = [
        cell
        for cell in cells.values()
        if cell.expected == "reachable"
        and cell.source.startswith("listed-")
        and len(there & {cell.source, cell.destination}) == 1
    ]
    to = [cell for cell in crossing if cell.destination in there]
    assert to
    assert {came(cell) for cell in to} == {("unreachable", "no_neighbour", False)}
    assert {cell.observed for cell in crossing if cell.source in there} == {"reachable"}


# By plan deaf-2a reaches nobody, so no cell that should be reached speaks for it: what breaks it,
# what cures that, which fault it is, and what becomes of its cells.
ADDRESS = "10.1.7.129/24"
CANNOT_SEND = {
    "link-down": (
        "ip link set eth0 down", "ip link set eth0 up; ip route add default dev eth0",
        "child-down", ("unreachable", "no_route", False),
    ),
    "address-gone": (
        f"ip address delete {ADDRESS} dev eth0",
        f"ip address add {ADDRESS} dev eth0; ip route add default dev eth0",
        "address-missing", ("unreachable", "no_route", False),
    ),
    "egress-discards": (
        TC_OUT.format("eth0", "matchall"), NO_TC_OUT.format("eth0"),
        "container-drops-outgoing", ("not_measured", "not_sent", False),
    ),
}  # fmt: skip


@pytest.mark.all
@pytest.mark.parametrize(
    ("lab", "how"),
    [pytest.param("macvlan-source", how, id=f"macvlan-source-{how}") for how in CANNOT_SEND],
    indirect=["lab"],
    scope="session",
)
def test_no_cell_of_a_deaf_end_that_cannot_send_is_green(lab: Lab, how: str) -> None:
    """And all are, of the same end, once it can send again."""
    broken, mended, fault, becomes = CANNOT_SEND[how]
    shell(lab, "deaf-2a", broken)
    try:
        seen = look(lab)
    finally:
        shell(lab, "deaf-2a", mended)
    own = [cell for cell in seen.judged if cell.source == "deaf-2a"]
    assert own
    assert {cell.expected for cell in own} == {"unreachable"}
    assert {came(cell) for cell in own} == {becomes}
    assert all(cell.reason for cell in own)
    assert seen.differing | seen.unmeasured == {name(cell) for cell in own}
    assert [tuple(cause[:2]) for cause in seen.causes] == [(fault, "deaf-2a, eth0")]
    assert not seen.unexplained
    healthy = [cell for cell in judged(lab).values() if cell.source == "deaf-2a"]
    assert len(healthy) == len(own)
    assert {came(cell) for cell in healthy} == {("unreachable", "no_neighbour", False)}
