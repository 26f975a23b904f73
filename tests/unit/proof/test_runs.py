"""A run is a file: what check found, read back the same, however it ended."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console
from rich.text import Text

from underlay.cli import console, main
from underlay.cli.checks import running
from underlay.cluster import ssh
from underlay.cluster.beyond import Stranger
from underlay.cluster.state.lab import LabState
from underlay.cluster.suite import Brought
from underlay.errors import BadInput, Infrastructure
from underlay.expect import ends, predict
from underlay.expect.intent import Judged
from underlay.lint import Loaded, load
from underlay.lint.read import read_lab
from underlay.observe.live import Live, Way
from underlay.observe.observation import Observation, Seen
from underlay.observe.unplanned import Looked
from underlay.plan import Plan, make_plan
from underlay.proof import labs
from underlay.proof.after import Outcome
from underlay.proof.captured import Captured
from underlay.proof.choice import Choice
from underlay.proof.explanation import NOTHING, Cause, Doubted, Explanation
from underlay.proof.lab import Proof
from underlay.proof.result import LabResult, narrowed
from underlay.proof.runs import schema
from underlay.proof.runs.file import read_run, run_text, schema_of_runs, write_run
from underlay.proof.runs.restoring import chosen_of, result_of
from underlay.proof.runs.saving import Source, saved
from underlay.report.origins import origins_document, origins_text
from underlay.report.results import proof_text, result_document
from underlay.report.run import Told
from underlay.report.run import run_document as report_document
from underlay.report.run import run_text as report_text
from underlay.storage import paths
from underlay.verdict import Cell, Verdict, judge, with_intent
from unit.proof.test_explain import FILES, Recorded, explained, judged, recorded, scene
from unit.report.test_report import as_predicted, plan_of, troubled
from unit.report.test_unplanned import BLIND, FOUND

LABS = paths.root() / "labs"
STRANGER = Stranger("core-01", "docker", "redis", "redis:7", "somebody")
VALIDATOR = Draft202012Validator(schema_of_runs())
DATE = "2026-01-01T00:00:00+00:00"
WAYS = (
    Way("core-01", "core-02", "192.0.2.1", "192.0.2.2", ("icmp",), {"udp": "no_answer"}, 1500),
    Way("core-02", "core-01", "192.0.2.2", "192.0.2.1", reason="core-02 is not in the inventory"),
)
LIVE = Live("reader", False, 100, ("filters",), {"core-01": "nft"}, {"core-01": "ping"}, WAYS)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.HOME, str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def source(plan: Plan) -> Source:
    return Source("some/lab.yml", "name: some\n", plan)


def run_of(*saved_labs: schema.SavedLab, **more: Any) -> schema.Run:
    more = {"of": "files", "reached": "the end", "began": DATE, "until": DATE, **more}
    return schema.Run(labs=saved_labs, **more)


def read_back(folder: Path, *saved_labs: schema.SavedLab) -> schema.Run:
    """Return the run of labs once it has been written and read."""
    run = run_of(*saved_labs)
    write_run(run, folder / "run.json")
    VALIDATOR.validate(json.loads((folder / "run.json").read_text()))
    back = read_run(folder / "run.json")
    assert back == run
    return back


def printed(text: Text) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=100, soft_wrap=True, highlight=False)
    console.print(text, soft_wrap=True, end="")
    return stream.getvalue()


def shown(plan: Plan, result: LabResult) -> str:
    made = ends(plan)
    return printed(
        proof_text(result.verdict, made, result.explanation, width=100, ascii_only=False)
    )


def same(folder: Path, plan: Plan, result: LabResult) -> None:
    """Whether a lab's part of a file tells of it just what was known."""
    back = result_of(read_back(folder, saved(source(plan), result)).labs[0])
    assert back.verdict == result.verdict
    assert result_document(back, plan) == result_document(result, plan)
    assert shown(plan, back) == shown(plan, result)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_causes_with_their_evidence_are_read_back_as_they_were_told(
    file: Path, tmp_path: Path
) -> None:
    for name in sorted(recorded(file)["faults"])[:2]:
        one = Recorded(file, name)
        found = replace(explained(one), file="labs/some.yml")
        verdict = judged(one, one.wrong)
        same(tmp_path, scene(file).plan, LabResult(verdict, found, timings={"boot": 1.5}))


def test_what_no_cause_accounts_for_is_read_back(tmp_path: Path) -> None:
    one = next(Recorded(FILES[0], name) for name in sorted(recorded(FILES[0])["faults"]))
    verdict = judged(one, one.wrong)
    cell = ("a", "b", "icmp", 4)
    doubted = replace(
        NOTHING,
        unexplained=(cell,),
        ruled_out={"link": ("a cable is cut",)},
        suspects=("core-01, eth1, out",),
        unseen={"core-02": "gave no answer"},
        not_borne_out=("an address is taken (core-01)",),
        lab=verdict.lab,
    )
    same(tmp_path, scene(FILES[0]).plan, LabResult(verdict, doubted))


@pytest.mark.parametrize("see", [as_predicted, troubled], ids=lambda one: str(one.__name__))
def test_cells_and_what_nobody_planned_are_read_back(
    see: Callable[[Plan], list[Seen]], tmp_path: Path
) -> None:
    plan = plan_of()
    seen = Observation(tuple(see(plan)), {"probe": 2.5}, {}, Looked(FOUND, BLIND))
    verdict = judge("shown", "uml", predict(plan), seen)
    same(tmp_path, plan, LabResult(verdict))
    same(tmp_path, plan, LabResult(replace(verdict, strangers=())))
    same(tmp_path, plan, LabResult(replace(verdict, strangers=(STRANGER,))))
    same(tmp_path, plan, LabResult(replace(verdict, live=LIVE)))
    statement = load(LABS / "intent.yml").plan.intent[0]
    told = Judged[Cell](statement, (), told="broken", ways=3, why="nobody knows")
    same(tmp_path, plan, LabResult(replace(verdict, intent=(told,))))


def test_values_statements_and_a_choice_are_read_back(tmp_path: Path) -> None:
    plan = load(LABS / "intent-seen.yml").plan
    seen = tuple(
        Seen(
            *(e.source, e.destination, e.protocol),
            e.value if e.kind == "value" else "reachable" if e.reachable else "unreachable",
            stopped_at=e.stop,
            family=e.family,
            kind=e.kind,
            rtt_ms=0.25,
        )
        for e in predict(plan)
    )
    never = (replace(one, seen=dict.fromkeys(one.seen, "9999")) for one in plan.intent)
    unwanted = replace(plan, intent=tuple(never))
    verdict = judge(plan.lab, "uml", predict(plan), Observation(seen, {}, {}))
    result = LabResult(with_intent(verdict, unwanted))
    assert result.verdict.summary.values
    assert result.verdict.summary.statements_broken
    same(tmp_path, plan, result)
    chosen = Choice(protocols=("icmp",)).of(plan)
    lab = read_back(tmp_path, saved(source(plan), result, chosen)).labs[0]
    again = chosen_of(lab, schema.Choice(protocols=("icmp",)))
    assert again is not None
    assert narrowed(result_of(lab), again).verdict == chosen.verdict(result.verdict)
    assert result_of(lab).verdict == result.verdict


def test_every_part_of_what_is_known_is_kept() -> None:
    """Whoever gives one of these another part has it kept in proof/runs, and names it here."""
    parts = {
        Verdict: {"lab", "provider", "cells", "timings", "looked", "strict", "intent", "left_out"}
        | {"left_out_by", "strangers", "live"},
        Live: {"tier", "flushed", "rate", "cannot", "unread", "icmp", "ways"},
        Way: {"source", "destination", "source_address", "destination_address", "reached"}
        | {"missed", "mtu", "reason"},
        Cell: {"source", "destination", "protocol", "family", "kind", "expected", "observed"}
        | {"stopped_at", "answered_by", "because", "reference", "rtt_ms", "expected_stop", "also"}
        | {"arrives", "attempts", "lost", "arrived", "reason", "rule", "destination_address"}
        | {"unsent"},
        LabResult: {"verdict", "explanation", "error", "timings", "captures", "after"},
        Captured: {"cell", "points", "last", "frames", "more"},
        Explanation: {"causes", "unexplained", "ruled_out", "suspects", "unseen", "not_borne_out"}
        | {"doubted", "lab", "file", "counts", "keep_by"},
        Cause: {"finding", "sureness", "cells"},
        Doubted: {"rule", "because", "reference", "cells"},
        Judged: {"statement", "cells", "broken", "untold", "told", "ways", "why"},
        Looked: {"found", "blind"},
    }
    assert {kind: {one.name for one in fields(kind)} for kind in parts} == parts


def test_what_a_fleets_cells_were_predicted_from_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(paths.root() / "examples" / "cni-vlans")
    plan = load(Path("lab.yml")).plan
    result = LabResult(seen(plan, wrong=4), timings={"boot": 1.0})
    run = read_back(tmp_path, saved(source(plan), result))
    said = origins_text(plan, result.verdict, width=100).plain
    assert said.startswith("\nWhat they were predicted from\n")
    assert said in report_text(Told(run), width=100).plain
    (lab,) = report_document(Told(run))["labs"]
    assert lab["origins"] == origins_document(plan, result.verdict)["origins"] != []


def test_sixty_containers_take_less_than_a_megabyte() -> None:
    plan = plan_of(nodes=10, count=3)
    assert len(plan.containers) == 60
    observation = Observation(tuple(troubled(plan)), {}, {})
    result = LabResult(judge("shown", "uml", predict(plan), observation))
    assert len(run_text(run_of(saved(source(plan), result)))) < 1 << 20


def test_the_schema_is_one_and_refuses_what_is_no_run() -> None:
    Draft202012Validator.check_schema(schema_of_runs())
    plan = plan_of()
    good = json.loads(run_text(run_of(saved(source(plan), LabResult(seen(plan))))))
    assert VALIDATOR.is_valid(good)
    killed = json.loads(run_text(run_of(reached="reading files")))
    assert VALIDATOR.is_valid(killed)
    assert not VALIDATOR.is_valid({**good, "version": 2})
    assert not VALIDATOR.is_valid({**good, "colour": "red"})
    assert not VALIDATOR.is_valid({key: one for key, one in good.items() if key != "document"})


# How a run is refused: what stands in the file, and what is said of it.
BAD = {
    "empty": ("", "is empty, expected a run"),
    "no json": ("name: flat\n", ":1:1: this is no JSON"),
    "foreign": ('{"a": 1}', "it is another JSON document"),
    "list": ("[]", "it is another JSON document"),
    "printed": ('{"lab": "flat", "cells": []}', "it is what --json prints"),
    "older": (
        '{"document": "underlay run", "version": 0, "versions": {"underlay": "0.1"}}',
        "is a run of version 0, expected 1",
    ),
    "newer": ('{"document": "underlay run", "version": 2}', "is a run of version 2, expected 1"),
    "in part": ('{"document": "underlay run", "version": 1}', "began: field required"),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD)
def test_what_is_no_run_is_refused(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    file.write_text(text)
    assert main(["report", str(file)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "hint: " in told


def test_a_torn_run_names_the_line_where_it_ends(tmp_path: Path) -> None:
    plan = plan_of()
    text = run_text(run_of(saved(source(plan), LabResult(seen(plan)))))
    file = tmp_path / "run.json"
    for length in (len(text) // 3, len(text) - 3):
        file.write_text(text[:length])
        with pytest.raises(BadInput, match=r"run\.json:\d+:\d+: the run ends or breaks here"):
            read_run(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="it isn't text"):
        read_run(file)
    with pytest.raises(BadInput, match="can't be read: Is a directory"):
        read_run(tmp_path)
    with pytest.raises(BadInput, match="can't be read: No such file"):
        read_run(tmp_path / "nothing")


@pytest.mark.parametrize("part", ["outcome", "prediction", "statement", "key"])
def test_a_run_that_was_changed_by_hand_is_refused(part: str, tmp_path: Path) -> None:
    plan = load(LABS / "intent.yml").plan
    result = LabResult(with_intent(seen(plan), plan))
    content = json.loads(run_text(run_of(saved(source(plan), result))))
    lab = content["labs"][0]
    if part == "outcome":
        lab["cells"][0][4][0][1] = 999
    elif part == "prediction":
        lab["outcomes"][0]["prediction"] = 999
    elif part == "statement":
        lab["intent"][0]["broken"] = [99999]
    else:
        lab["colour"] = "red"
    file = tmp_path / "run.json"
    file.write_text(json.dumps(content))
    with pytest.raises(BadInput, match=r"isn.t there|isn.t one in full"):
        read_run(file)


def test_a_run_that_tells_nothing_or_of_nobody_is_refused_with_the_place(tmp_path: Path) -> None:
    plan = plan_of()
    text = run_text(run_of(saved(source(plan), LabResult(seen(plan)))))
    file = tmp_path / "run.json"

    def refused(change: Callable[[dict[str, Any], dict[str, Any]], object], by_schema: bool) -> str:
        content = json.loads(text)
        change(content, content["labs"][0])
        file.write_text(json.dumps(content))
        assert VALIDATOR.is_valid(content) is not by_schema
        with pytest.raises(BadInput, match="isn't one in full") as found:
            read_run(file)
        return found.value.detail

    assert "labs: there is none" in refused(lambda run, _: run.pop("labs"), True)
    assert "labs: there is none" in refused(lambda run, _: run.update(labs=[]), True)
    assert "labs.0.cells: shown has none" in refused(lambda _, lab: lab.update(cells=[]), True)
    assert "is none of the lab's ends" in refused(lambda _, lab: lab.update(ends=[]), True)
    said = refused(lambda _, lab: lab["cells"][2].__setitem__(0, "lannet-1x"), False)
    assert said.startswith("labs.0.cells.2: 'lannet-1x' is none of the lab's ends, did you mean")
    said = refused(lambda _, lab: lab["outcomes"][1].update(observed="maybe"), True)
    assert said == (
        "labs.0.outcomes.1.observed: found 'maybe', expected one of reachable, unreachable,"
        " not_measured"
    )
    said = refused(lambda _, lab: lab["predictions"][0].update(expected=["no"]), True)
    assert said.startswith("labs.0.predictions.0.expected: found ('no',), expected one of")


def seen(plan: Plan, *, wrong: int = 0, missing: int = 0) -> Verdict:
    """Return a verdict in which the first cells are otherwise than expected, or not measured."""
    cells = as_predicted(plan)
    cells = [
        replace(
            cell,
            observed="unreachable" if cell.observed == "reachable" else "reachable",
            stopped_at="no_answer" if cell.observed == "reachable" else "",
        )
        if number < wrong
        else cell
        for number, cell in enumerate(cells)
        if number >= missing
    ]
    return judge(plan.lab, "uml", predict(plan), Observation(tuple(cells), {"probe": 1.25}, {}))


class Proven:
    """A suite whose labs come up, but the one called ``down``; ``during`` is called at each."""

    down = ""
    during: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, name: str, visit: Callable[[Brought], None], tell: object) -> None:
        self.boots, self._visit = 0, visit
        self.given_up = threading.Event()

    def beside(self, visit: Callable[[Brought], None], *_: object) -> Proven:
        return type(self)("", visit, None)

    def end_all(self) -> None:
        """Do nothing: nothing is up."""

    def render(self, loaded: list[Loaded]) -> None:
        assert loaded

    def groups(self, loaded: list[Loaded]) -> list[list[Loaded]]:
        return [[one] for one in loaded]

    def prove(self, group: list[Loaded], *, keep: bool) -> None:
        self.boots += 1
        for one in group:
            type(self).during()
            state = LabState(one.plan.lab, str(one.file), "uml")
            error = None
            if one.plan.lab == self.down:
                error = Infrastructure("core-01: its kernel ended", detail="panic")
            there = None if error else state
            self._visit(Brought(one, there, error=error, timings={"boot": 1.5}))


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> type[Proven]:
    """Have labs come up without nodes, in which the first cells differ that ``wrong`` counts."""

    class Suite(Proven):
        wrong = 0

    def measured(lab: Any, tell: object) -> Verdict:
        plan = make_plan(read_lab(Path(lab.state.file)))
        return with_intent(seen(plan, wrong=Suite.wrong), plan)

    monkeypatch.setattr(labs, "Suite", Suite)
    monkeypatch.setattr(labs, "measure_and_judge", measured)
    cell = ("flat-1a", "flat-2a", "icmp", 4)
    told = replace(NOTHING, unexplained=(cell,), lab="flat")
    monkeypatch.setattr(labs, "explain_running", lambda *_: told)
    return Suite


def report_of(file: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["report", str(file), *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("wrong", [0, 3])
@pytest.mark.parametrize("choice", [[], ["--protocol", "icmp", "--only", "mac-1a"]])
def test_a_report_is_what_check_printed(
    wrong: int,
    choice: list[str],
    suite: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # A file's lines are as long as those of a pipe, whatever the tests' own terminal is like.
    monkeypatch.setattr(console.out, "width", console.PIPE_WIDTH)
    suite.wrong = wrong
    file = tmp_path / "run.json"
    for shape in ("text", "json"):
        as_json = ["--json"] if shape == "json" else []
        code = main(["check", "flat", "--save", str(file), *choice, *as_json])
        assert code == (1 if wrong else 0)
        out = capsys.readouterr().out
        assert report_of(file, capsys, "--format", shape) == out
        kept = tmp_path / "out"
        assert main(["report", str(file), "--format", shape, "-o", str(kept)]) == 0
        assert kept.read_text() == out
    run = read_run(file)
    assert (run.reached, run.error, run.of) == ("the end", None, "files")
    assert run.labs[0].text == (LABS / "flat.yml").read_text()
    assert run.kernel
    assert {"underlay", "kernel", "image"} <= run.versions.keys()
    # Its nodes are started without Vagrant.
    assert "vagrant" not in run.versions


def test_what_is_printed_after_an_event_has_all_that_a_check_has(
    suite: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A fleet's places stand in it as well, and a report of the run prints the same."""

    def after(state: LabState, verdict: Verdict, *_: object, **__: object) -> Outcome:
        event = schema.Event(event="restart", lab=state.lab, limit=60.0)
        return Outcome(state, load(Path(state.file)).plan, verdict, (event,))

    def measured(lab: Any, tell: object) -> Verdict:
        plan = load(Path(lab.state.file)).plan
        return with_intent(seen(plan, wrong=4), plan)

    monkeypatch.setattr("underlay.proof.after.after", after)
    monkeypatch.setattr(labs, "measure_and_judge", measured)
    file = tmp_path / "run.json"
    words = [
        "check",
        str(paths.root() / "examples" / "cni-vlans" / "lab.yml"),
        "--save",
        str(file),
        "--json",
    ]
    assert main(words) == 1
    (before,) = json.loads(capsys.readouterr().out)["labs"]
    assert main([*words, "--after", "restart"]) == 1
    out = capsys.readouterr().out
    (now,) = json.loads(out)["labs"]
    assert now["origins"] == before["origins"] != []
    assert now.keys() - before.keys() == {"after"}
    assert report_of(file, capsys, "--format", "json") == out


def test_the_ending_says_the_format_where_the_option_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of()
    file = tmp_path / "run.json"
    write_run(run_of(saved(source(plan), LabResult(seen(plan)))), file)
    begins = {"x.csv": "lab,source", "x.MD": "## underlay", "x.json": "{", "x.xml": "<?xml"}
    for name, text in begins.items():
        assert main(["report", str(file), "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text().startswith(text)
    assert main(["report", str(file), "--format", "csv", "-o", str(tmp_path / "y.md")]) == 0
    assert (tmp_path / "y.md").read_text().startswith("lab,source")
    assert main(["report", str(file), "--html", str(tmp_path / "page")]) == 0
    assert (tmp_path / "page").read_text().lower().startswith("<!doctype html>")
    assert main(["report", str(file), "--html", str(tmp_path / "two"), "--format", "md"]) == 2
    assert "--html says the format and the file" in capsys.readouterr().err
    assert not (tmp_path / "two").exists()
    assert main(["report", str(file), "-o", str(tmp_path / "x.png")]) == 2
    told = capsys.readouterr().err
    assert "'.png' says none of the formats of a run" in told
    assert "name one with --format" in told


@pytest.mark.parametrize("wrong", [0, 3])
def test_a_report_of_a_running_lab_is_what_check_printed(
    wrong: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = LabState("flat", str(LABS / "flat.yml"), "uml")
    plan = load(LABS / "flat.yml").plan
    state.write(plan)
    verdict = seen(plan, wrong=wrong)
    told = replace(NOTHING, unexplained=(("flat-1a", "flat-2a", "icmp", 4),), lab="flat")
    proof = Proof(verdict, told if wrong else NOTHING)
    monkeypatch.setattr(running, "prove_lab", lambda *_, **__: proof)
    monkeypatch.setattr(running, "running_state", lambda _: state)
    file = tmp_path / "run.json"
    for shape in ("text", "json"):
        as_json = ["--json"] if shape == "json" else []
        assert main(["check", "--save", str(file), *as_json]) == (1 if wrong else 0)
        out = capsys.readouterr().out
        assert report_of(file, capsys, "--format", shape) == out
    run = read_run(file)
    assert (run.of, run.labs[0].file) == ("running", str(LABS / "flat.yml"))
    assert run.labs[0].text == (LABS / "flat.yml").read_text()
    # Its nodes, which don't run, were asked for their logs.
    ssh.close(state.folder)


def test_a_report_of_many_labs_says_what_was_said_of_each(
    suite: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.wrong, suite.down = 2, "docker-macvlan"
    folder = tmp_path / "labs"
    folder.mkdir()
    for name in ("flat", "docker-macvlan", "basics-ipvlan"):
        (folder / f"{name}.yml").write_text((LABS / f"{name}.yml").read_text())
    file = tmp_path / "run.json"
    # A report tells of labs in the order of their files, and check of each as soon as it is known.
    assert main(["check", str(folder), "--jobs", "1", "--save", str(file)]) == 1
    said = capsys.readouterr()
    told = report_of(file, capsys)
    assert told.endswith(said.out)
    assert "docker-macvlan: not up: core-01: its kernel ended" in told
    steps = ("rendering", "measuring", "the run is kept")
    lines = [line for line in said.err.splitlines() if not line.startswith(steps)]
    assert "\n".join(lines) + "\n" + said.out == told
    for jobs in ("1", "3"):
        assert main(["check", str(folder), "--jobs", jobs, "--json", "--save", str(file)]) == 1
        out = capsys.readouterr().out
        assert report_of(file, capsys, "--format", "json") == out


def test_a_lab_that_did_not_come_up_is_in_the_run(
    suite: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.down = "flat"
    file = tmp_path / "run.json"
    assert main(["check", "flat", "--save", str(file)]) == 3
    run = read_run(file)
    assert run.reached == "the end"
    assert run.labs[0].error == schema.SavedError(
        message="core-01: its kernel ended", detail="panic"
    )
    assert result_of(run.labs[0]).verdict.summary.not_measured > 0
    told = report_of(file, capsys)
    assert "flat: not up: core-01: its kernel ended · boot 1.5 s\npanic\n" in told
    assert "1 lab not measured in full" in told


def interrupt() -> None:
    raise KeyboardInterrupt


def test_an_interrupted_run_says_how_far_it_came(
    suite: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.during = staticmethod(interrupt)
    file = tmp_path / "run.json"
    assert main(["check", "flat", "--save", str(file)]) == 130
    run = read_run(file)
    assert run.reached == "bringing up"
    assert run.error == schema.SavedError(message="interrupted")
    assert result_of(run.labs[0]).verdict.exit_code == 3
    told = report_of(file, capsys)
    assert told.startswith("the run ended early, while bringing up: interrupted\n")
    assert "flat: not measured: interrupted, while bringing up" in told
    assert main(["check", "flat", "--json", "--save", str(file)]) == 130
    out = json.loads(capsys.readouterr().out)
    again = json.loads(report_of(file, capsys, "--format", "json"))
    assert again == {**out, "reached": "bringing up"}
    assert (again["error"], again["labs"], again["left"]) == ("interrupted", [], ["flat"])


def test_a_run_that_is_interrupted_after_a_lab_keeps_that_lab(
    suite: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at: list[int] = []

    def second() -> None:
        at.append(0)
        if len(at) == 2:
            raise KeyboardInterrupt

    suite.during = staticmethod(second)
    folder = tmp_path / "labs"
    folder.mkdir()
    for name in ("flat", "docker-macvlan"):
        (folder / f"{name}.yml").write_text((LABS / f"{name}.yml").read_text())
    file = tmp_path / "run.json"
    assert main(["check", str(folder), "--jobs", "1", "--save", str(file)]) == 130
    first, other = (result_of(lab) for lab in read_run(file).labs)
    assert (first.verdict.exit_code, first.error) == (0, None)
    assert other.verdict.exit_code == 3
    assert other.error is not None


def test_a_killed_run_has_left_what_was_known_by_then(
    suite: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, left = tmp_path / "run.json", tmp_path / "left.json"
    suite.during = staticmethod(lambda: left.write_bytes(file.read_bytes()) and None)
    assert main(["check", "flat", "--save", str(file)]) == 0
    run = read_run(left)
    assert run.reached in ("reading files", "rendering", "bringing up")
    told = report_of(left, capsys)
    assert told.startswith(f"the run ended early, while {run.reached}: it was killed\n")


@pytest.mark.parametrize("words", [["no-such-lab"], ["--lab", "nothing"]])
def test_what_can_not_be_begun_leaves_a_run_that_says_why(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    assert main(["check", *words, "--save", str(file)]) == 2
    run = read_run(file)
    assert (run.reached, run.labs) == ("reading files", ())
    assert run.error is not None
    assert run.error.message in capsys.readouterr().err
    assert report_of(file, capsys).startswith("the run ended early, while reading files: ")


def test_a_file_that_can_not_be_written_is_told_before_anything_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "flat", "--save", str(tmp_path / "none" / "run.json")]) == 2
    assert "its folder isn't there" in capsys.readouterr().err
    assert main(["check", "flat", "--save", str(tmp_path)]) == 2
    assert "it is a folder, expected a file to write" in capsys.readouterr().err
    assert main(["check", "flat", "--save", "/proc/run.json"]) == 2
    assert "--save /proc/run.json: it can't be written" in capsys.readouterr().err


def test_without_a_file_nothing_is_written(
    suite: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert main(["check", "flat"]) == 0
    assert {path.name for path in set(tmp_path.iterdir()) - before} <= {"home", "cache"}
