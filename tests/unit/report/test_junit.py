"""JUnit XML of a run, on every way out: validated against a schema and read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from junitparser import Error, Failure, JUnitXml, TestCase

from confusion import GREEN
from junit_schema import prove_valid
from underlay.cli import main
from underlay.expect import predict
from underlay.faults.step import Proof
from underlay.lint import load
from underlay.observe.observation import Observation
from underlay.observe.unplanned import Looked
from underlay.plan import Plan
from underlay.proof.result import LabResult
from underlay.proof.runs.saving import saved
from underlay.report.junit import junit_text
from underlay.report.run import Told
from underlay.verdict import judge, with_intent
from unit.proof import test_runs as runs
from unit.proof.test_explain import FILES, Recorded, explained, judged, recorded, scene
from unit.proof.test_runs import LABS, interrupt, run_of, seen, source
from unit.report.test_report import as_predicted, plan_of
from unit.report.test_unplanned import BLIND, FOUND

home = runs.home
proven = runs.suite


def read(text: str) -> JUnitXml:
    """Return the XML once it has been held against the schema."""
    prove_valid(text)
    return JUnitXml.fromstring(text.encode())


def told(plan: Plan, result: LabResult, **more: Any) -> str:
    return junit_text(Told(run_of(saved(source(plan), result), **more)))


def cases(page: JUnitXml) -> dict[tuple[str, str], TestCase]:
    return {(suite.name, case.name): case for suite in page for case in suite}


def outcomes(page: JUnitXml, kind: type) -> dict[tuple[str, str], Any]:
    found = {name: case.result for name, case in cases(page).items()}
    return {name: one[0] for name, one in found.items() if one and isinstance(one[0], kind)}


def test_a_green_run_has_a_suite_per_pair_of_networks_and_a_case_per_source() -> None:
    plan = plan_of()
    page = read(told(plan, LabResult(seen(plan))))
    assert {suite.name for suite in page} == {
        f"shown: {one} → {other}"
        for one in ("lannet", "ipnet", "nodes")
        for other in ("lannet", "ipnet", "nodes")
        if (one, other) != ("nodes", "nodes")
    }
    assert (page.tests, page.failures, page.errors) == (6 * 3 + 6 * 3 + 3 * 2, 0, 0)
    assert {suite.skipped for suite in page} == {0}
    assert {case.name for case in next(iter(page))} == {
        f"lannet-{n}{x}" for n in (1, 2, 3) for x in "ab"
    }


def test_a_cell_that_differs_fails_its_case_and_no_other() -> None:
    plan = plan_of()
    page = read(told(plan, LabResult(seen(plan, wrong=1))))
    ((name, failure),) = outcomes(page, Failure).items()
    assert name == ("shown: lannet → lannet", "lannet-1a")
    assert failure.message == "1 cell of 15 differ: no cause found"
    assert failure.text.startswith(
        "lannet-1a → lannet-1b (icmp): expected reachable, observed unreachable: no answer came"
    )
    assert (page.failures, page.errors) == (1, 0)


def test_what_was_not_measured_is_an_error() -> None:
    plan = plan_of()
    page = read(told(plan, LabResult(seen(plan, missing=2))))
    ((name, error),) = outcomes(page, Error).items()
    assert name == ("shown: lannet → lannet", "lannet-1a")
    assert error.message.startswith("2 cells of 15 not measured: nothing was measured")
    assert (page.failures, page.errors, sum(suite.skipped for suite in page)) == (0, 1, 0)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_a_failure_names_the_cause_with_its_evidence_and_cure(file: Path) -> None:
    one = Recorded(file, next(name for name in recorded(file)["faults"] if name != GREEN))
    verdict = judged(one, one.wrong)
    explanation = explained(one)
    page = read(told(scene(file).plan, LabResult(verdict, explanation)))
    failing = {**outcomes(page, Error), **outcomes(page, Failure)}
    assert bool(page.failures) is bool(verdict.summary.differs)
    cause = explanation.causes[0]
    named = [one for one in failing.values() if cause.finding.fault.title in one.message]
    assert named
    assert cause.finding.fault.id in named[0].text
    assert cause.finding.proofs[0].command in named[0].text
    assert "Cure:" in named[0].text


def test_cases_have_their_share_of_the_time_and_add_up_to_it() -> None:
    plan = plan_of()
    verdict = replace(seen(plan), timings={"measure": 3.0})
    page = read(told(plan, LabResult(verdict), timings={"total": 9.0}))
    times = [case.time for suite in page for case in suite]
    assert sum(times) == pytest.approx(3.0, abs=0.01)
    assert sum(suite.time for suite in page) == pytest.approx(3.0, abs=0.01)
    (lannet,) = [suite for suite in page if suite.name == "shown: lannet → lannet"]
    cells = [cell for cell in verdict.cells if cell.source == "lannet-1a"]
    among = [cell for cell in cells if cell.destination.startswith("lannet")]
    assert next(iter(lannet)).time == pytest.approx(3.0 * len(among) / len(verdict.cells), abs=1e-3)
    assert page.time == 9.0
    # A lab that is up already has been measured, and nothing else was done with it.
    assert read(told(plan, LabResult(verdict))).time == 3.0


def test_statements_are_a_suite_of_their_own() -> None:
    plan = load(LABS / "intent.yml").plan
    never = replace(plan.intent[0], never=True)
    unknown = replace(plan.intent[1], sources=("nobody",))
    wanted = replace(plan, intent=(never, unknown, *plan.intent[2:]))
    page = read(told(plan, LabResult(with_intent(seen(plan), wanted))))
    ((_, failure),) = outcomes(page, Failure).items()
    assert failure.message.startswith("broken by ")
    ((name, error),) = outcomes(page, Error).items()
    assert name[0] == "intent: what is wanted"
    assert error.message == "no cell of this lab is about it"


def test_what_nobody_planned_fails_where_it_counts() -> None:
    plan = plan_of()
    observation = Observation(tuple(as_predicted(plan)), {}, {}, Looked(FOUND, BLIND))
    result = LabResult(judge("shown", "uml", predict(plan), observation))
    assert read(told(plan, result)).failures == 0
    page = read(told(plan, result, strict=True))
    assert (page.failures, page.errors) == (len(FOUND), len(BLIND))
    observation = Observation(tuple(as_predicted(plan)), {}, {}, Looked())
    verdict = judge("shown", "uml", predict(plan), observation)
    assert read(told(plan, LabResult(verdict), strict=True)).failures == 0
    beside = LabResult(replace(verdict, strangers=(runs.STRANGER,)))
    assert read(told(plan, beside)).failures == 0
    assert read(told(plan, beside, strict=True)).failures == 1


def test_what_xml_can_not_hold_is_left_out() -> None:
    one = Recorded(FILES[0], sorted(recorded(FILES[0])["faults"])[1])
    found = explained(one)
    proof = Proof("core-01", "dmesg", ("\x1b[31mred\x00 <&>\ud800",))
    finding = replace(found.causes[0].finding, proofs=(proof,))
    odd = replace(found, causes=(replace(found.causes[0], finding=finding),))
    text = junit_text(
        Told(run_of(saved(source(scene(FILES[0]).plan), LabResult(judged(one, one.wrong), odd))))
    )
    failing = outcomes(read(text), Failure)
    assert any("�[31mred� <&>�" in (one.text or "") for one in failing.values())


@pytest.mark.parametrize(
    ("words", "change", "code", "failures", "errors", "says"),
    [
        (["flat"], {}, 0, 0, 0, ""),
        (["flat"], {"wrong": 1}, 1, 1, 0, "differ"),
        (["flat"], {"down": "flat"}, 3, 0, None, "not measured: core-01: its kernel ended"),
        (["flat"], {"during": staticmethod(interrupt)}, 130, 0, None, "interrupted"),
        (["no-such-lab"], {}, 2, 0, 1, "there is no lab 'no-such-lab'"),
        (["--lab", "nothing"], {}, 2, 0, 1, "while reading files"),
    ],
    ids=["green", "red", "nothing came up", "interrupted", "no lab", "no running lab"],
)
def test_it_is_written_on_every_way_out(
    words: list[str],
    change: dict[str, Any],
    code: int,
    failures: int,
    errors: int | None,
    says: str,
    proven: Any,
    tmp_path: Path,
) -> None:
    for name, value in change.items():
        setattr(proven, name, value)
    file = tmp_path / "junit.xml"
    save = tmp_path / "run.json"
    assert main(["check", *words, "--junit", str(file), "--save", str(save)]) == code
    page = read(file.read_text())
    assert page.failures == failures
    # Every case is an error where nothing was measured.
    assert page.errors == (page.tests if errors is None else errors)
    messages = [
        o.message for o in (*outcomes(page, Failure).values(), *outcomes(page, Error).values())
    ]
    assert all(says in message for message in messages) or any(says in m for m in messages)
    again = tmp_path / "again.xml"
    assert main(["report", str(save), "--format", "junit", "-o", str(again)]) == 0
    assert again.read_text() == file.read_text()


def test_a_killed_run_has_left_errors(proven: Any, tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    left: list[str] = []
    during: Callable[[], None] = lambda: left.append(file.read_text())  # noqa: E731
    proven.during = staticmethod(during)
    assert main(["check", "flat", "--junit", str(file)]) == 0
    page = read(left[0])
    assert (page.failures, page.errors) == (0, page.tests)
    assert any("it was killed" in one.message for one in outcomes(page, Error).values())
