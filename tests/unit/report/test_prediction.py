"""What is to be expected, as text and as JSON, is what the prediction says: no more, no less."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from underlay import cli
from underlay.expect import Prediction, ends
from underlay.lint import load
from underlay.report.matrix import REACHABLE, UNREACHABLE
from underlay.report.prediction import prediction_document, prediction_text
from underlay.storage.paths import root


def predicted(name: str) -> Prediction:
    return Prediction(load(root() / "labs" / f"{name}.yml").plan)


def printed(prediction: Prediction, *, width: int = 100, plain: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, soft_wrap=True, highlight=False)
    text = prediction_text(prediction, ends(prediction.plan), width=width, ascii_only=plain)
    console.print(text, soft_wrap=True, end="")
    return stream.getvalue()


@pytest.mark.parametrize("name", ["coreos", "seen", "filters", "cluster-ipam"])
def test_each_cell_of_the_prediction_is_in_the_document(name: str) -> None:
    prediction = predicted(name)
    document = prediction_document(prediction)
    assert len(document["cells"]) == document["summary"]["cells"] == len(prediction.cells)
    for cell, row in zip(prediction.cells, document["cells"], strict=True):
        named = (row["source"], row["destination"], row["protocol"], row["family"])
        assert named == (cell.source, cell.destination, cell.protocol, cell.family)
        assert (row["rule"], row["because"]) == (cell.rule, cell.because)
        assert row["reference"] == cell.reference
        assert (row["expected_stop"] or "") == cell.stop
        if cell.kind == "reach":
            assert row["expected"] == ("reachable" if cell.reachable else "unreachable")
        else:
            assert row["expected"] == cell.value
    summary = document["summary"]
    words = [row["expected"] for row in document["cells"] if row["kind"] == "reach"]
    assert words.count("reachable") == summary["reachable"]
    assert words.count("unreachable") == summary["unreachable"]
    assert len(words) + summary["values"] == summary["cells"]


def test_each_reason_is_told_once_with_its_count_and_its_source() -> None:
    prediction = predicted("coreos")
    text = " ".join(printed(prediction).split())
    for because in {cell.because for cell in prediction.reach if not cell.reachable}:
        alike = [cell for cell in prediction.reach if cell.because == because]
        assert text.count(f"{len(alike)} {because} ({alike[0].stop}) {alike[0].reference}") == 1
    for because in {cell.because for cell in prediction.reach if cell.reachable}:
        assert because not in text


def test_nothing_is_said_to_be_as_expected_or_seen() -> None:
    """Nothing was measured: words of a verdict would be a lie here."""
    for name in ("coreos", "seen", "filters"):
        text = printed(predicted(name))
        for word in ("as expected", "observed", "0 differ", "What was seen"):
            assert word not in text, (name, word)
    assert "as expected" in REACHABLE.meaning
    assert "as expected" in UNREACHABLE.meaning


def test_a_lab_in_which_all_is_reachable_has_no_reasons() -> None:
    prediction = predicted("flat")
    unreachable = [cell for cell in prediction.reach if not cell.reachable]
    assert ("Why cells" in printed(prediction)) is bool(unreachable)
    assert "Why cells" in printed(predicted("coreos"))


def test_only_ascii_is_printed_where_only_that_can_be() -> None:
    assert printed(predicted("seen"), plain=True).isascii()
    assert not printed(predicted("seen")).isascii()


def test_protocols_that_part_are_named() -> None:
    assert "reachable of some of each" in printed(predicted("filters"))
    assert "reachable of some of each" not in printed(predicted("coreos"))


def test_statements_are_held_against_the_prediction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = (root() / "labs" / "intent.yml").read_text()
    for text, kept in ((lab, 7), (lab.replace("  - {on: db, action: drop}\n", ""), 5)):
        (tmp_path / "mine.yml").write_text(text)
        assert cli.main(["predict", str(tmp_path / "mine.yml")]) == 0
        out = capsys.readouterr().out
        assert f"{kept} of 7 statements kept" in out
        assert ("broken by" in out) is (kept < 7)
        assert cli.main(["predict", str(tmp_path / "mine.yml"), "--json"]) == 0
        stands = json.loads(capsys.readouterr().out)["intent"]
        assert sum(one["kept"] for one in stands) == kept
        assert all(one["kept"] is not bool(one["cells"]) for one in stands)
    assert "What is wanted" not in printed(predicted("coreos"))


def test_the_verb_prints_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["predict", "flat", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["lab"] == "flat"
    assert said.err == ""


def test_errors_of_lint_are_said_and_don_t_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["predict", "broken/seed-eth0"]) == 0
    said = capsys.readouterr()
    assert "lint finds 1 error\n" in said.out
    assert "management-master: lannet sits on eth0" in said.out
    assert said.err == ""
    assert cli.main(["predict", "broken/seed-eth0", "--json"]) == 0
    said = capsys.readouterr()
    assert [one["id"] for one in json.loads(said.out)["findings"]] == ["management-master"]
    assert "1 error in the lab: underlay lint broken/seed-eth0" in said.err
    assert cli.main(["predict", "coreos"]) == 0
    said = capsys.readouterr()
    assert "lint" not in said.out + said.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [\n", "yaml-syntax"),
        ("name: mine\n", "segments"),
        ("", "an empty file"),
    ],
)
def test_bad_input_is_told_with_its_place(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yml"
    file.write_text(text)
    assert cli.main(["predict", str(file)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "mine.yml:" in said
    assert cli.main(["predict", "coreso"]) == 2
    assert "did you mean 'coreos'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "cells"),
    [
        (["--only", "web -> db"], 6),
        (["--only", "web -> db", "--protocol", "tcp:5432"], 2),
        (["--only", "web -> db", "--not", "web-1a"], 3),
        (["--only", "web@office -> db@office", "--protocol", "icmp"], 2),
        ([], 210),
    ],
)
def test_some_cells_are_chosen_as_for_check(
    words: list[str], cells: int, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = prediction_document(predicted("intent"))
    assert cli.main(["predict", "intent", "--json", *words]) == 0
    document = json.loads(capsys.readouterr().out)
    summary = document["summary"]
    assert (len(document["cells"]), summary["cells"]) == (cells, cells)
    assert summary["left_out"] == len(whole["cells"]) - cells
    assert summary["reachable"] + summary["unreachable"] + summary["values"] == cells
    # Each is as it is in the whole, and statements are judged by them alone.
    assert all(cell in whole["cells"] for cell in document["cells"])
    abouts = {one["statement"]: one["about"] for one in whole["intent"]}
    for one in document["intent"]:
        assert 0 < one["about"] <= abouts[one["statement"]]
    assert cli.main(["predict", "intent", *words]) == 0
    out = capsys.readouterr().out
    assert (f"{210 - cells} left out" in out) == bool(words)
    assert "rows ask" in out


def test_a_statement_about_no_cell_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (root() / "labs" / "intent.yml").read_text(encoding="utf-8")
    file = tmp_path / "none.yml"
    file.write_text(f"{text}  - db -x db\n", encoding="utf-8")
    assert cli.main(["predict", str(file)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no cell of this lab is about it: db is all that is on either side" in said


def test_values_alone_have_no_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["predict", "seen", "--protocol", "source"]) == 0
    out = capsys.readouterr().out
    assert "rows ask" not in out
    assert "What is to be seen" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "dbb"], "did you mean db?"),
        (["--protocol", "tpc"], "did you mean tcp?"),
        (["--only", "db -> db"], "no cell of intent is left"),
    ],
)
def test_a_choice_of_nothing_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["predict", "intent", *words]) == 2
    assert said in capsys.readouterr().err
