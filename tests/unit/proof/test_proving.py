"""A change held against packets: each cell in both labs, and what is told of those that aren't."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from underlay import cli
from underlay.errors import BadInput, Infrastructure
from underlay.expect import predict
from underlay.lint.loaded import Loaded, load_bytes
from underlay.observe import Observation, Seen
from underlay.proof.difference import proving
from underlay.proof.difference.cells import compare
from underlay.proof.difference.labs import LabPair
from underlay.proof.labs import LabResults
from underlay.proof.result import LabResult
from underlay.verdict import judge, with_intent
from unit.report.test_report import as_predicted

LAB = """\
name: mine
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24}
containers:
  - {on: core-01, name: web, networks: [lannet]}
  - {on: all, name: app, networks: [lannet]}
protocols: [icmp, tcp]
"""
PRIVATE = LAB.replace("driver: macvlan,", "driver: macvlan, mode: private,")
Change = Callable[[str, Seen], Seen]


def loaded(text: str) -> Loaded:
    return load_bytes(Path("mine.yml"), "mine.yml", text.encode())


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Loaded]]:
    """Return a function that has labs measured as ``change`` says, and returns which were asked."""

    def made(change: Change = lambda _, seen: seen, failed: str = "") -> list[Loaded]:
        asked: list[Loaded] = []

        def proven(labs: list[Loaded], name: str, *_: object, **__: object) -> LabResults:
            asked.extend(labs)
            results = LabResults()
            for number, one in enumerate(labs):
                plan = one.plan
                values = [
                    Seen(e.source, e.destination, e.protocol, e.value, family=e.family)
                    for e in predict(plan)
                    if e.kind == "value"
                ]
                cells = tuple(change(plan.lab, seen) for seen in [*as_predicted(plan), *values])
                error = Infrastructure("core-01 did not start") if plan.lab == failed else None
                seen = Observation(() if error else cells, {}, {})
                verdict = with_intent(judge(plan.lab, name, predict(plan), seen), plan)
                phase = "boot" if number % 2 == 0 else "switch"
                results.add(LabResult(verdict, error=error, timings={phase: 1.5}))
            return results

        monkeypatch.setattr(proving, "prove_labs", proven)
        return asked

    return made


def proof(old: str, new: str) -> proving.LabProof:
    was, is_now = loaded(old), loaded(new)
    pair = LabPair("", was, is_now)
    (found,) = proving.prove_pairs([(pair, compare(was.plan, is_now.plan))], "uml", print)
    assert found is not None
    return found


def otherwise(lab: str, source: str, destination: str) -> Change:
    """Return what makes a pair's pings other than predicted in one of the labs."""

    def change(which: str, seen: Seen) -> Seen:
        if (which, seen.source, seen.destination, seen.protocol) != (
            lab,
            source,
            destination,
            "icmp",
        ):
            return seen
        turned = "unreachable" if seen.observed == "reachable" else "reachable"
        return replace(seen, observed=turned, stopped_at="no_answer" if turned[0] == "u" else "")

    return change


def test_a_change_as_predicted_is_proven(measured: Callable[..., list[Loaded]]) -> None:
    asked = measured()
    found = proof(LAB, PRIVATE)
    # Both have one name in their files.
    assert [one.plan.lab for one in asked] == ["old", "new"]
    assert {cell.what for cell in found.changes} == {"lost"}
    assert {cell.word for cell in found.cells} == {"as predicted"}
    assert len(found.cells) == len(predict(loaded(LAB).plan))
    assert (found.exit_code, found.boots, found.why) == (0, 1, ())


def test_each_cell_that_is_not_as_predicted_is_told(measured: Callable[..., list[Loaded]]) -> None:
    # It should be lost and is reachable as before.
    measured(otherwise("new", "web", "app-1a"))
    found = proof(LAB, PRIVATE)
    (one,) = [cell for cell in found.cells if cell.word == "differs"]
    assert one.what == "lost"
    assert one.old is not None
    assert one.new is not None
    assert (one.old.observed, one.new.observed) == ("reachable", "reachable")
    assert found.exit_code == 1
    # It should be as before, and wasn't what it should have been in the old lab.
    measured(otherwise("old", "web", "app-2a"))
    found = proof(LAB, PRIVATE)
    (one,) = [cell for cell in found.cells if cell.word == "differs"]
    assert (one.what, found.exit_code) == ("", 1)
    # With one lab alone it is found, too: ends that come and go have cells in one only.
    measured(otherwise("new", "come-1a", "web"))
    more = LAB.replace("protocols:", "  - {name: come, networks: [lannet]}\nprotocols:")
    found = proof(LAB, more)
    (one,) = [cell for cell in found.cells if cell.word == "differs"]
    assert (one.what, one.old) == ("gained", None)


def test_what_did_not_come_up_is_not_measured(measured: Callable[..., list[Loaded]]) -> None:
    measured(failed="new")
    found = proof(LAB, PRIVATE)
    assert {cell.word for cell in found.cells} == {"not measured"}
    assert found.exit_code == 3


def test_both_are_asked_by_the_protocols_and_checks_of_either(
    measured: Callable[..., list[Loaded]],
) -> None:
    asked = measured()
    ports = LAB.replace("protocols: [icmp, tcp]", 'protocols: [icmp, "tcp:5432"]\nchecks: [source]')
    wanted = "expect:\n  - web -> app\n"
    found = proof(LAB + wanted, ports + wanted)
    assert {one.plan.protocols for one in asked} == {("icmp", "tcp", "tcp:5432")}
    assert {one.plan.checks for one in asked} == {("source",)}
    # What the old lab wanted is of no account any more.
    assert [len(one.plan.intent) for one in asked] == [0, 1]
    assert found.exit_code == 0


def test_a_renamed_end_is_one_cell(measured: Callable[..., list[Loaded]]) -> None:
    measured()
    found = proof(LAB, LAB.replace("name: web", "name: www"))
    assert not found.changes
    assert all(cell.old and cell.new for cell in found.others)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            "nodes: 2",
            "nodes: 3",
            "nodes: core-01, core-02 run, NEW needs core-01, core-02, core-03",
        ),
        ("nodes: 2", "nodes: {count: 2, memory: 768}", "core-01: MiB of memory: it has 512"),
    ],
)
def test_where_nodes_differ_it_is_said_why_it_takes_two_boots(
    old: str,
    new: str,
    why: str,
    measured: Callable[..., list[Loaded]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured()
    assert proof(LAB, LAB.replace(old, new)).why[0].startswith(why)
    # It is said before anything is booted, too.
    assert f"booting each by itself: {why}" in capsys.readouterr().out


def test_a_lab_with_errors_of_lint_is_not_measured(measured: Callable[..., list[Loaded]]) -> None:
    measured()
    broken = LAB.replace("protocols:", "filters:\n  - {on: app-3a, action: drop}\nprotocols:")
    with pytest.raises(BadInput, match="filter-nobody"):
        proof(LAB, broken)


def run(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    (folder / "old.yml").write_text(LAB)
    (folder / "new.yml").write_text(LAB + "filters:\n  - {on: web, protocol: tcp, action: drop}\n")
    files = [str(folder / "old.yml"), str(folder / "new.yml")]
    code = cli.main(["diff", *files, "--prove", *words])
    return code, " ".join(capsys.readouterr().out.split())


def test_it_is_said_in_each_format(
    tmp_path: Path, measured: Callable[..., list[Loaded]], capsys: pytest.CaptureFixture[str]
) -> None:
    measured(otherwise("new", "app-2a", "web"))
    code, text = run(tmp_path, capsys)
    assert code == 1
    assert "OLD and NEW on one boot" in text
    assert "of 6 changes as predicted" in text
    said = "app-2a → web (icmp): predicted as before; in OLD reachable, as predicted, in NEW"
    assert f"{said} unreachable instead of reachable" in text
    code, text = run(tmp_path, capsys, "--format", "markdown")
    assert "Measured:" in text
    assert f"**{said}" in text
    code, text = run(tmp_path, capsys, "--json")
    document: dict[str, Any] = json.loads(text)["labs"][0]["measured"]
    assert (document["boots"], document["changes"]["as_predicted"]) == (1, 6)
    assert document["others"]["differs"] == 1
    (cell,) = document["cells"]
    assert (cell["change"], cell["word"], cell["now"]["observed"]) == (
        None,
        "differs",
        "unreachable",
    )
    code, text = run(tmp_path, capsys, "--format", "csv")
    assert ",reachable,unreachable" in text


def test_exit_codes(
    tmp_path: Path, measured: Callable[..., list[Loaded]], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yml").write_text(LAB)
    (tmp_path / "b.yml").write_text(LAB.replace("count: 1, ", "") + "checks: [source]\n")
    files = [str(tmp_path / "a.yml"), str(tmp_path / "b.yml")]
    for change, failed, expected in (
        (lambda _, seen: seen, "", 0),
        (otherwise("old", "web", "app-2a"), "", 1),
        (lambda _, seen: seen, "old", 3),
    ):
        measured(change, failed=failed)
        assert cli.main(["diff", *files, "--prove"]) == expected
    capsys.readouterr()
    assert cli.main(["diff", *files, "--provider", "uml"]) == 2
    assert "--provider needs --prove" in capsys.readouterr().err
