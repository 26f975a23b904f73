from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from underlay.expect import ends, predict
from underlay.lab import Lab
from underlay.observe import Observation, Seen
from underlay.plan import Plan, make_plan
from underlay.report.terminal import ascii_only, report
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
            arrived=e.reachable,
            rtt_ms=0.4 if e.reachable else None,
            attempts=1 if e.reachable else 2,
        )
        for e in predict(plan)
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


def test_one_difference_shows_in_a_folded_matrix() -> None:
    plan = plan_of(nodes=5, count=4)
    seen = as_predicted(plan)
    odd = next(n for n, cell in enumerate(seen) if cell.observed == "reachable")
    seen[odd] = replace(seen[odd], observed="unreachable", stopped_at="no_answer")
    assert "✗" in printed(plan, seen).partition(" cells: ")[0].partition("● reachable")[0]


@pytest.mark.parametrize(
    ("encoding", "answer"),
    [("utf-8", False), ("UTF-8", False), ("ascii", True), ("latin-1", True), (None, True)],
)
def test_signs_are_used_only_where_they_can_be_shown(encoding: str | None, answer: bool) -> None:
    assert ascii_only(encoding) is answer


def test_a_lab_of_one_container_has_a_matrix() -> None:
    plan = plan_of(nodes=1, count=1, nets=1)
    assert "6 cells: 6 as expected" in printed(plan, as_predicted(plan))
