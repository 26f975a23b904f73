"""What `check FILE|DIR` makes of what it is given, and of what became of the labs."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from underlay.cli import main
from underlay.cli.checks.files import show_result
from underlay.cluster.state.lab import LabState
from underlay.cluster.suite import Brought
from underlay.errors import BadInput, Infrastructure, Interrupted
from underlay.expect import predict
from underlay.lint import Loaded, load
from underlay.lint.read import read_lab
from underlay.observe.observation import Observation, Seen
from underlay.plan import Plan, make_plan
from underlay.proof import labs
from underlay.proof.explanation import Explanation
from underlay.proof.labs import LabResults, prove_brought
from underlay.proof.result import LabResult
from underlay.proof.runs.schema import Event, Healed, NodeEvent, SavedError
from underlay.report.results import result_document, sum_line
from underlay.storage import paths
from underlay.verdict import Verdict, judge, with_intent

LABS = paths.root() / "labs"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def plan() -> Plan:
    return make_plan(read_lab(LABS / "flat.yml"))


def seen(plan: Plan, *, wrong: int = 0, missing: int = 0) -> Verdict:
    """Return a verdict in which the first cells are otherwise than expected, or not measured."""
    expected = list(predict(plan))
    other = {True: "unreachable", False: "reachable"}
    right = {True: "reachable", False: "unreachable"}
    cells = tuple(
        Seen(
            e.source,
            e.destination,
            e.protocol,
            (other if i < wrong else right)[e.reachable],
            stopped_at=e.stop,
        )
        for i, e in enumerate(expected)
        if i >= missing
    )
    return judge(plan.lab, "uml", expected, Observation(cells, {}, {}))


NEVER = Healed(source="a", destination="b", family=4, lost=5, after=0.5, healed=None)


def results(*verdicts: Verdict) -> LabResults:
    return LabResults({str(number): LabResult(each) for number, each in enumerate(verdicts)})


def test_the_exit_code_is_that_of_the_worst_lab(plan: Plan) -> None:
    green, differs, partly = seen(plan), seen(plan, wrong=1), seen(plan, missing=1)
    assert results(green, green).exit_code == 0
    assert results(green, partly).exit_code == 3
    assert results(green, partly, differs).exit_code == 1
    # Nothing that ran is nothing that passed.
    assert results().exit_code == 3


def test_the_last_line_says_in_words_how_many_labs_went_how(plan: Plan) -> None:
    green, differs, partly = seen(plan), seen(plan, wrong=1), seen(plan, missing=1)
    assert sum_line(results(green)) == "1 lab as expected"
    assert sum_line(results(differs)) == "1 lab differs"
    lost = NodeEvent(node="core-01", seconds=1, silent=(NEVER,))
    for event, words in (
        ({"nodes": (lost,)}, "1 lab lost cells"),
        ({"error": SavedError(message="core-01 did not come back")}, "1 lab not measured in full"),
        ({}, "1 lab as expected"),
    ):
        happened = Event.model_validate({"event": "update", "lab": "x", "limit": 1, **event})
        had = LabResults({"x": LabResult(green, after=(happened,))})
        assert (sum_line(had), bool(had.exit_code)) == (words, "expected" not in words)
    assert sum_line(results(partly)) == "1 lab not measured in full"
    plan = load(LABS / "intent.yml").plan
    unwanted = replace(plan.intent[0], never=True)
    against = with_intent(seen(plan), replace(plan, intent=(unwanted,)))
    assert sum_line(results(against)) == "1 lab not as wanted"
    both = with_intent(seen(plan, wrong=1), replace(plan, intent=(unwanted,)))
    assert sum_line(results(both)) == "1 lab differs"
    several = results(green, green, partly, differs, differs)
    several.boots = 2
    assert sum_line(several) == (
        "5 labs: 2 as expected, 2 differ, 1 not measured in full · nodes booted 2 times"
    )
    several = results(green, green)
    several.boots = 1
    assert sum_line(several) == "2 labs as expected · nodes booted once"


@pytest.mark.parametrize("wrong", [0, 3])
def test_one_lab_is_shown_as_a_running_one_is(
    wrong: int, plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = ("flat-1a", "flat-2a", "icmp", 4)
    explanation = Explanation((), (cell,), {}, (), {}) if wrong else None

    def proven(loaded: list[Loaded], *_: object, **__: object) -> LabResults:
        return LabResults(
            {each.plan.lab: LabResult(seen(plan, wrong=wrong), explanation) for each in loaded}
        )

    monkeypatch.setattr(labs, "prove_labs", proven)
    assert main(["check", "flat"]) == (1 if wrong else 0)
    shown = capsys.readouterr().out
    assert "rows ask, columns answer" in shown
    assert f", {wrong} differ, 0 not measured" in shown
    assert shown.splitlines()[-1].startswith(f"1 lab {'differs' if wrong else 'as expected'} · ")
    assert ("No cause found for 1 cell" in shown) == bool(wrong)
    assert "\n\n\n" not in shown


def test_a_lone_lab_that_did_not_come_up_has_no_matrix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(labs, "Suite", Booted)
    assert main(["check", "flat"]) == 3
    shown = capsys.readouterr()
    assert "flat: not up: flat did not start" in shown.err
    assert "rows ask" not in shown.out
    assert "1 lab not measured in full" in shown.out


def test_coverage_names_only_labs_in_which_a_rule_was_measured(plan: Plan) -> None:
    everything = len(list(predict(plan)))
    coverage = results(seen(plan), seen(plan, missing=everything)).coverage()
    assert coverage
    assert set(coverage) == {e.rule for e in predict(plan)}
    assert all(labs == ["0"] for labs in coverage.values())


def test_a_lab_that_did_not_come_up_is_told_with_its_reason(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    error = Infrastructure("core-01: its kernel ended", detail="panic")
    brought = Brought(load(LABS / "flat.yml"), error=error, timings={"boot": 1.5})
    result = prove_brought(brought, "uml", print)
    made = LabResults()
    made.add(result)
    document = result_document(result, brought.loaded.plan)
    assert document["error"] == "core-01: its kernel ended"
    assert document["detail"] == "panic"
    assert document["summary"]["not_measured"] == document["summary"]["cells"] > 0
    assert document["timings"]["boot"] == made.timings["boot"] == 1.5
    assert made.exit_code == 3
    show_result(result)
    said = capsys.readouterr().err
    assert "flat: not up: core-01: its kernel ended" in said
    assert "panic" in said


def test_a_lab_of_many_says_which_statements_are_broken(capsys: pytest.CaptureFixture[str]) -> None:
    plan = load(LABS / "intent.yml").plan
    kept = with_intent(seen(plan), plan)
    show_result(LabResult(kept))
    assert ": 7 statements kept" in capsys.readouterr().err.replace("as expected, ", ": ")
    unwanted = replace(plan.intent[0], never=True)
    broken = with_intent(seen(plan), replace(plan, intent=(unwanted,)))
    show_result(LabResult(broken))
    said = capsys.readouterr().err
    assert "0 differ, 0 not measured, 1 statement broken" in said
    assert "As predicted: web-1a reaches db (tcp:5432)" in said


class Booted:
    """A suite that brings up nothing: each lab fails to start, on a boot of its own."""

    def __init__(self, name: str, visit: Callable[[Brought], None], tell: object) -> None:
        self.boots, self._visit = 0, visit
        self.given_up = threading.Event()

    def beside(self, visit: Callable[[Brought], None], *_: object) -> Booted:
        return type(self)("", visit, print)

    def end_all(self) -> None:
        """Do nothing: nothing is up."""

    def render(self, labs: list[Loaded]) -> None:
        assert labs

    def groups(self, labs: list[Loaded]) -> list[list[Loaded]]:
        return [[loaded] for loaded in labs]

    def prove(self, group: list[Loaded], *, keep: bool) -> None:
        self.boots += 1
        for loaded in group:
            error = Infrastructure(f"{loaded.plan.lab} did not start, keep={keep}")
            self._visit(Brought(loaded, error=error, timings={"boot": 1.25}))


def test_every_lab_is_shown_as_soon_as_it_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labs, "Suite", Booted)
    shown: list[str] = []
    loaded = [load(LABS / f"{name}.yml") for name in ("flat", "coreos")]
    made = labs.prove_labs(loaded, "uml", print, lambda r: shown.append(str(r.error)), keep=True)
    # Only the last one may be left up. Whoever is done first is shown first.
    assert sorted(shown, reverse=True) == [
        "flat did not start, keep=False",
        "coreos did not start, keep=True",
    ]
    assert list(made.by_lab) == ["flat", "coreos"]
    assert (made.boots, made.timings["boot"], made.exit_code) == (2, 2.5, 3)


class Up(Booted):
    """A suite that brings up everything, as far as those know who are handed its labs."""

    def prove(self, group: list[Loaded], *, keep: bool) -> None:
        for loaded in group:
            state = LabState(loaded.plan.lab, str(loaded.file), "uml")
            self._visit(Brought(loaded, state))


@pytest.mark.parametrize("keep", [False, True])
def test_an_explanation_says_whether_its_lab_has_been_ended(
    keep: bool, plan: Plan, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but a lab that is kept are, and of those that are green nothing is to be said."""
    files = [LABS / f"{name}.yml" for name in ("coreos", "dual-stack", "flat")]
    wrong = {"coreos": 0, "dual-stack": 1, "flat": 1}

    def proved(brought: Brought, *_: object) -> LabResult:
        name = brought.loaded.plan.lab
        why = Explanation((), (), {}, (), {}, lab=name) if wrong[name] else None
        return LabResult(seen(brought.loaded.plan, wrong=wrong[name]), why)

    monkeypatch.setattr(labs, "Suite", Up)
    monkeypatch.setattr(labs, "prove_brought", proved)
    made = labs.prove_labs(
        list(map(load, files)), "uml", print, print, keep=keep, options=("--after", "reboot")
    ).by_lab
    assert made["coreos"].explanation is None
    for name in ("dual-stack",) if keep else ("dual-stack", "flat"):
        why = made[name].explanation
        assert why is not None
        assert why.file == str(LABS / f"{name}.yml")
        assert why.keep_by == f"underlay check {why.file} --after reboot --keep"
    last = made["flat"].explanation
    assert last is not None
    assert bool(last.keep_by) is not keep


@pytest.mark.parametrize("keep", [False, True])
def test_a_run_that_is_kept_is_named_where_its_lab_has_been_ended(
    keep: bool,
    plan: Plan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "my run.json"

    def proven(loaded: list[Loaded], *_: object, **__: object) -> LabResults:
        return LabResults({each.plan.lab: LabResult(seen(plan, wrong=1)) for each in loaded})

    monkeypatch.setattr(labs, "prove_labs", proven)
    words = ["--keep"] if keep else []
    assert main(["check", "flat", "--save", str(file), *words]) == 1
    assert (f"underlay explain '{file}'" in capsys.readouterr().err) is not keep


def test_a_lab_is_not_left_up_beside_one_of_its_name(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labs, "Suite", Booted)
    (home / "labs" / "flat").mkdir(parents=True)
    with pytest.raises(BadInput, match="a lab of that name is up"):
        labs.prove_labs([load(LABS / "flat.yml")], "uml", print, print, keep=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no-such-lab",), "there is no lab 'no-such-lab'"),
        ((".",), "there is no lab file directly in ."),
        (("flat", "--lab", "flat"), "--lab is for a lab that is up"),
        (("--keep",), "--provider and --keep need a FILE or DIR"),
        (("--provider", "uml"), "--provider and --keep need a FILE or DIR"),
    ],
)
def test_bad_words_start_nothing(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check", *words]) == 2
    assert said in capsys.readouterr().err


def test_all_that_is_wrong_in_a_folder_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (LABS / "flat.yml").read_text()
    (tmp_path / "one.yml").write_text(text)
    (tmp_path / "same-name.yml").write_text(text)
    (tmp_path / "wrong.yml").write_text(text.replace("driver", "drver"))
    assert main(["check", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "same-name.yml: its name is flat" in said
    assert "wrong.yml:" in said


@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_known_is_told_where_it_is_interrupted(
    as_json: bool,
    plan: Plan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (LABS / "flat.yml").read_text()
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.yml").write_text(text.replace("name: flat", f"name: {name}", 1))

    def proven(
        loaded: list[Loaded], _: str, __: object, show: Callable[[LabResult], None], **___: object
    ) -> LabResults:
        show(LabResult(replace(seen(plan), lab="two")))
        raise KeyboardInterrupt

    monkeypatch.setattr(labs, "prove_labs", proven)
    assert main(["check", str(tmp_path), *(["--json"] if as_json else [])]) == 130
    shown = capsys.readouterr()
    assert "two: " in shown.err
    assert "1 lab as expected; left: one, three" in shown.err
    if as_json:
        document = json.loads(shown.out)
        assert (document["error"], document["left"]) == ("interrupted", ["one", "three"])
        (known,) = document["labs"]
        assert known["lab"] == "two"
        assert known["summary"]["cells"] == len(known["cells"]) > 0
    else:
        assert shown.out == ""


def test_an_interrupt_before_any_lab_says_that_none_is_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def proven(*_: object, **__: object) -> LabResults:
        raise Interrupted("interrupted: it is still up", hint="underlay down")

    monkeypatch.setattr(labs, "prove_labs", proven)
    assert main(["check", "flat", "--json"]) == 130
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert (document["labs"], document["left"], document["hint"]) == ([], ["flat"], "underlay down")
    assert "hint: underlay down" in shown.err


class Terminal(io.StringIO):
    """Somebody at a terminal who presses Enter; what was said by then is kept."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__("\n")
        self._capsys, self.seen = capsys, ""

    def isatty(self) -> bool:
        return True

    def readline(self, size: int = -1, /) -> str:
        captured = self._capsys.readouterr()
        self.seen += captured.out + captured.err
        return super().readline(size)


@pytest.mark.parametrize("wrong", [0, 1])
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_lab_that_is_not_green_waits_for_enter(
    wrong: int,
    words: tuple[str, ...],
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def proven(
        loaded: list[Loaded], _: str, __: object, show: Callable[[LabResult], None], **___: object
    ) -> LabResults:
        made = LabResults()
        cell = ("flat-1a", "flat-2a", "icmp", 4)
        ended = Explanation(
            (), (cell,), {}, (), {}, lab="flat", keep_by="underlay check flat --keep"
        )
        made.add(LabResult(seen(plan, wrong=wrong), ended if wrong else None))
        show(made.by_lab["flat"])
        return made

    terminal = Terminal(capsys)
    monkeypatch.setattr(labs, "prove_labs", proven)
    monkeypatch.setattr("sys.stdin", terminal)
    assert main(["check", "flat", "--pause-on-fail", *words]) == wrong
    rest = capsys.readouterr()
    asked = "flat stays as it is until you press Enter here" in terminal.seen
    assert asked == bool(wrong)
    # It is up by then, and nothing has to be brought up before it is looked into.
    assert "has been ended" not in terminal.seen
    assert ("underlay trace flat-1a flat-2a" in terminal.seen) == bool(wrong)
    if wrong:
        assert f"export {paths.HOME}={paths.home()}" in terminal.seen
        assert "underlay exec --lab flat core-01 -- " in terminal.seen
    # What there is to see is shown before, and once.
    both = terminal.seen + rest.out + rest.err
    assert both.count("rows ask, columns answer") == (0 if words else 1)
    if words:
        assert json.loads(rest.out)["labs"][0]["lab"] == "flat"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("flat", "--pause-on-fail"), "standard input is no terminal"),
        (("--pause-on-fail",), "a lab that is up stays up"),
    ],
)
def test_without_a_terminal_nothing_is_started(
    words: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def proven(*_: object, **__: object) -> LabResults:
        raise AssertionError("must not start")

    monkeypatch.setattr(labs, "prove_labs", proven)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["check", *words]) == 2
    assert said in capsys.readouterr().err
