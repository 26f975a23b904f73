"""What changes from one measurement to the next, and how it is told."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from documents import problems
from underlay import cli
from underlay.cli import live_matrix
from underlay.cli.verbs import watch as verb
from underlay.cluster.state.lab import LabState
from underlay.errors import BadInput, Infrastructure
from underlay.lint import load
from underlay.plan import Plan
from underlay.proof import watched
from underlay.proof.choice import Choice
from underlay.proof.watched import Watch, changes
from underlay.report.documents.kinds import stamped
from underlay.report.watched import lines, watched_document
from underlay.storage.paths import root
from underlay.verdict import Verdict
from unit.report.test_report import as_predicted, judged

COREOS = load(root() / "labs" / "coreos.yml").plan
STATE = LabState("coreos", "labs/coreos.yml", "uml")


def verdict(*, deaf: str = "", resent: bool = False, plan: Plan = COREOS) -> Verdict:
    """Return the verdict on a lab in which ``deaf`` answers nobody."""
    seen = [
        replace(one, observed="unreachable", stopped_at="no_answer", rtt_ms=None)
        if one.destination == deaf and one.observed == "reachable"
        else replace(one, lost=1)
        if resent
        else one
        for one in as_predicted(plan)
    ]
    return judged(plan, seen)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Verdict | BaseException]:
    """Return what measurements will find, one after the other."""
    found: list[Verdict | BaseException] = []

    def measure(*_: object) -> Verdict:
        one = found.pop(0)
        if isinstance(one, BaseException):
            raise one
        return one

    monkeypatch.setattr(watched, "measure_and_judge", measure)
    monkeypatch.setattr(LabState, "plan", lambda _: COREOS)
    return found


def test_only_what_is_seen_otherwise_is_a_change() -> None:
    assert changes(verdict(), verdict(resent=True)) == ()
    found = changes(verdict(), verdict(deaf="lannet-2a"))
    assert found
    assert {one.now.destination for one in found} == {"lannet-2a"}
    assert all(one.before.observed == "reachable" and one.now.differs for one in found)


def test_a_pair_is_told_in_one_line_and_what_comes_back_too(
    measured: list[Verdict | BaseException],
) -> None:
    measured += [verdict(), verdict(deaf="lannet-2a"), verdict(deaf="lannet-2a"), verdict()]
    watch = Watch(lambda: STATE, Choice())
    first, broken, same, mended = (watch.measure(str) for _ in range(4))
    assert (first.anew, first.changes, lines(first)) == (True, (), [])
    told = [line.plain.split(" ", 1)[1] for line in lines(broken)]
    assert "✗ lannet-1a → lannet-2a: icmp, tcp, udp reachable → unreachable (no_answer)" in told
    assert len(told) == len({(one.now.source, one.now.destination) for one in broken.changes})
    assert lines(same) == []
    back = lines(mended, ascii_only=True)[0].plain.split(" ", 1)[1]
    assert back == "o lannet-1a > lannet-2a: icmp, tcp, udp unreachable (no_answer) > reachable"


def test_many_pairs_are_counted_on_a_terminal(measured: list[Verdict | BaseException]) -> None:
    measured += [verdict(), verdict(deaf="lannet-2a")]
    watch = Watch(lambda: STATE, Choice())
    watch.measure(str)
    broken = watch.measure(str)
    told = lines(broken, most=3)
    assert len(told) == 3
    assert told[-1].plain.endswith(f"and {len(lines(broken)) - 2} pairs more")


def test_what_is_wrong_from_the_first_is_told(measured: list[Verdict | BaseException]) -> None:
    measured += [verdict(deaf="lannet-2a")]
    told = lines(Watch(lambda: STATE, Choice()).measure(str))
    assert "expected reachable, unreachable (no_answer)" in told[0].plain


def test_chosen_cells_alone_are_told(measured: list[Verdict | BaseException]) -> None:
    measured += [verdict(), verdict(deaf="lannet-2a")]
    watch = Watch(lambda: STATE, Choice(only=("lannet-1a -> lannet-2a",), protocols=("icmp",)))
    watch.measure(str)
    found = watch.measure(str)
    assert [(one.now.source, one.now.protocol) for one in found.changes] == [("lannet-1a", "icmp")]
    assert found.verdict.summary.left_out


def test_another_plan_is_compared_with_nothing(
    measured: list[Verdict | BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = load(root() / "labs" / "basics-ipvlan.yml").plan
    measured += [verdict(), verdict(plan=other)]
    watch = Watch(lambda: STATE, Choice())
    watch.measure(str)
    monkeypatch.setattr(LabState, "plan", lambda _: other)
    assert watch.measure(str).anew


def test_its_document_is_as_the_schema_says(measured: list[Verdict | BaseException]) -> None:
    measured += [verdict(), verdict(deaf="lannet-2a")]
    watch = Watch(lambda: STATE, Choice())
    watch.measure(str)
    document = stamped("watch", watched_document(watch.measure(str)))
    assert not problems("watch", document)
    one = document["changes"][0]
    assert (one["before"]["as_expected"], one["now"]["as_expected"]) == (True, False)
    assert len(document["cells"]) == document["summary"]["differs"] > 0


@pytest.fixture
def up(monkeypatch: pytest.MonkeyPatch) -> list[LabState | BaseException]:
    """Return what the lab's record will be each time it is asked for; the last for ever."""
    states: list[LabState | BaseException] = [STATE]

    def state(_: str) -> LabState:
        one = states.pop(0) if len(states) > 1 else states[0]
        if isinstance(one, BaseException):
            raise one
        return one

    monkeypatch.setattr(verb, "running_lab", lambda _: "coreos")
    monkeypatch.setattr(verb, "running_state", state)
    monkeypatch.setattr(verb.time, "sleep", lambda _: None)
    return states


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(["watch", *words])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> dict[str, io.StringIO]:
    """Have the verb write where the test reads."""
    made = {"out": io.StringIO(), "err": io.StringIO()}
    for name, stream in made.items():
        monkeypatch.setattr(verb, name, Console(file=stream, width=160, highlight=False))
    return made


def plain(text: str) -> list[str]:
    return [line.split(" ", 1)[1] for line in text.splitlines()]


@pytest.mark.usefixtures("up")
def test_elsewhere_than_on_a_terminal_each_change_is_a_line(
    measured: list[Verdict | BaseException], streams: dict[str, io.StringIO]
) -> None:
    measured += [verdict(), verdict(), verdict(deaf="lannet-2a"), verdict()]
    assert cli.main(["watch", "--count", "4"]) == 0
    told = plain(streams["out"].getvalue())
    assert told[0].startswith("coreos: ")
    assert sum(line.startswith("coreos: ") for line in told) == 3
    assert any(line.startswith("✗ lannet-1a → lannet-2a: ") for line in told)
    assert "\x1b" not in streams["out"].getvalue()
    assert streams["err"].getvalue().startswith("4 measurements, ")


@pytest.mark.usefixtures("up", "streams")
def test_the_last_measurement_gives_the_exit_code(
    measured: list[Verdict | BaseException],
) -> None:
    measured += [verdict(), verdict(deaf="lannet-2a")]
    assert cli.main(["watch", "--count", "2"]) == 1


@pytest.mark.usefixtures("up", "streams")
def test_an_interrupt_ends_it_with_its_exit_code(measured: list[Verdict | BaseException]) -> None:
    measured += [verdict(), KeyboardInterrupt()]
    assert cli.main(["watch"]) == 130


@pytest.mark.usefixtures("up")
def test_each_line_of_json_is_a_document(
    measured: list[Verdict | BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    measured += [verdict(), Infrastructure("the switch was cut short"), verdict(deaf="lannet-2a")]
    code, out, _ = run(capsys, "--json", "--count", "3")
    documents: Sequence[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    kinds = [document["document"] for document in documents]
    assert (code, kinds) == (1, ["underlay watch", "underlay error", "underlay watch"])
    assert documents[2]["changes"]


@pytest.mark.usefixtures("streams")
def test_a_lab_that_is_stopped_ends_it(
    measured: list[Verdict | BaseException],
    up: list[LabState | BaseException],
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured += [verdict(), verdict()]
    up += [STATE, BadInput("the lab 'coreos' is not up")]
    code, _, told = run(capsys)
    assert code == 3
    assert "coreos isn't watched any more: the lab 'coreos' is not up" in told
    up[:] = [STATE, STATE, BadInput("the lab 'coreos' is not up")]
    code, out, _ = run(capsys, "--json")
    kinds = [json.loads(line)["document"] for line in out.splitlines()]
    assert (code, kinds) == (3, ["underlay watch", "underlay error"])


@pytest.mark.parametrize("colour", [True, False])
def test_what_changed_is_marked_in_the_matrix(
    measured: list[Verdict | BaseException], monkeypatch: pytest.MonkeyPatch, colour: bool
) -> None:
    measured += [verdict(), verdict(deaf="lannet-2a")]
    stream = io.StringIO()
    console = Console(
        file=stream, width=100, height=50, force_terminal=True, no_color=not colour,
        color_system="standard", highlight=False,
    )  # fmt: skip
    monkeypatch.setattr(live_matrix, "out", console)
    slept: list[float] = []
    monkeypatch.setattr(live_matrix.time, "sleep", slept.append)
    watch = Watch(lambda: STATE, Choice())
    with live_matrix.shown() as shown:
        shown.show(watch.measure(shown.tell), COREOS)
        shown.pause(2)
        before = len(slept)
        assert "\x1b[7" not in stream.getvalue().replace(";7", "[7")
        shown.show(watch.measure(shown.tell), COREOS)
        shown.pause(2)
    text = stream.getvalue()
    flashed = len(slept) - before > 1
    assert flashed is colour
    reverse = any(code in text for code in ("\x1b[7;", "\x1b[1;7;", "\x1b[7m", "\x1b[1;7m"))
    assert reverse is colour
    assert "✗ lannet-1a → lannet-2a" in text
    assert ": icmp, tcp, udp reachable → unreachable (no_answer)" in text


def test_an_interrupt_while_probes_are_being_got_ready_is_no_defect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread that starts them may not be up yet: there is nobody to wait for."""

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    watch = Watch(lambda: STATE, Choice())
    monkeypatch.setattr(watched.Timer, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        watch.ahead(5)
    watch.close()
