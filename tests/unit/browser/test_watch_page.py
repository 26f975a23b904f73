"""The page of a lab that is up, in a real browser and from the real server.

What would be measured and broken is made up; where no browser is, these tests are skipped, as
those of the page of a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from browsing import axe, browser, needs_chromium, opened
from underlay.cluster.state.lab import LabState
from underlay.faults.record import Broken
from underlay.proof import watched
from underlay.proof.choice import Choice
from underlay.proof.explanation import NOTHING
from underlay.proof.trace import Point
from underlay.proof.watched import Watch
from underlay.verdict import Verdict
from unit.browser.test_page import choose
from unit.proof.test_watched import COREOS, STATE, verdict

pytest.importorskip("starlette", reason="pip install starlette uvicorn")

from underlay.cli.served import work as module
from underlay.cli.served.board import Board
from underlay.cli.served.server import served
from underlay.cli.served.work import Work, ended

__all__ = ["axe", "browser", "opened"]
pytestmark = needs_chromium

PATIENCE = 60.0
# What the browser says of a server that has ended.
GONE = "Failed to load resource: net::ERR_CONNECTION_REFUSED"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Verdict]:
    """Return what measurements will find; breaking, mending and tracing are made up."""
    found: list[Verdict] = []
    broken: list[Broken] = []
    monkeypatch.setattr(watched, "measure_and_judge", lambda *_: found.pop(0))
    monkeypatch.setattr(LabState, "plan", lambda _: COREOS)

    def inject(_: object, __: object, fault: Any, place: Any) -> Broken:
        broken.append(Broken(fault.id, str(place), ()))
        return broken[-1]

    def mend(_: object) -> list[Broken]:
        was, broken[:] = list(broken), []
        return was

    monkeypatch.setattr(module, "inject", inject)
    monkeypatch.setattr(module, "mend", mend)
    monkeypatch.setattr(module, "recorded", lambda _: list(broken))
    monkeypatch.setattr(module, "explain_running", lambda *_: NOTHING)
    point = Point("request", "end", "lannet-1a, eth0", "out", True, (), "ICMP echo request")
    monkeypatch.setattr(module, "followed", lambda *_: [point])
    return found


@pytest.fixture
def up(measured: list[Verdict]) -> Iterator[tuple[Work, Board, str]]:
    """Return a lab that was measured once, its board and its page's address."""
    board = Board()
    measured.append(verdict())
    work = Work(Watch(lambda: STATE, Choice()), board)
    work.measure()
    with served(board, work.page, 0) as url:
        yield work, board, url


def until(page: Any, script: str) -> None:
    """Return once ``script`` is true; a page's policy lets no predicate of ours run in it."""
    end = time.monotonic() + PATIENCE
    while not page.evaluate(script):
        assert time.monotonic() < end, f"never: {script}"
        page.wait_for_timeout(50)


def press(page: Any, work: Work, button: str) -> str:
    """Press a button, do what it asks for, and return what is said of it."""
    before = page.locator("#answer").text_content()
    page.locator(f"#{button}:enabled").click()
    work.wait(PATIENCE)
    until(page, f"document.querySelector('#answer').textContent !== {before!r}")
    return str(page.locator("#answer").text_content())


def test_a_lab_is_broken_looked_into_and_mended(
    up: tuple[Work, Board, str], measured: list[Verdict], opened: Callable[..., Any]
) -> None:
    work, board, url = up
    page = opened(url)
    assert page.locator("#mend").is_disabled()
    page.select_option("#fault", "container-drops-incoming")
    page.select_option("#place", label="lannet-2a, eth0")
    assert "Broken: lannet-2a, eth0" in press(page, work, "break")
    measured.append(verdict(deaf="lannet-2a"))
    work.measure()
    page.wait_for_selector("html[data-measured='2']")
    told = page.locator("#log li").first.text_content()
    assert "lannet-1a → lannet-2a: icmp, tcp, udp reachable → unreachable (no_answer)" in told
    details = choose(page, 0, 2)
    assert details.locator("h3").text_content() == "lannet-1a → lannet-2a"
    assert "differs" in details.text_content()
    # Nobody has looked for a cause by now.
    assert "known causes" not in details.text_content()
    assert "Why" in press(page, work, "explain")
    page.wait_for_selector("#trace:has-text('Trace lannet-1a → lannet-2a')")
    assert "ICMP echo request" in press(page, work, "trace")
    assert "Mended" in press(page, work, "mend")
    measured.append(verdict())
    work.measure()
    page.wait_for_selector("html[data-measured='3']")
    # The chosen cell is told anew.
    assert "reachable, as expected" in page.locator(".details").text_content()
    assert page.locator("#mend").is_disabled()
    ended(board, "The command has ended.")
    page.wait_for_selector("#over:visible")
    assert page.locator("button#explain").is_disabled()


def test_a_cell_that_changed_is_ringed_for_a_moment(
    up: tuple[Work, Board, str], measured: list[Verdict], opened: Callable[..., Any]
) -> None:
    work, _, url = up
    page = opened(url)
    picture = "document.querySelector('.matrix canvas').toDataURL()"
    measured += [verdict(), verdict(deaf="lannet-2a")]
    page.wait_for_timeout(500)
    work.measure()
    page.wait_for_selector("html[data-measured='2']")
    quiet = {page.evaluate(picture) for _ in range(4) if page.wait_for_timeout(300) is None}
    assert len(quiet) == 1
    work.measure()
    page.wait_for_selector("html[data-measured='3']")
    flashing = {page.evaluate(picture) for _ in range(12) if page.wait_for_timeout(160) is None}
    assert len(flashing) > 1


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        ("phone", "light"),
        pytest.param("laptop", "dark", marks=pytest.mark.all),
        pytest.param("wall", "light", marks=pytest.mark.all),
    ],
)
def test_nothing_keeps_anybody_out(
    up: tuple[Work, Board, str],
    measured: list[Verdict],
    opened: Callable[..., Any],
    axe: str,
    size: str,
    scheme: str,
) -> None:
    work, _, url = up
    measured.append(verdict(deaf="lannet-2a"))
    work.measure()
    page = opened(url, size, scheme)
    press(page, work, "explain")
    choose(page, 0, 2)
    page.evaluate(axe)
    found = page.evaluate("axe.run()")["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0


def test_a_command_that_is_gone_is_said(
    opened: Callable[..., Any], measured: list[Verdict]
) -> None:
    board = Board()
    measured.append(verdict())
    work = Work(Watch(lambda: STATE, Choice()), board)
    work.measure()
    with served(board, work.page, 0) as url:
        page = opened(url, allowed=(GONE,))
    page.wait_for_selector("#over:visible")
    assert "Nobody answers any more" in page.locator("#over").text_content()
