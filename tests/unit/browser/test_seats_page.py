"""The page of a workshop's seats, in a real browser and from the real command.

The workshop's journals are written by the test; where no browser is, these tests are skipped, as
those of the page of a run.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from browsing import axe, browser, needs_chromium, opened
from unit.browser.test_watch_page import GONE
from unit.cli.test_workshop_seats import address_of, room, serving

pytest.importorskip("starlette", reason="pip install starlette uvicorn")

from underlay.workshop.record import Workshop

__all__ = ["axe", "browser", "opened", "room"]
pytestmark = needs_chromium

Serves = tuple[subprocess.Popen[str], str]

HEADS = ["Seat", "Exercise", "Stage", "Last check", "Minutes", "Hints", "Done"]
# What of each row is seen of: its class, its cells and the colour of the last check.
ROWS = """[...document.querySelectorAll('#seats tr')].map((row) => [
    row.className, [...row.cells].map((cell) => cell.textContent),
    getComputedStyle(row.cells[3]).color, row.cells[0].scope])"""


@pytest.fixture
def serves(room: Workshop) -> Iterator[Serves]:
    """Return the command that serves the page, and its address."""
    with serving() as process:
        yield process, address_of(process)


def test_each_seat_has_a_row_that_follows_it(
    room: Workshop, serves: Serves, opened: Callable[..., Any]
) -> None:
    page = opened(serves[1])
    assert page.locator("thead th").all_text_contents() == HEADS
    rows = page.evaluate(ROWS)
    assert [cells[0] for _, cells, _, _ in rows] == ["00*", *(f"{n:02d}" for n in range(1, 21))]
    assert [name for name, _, _, _ in rows[:6]] == ["away", "ok", "bad", "", "away", "away"]
    assert [cells[3] for _, cells, _, _ in rows[1:6]] == [
        *("● done, now", "✗ 1 noticed, now", "skipped", "booting", ""),
    ]
    # What a row says it says in words; colours say it once more.
    assert len({colour for _, _, colour, _ in rows[1:4]}) == 3
    assert {scope for _, _, _, scope in rows} == {"row"}
    assert "20 seats and your own, 1 of 20 stages done" in page.locator("#sum").text_content()
    room.seat(2).write("check", "left", 0, "done")
    page.wait_for_selector("#seats tr:nth-child(3).ok")
    assert "2 of 20 stages done" in page.locator("#sum").text_content()
    assert page.evaluate(ROWS)[2][1][3] == "● done, now"


def test_a_name_is_text_and_nothing_else(
    room: Workshop, serves: Serves, opened: Callable[..., Any]
) -> None:
    """The course's own words come from a file of somebody's: none of them becomes markup."""
    file = room.course_folder / "left" / "exercise.yml"
    file.write_text(file.read_text().replace("Left alone", "<img src=x onerror=alert(1)>"))
    page = opened(serves[1])
    page.wait_for_selector("#seats tr:nth-child(3):has-text('<img src=x')")
    assert page.locator("img").count() == 0


def test_the_keyboard_gets_to_what_is_cut_off(
    room: Workshop, serves: Serves, opened: Callable[..., Any]
) -> None:
    page = opened(serves[1], "phone")
    page.keyboard.press("Tab")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused) == "All seats"
    left = "document.activeElement.scrollLeft"
    assert page.evaluate("document.activeElement.scrollWidth > innerWidth")
    assert page.evaluate(left) == 0
    for _ in range(5):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(100)
    assert page.evaluate(left) > 0
    # A new state leaves whoever reads where they are.
    room.seat(2).write("check", "left", 0, "done")
    page.wait_for_selector("#seats tr:nth-child(3).ok")
    assert page.evaluate(focused) == "All seats"
    assert page.evaluate(left) > 0


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        ("phone", "light"),
        pytest.param("laptop", "dark", marks=pytest.mark.all),
        pytest.param("wall", "light", marks=pytest.mark.all),
    ],
)
def test_nothing_keeps_anybody_out(
    room: Workshop, serves: Serves, opened: Callable[..., Any], axe: str, size: str, scheme: str
) -> None:
    page = opened(serves[1], size, scheme)
    page.evaluate(axe)
    found = page.evaluate("axe.run()")["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_that_it_has_ended_is_said(
    room: Workshop, serves: Serves, opened: Callable[..., Any]
) -> None:
    page = opened(serves[1], allowed=(GONE,))
    assert page.locator("#over").is_visible(), "nobody can come in"
    assert "the ssh server doesn't run" in page.locator("#over").text_content()
    serves[0].send_signal(signal.SIGINT)
    page.wait_for_selector("#over:has-text('ended')")
    assert len(page.evaluate(ROWS)) == 21
    assert serves[0].wait(60) == 130
