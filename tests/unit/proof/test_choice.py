"""Some of a lab's cells, chosen on the command line: which, how they count, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from underlay.cli import main
from underlay.errors import EXIT_BAD_INPUT, EXIT_INFRASTRUCTURE, EXIT_OK, BadInput
from underlay.expect import predict
from underlay.lint import load
from underlay.observe import Observation, Seen
from underlay.observe.live import Live, Way
from underlay.plan import Plan
from underlay.proof.choice import Choice
from underlay.proof.result import LabResult
from underlay.report.nagios import _unknown
from underlay.report.terminal import summary_line
from underlay.storage.paths import root
from underlay.verdict import Verdict, judge, with_intent
from unit.report.test_report import as_predicted

PLAN = load(root() / "labs" / "intent.yml").plan
GUEST = "guest-1a"


def measured(plan: Plan, wrong: str = "") -> Verdict:
    """Return a verdict in which all that ``wrong`` sends by icmp is otherwise than predicted."""
    other = {"reachable": "unreachable", "unreachable": "reachable"}

    def seen(one: Seen) -> Seen:
        if (one.source, one.protocol) != (wrong, "icmp"):
            return one
        return Seen(one.source, one.destination, one.protocol, other[str(one.observed)])

    found = Observation(tuple(seen(one) for one in as_predicted(plan)), {}, {})
    return with_intent(judge(plan.lab, "uml", predict(plan), found), plan)


@pytest.mark.parametrize(
    ("choice", "sources", "destinations", "protocols"),
    [
        (Choice(("web -> db",)), {"web-1a", "web-2a"}, {"db"}, {"icmp", "tcp", "tcp:5432"}),
        (Choice(("web -> db",), (), ("icmp",)), {"web-1a", "web-2a"}, {"db"}, {"icmp"}),
        (Choice(("web-1a -> *",), ("guests", "core-*")), {"web-1a"}, {"db", "web-2a"}, set()),
        (Choice(("guests -> web",), ("guest-2*",)), {GUEST, "guest-1b"}, set(), set()),
        (Choice(("web@office -> db@office",)), {"web-1a", "web-2a"}, {"db"}, set()),
        (Choice(("nodes -> db",)), {"core-01", "core-02"}, {"db"}, set()),
        (Choice(("containers -> web-1a",), ("guests", "db")), {"web-2a"}, {"web-1a"}, set()),
        (Choice(("db -> web-1a", "db -> web-2a"), ("* -> web-2a",)), {"db"}, {"web-1a"}, set()),
    ],
)  # fmt: skip
def test_which_cells_are_chosen(
    choice: Choice, sources: set[str], destinations: set[str], protocols: set[str]
) -> None:
    verdict = choice.of(PLAN).verdict(measured(PLAN))
    assert {cell.source for cell in verdict.cells} == sources
    if destinations:
        assert {cell.destination for cell in verdict.cells} == destinations
    if protocols:
        assert {cell.protocol for cell in verdict.cells} == protocols
    whole = len(measured(PLAN).cells)
    assert verdict.summary.left_out == whole - len(verdict.cells) > 0
    assert f"{verdict.summary.left_out} left out" in str(summary_line(verdict))


def test_a_name_alone_is_either_side() -> None:
    verdict = Choice(("db",)).of(PLAN).verdict(measured(PLAN))
    assert all("db" in (cell.source, cell.destination) for cell in verdict.cells)
    without = Choice((), ("db",)).of(PLAN).verdict(measured(PLAN))
    assert len(verdict.cells) + len(without.cells) == len(measured(PLAN).cells)


def test_only_what_is_chosen_counts() -> None:
    whole = measured(PLAN, wrong=GUEST)
    assert whole.exit_code == 1
    assert Choice((), (GUEST,)).of(PLAN).verdict(whole).exit_code == 0
    assert Choice((GUEST,)).of(PLAN).verdict(whole).exit_code == 1
    assert Choice((GUEST,), (), ("tcp",)).of(PLAN).verdict(whole).exit_code == 0


def test_statements_are_those_about_chosen_cells() -> None:
    whole = measured(PLAN, wrong=GUEST)
    verdict = Choice(("guests -> office",)).of(PLAN).verdict(whole)
    assert {one.statement.text: one.word for one in verdict.intent} == {
        "guests -x office": "broken",
        # The part that is about guests.
        "* except web -x db": "broken",
    }
    spared = Choice(("guests -> office",), (GUEST,)).of(PLAN).verdict(whole)
    assert {one.word for one in spared.intent} == {"kept"}


@pytest.mark.parametrize(
    ("choice", "message", "hint"),
    [
        (Choice(("webb",)), "--only 'webb': nobody in intent is called so", "did you mean web?"),
        (Choice((), ("gests",)), "--not 'gests': nobody", "did you mean guests?"),
        (Choice(("core-03",)), "--only 'core-03'", "all names here: "),
        (Choice(("web -> bd",)), "--only 'bd'", "did you mean db?"),
        (Choice(("web > db",)), "--only 'web > db' names nobody", "--only 'web -> db'"),
        (Choice(("web ->",)), "--only 'web ->' names nobody", "--only web"),
        (Choice((), (), ("udp",)), "--protocol 'udp': intent isn't measured by it", "icmp, tcp"),
        (Choice((), (), ("tcp:5433",)), "--protocol 'tcp:5433'", "one of"),
        (Choice(("web",), ("*",)), "no cell of intent is left", "underlay predict"),
        (Choice(("core-01 -> core-02",)), "no cell of intent is left", "underlay predict"),
    ],
)
def test_what_is_refused(choice: Choice, message: str, hint: str) -> None:
    with pytest.raises(BadInput) as error:
        choice.of(PLAN)
    assert error.value.message.startswith(message)
    assert hint in error.value.hint


def test_cells_of_several_labs_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("flat", "intent"):
        (tmp_path / f"{name}.yml").write_text((root() / "labs" / f"{name}.yml").read_text())
    assert main(["check", str(tmp_path), "--only", "web"]) == EXIT_BAD_INPUT
    assert f"choose cells of one lab, and {tmp_path} has 2" in capsys.readouterr().err


def test_a_wrong_name_is_refused_before_anything_boots(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(root() / "labs" / "intent.yml"), "--not", "gest"]) == EXIT_BAD_INPUT
    assert "--not 'gest': nobody in intent is called so" in capsys.readouterr().err


def sizes(*mtus: int) -> Verdict:
    """Return a verdict about machines in use, all as predicted, whose ways have these sizes."""
    names = [("core-01", "core-02"), ("core-02", "core-01")]
    ways = tuple(
        Way(*name, "192.0.2.1", "192.0.2.2", ("tcp",), {}, mtu, "" if mtu else "no ICMP")
        for name, mtu in zip(names, mtus, strict=True)
    )
    live = Live("probe", flushed=False, rate=100, ways=ways)
    return replace(measured(PLAN), live=live)


def test_a_size_between_machines_that_was_not_measured_is_no_success() -> None:
    whole, lacking = sizes(1500, 1500), sizes(1500, 0)
    assert (whole.exit_code, lacking.exit_code) == (EXIT_OK, EXIT_INFRASTRUCTURE)
    assert "1 size not measured" in summary_line(lacking).plain
    assert "size" not in summary_line(whole).plain
    assert list(_unknown(LabResult(lacking))) == ["1 size not measured: no ICMP"]


def test_sizes_count_where_a_machine_was_chosen_that_asks_by_icmp() -> None:
    lacking = sizes(1500, 0)
    for choice, code in (
        (Choice(("core-02 -> *",)), EXIT_INFRASTRUCTURE),
        (Choice(("core-02 -> *",), (), ("tcp",)), EXIT_OK),
        (Choice(("core-01 -> *",)), EXIT_OK),
        (Choice(("web -> db",)), EXIT_OK),
    ):
        assert choice.of(PLAN).verdict(lacking).exit_code == code, choice
