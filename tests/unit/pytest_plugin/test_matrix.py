"""What a matrix answers a test, of what real nodes once showed under a fault."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from confusion import EVIDENCE
from underlay.expect import Prediction, predict
from underlay.lint import load
from underlay.proof.explanation import NOTHING
from underlay.proof.lab import Proof
from underlay.pytest_plugin.cells import Asked, told
from underlay.pytest_plugin.matrix import Matrix
from underlay.storage.paths import root
from underlay.verdict import with_intent
from unit.proof.test_explain import Recorded, explained, judged, recorded, scene
from unit.proof.test_runs import seen
from unit.report.test_report import plan_of

COREOS = EVIDENCE / "coreos.json.xz"
DUAL = EVIDENCE / "dual-stack.json.xz"
FAILED = pytest.fail.Exception


def matrix_of(**how: int) -> tuple[Matrix, list[Asked]]:
    plan, notes = plan_of(), []
    matrix = Matrix(Prediction(plan), Proof(seen(plan, **how), NOTHING), notes.append)
    return matrix, notes


def under(fault: str) -> tuple[Matrix, list[Asked]]:
    one, notes = Recorded(COREOS, fault), []
    proof = Proof(judged(one, one.wrong), explained(one))
    return Matrix(Prediction(scene(COREOS).plan), proof, notes.append), notes


@pytest.mark.parametrize(
    "fault", ["coreos-child-down", "coreos-cable-cut", "coreos-node-drops", "coreos-hairpin"]
)
def test_an_answer_names_the_cause_and_the_section_its_evidence_and_cure(fault: str) -> None:
    matrix, notes = under(fault)
    wrong = next(cell for cell in matrix.verdict.reach if cell.differs)
    answer = matrix.reaches(wrong.source, wrong.destination, wrong.protocol)
    cause = explained(Recorded(COREOS, fault)).causes[0]
    head = f"{cause.finding.fault.title} ({cause.where})"
    assert bool(answer) is (wrong.observed == "reachable")
    assert f"not as predicted: {head}" in repr(answer)
    section = told(notes)
    for part in (cause.finding.fault.id, cause.finding.proofs[0].command, "Cure:", wrong.because):
        assert part in " ".join(section.split()), section
    assert head in repr(matrix.as_expected)
    assert not matrix.as_expected


def test_what_is_as_predicted_is_said_with_the_reason() -> None:
    matrix, notes = matrix_of()
    answer = matrix.reaches("lannet-1a", "core-01", "icmp")
    assert not answer
    assert repr(answer).startswith(
        "lannet-1a does not reach core-01 by icmp, as predicted: A macvlan child's frames go to its"
    )
    assert "Linux drivers/net/macvlan.c" in told(notes)
    assert "Cause" not in told(notes)
    assert matrix.as_expected
    assert repr(matrix.as_expected) == "612 cells: 612 as expected, 0 differ, 0 not measured"


def test_an_answer_is_about_all_cells_or_none() -> None:
    matrix, _ = matrix_of(wrong=1)
    assert matrix.reaches("lannet-2*", "lannet-3*")
    assert not matrix.reaches("lannet", "ipnet")
    with pytest.raises(FAILED, match=r"some of each.*lannet-1a does not reach lannet-1b by icmp"):
        matrix.reaches("lannet-1a", "lannet-1b")
    with pytest.raises(FAILED, match=r"some of each.*lannet-1a reaches lannet-1b by tcp \(and 1"):
        matrix.reaches("lannet-1a", "lannet-1b")


def test_what_was_not_measured_is_neither_yes_nor_no() -> None:
    matrix, _ = matrix_of(missing=1)
    for ask in (
        lambda: matrix.reaches("lannet-1a", "lannet-1b", "icmp"),
        lambda: matrix.reaches("lannet-1a", "lannet-1b"),
        lambda: matrix.cell("lannet-1a", "lannet-1b", "icmp").reachable,
        lambda: matrix.cell("lannet-1a", "lannet-1b", "icmp").as_expected,
        lambda: matrix.cell("lannet-1a", "lannet-1b", "icmp").observed,
    ):
        with pytest.raises(FAILED, match=r"lannet-1a → lannet-1b \(icmp\) was not measured: noth"):
            ask()
    assert not matrix.as_expected


def test_a_cell_says_what_it_is() -> None:
    matrix, _ = matrix_of(wrong=1)
    cell = matrix.cell("lannet-1a", "lannet-1b", "icmp")
    assert (cell.source, cell.destination, cell.protocol, cell.family) == (
        "lannet-1a",
        "lannet-1b",
        "icmp",
        4,
    )
    assert (cell.expected, cell.observed) == ("reachable", "unreachable")
    assert not cell.reachable
    assert not cell.as_expected
    assert cell.cause == "no cause found"
    assert repr(cell) == (
        "lannet-1a → lannet-1b (icmp): expected reachable, observed unreachable: no answer came"
        " (no_answer), no cause found"
    )
    other = matrix.cell("lannet-1a", "lannet-1b", "tcp")
    assert other.reachable
    assert other.as_expected
    assert other.cause == ""


def test_a_check_is_compared_and_not_reached() -> None:
    one = Recorded(
        EVIDENCE / "seen-overlay.json.xz", first_fault(EVIDENCE / "seen-overlay.json.xz")
    )
    plan = scene(one.file).plan
    matrix = Matrix(Prediction(plan), Proof(judged(one, {}), NOTHING), lambda _: None)
    cell = next(cell for cell in matrix.cells() if cell.protocol == "pmtu")
    assert cell.observed == cell.expected != ""
    with pytest.raises(FAILED, match=r"\(pmtu\) asks what is seen: compare `observed`"):
        matrix.reaches(cell.source, cell.destination, "pmtu")
    # Without a protocol it is about reaching alone.
    assert matrix.reaches(cell.source, cell.destination, family=4)


def test_a_family_is_chosen_where_a_lab_has_both() -> None:
    one = Recorded(DUAL, first_fault(DUAL))
    plan = scene(DUAL).plan
    matrix = Matrix(Prediction(plan), Proof(judged(one, {}), NOTHING), lambda _: None)
    first = next(cell for cell in matrix.verdict.reach if cell.family == 6)
    pair = (first.source, first.destination, first.protocol)
    with pytest.raises(FAILED, match="2 cells are called so, expected one: "):
        matrix.cell(*pair)
    assert [matrix.cell(*pair, family=family).family for family in (4, 6)] == [4, 6]


def test_statements_of_what_is_wanted_are_an_answer_too() -> None:
    plan = load(root() / "labs" / "intent.yml").plan

    def matrix(wrong: int) -> Matrix:
        verdict = with_intent(seen(plan, wrong=wrong), plan)
        return Matrix(Prediction(plan), Proof(verdict, NOTHING), lambda _: None)

    count = len(plan.intent)
    kept, broken = matrix(0).as_wanted, matrix(len(predict(plan))).as_wanted
    assert kept
    assert repr(kept) == f"{count} of {count} statements kept"
    assert not broken
    assert re.match(rf"\d of {count} statements kept: line \d+: .*: broken", repr(broken))


def test_a_lab_that_wants_nothing_has_no_such_answer() -> None:
    matrix, _ = matrix_of()
    with pytest.raises(FAILED, match="the lab shown says nothing of what is wanted"):
        bool(matrix.as_wanted)


def first_fault(file: Path) -> str:
    """Return the first fault that was recorded in a lab."""
    return next(iter(recorded(file)["faults"]))
