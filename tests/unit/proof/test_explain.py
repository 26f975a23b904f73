"""What explain makes of what real nodes once showed, fault by fault, without any node.

The recordings are made by ``test --all --record`` (tests/confusion.py): the plan, the cells
that were wrong, and everything that was looked into. A change of the catalogue that breaks an
explanation shows here in seconds.
"""

from __future__ import annotations

import json
import lzma
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from confusion import EVIDENCE, GREEN
from underlay.drivers import macvlan
from underlay.drivers.rule import Rule, Stop
from underlay.expect import Expectation, Prediction, predict
from underlay.faults import RUNNING, Scene
from underlay.lint.read import read_lab
from underlay.observe import Observation
from underlay.observe.evidence import Evidence
from underlay.observe.observation import Seen
from underlay.plan import make_plan
from underlay.proof.explain import explain
from underlay.proof.explanation import NOTHING, Explanation
from underlay.report import explanation as shown
from underlay.report.pasted import commands
from underlay.storage.paths import root
from underlay.verdict import NEVER_LEFT, Cell, Verdict, judge
from unit.expect.test_mutation import turned_round

# Rules of the lab coreos, which what was seen there contradicts once they are turned round.
CONTRADICTED = ("macvlan-across", "macvlan-bridge-siblings")
# A node of that lab that is off.
GONE = "core-02"
FILES = sorted(EVIDENCE.glob("*.json.xz"))


@dataclass(frozen=True)
class Recorded:
    """One fault of one lab as it was seen."""

    file: Path
    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def row(self) -> dict[str, Any]:
        """What was kept of it."""
        found: dict[str, Any] = recorded(self.file)["faults"][self.name]
        return found

    @property
    def wrong(self) -> dict[tuple[str, ...], Any]:
        """What was seen in the cells that weren't as expected; lists of ends as tuples."""
        return {
            (*cell, str(family)): tuple(seen) if isinstance(seen, list) else seen
            for *cell, family, seen in self.row["wrong"]
        }

    @property
    def stops(self) -> dict[tuple[str, ...], tuple[Stop, bool]]:
        """Where wrong cells without an answer stopped, and whether they arrived; if it was kept."""
        return {
            (*cell, str(family)): (stop, arrived)
            for *cell, family, stop, arrived in self.row.get("stops", ())
        }

    @property
    def evidence(self) -> Evidence:
        """What nodes and the switch showed."""
        earlier = self.row.get("earlier")
        before = Evidence(earlier) if earlier else None
        return Evidence(self.row["documents"], self.row["failed"], before)


COREOS = Recorded(EVIDENCE / "coreos.json.xz", GREEN)


def rule_id(rule: Rule) -> str:
    return rule.id


def as_seen(cell: Cell) -> Seen:
    return Seen(
        cell.source, cell.destination, cell.protocol, cell.observed, family=cell.family,
        kind=cell.kind, stopped_at=cell.stopped_at,
    )  # fmt: skip


@cache
def recorded(file: Path) -> dict[str, Any]:
    with lzma.open(file, "rt") as lines:
        found: dict[str, Any] = json.load(lines)
    return found


@cache
def scene(file: Path) -> Scene:
    """Return the scene of the lab as it is planned today; a recording of another lab is refused."""
    kept = recorded(file)["plan"]
    plan = make_plan(read_lab(root() / "labs" / f"{kept['lab']}.yml"))
    made = {(c.name, a.mac, a.address.ip) for c in plan.containers for a in c.attachments}
    before = {
        (c["name"], a["mac"], a["address"].partition("/")[0])
        for c in kept["containers"]
        for a in c["attachments"]
    }
    assert made == before, f"{file.name} is of another lab: record it again"
    return Scene(Prediction(plan))


@cache
def expectations(file: Path) -> tuple[Expectation, ...]:
    return tuple(predict(scene(file).plan))


def every() -> Iterator[Recorded]:
    for file in FILES:
        for name in recorded(file)["faults"]:
            if name != GREEN:
                yield Recorded(file, name)


def judged(
    one: Recorded,
    wrong: dict[tuple[str, ...], str],
    stops: Mapping[tuple[str, ...], Stop] = MappingProxyType({}),
) -> Verdict:
    """Return the verdict in which exactly the cells of ``wrong`` aren't as expected.

    Where the others stopped was as expected but for what the recording says of it, and ``stops``.
    """
    seen = []
    kept = one.stops if wrong else {}
    for wanted in expectations(one.file):
        key = (wanted.source, wanted.destination, wanted.protocol, str(wanted.family))
        expected = "reachable" if wanted.reachable else "unreachable"
        observed: Any = wrong.get(key, wanted.value if wanted.kind == "value" else expected)
        stop, arrived = kept.get(key, (wanted.stop, False))
        seen.append(
            Seen(
                wanted.source,
                wanted.destination,
                wanted.protocol,
                observed,
                family=wanted.family,
                kind=wanted.kind,
                stopped_at=stops.get(key, stop),
                arrived=arrived,
            )
        )
    return judge(
        scene(one.file).plan.lab, "uml", expectations(one.file), Observation(tuple(seen), {}, {})
    )


@cache
def explained(one: Recorded) -> Explanation:
    """Return what is made of a recording; two tests look at the same."""
    wrong = one.wrong
    return explain(scene(one.file), judged(one, wrong).cells, one.evidence)


@pytest.mark.parametrize("one", list(every()), ids=str)
def test_the_right_cause_comes_first(one: Recorded) -> None:
    found = explained(one)
    named = [(cause.finding.fault.id, cause.where) for cause in found.causes]
    assert named[:1] == [(one.row["fault"], one.row["where"])], named
    assert not found.unexplained


@pytest.mark.parametrize("one", list(every()), ids=str)
def test_a_healthy_labs_evidence_explains_nothing(one: Recorded) -> None:
    wrong = one.wrong
    green = Recorded(one.file, GREEN).evidence
    for evidence in (green, Evidence({})):
        cells = judged(one, wrong).cells
        found = explain(scene(one.file), cells, evidence)
        assert not found.causes, [(c.finding.fault.id, c.where) for c in found.causes]
        bad = [cell for cell in cells if cell.differs or not cell.measured]
        assert len(found.unexplained) == len(bad) >= len(wrong)
        assert not found.not_borne_out
        measured = {key for key, observed in wrong.items() if observed != "not_measured"}
        contradicted = {cell for rule in found.doubted for cell in rule.cells}
        assert {(*cell[:3], str(cell[3])) for cell in contradicted} == measured
        assert bool(found.ruled_out) is (evidence is green), "what was not seen isn't ruled out"


def key_of(cell: Cell) -> tuple[str, str, str, int]:
    return cell.source, cell.destination, str(cell.protocol), int(cell.family)


def test_where_nobody_may_look_there_is_no_cause_no_doubt_and_nothing_ruled_out() -> None:
    """As an ordinary user of machines that exist: no container is entered, no filter is told."""
    lab = scene(COREOS.file)
    inside = {container.name for container in lab.plan.containers}
    documents = {
        node: {
            **document,
            "spaces": {name: s for name, s in document["spaces"].items() if name not in inside},
            "unread": ["iptables", "nft"],
        }
        for node, document in COREOS.evidence.documents.items()
    }
    lost = {
        (cell[0], cell[1], cell[2], str(cell[3])): "unreachable"
        for cell in lab.healthy
        if cell[0] not in inside and cell[1] == "lannet-2a"
    }
    assert lost
    why = dict.fromkeys(inside, "needs the probe")
    cells = judged(COREOS, lost).cells
    found = explain(lab, cells, Evidence(documents, why, untried=frozenset(inside)))
    assert (found.causes, found.not_borne_out, found.doubted) == ((), (), ())
    assert len(found.unexplained) == len(lost)
    assert "link" in found.ruled_out
    assert not {"filters", "IPv6"} & set(found.ruled_out)
    # Cells that weren't measured speak for nothing, and against nothing.
    one = next(each for each in every() if each.row["fault"] == "child-down")
    of = scene(one.file)
    (place,) = {cause.where.partition(",")[0] for cause in explained(one).causes}
    gone = next(c.node for c in of.plan.containers if c.node != of.ends[place].node)
    unknown = frozenset(
        cell for cell in of.every if gone in {of.ends[cell[0]].node, of.ends[cell[1]].node}
    )
    left = [cell for cell in judged(one, one.wrong).cells if key_of(cell) not in unknown]
    partly = explain(of, left, one.evidence, unknown)
    assert [cause.where for cause in partly.causes] == [explained(one).causes[0].where]
    assert not partly.unexplained
    # The same, where somebody tried: then it is a container that is gone, and rules are doubted.
    tried = explain(lab, cells, Evidence(documents, why))
    assert any("namespace is gone" in words for words in tried.not_borne_out)
    assert tried.doubted


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_nothing_is_found_in_a_green_lab(file: Path) -> None:
    green = Recorded(file, GREEN).evidence
    found = [
        (fault.id, str(finding.place))
        for fault in RUNNING
        for finding in fault.find(scene(file), green)
        if finding.effect.every
    ]
    assert not found
    nothing = replace(NOTHING, lab=scene(file).plan.lab)
    assert explain(scene(file), judged(Recorded(file, GREEN), {}).cells, green) == nothing


def switched_off(*, carrier: bool = False) -> Evidence:
    """Return what a lab with a node that is off shows; with ``carrier`` its ports are dead only."""
    documents = json.loads(json.dumps(COREOS.row["documents"]))
    del documents[GONE]
    own = {segment.ports[GONE] for segment in scene(COREOS.file).plan.segments}
    evidence = Evidence(documents, {GONE: "gave no answer: Connection refused"})
    switch = evidence.space("switch")
    assert switch
    for row in switch.raw["ports"]:
        if row.get("ifname") in own:
            row["state"] = "disabled"
            if not carrier:
                row["flags"] = [*(f for f in row["flags"] if f != "LOWER_UP"), "NO-CARRIER"]
    return evidence


def unmeasured() -> dict[tuple[str, ...], str]:
    """Return the cells that have an end on the node that is off."""
    made = scene(COREOS.file)
    there = {name for name, end in made.ends.items() if end.node == GONE}
    cells = (cell for cell in sorted(made.every) if there & set(cell[:2]))
    return {(*cell[:3], str(cell[3])): "not_measured" for cell in cells}


def test_a_node_that_is_off_outranks_its_dead_switch_ports() -> None:
    verdict = judged(COREOS, unmeasured())
    found = explain(scene(COREOS.file), verdict.cells, switched_off())
    assert [(c.finding.fault.id, c.where) for c in found.causes] == [("node-hung", GONE)]
    assert not found.unexplained
    commands = [proof.command for proof in found.causes[0].finding.proofs]
    assert commands[0] == f"ssh {GONE}"
    assert len(commands) == 3
    assert all(command.startswith("bridge -d link show") for command in commands[1:])


def test_a_node_that_dies_late_is_named_though_most_cells_were_decided() -> None:
    few = dict(list(unmeasured().items())[::5])
    found = explain(scene(COREOS.file), judged(COREOS, few).cells, switched_off())
    assert [c.finding.fault.id for c in found.causes] == ["node-hung"]
    assert len(found.causes[0].cells) == len(few)


def test_a_dead_port_with_a_carrier_follows_from_nothing() -> None:
    verdict = judged(COREOS, unmeasured())
    found = explain(scene(COREOS.file), verdict.cells, switched_off(carrier=True))
    assert {c.finding.fault.id for c in found.causes} == {"cable-cut", "node-hung"}


@pytest.mark.parametrize("rule", [r for r in macvlan.RULES if r.id in CONTRADICTED], ids=rule_id)
def test_a_rule_that_does_not_hold_is_named_as_a_possibility(rule: Rule) -> None:
    """The rule is turned round: what real nodes showed contradicts it, and nothing is broken."""
    one = Recorded(EVIDENCE / "coreos.json.xz", GREEN)
    seen = judged(one, {}).cells
    measured = Observation(tuple(as_seen(cell) for cell in seen), {}, {})
    with turned_round(rule):
        prediction = Prediction(scene(one.file).plan)
        verdict = judge("coreos", "uml", prediction.cells, measured)
        found = explain(Scene(prediction), verdict.cells, one.evidence)
    assert verdict.summary.differs
    assert not found.causes
    # A request's rule decides for its answer, too.
    assert {doubt.rule.removesuffix("-answer") for doubt in found.doubted} == {rule.id}
    doubt = next(doubt for doubt in found.doubted if doubt.rule == rule.id)
    assert (doubt.because, doubt.reference) == (rule.because, rule.reference)
    assert sum(len(doubt.cells) for doubt in found.doubted) == verdict.summary.differs
    text = shown.explanation_text(found).plain
    assert f"The rule may not hold here: {rule.id} (" in text
    assert "Please report it" in text
    said = shown.document(found)["doubted"]
    assert [(entry["rule"], len(entry["cells"])) for entry in said] == [
        (doubt.rule, len(doubt.cells)) for doubt in found.doubted
    ]


def test_what_a_cause_accounts_for_puts_no_rule_in_doubt() -> None:
    one = next(every())
    assert not explained(one).doubted


def test_what_was_found_is_not_ruled_out_though_it_accounts_for_nothing() -> None:
    file = EVIDENCE / "one-of-each.json.xz"
    evidence = Evidence(json.loads(json.dumps(Recorded(file, GREEN).row["documents"])))
    node = evidence.documents["core-02"]["spaces"]["core-02"]
    next(link for link in node["links"] if link.get("ifname") == "eth3").pop("master")
    cell = next(c for c in sorted(scene(file).healthy) if "nat-2a" in c[0])
    wrong: dict[tuple[str, ...], str] = {(*cell[:3], str(cell[3])): "unreachable"}
    found = explain(scene(file), judged(Recorded(file, GREEN), wrong).cells, evidence)
    assert not found.causes
    assert found.not_borne_out == ("a bridge lacks its uplink (core-02, eth3)",)
    assert "a bridge lacks its uplink" not in found.ruled_out["driver"]
    assert "a container isn't in its bridge" in found.ruled_out["driver"]


def test_what_a_fault_would_open_stays_shut_for_an_end_that_is_cut_off() -> None:
    file = EVIDENCE / "coreos.json.xz"
    here = scene(file)
    hairpin = next(f for f in RUNNING if f.id == "hairpin")
    place = next(p for p in hairpin.places(here) if p.device == "lan-2")
    evidence = Evidence(json.loads(json.dumps(Recorded(file, GREEN).row["documents"])))
    switch = evidence.documents["switch"]["spaces"]["switch"]
    next(row for row in switch["ports"] if row["ifname"] == "lan-2")["hairpin"] = True
    wrong: dict[tuple[str, ...], str] = {}
    for cell in here.healthy:
        if "lannet-2a" in cell[:2]:
            wrong[(*cell[:3], str(cell[3]))] = "unreachable"
    for cell in hairpin.effect(here, place).certain:
        if "lannet-2a" not in cell[:2]:
            wrong[(*cell[:3], str(cell[3]))] = "reachable"
    found = explain(here, judged(Recorded(file, GREEN), wrong).cells, evidence)
    assert [cause.finding.fault.id for cause in found.causes] == ["hairpin"]
    # Nothing shows why lannet-2a is cut off: that isn't hairpin's doing.
    assert all("lannet-2a" in cell[:2] for cell in found.unexplained)
    assert len(found.unexplained) == 60


def test_who_merely_asks_an_end_is_not_cut_off_with_it() -> None:
    """Cells of an end that is cut off by something else aren't credited to whom it asked, too."""
    one = Recorded(COREOS.file, "coreos-echo-ignored")
    (deaf,) = {cell[1] for cell in one.wrong}
    other = next(end for end in ("lannet-3a", "lannet-1a") if end != deaf)
    wrong = {
        (*cell[:3], str(cell[3])): "unreachable"
        for cell in scene(one.file).healthy
        if other in cell[:2]
    }
    found = explain(scene(one.file), judged(one, {**one.wrong, **wrong}).cells, one.evidence)
    (cause,) = found.causes
    assert cause.finding.fault.id == "echo-ignored"
    assert {cell[1:3] for cell in cause.cells} == {(deaf, "icmp")}
    assert {end for cell in found.unexplained for end in cell[:2]} >= {other}


def without_a_route(
    asker: str, here: Scene, node: str, network: str
) -> dict[tuple[str, ...], Stop]:
    """Return that ``asker`` has no route to a network's containers on a node; there are two."""
    silent: dict[tuple[str, ...], Stop] = {
        (asker, child.end, protocol, "4"): "no_route"
        for child in here.children
        for protocol in ("icmp", "tcp", "udp")
        if (child.node, child.network.name) == (node, network)
    }
    assert len(silent) == 6
    return silent


@pytest.mark.parametrize(("network", "left"), [("lannet", 0), ("ipnet", 6)])
def test_where_a_nodes_silence_stops_is_due_to_what_cuts_it_off_from_that_network(
    network: str, left: int
) -> None:
    """Its own containers of a network don't answer a node; without a route it doesn't even ask."""
    one = Recorded(COREOS.file, "coreos-node-address-missing")
    here = scene(one.file)
    silent = without_a_route("core-02", here, "core-02", network)
    found = explain(here, judged(one, one.wrong, silent).cells, one.evidence)
    (cause,) = found.causes
    assert cause.finding.fault.id == "node-address-missing"
    assert len(found.unexplained) == left


@pytest.mark.parametrize(("asker", "left"), [("lannet-2a", 0), ("lannet-2b", 6)])
def test_who_sends_nothing_beyond_its_subnet_stops_sooner_where_nobody_would_answer(
    asker: str, left: int
) -> None:
    """Without a default route it doesn't even ask for ends that don't hear it; others still do."""
    one = Recorded(COREOS.file, "coreos-default-route-missing")
    here = scene(one.file)
    silent = without_a_route(asker, here, "core-01", "ipnet")
    found = explain(here, judged(one, one.wrong, silent).cells, one.evidence)
    (cause,) = found.causes
    assert (cause.finding.fault.id, cause.where) == ("default-route-missing", "lannet-2a, eth0")
    assert len(found.unexplained) == left


@pytest.mark.parametrize(("asker", "left"), [("lannet-3a", 0), ("lannet-2a", 3)])
def test_a_node_is_heard_by_its_own_containers_on_a_child_of_its_parent(
    asker: str, left: int
) -> None:
    """What a child of the parent answers with is the node's; containers elsewhere gain nothing."""
    one = Recorded(COREOS.file, "coreos-node-has-address-otherwise")
    here = scene(one.file)
    child = here.child(asker)
    assert child
    arrived: dict[tuple[str, ...], Stop] = {
        (asker, child.node, protocol, "4"): "no_answer" for protocol in ("icmp", "tcp", "udp")
    }
    found = explain(here, judged(one, one.wrong, arrived).cells, one.evidence)
    cause = found.causes[0]
    assert (cause.finding.fault.id, cause.where) == ("node-has-address", "core-03, rogue")
    assert len(found.unexplained) == left
    # Without the child nobody answers for the address, nor for the node.
    assert [step.script for step in cause.finding.steps] == ['ip link delete "$1"']


UNREAD = "[{}:0] -A INPUT -p tcp -m tcp --tcp-flags SYN,ACK SYN -j DROP"


def with_rule(packets: int) -> Evidence:
    """Return what a healthy lab shows with a rule that isn't understood, after so many packets."""
    documents = json.loads(json.dumps(COREOS.row["documents"]))
    space = documents["core-02"]["spaces"]["lannet-2a"]
    space["iptables"] = ["*filter", ":INPUT ACCEPT [0:0]", UNREAD.format(packets), "COMMIT"]
    return Evidence(documents)


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        (None, 40, ["container-drops-protocol"]),
        (7, 47, ["container-drops-protocol"]),
        (40, 40, []),  # somebody else's packets, before the cells were asked again
        (40, 43, []),  # fewer packets than cells are lost
        (None, 0, []),
    ],
)
def test_a_rule_that_is_not_understood_is_possible_where_it_counts_our_packets(
    before: int | None, after: int, named: list[str]
) -> None:
    here = scene(COREOS.file)
    wrong: dict[tuple[str, ...], str] = {
        (*cell[:3], str(cell[3])): "unreachable"
        for cell in here.healthy
        if cell[1] == "lannet-2a" and cell[2] == "tcp"
    }
    assert len(wrong) == 7
    earlier = None if before is None else with_rule(before)
    evidence = replace(with_rule(after), earlier=earlier)
    found = explain(here, judged(COREOS, wrong).cells, evidence)
    assert [cause.finding.fault.id for cause in found.causes] == named
    assert all(cause.sureness == "possible" for cause in found.causes)
    text = shown.explanation_text(found).plain
    if named:
        assert "lannet-2a · filters · possible · 7 cells" in text
        assert UNREAD.format(after) in text
        assert commands(found, found.causes[0])[0].endswith(
            "iptables-legacy -w 5 -D INPUT -p tcp -m tcp --tcp-flags SYN,ACK SYN -j DROP"
        )
    if before is not None and named:
        assert "40 packets more, while all cells were asked again" in text
    # What takes no packets of the cells that differ isn't named for them.
    udp = {(*key[:2], "udp", key[3]): observed for key, observed in wrong.items()}
    assert not explain(here, judged(COREOS, udp).cells, evidence).causes


def test_a_value_is_credited_only_to_what_takes_its_packets() -> None:
    """Between the same two ends a filter of IPv4 loses datagrams, but no ARP."""
    file = EVIDENCE / "seen.json.xz"
    here = scene(file)
    documents = json.loads(json.dumps(Recorded(file, GREEN).row["documents"]))
    node = next(c.node for c in here.plan.containers if c.name == "own-2a")
    space = documents[node]["spaces"]["own-2a"]
    space["iptables"] = ["*filter", ":INPUT ACCEPT [0:0]", "[99:0] -A INPUT -j DROP", "COMMIT"]
    wrong: dict[tuple[str, ...], str] = {
        (*cell[:3], str(cell[3])): "unreachable"
        for cell in here.healthy
        if "own-2a" in cell[:2] and cell[3] == 4
    }
    lost = [("own-1a", "own-2a", "source", "4"), ("own-1a", "own-2a", "pmtu", "4")]
    kept = [("own-1a", "own-2a", "arp", "4"), ("own-2a", "own-1a", "source", "4")]
    wrong |= dict.fromkeys(lost, "nothing") | {kept[0]: "nobody", kept[1]: "nothing"}
    found = explain(here, judged(Recorded(file, GREEN), wrong).cells, Evidence(documents))
    assert [cause.finding.fault.id for cause in found.causes] == ["container-drops-incoming"]
    credited = {cell[:3] for cell in found.causes[0].cells}
    assert {cell[:3] for cell in lost} <= credited
    assert {cell[:3] for cell in found.unexplained} == {cell[:3] for cell in kept}


@pytest.mark.parametrize(
    ("lab", "value", "found"),
    [
        ("coreos", "1", False),
        ("two-networks", "1", True),
        ("two-networks", "2", False),
    ],
)
def test_a_strict_filter_matters_only_where_ways_differ(lab: str, value: str, found: bool) -> None:
    file = EVIDENCE / f"{lab}.json.xz"
    evidence = Evidence(json.loads(json.dumps(Recorded(file, GREEN).row["documents"])))
    for document in evidence.documents.values():
        for space in document["spaces"].values():
            space["sysctl"]["net.ipv4.conf.all.rp_filter"] = value
    fault = next(f for f in RUNNING if f.id == "rp-filter")
    assert bool(list(fault.find(scene(file), evidence))) is found


@pytest.mark.parametrize("one", list(every()), ids=str)
def test_a_cure_can_be_pasted(one: Recorded) -> None:
    """Each line is one command of a shell, with names of the lab; where there is none, words."""
    explanation = explained(one)
    for cause in explanation.causes:
        lines = commands(explanation, cause)
        assert lines or cause.finding.fault.id == "ra-lost", cause
        assert cause.finding.cure
        for line in lines:
            program, verb, *words = shlex.split(line)
            assert (program, verb in ("exec", "up", "down")) == ("underlay", True), line
            plan = scene(one.file).plan
            if verb == "exec":
                spaces = {c.name for c in plan.containers} | {h.name for h in plan.hosts}
                spaces |= {n.name for n in plan.nodes} | {"switch"}
                assert words[0] in spaces
                assert words[1:4] == ["--lab", plan.lab, "--"]
                assert words[4:]


def test_what_takes_all_that_is_sent_accounts_for_values_that_nobody_asked_for() -> None:
    """Where nobody was to be heard, it is the same to whoever looks what else its source lost."""
    file = EVIDENCE / "seen.json.xz"
    here = scene(file)
    documents = json.loads(json.dumps(Recorded(file, GREEN).row["documents"]))
    node = next(c.node for c in here.plan.containers if c.name == "own-2a")
    space = documents[node]["spaces"]["own-2a"]
    space["qdiscs"] = ["qdisc netem 8001: dev eth0 root refcnt 2 limit 1000 loss 100%"]
    wrong = {
        (*cell[:3], str(cell[3])): "unreachable" for cell in here.healthy if "own-2a" in cell[:2]
    }
    cells = [
        replace(cell, observed="not_measured", reason=NEVER_LEFT)
        if cell.source == "own-2a" and cell.expected in ("nobody", ())
        else cell
        for cell in judged(Recorded(file, GREEN), wrong).cells
    ]
    asked = {key_of(cell) for cell in cells if cell.reason == NEVER_LEFT}
    assert {cell[2] for cell in asked} == {"arp", "nd"}
    found = explain(here, cells, Evidence(documents))
    assert [cause.finding.fault.id for cause in found.causes] == ["container-drops-outgoing"]
    assert asked <= set(found.causes[0].cells)
    green = explain(here, cells, Recorded(file, GREEN).evidence)
    assert not green.causes
    assert asked <= set(green.unexplained)
