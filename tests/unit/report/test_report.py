from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from underlay.expect import ends, predict
from underlay.lab import Lab
from underlay.lint.read import read_lab
from underlay.observe import Observation, Seen
from underlay.plan import Plan, make_plan
from underlay.proof.bench.command_line import PseudoTerminal
from underlay.report.matrix import cut_to, matrix
from underlay.report.terminal import ascii_only, report
from underlay.storage.paths import root
from underlay.verdict import Verdict, judge

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "report"
Golden = Callable[[Path, str], None]


def plan_of(nodes: int = 3, count: int = 2, nets: int = 2) -> Plan:
    networks = {
        "lannet": {"driver": "macvlan", "segment": "lan", "subnet": "20.1.0.0/16"},
        "ipnet": {"driver": "ipvlan", "segment": "wan", "subnet": "30.1.0.0/16"},
    }
    names = list(networks)[:nets]
    return make_plan(
        Lab.model_validate(
            {
                "name": "shown",
                "nodes": nodes,
                "segments": {
                    "lan": {"subnet": "192.168.70.0/24"},
                    "wan": {"subnet": "192.168.80.0/24"},
                },
                "networks": {name: networks[name] for name in names},
                "containers": [{"count": count, "networks": [name]} for name in names],
            }
        )
    )


def as_predicted(plan: Plan) -> list[Seen]:
    return [
        Seen(
            e.source,
            e.destination,
            e.protocol,
            "reachable" if e.reachable else "unreachable",
            stopped_at=e.stop,
            arrived=e.reachable or e.arrives,
            rtt_ms=0.4 if e.reachable else None,
            attempts=1 if e.reachable else 2,
            family=e.family,
        )
        for e in predict(plan)
        if e.kind == "reach"
    ]


def judged(plan: Plan, seen: list[Seen]) -> Verdict:
    timings = {"start": 0.6, "probe": 2.1, "collect": 0.1}
    return judge(plan.lab, "uml", predict(plan), Observation(tuple(seen), timings, {}))


def printed(plan: Plan, seen: list[Seen], *, width: int = 100, plain: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, soft_wrap=True, highlight=False)
    text = report(judged(plan, seen), ends(plan), width=width, ascii_only=plain)
    console.print(text, soft_wrap=True, end="")
    lines = stream.getvalue().splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert max(map(len, lines)) <= width
    return stream.getvalue()


def troubled(plan: Plan) -> list[Seen]:
    return [trouble(cell) for cell in as_predicted(plan)]


def trouble(cell: Seen) -> Seen:
    """A dead node, a second owner of an address, a container gone, and a stop elsewhere."""
    one, two = cell.source, cell.destination
    if "ipnet-1b" in (one, two):
        why = "ipnet-1b: container is exited"
        return Seen(one, two, cell.protocol, "not_measured", reason=why)
    lost = replace(cell, observed="unreachable", arrived=False, rtt_ms=None, attempts=2)
    if "core-03" in (one, two) and cell.observed == "reachable":
        return replace(lost, stopped_at="no_neighbour")
    if two == "lannet-1a" and one.startswith("lannet-2"):
        return replace(lost, stopped_at="no_answer", answered_by="lannet-2a")
    if (one, two) == ("core-01", "lannet-1a"):
        return replace(cell, stopped_at="no_route")
    if (one, two, cell.protocol) == ("ipnet-1a", "ipnet-2a", "udp"):
        return replace(cell, attempts=2, lost=1)
    return cell


def test_a_matrix_as_expected(golden: Golden) -> None:
    plan = plan_of()
    golden(GOLDEN / "as-expected.txt", printed(plan, as_predicted(plan)))


def test_a_matrix_in_ascii_on_80_columns(golden: Golden) -> None:
    plan = plan_of()
    text = printed(plan, as_predicted(plan), width=80, plain=True)
    assert text.isascii()
    golden(GOLDEN / "ascii.txt", text)


def test_differences_are_grouped_and_explained(golden: Golden) -> None:
    plan = plan_of()
    golden(GOLDEN / "troubled.txt", printed(plan, troubled(plan)))


@pytest.mark.parametrize(("nodes", "name"), [(5, "by-node"), (14, "by-network")])
def test_a_large_matrix_is_folded(golden: Golden, nodes: int, name: str) -> None:
    plan = plan_of(nodes=nodes, count=4)
    text = printed(plan, as_predicted(plan))
    golden(GOLDEN / f"{name}.txt", text.partition("\n\nWhy")[0] + "\n")


def lost(plan: Plan, is_lost: Callable[[Seen], bool]) -> list[Seen]:
    """What is seen where nothing comes back in those cells of what should be reachable."""
    return [
        replace(cell, observed="unreachable", stopped_at="no_answer", arrived=False, rtt_ms=None)
        if cell.observed == "reachable" and is_lost(cell)
        else cell
        for cell in as_predicted(plan)
    ]


def shown_matrix(plan: Plan, seen: list[Seen], width: int = 100) -> str:
    text = matrix(judged(plan, seen), ends(plan), width=width).plain
    assert max(map(len, text.splitlines())) <= width
    return f"{text}\n"


def test_a_block_of_which_some_differ_says_how_many_and_whose(golden: Golden) -> None:
    plan = plan_of(nodes=3, count=12)
    seen = lost(plan, lambda cell: "lannet-2c" in (cell.source, cell.destination))
    text = shown_matrix(plan, seen)
    assert "from or to lannet-2c (core-02): 74 of 74 pairs" in text
    golden(GOLDEN / "folded-one-bad.txt", text)


def test_a_block_that_differs_as_a_whole_has_no_count_and_a_dead_node_is_named() -> None:
    plan = plan_of(nodes=5, count=4)
    dead = {end.name for end in ends(plan) if end.node == "core-03"}
    assert "/" not in shown_matrix(
        plan, lost(plan, lambda c: bool({c.source, c.destination} & dead))
    )
    pair = ("ipnet-1a", "ipnet-2b")
    text = shown_matrix(
        plan,
        lost(
            plan,
            lambda c: bool({c.source, c.destination} & dead) or (c.source, c.destination) == pair,
        ),
    )
    named = text.partition(" pairs there differs\n")[2]
    assert named == "✗ all on core-03: 408 of 408 pairs\n✗ ipnet-1a → ipnet-2b\n"


def test_one_direction_of_one_protocol_is_named_as_a_pair() -> None:
    plan = plan_of(nodes=5, count=4)
    one = ("lannet-1a", "lannet-5d", "udp")
    text = shown_matrix(
        plan, lost(plan, lambda cell: (cell.source, cell.destination, cell.protocol) == one)
    )
    assert "✗1/16: 1 of the 16 pairs there differs\n✗ lannet-1a → lannet-5d\n" in text


def test_who_is_only_asked_in_vain_is_named_so() -> None:
    plan = plan_of(nodes=5, count=4)
    text = shown_matrix(plan, lost(plan, lambda cell: cell.destination == "ipnet-4b"))
    assert "✗ to ipnet-4b (core-04): 23 of 23 pairs" in text


def test_what_is_reachable_against_expectation_is_named_too() -> None:
    plan = plan_of(nodes=5, count=4)
    seen = [
        replace(cell, observed="reachable", stopped_at="")
        if cell.source == "lannet-1a" and cell.observed == "unreachable"
        else cell
        for cell in as_predicted(plan)
    ]
    assert "✗ from lannet-1a (core-01): 21 of 21 pairs" in shown_matrix(plan, seen)


def test_what_was_not_measured_is_counted_and_named() -> None:
    plan = plan_of(nodes=5, count=4)
    seen = [
        replace(cell, observed="not_measured", stopped_at="", reason="it is exited")
        if "ipnet-1b" in (cell.source, cell.destination)
        else cell
        for cell in as_predicted(plan)
    ]
    text = shown_matrix(plan, seen)
    assert "?4/16" in text
    assert "? from or to ipnet-1b (core-01): 88 of 88 pairs" in text


def test_a_matrix_as_expected_has_neither_counts_nor_names() -> None:
    plan = plan_of(nodes=5, count=4)
    text = shown_matrix(plan, as_predicted(plan))
    assert "/" not in text
    assert "pairs" not in text


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_columns_that_do_not_fit_stand_below(width: int) -> None:
    plan = plan_of(nodes=5, count=4)
    text = shown_matrix(plan, lost(plan, lambda c: c.destination == "ipnet-4b"), width=width)
    rows = [line for line in text.splitlines() if line.startswith("lannet on core-01")]
    assert sum(len(row.split()) - 3 for row in rows) == 15
    assert len(rows) == {40: 3, 60: 2, 80: 1, 100: 1}[width]


def test_a_matrix_much_wider_than_the_terminal_is_folded_and_wide_it_never_is() -> None:
    plan = plan_of(nodes=3, count=3)
    wrong = lost(plan, lambda cell: cell.destination == "ipnet-3b")
    every = matrix(judged(plan, wrong), ends(plan), width=100).plain
    assert "lannet-1a  core-01" in every
    folded = shown_matrix(plan, wrong, width=44)
    assert "lannet on core-01" in folded
    assert "✗ to ipnet-3b (core-03): " in folded
    assert "ipnet-3b" in matrix(judged(plan, wrong), ends(plan), width=44, wide=True).plain
    large = plan_of(nodes=5, count=4)
    text = matrix(judged(large, as_predicted(large)), ends(large), width=80, wide=True).plain
    assert sum(line.startswith(("lannet-", "ipnet-")) for line in text.splitlines()) == 40
    assert max(map(len, text.splitlines())) > 140


def test_a_large_matrix_of_many_troubles_names_a_few() -> None:
    plan = plan_of(nodes=5, count=4)
    text = shown_matrix(plan, lost(plan, lambda cell: cell.source[-1] != cell.destination[-1]))
    named = text.partition(" pairs there differ\n")[2].splitlines()
    assert len(named) == 6
    assert named[-1] == "✗ and 600 pairs more"


def test_a_terminal_without_colours_reads_the_same(tmp_path: Path) -> None:
    """The signs say it all: no escape sequence is left where NO_COLOR is set, in a terminal."""
    program = (
        "from unit.report.test_report import *\n"
        "from underlay.cli.console import out\n"
        "plan = plan_of(nodes=5, count=4)\n"
        "seen = lost(plan, lambda cell: cell.destination == 'ipnet-4b')\n"
        "text = report(judged(plan, seen), ends(plan), width=out.width)\n"
        "out.print(text, soft_wrap=True, end='')\n"
    )
    tests = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(tests), str(tests.parent / "src")])
    env = {**os.environ, "PYTHONPATH": path, "TERM": "xterm", "COLUMNS": "60"}
    texts = []
    for more in ({}, {"NO_COLOR": "1"}):
        terminal = PseudoTerminal([sys.executable, "-c", program], {**env, **more})
        end = time.monotonic() + 60
        while terminal.process.poll() is None and time.monotonic() < end:
            terminal.watch(0.1)
        terminal.watch(0.1)
        texts.append(terminal.text.decode().replace("\r\n", "\n"))
        terminal.close()
    coloured, plain = texts
    assert "\x1b[1;31m" in coloured
    assert "\x1b[3" not in plain
    assert "✗4/16" in plain
    strip = re.compile(r"\x1b\[[0-9;]*m")
    assert strip.sub("", coloured) == strip.sub("", plain)


@pytest.mark.parametrize(
    ("encoding", "answer"),
    [("utf-8", False), ("UTF-8", False), ("ascii", True), ("latin-1", True), (None, True)],
)
def test_signs_are_used_only_where_they_can_be_shown(encoding: str | None, answer: bool) -> None:
    assert ascii_only(encoding) is answer


def test_a_lab_of_one_container_has_a_matrix() -> None:
    plan = plan_of(nodes=1, count=1, nets=1)
    assert "6 cells: 6 as expected" in printed(plan, as_predicted(plan))


def shipped(name: str) -> str:
    """Return the report of a shipped lab of which everything is as predicted."""
    plan = make_plan(read_lab(root() / "labs" / f"{name}.yml"))
    return printed(plan, as_predicted(plan))


def test_cells_of_two_families_are_counted_apart() -> None:
    shown = shipped("dual-stack")
    (line,) = re.findall(r"^IPv4: (\d+) of \1 cells as expected, IPv6: .*$", shown, re.MULTILINE)
    assert int(line) > 0
    assert "IPv6:" not in shipped("coreos")


def test_which_protocols_get_there_is_said_where_some_do() -> None:
    (line,) = re.findall(r"^◐ reachable of some.*(?:\n  .*)*", shipped("filters"), re.MULTILINE)
    line = " ".join(line.split())
    assert re.search(r"icmp \d+ of \d+", line)
    assert re.search(r"tcp:5432 \d+ of \d+ \(to [\w, -]+\)", line), line
    assert "◐" not in shipped("coreos")


def test_a_name_that_is_cut_above_the_matrix_says_so_and_stays_apart() -> None:
    rooms = {"vlan10": 7, "vlan20": 7, "nodes": 7, "passthru": 7}
    assert cut_to(rooms, False) == ["vl…10", "vl…20", "nodes", "pass…"]
    assert cut_to({"vlan10": 7}, True) == ["vlan~"]
