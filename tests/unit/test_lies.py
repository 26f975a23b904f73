"""What a tool's word is worth, and the questions that the benchmark asks in its users' name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.running import LABS
from lies.page import LABS as LABS_IN
from lies.page import page
from lies.places import NARROWER, placed, placeless
from lies.questions import Question, cells, questions
from lies.record import HEALTHY, NAME, fault_rows, lab_rows
from lies.referee import ASTRAY, NOBODY, REACHED
from lies.tally import (
    BROKEN_FINE,
    BROKEN_UNASKED,
    FINE_ASTRAY,
    NO_MATTER,
    RIGHT,
    SILENT,
    changes,
    kept,
    of_cell,
    of_lab,
    row,
    runs,
    unpacked,
)
from lies.tools import (
    BROKEN,
    FINE,
    NO_WORD,
    WRITTEN,
    Said,
    goss_cells,
    goss_file,
    goss_text,
    star_clients,
)
from underlay.expect import Prediction
from underlay.faults import RUNNING, Effect, Scene, running_fault
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.proof.records.keeping import read
from underlay.storage.paths import root


def plan_of(lab: str) -> Plan:
    return make_plan(read_lab(root() / LABS[lab][0]))


def near(lab: str) -> list[Question]:
    return [question for question in questions(plan_of(lab)) if question.together]


@pytest.mark.parametrize(
    ("word", "truth", "asked", "worth"),
    [
        (FINE, REACHED, True, RIGHT),
        (FINE, ASTRAY, True, FINE_ASTRAY),
        (FINE, NOBODY, True, FINE_ASTRAY),
        (BROKEN, ASTRAY, True, RIGHT),
        (BROKEN, REACHED, True, BROKEN_FINE),
        (BROKEN, REACHED, False, BROKEN_FINE),
        (BROKEN, ASTRAY, False, BROKEN_UNASKED),
        (BROKEN, NOBODY, True, BROKEN_UNASKED),
        (NO_WORD, NOBODY, True, RIGHT),
        (NO_WORD, ASTRAY, True, SILENT),
        (NO_WORD, REACHED, True, SILENT),
    ],
)
def test_a_word_about_a_cell(word: str, truth: str, asked: bool, worth: str) -> None:
    assert of_cell(word, truth, asked=asked) == worth


@pytest.mark.parametrize(
    ("verdict", "changed", "beyond", "worth"),
    [
        (FINE, 0, 0, RIGHT),
        (FINE, 3, 0, FINE_ASTRAY),
        (BROKEN, 3, 0, RIGHT),
        (BROKEN, 0, 0, BROKEN_FINE),
        (BROKEN, 0, 2, NO_MATTER),
        (NO_WORD, 0, 0, SILENT),
        (NO_WORD, 3, 0, SILENT),
    ],
)
def test_a_word_about_a_lab(verdict: str, changed: int, beyond: int, worth: str) -> None:
    assert of_lab(verdict, changed, beyond) == worth


def test_a_row_says_where_a_tool_was_wrong_and_where_it_did_not_look() -> None:
    healthy = {("a", "b", word, 4): REACHED for word in ("icmp", "tcp")}
    truth = {**healthy, ("a", "b", "tcp", 4): ASTRAY}
    changed = changes(truth, healthy)
    assert changed == [("a", "b", "tcp", 4)]
    pinged = row(Said(cells={("a", "b", "icmp", 4): FINE}), truth, changed)
    assert (pinged["worth"], pinged["blind"], pinged["wrong"]) == (FINE_ASTRAY, True, [])
    curled = row(Said(cells={("a", "b", "tcp", 4): FINE}), truth, changed)
    assert (curled["worth"], curled["blind"]) == (FINE_ASTRAY, False)
    assert curled["wrong"] == [["a", "b", "tcp", 4, FINE_ASTRAY]]
    seen = row(Said(cells={("a", "b", "tcp", 4): BROKEN}), truth, changed)
    assert (seen["says"], seen["worth"], seen["wrong"]) == (BROKEN, RIGHT, [])


def test_one_failed_test_is_a_broken_lab() -> None:
    assert (
        Said(cells={("a", "b", "icmp", 4): FINE, ("b", "a", "icmp", 4): BROKEN}).verdict == BROKEN
    )
    assert Said(cells={("a", "b", "icmp", 4): FINE, ("b", "a", "icmp", 4): NO_WORD}).verdict == (
        NO_WORD
    )
    assert Said(cells={("a", "b", "icmp", 4): FINE}).verdict == FINE


def test_the_questions_are_who_shares_a_network_and_nodes_with_others_containers() -> None:
    asked = near("coreos")
    pairs = {question.pair for question in asked}
    assert len(pairs) == len(asked) == 2 * 6 * 5 + 3 * 8
    assert ("lannet-1a", "lannet-1b", 4) in pairs
    assert ("core-01", "lannet-2a", 4) in pairs
    assert ("core-01", "lannet-1a", 4) not in pairs
    assert ("lannet-1a", "ipnet-2a", 4) not in pairs
    apart = [question for question in questions(plan_of("coreos")) if not question.together]
    assert {len(cells(question)) for question in apart} == {1}


def test_each_test_of_a_goss_file_is_about_one_cell() -> None:
    asked = near("coreos")
    for node in ("core-01", "core-02", "core-03"):
        file, about = goss_file(node, asked), goss_cells(node, asked)
        named = {(kind.capitalize(), name) for kind, tests in file.items() for name in tests}
        assert named <= set(about)
        assert len(file["addr"]) == 8
        assert len(file["http"]) == 4
        assert len(file["command"]) == 4 * 5
    assert about["Addr", "tcp://20.1.1.65:8080"][0] == "core-03"


def test_the_star_has_a_server_in_each_network_and_a_client_on_each_node() -> None:
    clients = star_clients(near("coreos"))
    assert {(q.source.name, q.destination.name) for q in clients} == {
        (f"{network}-{client}", f"{network}-1a")
        for network in ("lannet", "ipnet")
        for client in ("1b", "2a", "3a")
    }


@pytest.mark.parametrize("lab", LABS_IN)
def test_goss_files_are_those_that_were_run(lab: str, golden: Callable[[Path, str], None]) -> None:
    row = lab_rows(read(NAME)).get(lab)
    if row is None:
        pytest.skip(f"{lab} is not measured yet")
    letters = {"r": REACHED, "a": ASTRAY, "n": NOBODY}
    healthy = dict(zip(row.cells, (letters[one] for one in unpacked(row.healthy)), strict=True))
    asked = [question for question in near(lab) if kept(question, healthy)]
    for node in plan_of(lab).nodes:
        golden(WRITTEN / lab / f"{node.name}.goss.yaml", goss_text(node.name, asked))


# Whose cells the referee sees otherwise than `check`, and why.
SEEN_OTHERWISE = {
    "container-refuses": "refuses the port of `check` alone",
    "wrong-address": "the referee asks from the wrong address, `check` from the planned one",
    "ipv6-address-missing": "the referee asks from another address where the planned one is gone",
    "neighbour-table-full": "who gets the last places is decided anew each time",
    "wrong-segment": "a node with two interfaces in one segment answers ARP by either",
    "broadcast-off": "a neighbour that was found before stays found",
    "node-port-quiet": "an address that a bridge has learned stays learned",
}
ASKED = ("icmp", "tcp", "udp")


@pytest.mark.parametrize("lab", LABS_IN)
def test_the_catalogue_says_of_each_fault_what_the_referee_saw(lab: str) -> None:
    """All that a fault is certain to change was lost on real nodes, and nothing beyond possible.

    The referee shares no code with the catalogue, nor with what measures for `check`.
    """
    record = read(NAME)
    about = lab_rows(record).get(lab)
    if about is None:
        pytest.skip(f"{lab} is not measured yet")
    scene = Scene(Prediction(plan_of(lab)))
    cells = [tuple(cell) for cell in about.cells]
    healthy = dict(zip(cells, unpacked(about.healthy), strict=True))
    asked = {cell for cell in cells if healthy[cell] == "r" and cell[2] in ASKED}
    wrong = {}
    for name, seen in fault_rows(record, lab).items():
        effect = effect_at(scene, name, seen.where)
        if effect is None or name in SEEN_OTHERWISE:
            continue
        truth = dict(zip(cells, unpacked(seen.truth), strict=True))
        lost = {cell for cell in asked if truth[cell] != "r"}
        kept_all_the_same = (effect.certain & asked) - lost
        beyond = lost - effect.every
        if kept_all_the_same or beyond:
            wrong[name] = (sorted(kept_all_the_same)[:3], sorted(beyond)[:3])
    assert wrong == {}


def effect_at(scene: Scene, name: str, where: str) -> Effect | None:
    """Return what a fault does at the place that the benchmark takes; None on the healthy lab."""
    if name == HEALTHY:
        return None
    fault = running_fault(name)
    effects = ((str(p), fault.effect(scene, p)) for p in fault.places(scene))
    return next((effect for place, effect in effects if effect.every and place == where), None)


def test_letters_come_back() -> None:
    assert unpacked(runs("rrrab")) == "rrrab"


def test_curls_client_is_there() -> None:
    assert (WRITTEN / "curl-client.sh").read_text().startswith("#!/bin/sh\n")


def test_each_fault_of_the_catalogue_is_tried_or_named_with_the_reason() -> None:
    nowhere = {one.fault: one for one in placeless(LABS_IN)}
    tried = {name for lab in LABS_IN for name in placed(lab)}
    assert nowhere.keys() | tried == {fault.id for fault in RUNNING}
    assert not nowhere.keys() & tried
    assert all(one.why for one in nowhere.values())
    assert NARROWER.keys() <= nowhere.keys()
    said = page()
    assert f"Of the {len(RUNNING)} faults" in said
    assert f"{len(nowhere)} have no place in any of" in said
    assert [name for name in nowhere if f"| {name} | {nowhere[name].title} |" not in said] == []


def test_a_fault_has_a_place_once_a_lab_has_what_it_needs() -> None:
    assert {"docker-down", "wrong-vlan"} <= {one.fault for one in placeless(LABS_IN)}
    more = {one.fault for one in placeless((*LABS_IN, "docker-vlan"))}
    assert not {"docker-down", "wrong-vlan"} & more
    assert "namespace-gone" in more
