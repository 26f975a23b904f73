"""A run as monitoring reads it: metrics of Prometheus, and the line and exit code of a plugin."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from underlay.cli import main
from underlay.errors import Infrastructure
from underlay.expect.intent import Judged
from underlay.lint import load
from underlay.observe.unplanned import Looked
from underlay.proof.result import LabResult
from underlay.proof.runs.file import write_run
from underlay.proof.runs.saving import saved
from underlay.report.nagios import nagios_line
from underlay.report.prometheus import prometheus_text
from underlay.report.run import Told
from underlay.verdict import Cell, Verdict, with_intent
from unit.proof import test_runs as runs
from unit.proof.test_runs import LABS, STRANGER, interrupt, run_of, seen, source
from unit.report.test_report import plan_of
from unit.report.test_run_formats import broken
from unit.report.test_unplanned import BLIND, FOUND

home = runs.home
proven = runs.suite
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def told(verdict: Verdict, **more: Any) -> Told:
    result = LabResult(verdict, **{k: more.pop(k) for k in ("error",) if k in more})
    return Told(run_of(saved(source(plan_of()), result), strict=verdict.strict, **more))


def metrics(text: str) -> Samples:
    """Return the samples of an exposition by name and labels, read by the library's own parser."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert family.type == "gauge"
        for one in family.samples:
            key = (one.name, tuple(sorted(one.labels.items())))
            assert key not in found, key
            found[key] = one.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"underlay_{name}", tuple(sorted(labels.items()))]


def summed(samples: Samples, name: str, verdict: str) -> float:
    return sum(
        one
        for (called, labels), one in samples.items()
        if called == f"underlay_{name}" and ("verdict", verdict) in labels
    )


def read_line(line: str) -> tuple[str, str, dict[str, str]]:
    """Return state, words and performance data of a plugin's line, read by the guidelines' form."""
    assert "\n" not in line
    head, _, data = line.partition("|")
    state = re.fullmatch(r"UNDERLAY (OK|WARNING|CRITICAL|UNKNOWN) - (.+?) ?", head)
    assert state, line
    number = r"(?:U|-?[0-9.]+(?:s|%|B|c)?)"
    each = re.compile(rf"([a-z_]+)=({number});([0-9.:~@]*);([0-9.:~@]*);([0-9.]*);([0-9.]*)")
    performance = {}
    for word in data.split():
        found = each.fullmatch(word)
        assert found, word
        performance[found[1]] = found[2]
    return state[1], state[2], performance


def test_metrics_say_how_many_cells_have_which_verdict_and_add_up() -> None:
    plan = plan_of()
    verdict = replace(seen(plan, wrong=5, missing=2), looked=Looked((), ()))
    samples = metrics(prometheus_text(told(verdict, timings={"total": 14.25})))
    summary = verdict.summary
    wanted = {
        "as_expected": summary.as_expected,
        "differs": summary.differs,
        "not_measured": summary.not_measured,
    }
    assert wanted["differs"] == 3
    assert wanted["not_measured"] >= 2
    for name, number in wanted.items():
        assert value(samples, "cells", lab="shown", verdict=name) == number
        for other in ("network_cells", "protocol_cells"):
            assert summed(samples, other, name) == number, other
    pair = {"lab": "shown", "source": "ipnet", "destination": "lannet", "verdict": "differs"}
    assert value(samples, "network_cells", **pair) == 0
    assert value(samples, "check_success") == value(samples, "lab_success", lab="shown") == 0
    assert value(samples, "check_complete") == 1
    assert value(samples, "check_duration_seconds") == 14.25
    assert value(samples, "check_timestamp_seconds") == 1767225600.0
    assert value(samples, "unexplained_cells", lab="shown") == 3


def test_a_green_run_is_a_success_and_nothing_else_is() -> None:
    plan = plan_of()
    green = replace(seen(plan), looked=Looked((), ()))
    early = {"reached": "measuring"}
    for verdict, more, code in (
        (green, {}, 0),
        (replace(green, looked=None), {}, 0),
        (replace(green, looked=Looked(FOUND, ())), {}, 1),
        (replace(green, strangers=(STRANGER,)), {}, 1),
        (replace(green, looked=Looked(FOUND, ()), strict=True), {}, 2),
        (replace(green, looked=Looked((), BLIND), strict=True), {}, 3),
        (seen(plan, wrong=1), {}, 2),
        (seen(plan, missing=1), {}, 3),
        (seen(plan, wrong=3, missing=2), {}, 2),
        (green, early, 3),
        (seen(plan, wrong=1), early, 2),
        (green, {"error": Infrastructure("core-01 fell")}, 3),
    ):
        run = told(verdict, **more)
        line, found = nagios_line(run)
        assert found == code, line
        state = ("OK", "WARNING", "CRITICAL", "UNKNOWN")[code]
        assert read_line(line)[0] == state
        success = value(metrics(prometheus_text(run)), "check_success")
        assert success == (code < 2), line


def test_a_line_says_what_is_wrong_and_how_much_of_it() -> None:
    state, words, data = read_line(nagios_line(broken())[0])
    assert state == "CRITICAL"
    assert re.match(r".+: \d+ of \d+ cells differ: .+ \(.+\)", words), words
    (result,) = broken().results.by_lab.values()
    assert result.explanation is not None
    cause = result.explanation.causes[0]
    assert f"{cause.finding.fault.title} ({cause.where})" in words
    assert data["differs"] == str(result.verdict.summary.differs)
    assert data["time"] == "14.250s"
    assert data["unplanned"] == "U"
    samples = metrics(prometheus_text(broken()))
    lab, fault = result.verdict.lab, cause.finding.fault
    place = {"lab": lab, "fault": fault.id, "where": cause.where}
    assert value(samples, "cause_cells", **place) == len(cause.cells)
    named = {"title": fault.title, "sureness": cause.sureness}
    assert value(samples, "cause_info", **place, **named) == 1


def test_a_statement_is_kept_broken_or_unknown() -> None:
    plan = load(LABS / "intent.yml").plan
    for verdict, seen_as in (
        (seen(plan), 1.0),
        (seen(plan, wrong=len(seen(plan).cells)), 0.0),
        (seen(plan, missing=len(seen(plan).cells)), math.nan),
    ):
        judged = with_intent(verdict, plan)
        run = Told(run_of(saved(source(plan), LabResult(judged))))
        text = prometheus_text(run)
        kept = [one for (name, _), one in metrics(text).items() if name.endswith("statement_kept")]
        assert len(kept) == len(plan.intent)
        found = [one for one in kept if one == seen_as or math.isnan(one) is math.isnan(seen_as)]
        assert found, (kept, seen_as)
        assert (nagios_line(run)[1] == 0) is (seen_as == 1.0)
    line, _ = nagios_line(Told(run_of(saved(source(plan), LabResult(with_intent(
        seen(plan, wrong=len(seen(plan).cells)), plan))))))  # fmt: skip
    assert f"line {plan.intent[0].line}: " in line


def test_whatever_stands_in_words_neither_ends_a_line_nor_breaks_a_label() -> None:
    plan = plan_of()
    words = 'a|b\n"c"\\d\u2028e'
    statement = replace(load(LABS / "intent.yml").plan.intent[0], text=words)
    broken_one = Judged[Cell](statement, (), told="broken", ways=3)
    verdict = replace(seen(plan, wrong=1), intent=(broken_one, broken_one))
    run = told(verdict)
    text = prometheus_text(run)
    labels = [dict(names) for (name, names) in metrics(text) if name.endswith("statement_kept")]
    assert [one["statement"] for one in labels] == [words]
    line, code = nagios_line(run)
    assert code == 2
    assert read_line(line)[2]["statements_broken"] == "2"
    assert line.count("|") == 1
    error = Infrastructure("boot | failed\nat once")
    assert "boot / failed at once" in nagios_line(told(seen(plan, missing=1), error=error))[0]


def test_of_many_labs_those_are_named_that_are_not_well() -> None:
    plan = plan_of()
    well = saved(source(plan), LabResult(seen(plan)))
    labs = [well.model_copy(update={"lab": f"lab-{n}"}) for n in range(3)]
    bad = saved(source(plan), LabResult(seen(plan, wrong=1)))
    unknown = saved(source(plan), LabResult(seen(plan, missing=1)))
    line, code = nagios_line(Told(run_of(*labs)))
    cells = len(seen(plan).cells)
    assert (code, read_line(line)[1]) == (
        0, f"3 labs: {3 * cells} of {3 * cells} cells as expected",
    )  # fmt: skip
    line, code = nagios_line(Told(run_of(*labs, bad, unknown.model_copy(update={"lab": "dim"}))))
    assert code == 2
    assert read_line(line)[1].startswith("1 of 5 labs; shown: 1 of ")
    many = [bad.model_copy(update={"lab": f"bad-{n}"}) for n in range(9)]
    line, _ = nagios_line(Told(run_of(*many)))
    assert read_line(line)[1].startswith("9 of 9 labs; bad-0: ")
    assert "; 6 labs more" in line


def test_check_writes_metrics_whole_and_prints_nothing_else(
    proven: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "underlay.prom"
    words = ["check", "flat", "--format", "prometheus"]
    assert main([*words, "-o", str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert [one.name for one in tmp_path.iterdir() if not one.is_dir()] == [file.name]
    assert value(metrics(file.read_text()), "check_success") == 1
    assert main(words) == 0
    assert value(metrics(capsys.readouterr().out), "lab_success", lab="flat") == 1
    proven.wrong = 3
    assert main([*words, "-o", str(file)]) == 1
    assert value(metrics(file.read_text()), "check_success") == 0


def test_until_a_check_ends_the_metrics_are_those_of_the_one_before(
    proven: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "underlay.prom"
    words = ["check", "flat", "--format", "prometheus", "--output", str(file)]
    assert main(words) == 0
    before = file.read_text()
    during: list[str] = []

    def interrupted() -> None:
        during.append(file.read_text())
        interrupt()

    proven.during = staticmethod(interrupted)
    assert main(words) == 130
    assert during == [before]
    samples = metrics(file.read_text())
    assert (value(samples, "check_success"), value(samples, "check_complete")) == (0, 0)


def test_a_check_that_fails_leaves_metrics_that_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "underlay.prom"
    assert main(["check", "--format", "prometheus", "-o", str(file)]) == 2
    samples = metrics(file.read_text())
    assert (value(samples, "check_success"), value(samples, "check_complete")) == (0, 0)
    assert "no lab is up" in capsys.readouterr().err
    assert not [name for name, _ in samples if "cells" in name]
    assert main(["check", "--lab", "night", "--format", "prometheus", "-o", str(file)]) == 2
    samples = metrics(file.read_text())
    assert value(samples, "lab_success", lab="night") == 0
    for word in ("as_expected", "differs", "not_measured"):
        assert math.isnan(value(samples, "cells", lab="night", verdict=word))
    capsys.readouterr()
    assert main(["check", "--format", "prometheus", "-o", str(tmp_path / "no" / "x.prom")]) == 2
    assert "its folder isn't there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check"], "no lab is up"),
        (["check", "nothing-of-that-name"], "nothing-of-that-name"),
        (["check", "flat", "--colour"], "no such option: --colour"),
        (["check", "--json"], "can't be given with --json"),
        (["check", "flat", "--timeout", "soon"], "'--timeout': it is no number"),
        (["report", "/nowhere/run.json"], "can't be read"),
    ],
    ids=lambda words: "-".join(words[:3]) if isinstance(words, list) else "",
)
def test_a_plugin_that_comes_to_no_result_is_unknown(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for shape in (["--format", "nagios"], ["--format=nagios"]):
        assert main([*words, *shape]) == 3
        state, told_so, data = read_line(capsys.readouterr().out.rstrip("\n"))
        assert state == "UNKNOWN"
        assert said in told_so
        assert data == {}
    # Exit codes are Underlay's own without it.
    assert main(words) == 2


@pytest.mark.parametrize("words", [["--rate", "5"], ["--probe-path", "/x"], ["--flush"]])
def test_what_is_about_machines_boots_no_lab(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "flat", *words]) == 2
    assert "need --inventory" in capsys.readouterr().err


def test_a_plugins_exit_codes_are_of_nagios(
    proven: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", "flat", "--format", "nagios"]
    file = tmp_path / "run.json"

    def line(code: int) -> tuple[str, str, dict[str, str]]:
        assert main([*words, "--save", str(file)]) == code
        out = capsys.readouterr().out
        assert main(["report", str(file), "--format", "nagios"]) == code
        assert capsys.readouterr().out == out
        return read_line(out.rstrip("\n"))

    assert line(0)[0] == "OK"
    proven.wrong = 3
    assert line(2)[0] == "CRITICAL"
    proven.wrong, proven.down = 0, "flat"
    state, said, _ = line(3)
    assert (state, said) == ("UNKNOWN", "flat: not measured: core-01: its kernel ended")
    proven.down, proven.during = "", staticmethod(interrupt)
    state, said, _ = line(3)
    assert state == "UNKNOWN"
    assert "interrupted" in said


def test_what_takes_too_long_is_ended_and_said(
    proven: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proven.during = staticmethod(lambda: time.sleep(30))
    file = tmp_path / "run.json"
    began = time.monotonic()
    assert main(["check", "flat", "--timeout", "1", "--save", str(file)]) == 3
    assert "not done within 1 s" in capsys.readouterr().err
    words = ["check", "flat", "--timeout", "1", "--format", "nagios"]
    assert main(words) == 3
    assert read_line(capsys.readouterr().out.rstrip("\n"))[1].startswith(
        "the run ended early, while bringing up: not done within 1 s"
    )
    assert time.monotonic() - began < 20
    proven.during = staticmethod(lambda: None)
    assert main(["check", "flat", "--timeout", "60"]) == 0


@pytest.mark.parametrize("option", ["--json", "--baseline", "--after"])
def test_monitoring_asks_how_the_lab_is_now(
    option: str, proven: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    write_run(run_of(saved(source(plan_of()), LabResult(seen(plan_of())))), file)
    more = {"--baseline": [str(file)], "--after": ["reboot"]}.get(option, [])
    assert main(["check", "flat", option, *more, "--format", "prometheus"]) == 2
    assert f"can't be given with {option}" in capsys.readouterr().err
    assert main(["check", "flat", "-o", str(file)]) == 2
    assert "--format prometheus" in capsys.readouterr().err
    words = ["report", str(file), "--baseline", str(file), "--format", "nagios"]
    assert main(words) == 3
    assert "can't be given with --baseline" in capsys.readouterr().out


def test_report_tells_metrics_by_the_ending_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    run = run_of(saved(source(plan_of()), LabResult(seen(plan_of()))))
    write_run(run, file)
    assert main(["report", str(file), "-o", str(tmp_path / "underlay.prom")]) == 0
    assert (tmp_path / "underlay.prom").read_text() == prometheus_text(Told(run))
    assert main(["report", str(file), "--format", "nagios", "-o", str(tmp_path / "line")]) == 0
    assert (tmp_path / "line").read_text() == nagios_line(Told(run))[0] + "\n"
