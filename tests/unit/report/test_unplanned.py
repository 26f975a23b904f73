"""How what nobody planned is shown, counted and judged."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

import doc_pages
from underlay.expect import ends, predict
from underlay.observe import Observation, observation_from_json
from underlay.observe.unplanned import Kind, Looked, Unplanned
from underlay.report import document
from underlay.report.terminal import report
from underlay.report.unplanned import KINDS, cause, look
from underlay.verdict import Verdict, judge
from unit.report.test_report import GOLDEN, as_predicted, plan_of

SECOND = Unplanned(
    "address",
    "lannet-1a",
    "20.1.0.200",
    "eth0",
    "02:75:10:01:00:01",
    ("lannet-1b", "core-02", "lannet-2a", "lannet-2b", "core-03"),
    ("lannet-1b", "core-02", "lannet-2a", "lannet-2b", "core-03"),
    "hand",
)
ADVERTISED = replace(
    SECOND, end="ipnet-1a", address="2001:db8:9::1", brought="advertisement", answered=()
)
LEAK = Unplanned(
    "link-local", "core-01", "fe80::1", "eth1.70", "02:75:01:01:00:00",
    ("ipnet-1a", "ipnet-2a"), ("ipnet-2a",),
)  # fmt: skip
PROXY = Unplanned(
    "proxy-arp", "core-02", "30.1.255.254", "eth1", "02:75:01:02:00:00",
    ("core-01",), ("core-01",), "proxy",
)  # fmt: skip
STRANGER = Unplanned(
    "other-mac", "somebody outside the lab", "20.1.0.1", "", "02:00:00:00:00:99",
    ("core-01",), ("core-01",),
)  # fmt: skip
FOUND = (SECOND, ADVERTISED, LEAK, PROXY, STRANGER)
BLIND = (("ipnet-3a", "Network is down"),)
TIMES = dict.fromkeys(("start", "probe", "collect", "predict", "measure"), 1.0)


def verdict(looked: Looked | None, *, strict: bool = False) -> Verdict:
    plan = plan_of()
    seen = Observation(tuple(as_predicted(plan)), TIMES, {}, looked)
    return replace(judge("shown", "uml", predict(plan), seen), strict=strict)


def printed(looked: Looked) -> str:
    stream = io.StringIO()
    text = report(verdict(looked), ends(plan_of()), width=100)
    Console(file=stream, width=100, soft_wrap=True, highlight=False).print(text, end="")
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    start = next(number for number, line in enumerate(lines) if " cells: " in line)
    end = next(number for number, line in enumerate(lines) if line.startswith("Why cells"))
    return "\n".join(lines[start:end]) + "\n"


def test_the_section_is_as_it_was(golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / "unplanned.txt", printed(Looked(FOUND, BLIND)))


def test_nothing_found_is_nothing_said() -> None:
    said = printed(Looked())
    assert "planned" not in said


def test_many_of_a_kind_are_folded() -> None:
    many = tuple(replace(SECOND, address=f"20.1.0.{number}") for number in range(20))
    said = printed(Looked(many))
    assert "20 addresses that aren't planned" in said
    assert "and 15 alike, in --json" in said


@pytest.mark.parametrize(
    ("looked", "plain", "strict"),
    [
        (Looked(), 0, 0),
        (Looked(FOUND), 0, 1),
        (Looked((), BLIND), 0, 3),
        (Looked(FOUND, BLIND), 0, 1),
        (None, 0, 3),
    ],
)
def test_it_differs_only_if_that_is_asked_for(
    looked: Looked | None, plain: int, strict: int
) -> None:
    assert verdict(looked).exit_code == plain
    assert verdict(looked, strict=True).exit_code == strict


def test_it_is_counted_beside_the_cells() -> None:
    summary = verdict(Looked(FOUND)).summary
    assert (summary.unplanned, summary.differs) == (len(FOUND), 0)
    assert summary.as_expected == summary.cells


def test_the_page_lists_the_documents_fields() -> None:
    page = doc_pages.DOCS / "verbs" / "check.md"
    made = {**document(verdict(Looked(FOUND, BLIND))), "causes": [], "origins": [], "captures": []}
    assert not doc_pages.wrong_fields(page, made, ("intent",))


def test_every_kind_is_told_of_on_the_page() -> None:
    text = (doc_pages.DOCS / "verbs" / "check.md").read_text()
    assert set(KINDS) == set(get_args(Kind))
    assert all(f"| `{kind}` |" in text for kind in KINDS)


def test_each_has_a_cause_and_a_place_to_look() -> None:
    assert "accept_ra" in cause(ADVERTISED)
    assert look(ADVERTISED) == "underlay exec ipnet-1a -- sysctl net.ipv6.conf.eth0.accept_ra"
    assert "by hand" in cause(SECOND)
    assert "proxy_arp" in cause(PROXY)
    # A dot in an interface's name is a slash for sysctl.
    dotted = replace(PROXY, interface="eth1.70")
    assert "net.ipv4.conf.eth1/70.proxy_arp" in look(dotted)
    assert look(STRANGER) == ""


def test_an_observation_keeps_it_as_json() -> None:
    made = Observation((), {}, {}, Looked(FOUND, BLIND))
    assert observation_from_json(made.to_json()) == made
