"""What is better, worse, new and gone between two runs, and what that does to the exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from confusion import GREEN
from underlay.cli import main
from underlay.expect import predict
from underlay.lint import load
from underlay.observe.observation import Observation
from underlay.observe.unplanned import Looked
from underlay.plan import Plan
from underlay.proof.choice import Choice
from underlay.proof.result import LabResult
from underlay.proof.runs import schema
from underlay.proof.runs.comparison import Comparison, LabComparison, compare
from underlay.proof.runs.saving import saved
from underlay.report.comparison import comparison_document, comparison_markdown, comparison_text
from underlay.verdict import Cell, Verdict, judge, with_intent
from unit.proof import test_runs as runs
from unit.proof.test_explain import FILES, Recorded, explained, judged, recorded, scene
from unit.proof.test_runs import LABS, STRANGER, read_run, run_of, seen, source, write_run
from unit.report.test_report import as_predicted, plan_of
from unit.report.test_unplanned import BLIND, FOUND

home = runs.home
proven = runs.suite


def run(plan: Plan, verdict: Verdict, **more: Any) -> schema.Run:
    return run_of(saved(source(plan), LabResult(verdict)), **more)


def between(plan: Plan, before: Verdict, now: Verdict, **more: Any) -> Comparison:
    return compare(run(plan, before, **more), run(plan, now, **more), "old.json")


def text_of(compared: Comparison) -> str:
    return comparison_text(compared, width=100).plain


def name(cell: Cell) -> tuple[str, str, str, int]:
    return cell.source, cell.destination, str(cell.protocol), cell.family


def cells_that(lab: LabComparison, became: str) -> set[tuple[str, str, str, int]]:
    return {change.name for change in lab.changes if change.what == became}


def test_there_are_many_faults_to_compare() -> None:
    assert len(every_fault()) >= 20


def every_fault() -> list[Recorded]:
    found = []
    for file in FILES:
        names = [name for name in sorted(recorded(file)["faults"]) if name != GREEN]
        found += [Recorded(file, name) for name in names[:3]]
    return found


@pytest.mark.parametrize("one", every_fault(), ids=str)
def test_a_fault_is_worse_in_just_its_cells_and_its_mending_better(one: Recorded) -> None:
    plan = scene(one.file).plan
    green, red = judged(Recorded(one.file, GREEN), {}), judged(one, one.wrong)
    broken = run_of(saved(source(plan), LabResult(red, explained(one))))
    whole = run(plan, green)
    harmed = compare(whole, broken, "old.json")
    (lab,) = harmed.labs
    assert cells_that(lab, "worse") == {name(cell) for cell in red.cells if cell.differs}
    assert cells_that(lab, "unknown") == {name(cell) for cell in red.cells if not cell.measured}
    assert lab.same == len(red.cells) - len(lab.changes)
    assert {cell[:3] for cell in one.wrong} <= {change.name[:3] for change in lab.changes}
    assert harmed.exit_code == (1 if red.summary.differs else 3)
    assert [what for what, _ in lab.causes] == ["new"] * len(explained(one).causes)
    mended = compare(broken, whole, "old.json")
    assert cells_that(mended.labs[0], "better") == {change.name for change in lab.changes}
    assert len(mended.labs[0].changes) == len(lab.changes)
    assert mended.exit_code == 0
    # What is known already is no news, and a run differs from itself in nothing.
    for each in (whole, broken):
        again = compare(each, each, "old.json")
        assert not again.any
        assert not again.worse
        assert text_of(again).endswith("UTC: nothing differs\n")


def test_another_symptom_of_a_cell_that_differed_is_worse() -> None:
    plan = plan_of()
    before = seen(plan, wrong=1)
    cell = replace(before.cells[0], stopped_at="no_route")
    now = replace(before, cells=(cell, *before.cells[1:]))
    compared = between(plan, before, now)
    assert compared.counts["worse"] == 1
    assert compared.exit_code == 1
    assert not between(plan, now, now).any


def test_what_takes_longer_or_more_packets_is_as_before() -> None:
    plan = plan_of()
    before = seen(plan)
    slow = tuple(replace(cell, rtt_ms=99.0, attempts=3, lost=1) for cell in before.cells)
    assert not between(plan, before, replace(before, cells=slow)).any


def test_what_is_not_measured_any_more_is_no_pass_and_not_worse() -> None:
    plan = plan_of()
    compared = between(plan, seen(plan), seen(plan, missing=2))
    assert compared.counts["unknown"] == 2
    assert (compared.worse, compared.exit_code) == (False, 3)
    assert "2 not measured any more" in " ".join(text_of(compared).split())
    # Not measured before and now is as before, and no pass either.
    same = between(plan, seen(plan, missing=2), seen(plan, missing=2))
    assert (same.any, same.exit_code) == (False, 3)
    assert between(plan, seen(plan, missing=2), seen(plan)).counts["better"] == 2


def test_cells_of_ends_that_come_and_go_are_new_and_gone() -> None:
    small, large = plan_of(nodes=2), plan_of(nodes=3)
    compared = compare(run(small, seen(small)), run(large, seen(large)), "old.json")
    assert compared.counts["new"] == len(predict(large)) - len(predict(small))
    assert (compared.counts["gone"], compared.exit_code) == (0, 0)
    assert compared.labs[0].replanned
    assert "leads to another plan" in text_of(compared)
    back = compare(run(large, seen(large)), run(small, seen(small)), "old.json")
    assert (back.counts["gone"], back.exit_code) == (compared.counts["new"], 0)
    # What is new has to be as expected all the same.
    red = compare(run(small, seen(small)), run(large, lost(large, "lannet-3a")), "old.json")
    assert red.counts["worse"] == 0
    assert red.exit_code == 1


def lost(plan: Plan, end: str) -> Verdict:
    cells = [
        replace(cell, observed="unreachable", stopped_at="no_answer", arrived=False)
        if cell.destination == end and cell.observed == "reachable"
        else cell
        for cell in as_predicted(plan)
    ]
    return judge(plan.lab, "uml", predict(plan), Observation(tuple(cells), {}, {}))


def test_statements_are_compared_by_their_words() -> None:
    plan = load(LABS / "intent.yml").plan
    never = replace(plan.intent[0], never=True)
    kept = with_intent(seen(plan), plan)
    broken = with_intent(seen(plan), replace(plan, intent=(never, *plan.intent[1:])))
    fewer = with_intent(seen(plan), replace(plan, intent=plan.intent[1:]))
    worse = between(plan, kept, broken)
    assert [(one.what, one.before, one.now) for one in worse.labs[0].statements] == [
        ("worse", "kept", "broken")
    ]
    assert (worse.counts["worse"], worse.exit_code) == (0, 1)
    assert between(plan, broken, kept).labs[0].statements[0].what == "better"
    assert between(plan, broken, broken).exit_code == 0
    assert between(plan, kept, fewer).labs[0].statements[0].what == "gone"
    new = between(plan, fewer, broken)
    assert (new.labs[0].statements[0].what, new.exit_code) == ("new", 1)
    assert between(plan, fewer, kept).exit_code == 0


def test_what_nobody_planned_counts_only_where_it_does_in_check() -> None:
    plan = plan_of()

    def verdict(looked: Looked) -> Verdict:
        cells = Observation(tuple(as_predicted(plan)), {}, {}, looked)
        return judge("shown", "uml", predict(plan), cells)

    none, some = verdict(Looked()), verdict(Looked(FOUND))
    assert between(plan, none, some).exit_code == 0
    assert between(plan, none, some, strict=True).exit_code == 1
    assert between(plan, some, some, strict=True).exit_code == 0
    assert between(plan, some, none, strict=True).exit_code == 0
    assert between(plan, none, verdict(Looked((), BLIND)), strict=True).exit_code == 3
    stranger = replace(none, strangers=(STRANGER,))
    assert between(plan, none, stranger).exit_code == 0
    assert between(plan, none, stranger, strict=True).exit_code == 1
    assert between(plan, stranger, stranger, strict=True).exit_code == 0
    assert "runs, not planned, new: core-01: redis" in text_of(between(plan, none, stranger))
    said = text_of(between(plan, none, some))
    assert "reachable, not planned, new: lannet-1a 20.1.0.200 (address)" in said


def test_labs_and_versions_that_are_not_those_of_then_are_named() -> None:
    plan = plan_of()
    other = replace(plan, lab="other")
    one = saved(source(plan), LabResult(seen(plan)))
    two = saved(source(other), LabResult(seen(other)))
    compared = compare(run_of(one, kernel="6.1"), run_of(two, kernel="6.12"), "old.json")
    assert {lab.lab: lab.there for lab in compared.labs} == {"other": "now", "shown": "before"}
    assert compared.versions == {"kernel of the host": ("6.1", "6.12")}
    said = text_of(compared)
    assert "kernel of the host: 6.1 → 6.12" in said
    assert "other is only in the later run" in said
    assert "shown is only in the earlier run" in said


def test_only_chosen_cells_are_compared() -> None:
    plan = plan_of()
    before = run_of(saved(source(plan), LabResult(seen(plan))))
    harmed = LabResult(lost(plan, "ipnet-2a"))
    for names, worse in ((("lannet",), False), (("ipnet-2a",), True)):
        chosen = Choice(only=names).of(plan)
        compared = compare(before, run_of(saved(source(plan), harmed, chosen)), "old.json")
        assert compared.worse is worse
        assert compared.counts["gone"] == 0


def test_all_formats_tell_the_same() -> None:
    plan = plan_of()
    compared = between(plan, seen(plan, wrong=1), lost(plan, "ipnet-2a"))
    document = json.loads(json.dumps(comparison_document(compared)))
    assert document["summary"]["worse"] == compared.counts["worse"] > 0
    assert document["summary"]["better"] == 1
    assert document["exit_code"] == 1
    (lab,) = document["labs"]
    assert {cell["change"] for cell in lab["cells"]} == {"worse", "better"}
    changed = next(cell for cell in lab["cells"] if cell["change"] == "worse")
    assert changed["before"]["differs"] is False
    assert changed["now"]["differs"] is True
    text, page = text_of(compared), "\n".join(comparison_markdown(compared))
    words = "reachable, as expected → unreachable (no_answer), expected reachable"
    for told in (text, page.replace("\\", "")):
        assert f"{compared.counts['worse']} cells worse: {words}" in told
        assert "1 cell better" in told
    assert max(map(len, text.splitlines())) <= 100
    assert comparison_text(compared, width=100, ascii_only=True).plain.isascii()


@pytest.mark.parametrize(
    ("then", "now", "code", "says"),
    [
        (0, 0, 0, "nothing differs"),
        (3, 3, 0, "nothing differs"),
        (0, 3, 1, "3 worse"),
        (3, 0, 0, "3 better"),
        (3, 1, 0, "2 better"),
    ],
)
def test_check_compares_with_a_run_that_was_saved(
    then: int,
    now: int,
    code: int,
    says: str,
    proven: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    proven.wrong = then
    assert main(["check", "flat", "--save", str(old)]) == (1 if then else 0)
    proven.wrong = now
    capsys.readouterr()
    assert main(["check", "flat", "--baseline", str(old), "--save", str(new)]) == code
    out = capsys.readouterr().out
    assert says in out.partition("Compared with")[2]
    assert main(["report", str(new), "--baseline", str(old)]) == code
    assert capsys.readouterr().out == out
    # Without a file of its own, and as JSON.
    assert main(["check", "flat", "--baseline", str(old), "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["baseline"]["exit_code"] == code
    assert main(["report", str(new), "--baseline", str(old), "--format", "json"]) == code
    again = json.loads(capsys.readouterr().out)
    assert again["baseline"] == document["baseline"]
    assert main(["report", str(new), "--baseline", str(old), "--format", "md"]) == code
    assert says in capsys.readouterr().out


def test_a_run_may_take_the_place_of_its_baseline(
    proven: Any,
    tmp_path: Path,
) -> None:
    file = tmp_path / "run.json"
    assert main(["check", "flat", "--save", str(file)]) == 0
    proven.wrong = 2
    assert main(["check", "flat", "--save", str(file), "--baseline", str(file)]) == 1
    assert main(["check", "flat", "--save", str(file), "--baseline", str(file)]) == 0


def test_a_baseline_that_is_none_is_told_before_anything_is_done(
    proven: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "old.json"
    assert main(["check", "flat", "--baseline", str(file)]) == 2
    assert "can't be read: No such file" in capsys.readouterr().err
    write_run(run_of(reached="bringing up"), file)
    assert read_run(file).labs == ()
    assert main(["check", "flat", "--baseline", str(file)]) == 2
    assert "is a run in which no cell is" in capsys.readouterr().err
