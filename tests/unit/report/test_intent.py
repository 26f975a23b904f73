"""How it stands with what is wanted, after measuring: shown, counted and judged."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import doc_pages
from underlay.expect import Expectation, Prediction, ends, predict
from underlay.expect.intent import stands_of
from underlay.lint import load
from underlay.observe import Observation, Seen
from underlay.observe.unplanned import Looked, Unplanned
from underlay.plan import Plan
from underlay.report import document
from underlay.report.intent import intent_text
from underlay.report.terminal import report
from underlay.storage.paths import root
from underlay.verdict import Verdict, judge, with_intent
from unit.report.test_report import as_predicted

LAB = (root() / "labs" / "intent.yml").read_text(encoding="utf-8")
FIRST = LAB.partition("expect:\n")[0].count("\n") + 2
WAY_IN = "web -> db tcp:5432"


def planned(folder: Path, text: str = LAB) -> Plan:
    file = folder / "intent.yml"
    file.write_text(text, encoding="utf-8")
    return load(file).plan


def measured(plan: Plan, change: Callable[[Seen], Seen] = lambda seen: seen) -> Verdict:
    seen = Observation(tuple(change(one) for one in as_predicted(plan)), {}, {})
    return with_intent(judge("intent", "uml", predict(plan), seen), plan)


def forgotten(folder: Path) -> Plan:
    """Return the plan of the lab in which one filter for the guests was forgotten."""
    filter_line = "  - {on: guests, direction: out, to: core-02, action: drop}\n"
    assert filter_line in LAB
    return planned(folder, LAB.replace(filter_line, "\n"))


def lost(source: str, destination: str, protocol: str) -> Callable[[Seen], Seen]:
    def change(seen: Seen) -> Seen:
        if (seen.source, seen.destination, seen.protocol) != (source, destination, protocol):
            return seen
        return replace(seen, observed="unreachable", stopped_at="no_answer", arrived=False)

    return change


def unmeasured(source: str) -> Callable[[Seen], Seen]:
    def change(seen: Seen) -> Seen:
        return replace(seen, observed="not_measured") if seen.source == source else seen

    return change


def words(verdict: Verdict) -> dict[str, str]:
    return {one.statement.text: one.word for one in verdict.intent}


def printed(verdict: Verdict, plan: Plan, *, plain: bool = False) -> str:
    stream = io.StringIO()
    text = report(verdict, ends(plan), width=100, ascii_only=plain)
    Console(file=stream, width=100, soft_wrap=True, highlight=False).print(text, end="")
    said = stream.getvalue()
    assert max(map(len, said.splitlines())) <= 100
    return said


def test_what_is_kept_is_green_and_counted(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    verdict = measured(plan)
    assert set(words(verdict).values()) == {"kept"}
    assert verdict.exit_code == 0
    assert (verdict.summary.statements, verdict.summary.statements_broken) == (7, 0)
    said = printed(verdict, plan)
    assert "7 statements kept" in said
    assert "7 of 7 statements kept" in said


def test_a_cell_as_predicted_may_be_against_what_is_wanted(tmp_path: Path) -> None:
    plan = forgotten(tmp_path)
    verdict = measured(plan)
    assert verdict.as_predicted
    assert verdict.summary.differs == 0
    assert verdict.exit_code == 1
    said = printed(verdict, plan)
    assert "1 statement broken" in said
    # guest-1a and guest-1b, by icmp and tcp; nobody listens on the third port.
    assert f"line {FIRST + 6}: guests -x core-*: broken by 4 of 24 cells" in said
    assert "As predicted: guest-1a reaches core-02 (icmp, tcp)" in said
    assert "ipvlan_queue_xmit" in said
    assert "X line" in printed(verdict, plan, plain=True)


def test_a_cell_that_differs_may_break_a_statement(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    verdict = measured(plan, lost("web-1a", "db", "tcp:5432"))
    assert verdict.exit_code == 1
    assert not verdict.as_predicted
    assert words(verdict) == {**dict.fromkeys(words(verdict), "kept"), WAY_IN: "broken"}
    assert "Not as predicted: web-1a does not reach db (tcp:5432)." in printed(verdict, plan)


def test_a_cell_that_differs_may_keep_every_statement(tmp_path: Path) -> None:
    # Nobody wants anything of what web servers say to each other.
    plan = planned(tmp_path)
    verdict = measured(plan, lost("web-2a", "web-1a", "icmp"))
    assert verdict.exit_code == 1
    assert set(words(verdict).values()) == {"kept"}


def test_a_request_that_gets_there_is_against_never(tmp_path: Path) -> None:
    plan = planned(tmp_path)

    def leaks(seen: Seen) -> Seen:
        there = (seen.source, seen.destination, seen.protocol) == ("guest-1a", "web-1a", "icmp")
        return replace(seen, arrived=True) if there else seen

    assert words(measured(plan, leaks))["guests -x office"] == "broken"


def test_a_cell_that_was_not_measured_keeps_nothing(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    verdict = measured(plan, unmeasured("guest-1a"))
    assert verdict.exit_code == 3
    assert words(verdict)["guests -x office"] == "not measured"
    assert words(verdict)[WAY_IN] == "kept"
    assert "weren't measured." in printed(verdict, plan)
    # It doesn't hide what is broken.
    assert measured(forgotten(tmp_path), unmeasured("guest-1a")).exit_code == 1


def test_what_was_seen_may_be_other_than_what_must_be(tmp_path: Path) -> None:
    text = (root() / "labs" / "intent-seen.yml").read_text(encoding="utf-8")
    plan = planned(tmp_path, text)

    def value(cell: Expectation, *, wrong: bool) -> Seen:
        other = wrong and cell.protocol == "source" and cell.source == "hidden"
        found = "10.3.1.1" if other else cell.value
        return Seen(cell.source, cell.destination, cell.protocol, found, family=cell.family)

    for wrong, word, code in ((False, "kept", 0), (True, "broken", 1)):
        cells = predict(plan)
        seen = [value(cell, wrong=wrong) for cell in cells if cell.kind == "value"]
        observation = Observation((*as_predicted(plan), *seen), {}, {})
        verdict = with_intent(judge("seen", "uml", cells, observation), plan)
        assert verdict.exit_code == code
        assert words(verdict)["hidden -> server source:192.168.70.11"] == word
        assert list(words(verdict).values()).count("broken") == wrong
    told = "Not as predicted: hidden is seen by server with the source address 10.3.1.1."
    assert told in " ".join(printed(verdict, plan).split())


WAY = Unplanned("address", "web-1a", "10.1.0.99", "eth0", "02:00:00:00:00:01", ("db",), ("db",))


@pytest.mark.parametrize(
    ("looked", "word", "code", "said"),
    [
        (Looked(), "kept", 0, "8 of 8 statements kept"),
        (Looked((WAY,)), "broken", 1, "unplanned: never: 1 way found"),
        # A way that was found is one, whoever else couldn't look.
        (Looked((WAY,), (("db", "deaf"),)), "broken", 1, "unplanned: never: 1 way found"),
        (Looked((), (("db", "deaf"),)), "not measured", 3, "not everybody could look for"),
        (None, "not measured", 3, "not everybody could look for"),
    ],
)
def test_nothing_unplanned_is_told_after_measuring(
    looked: Looked | None, word: str, code: int, said: str, tmp_path: Path
) -> None:
    plan = planned(tmp_path, f"{LAB}  - unplanned: never\n")
    seen = Observation(tuple(as_predicted(plan)), {}, {}, looked)
    verdict = with_intent(judge("intent", "uml", predict(plan), seen), plan)
    assert words(verdict)["unplanned: never"] == word
    assert verdict.intent[-1].statement.text == "unplanned: never"
    assert verdict.exit_code == code
    assert verdict.summary.statements == 8
    assert said in " ".join(printed(verdict, plan).split())
    row = document(verdict)["intent"][-1]
    assert (row["word"], row["kept"], row["cells"]) == (word, word == "kept", [])
    # The prediction says nothing of it, so that nothing is counted or broken there.
    assert len(stands_of(Prediction(plan))) == 7


def test_nothing_was_measured_at_all(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    verdict = with_intent(judge("intent", "uml", predict(plan), Observation((), {}, {})), plan)
    assert set(words(verdict).values()) == {"not measured"}
    assert verdict.exit_code == 3


def test_a_statement_without_any_cell_is_no_pass(tmp_path: Path) -> None:
    plan = planned(tmp_path, f"{LAB}  - core-01 -x core-02\n")
    verdict = measured(plan)
    assert verdict.as_predicted
    assert verdict.exit_code == 3
    assert "no cell of this lab is about it." in printed(verdict, plan)


def test_without_statements_nothing_is_said(tmp_path: Path) -> None:
    plan = planned(tmp_path, LAB.partition("expect:\n")[0])
    verdict = measured(plan)
    assert verdict.exit_code == 0
    assert document(verdict)["intent"] == []
    assert str(intent_text(verdict)) == ""
    assert "wanted" not in printed(verdict, plan)


@pytest.mark.parametrize("change", [lambda seen: seen, unmeasured("guest-1a")])
def test_the_page_lists_the_documents_fields(
    change: Callable[[Seen], Seen], tmp_path: Path
) -> None:
    measured_now = document(measured(forgotten(tmp_path), change))
    made = {**measured_now, "causes": [], "origins": [], "captures": []}
    rows = made["intent"]
    assert [row["kept"] for row in rows] == [row["word"] == "kept" for row in rows]
    assert (rows[-1]["line"], rows[-1]["statement"]) == (FIRST + 6, "guests -x core-*")
    assert rows[-1]["cells"][0]["destination"] == "core-02"
    page = doc_pages.DOCS / "verbs" / "check.md"
    for row in rows:
        assert {*row} == {"line", "statement", "kept", "word", "about", "cells"}
    empty = ("unplanned", "blind", "intent", "timings")
    assert not doc_pages.wrong_fields(page, {**made, "intent": []}, empty)
    listed = page.read_text()
    assert all(f"| `intent[].{key}` |" in listed for key in rows[-1])
    assert all(f"`{key}`" in listed for key in rows[-1]["cells"][0])
