"""The page of a run in a real browser: Debian's Chromium, driven by Playwright.

Where either isn't there, these tests are skipped, and say which package brings it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browsing import SIZES, Open, axe, browser, needs_chromium, opening
from underlay.lint import load
from underlay.proof.result import LabResult
from underlay.proof.runs.comparison import compare
from underlay.proof.runs.saving import Source, saved
from underlay.proof.runs.schema import (
    Announcement,
    Became,
    CellName,
    Changed,
    Event,
    Healed,
    NodeEvent,
    Reason,
    SavedError,
)
from underlay.report.run import Told
from underlay.report.run_page.page import page_text
from underlay.report.topology.layout import dot_is_there
from underlay.storage.paths import root
from unit.proof.test_runs import run_of, seen
from unit.report.test_run_formats import broken
from unit.report.test_run_page import shipped

__all__ = ["axe", "browser"]
pytestmark = needs_chromium
needs_dot = pytest.mark.skipif(not dot_is_there(), reason="Graphviz: apt install graphviz")

MAC = "02:00:00:00:00:01"


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Return what opens a run's page, which asks for nothing at all."""
    with opening(browser) as open_page:

        def opened(told: Told, size: str = "laptop", scheme: str = "light") -> Any:
            file = tmp_path / "page.html"
            file.write_text(page_text(told), encoding="utf-8")
            url = file.as_uri()
            page = open_page(url, size, scheme, ours=lambda asked: asked == url)
            page.wait_for_selector("html[data-ready]")
            return page

        yield opened


def grid(page: Any) -> Any:
    return page.locator(".matrix:visible").first


def names(page: Any) -> list[str]:
    """Return the names of the ends, in the order of the matrix's rows."""
    ends = page.evaluate("JSON.parse(document.getElementById('run').textContent).labs[0].ends")
    return [end["name"] for end in ends]


def choose(page: Any, down: int, right: int) -> Any:
    """Choose a cell by keys alone, and return what is said of it."""
    grid(page).focus()
    page.keyboard.press("Control+Home")
    for key, times in (("ArrowDown", down), ("ArrowRight", right)):
        for _ in range(times):
            page.keyboard.press(key)
    page.keyboard.press("Enter")
    return page.locator(".details:visible")


def said(page: Any) -> str:
    return str(page.locator('.matrix:visible [role="gridcell"]').first.text_content())


def test_keys_choose_a_cell_and_say_which(opened: Open) -> None:
    page = opened(shipped("basics-macvlan", wrong=3))
    first, second = names(page)[:2]
    details = choose(page, 0, 1)
    assert said(page) == f"{first} asks {second}: differs"
    assert details.locator("h3").text_content() == f"{first} → {second}"
    for word in ("expected", "observed", "sent", "round trip", "Expected so because", "rule "):
        assert word in details.text_content()
    assert grid(page).get_attribute("aria-rowcount") == str(len(names(page)))
    page.keyboard.press("Escape")
    assert "Choose a cell" in details.text_content()


def test_a_click_chooses_the_cell_under_it(opened: Open) -> None:
    page = opened(shipped("basics-macvlan"))
    canvas = page.locator(".matrix canvas").first
    width = canvas.bounding_box()["width"]
    # The last column is a node's; whichever container's row is hit, it has a cell there.
    for down in range(60, 220, 20):
        canvas.click(position={"x": width - 20, "y": down})
        if page.locator(".details h3").count():
            break
    assert page.locator(".details h3").text_content().endswith("→ core-02")


@needs_dot
def test_a_cell_lights_its_way_and_marks_what_it_did_not_reach(opened: Open) -> None:
    page = opened(shipped("basics-macvlan"))
    ends = names(page)
    far = next(n for n, name in enumerate(ends) if name.endswith("-2a"))
    choose(page, 0, far)
    lit = page.locator("svg.lab:visible .lit")
    shown = set(filter(None, (lit.nth(n).get_attribute("data-id") for n in range(lit.count()))))
    assert {"node core-01 eth1", "segment lan", "node core-02 eth1"} <= shown
    assert page.locator(".topology svg.lab .missed").count() == 0
    # A node never hears its own macvlan children.
    choose(page, ends.index("core-01"), 0)
    assert page.locator(".topology svg.lab .missed").count() > 0
    assert "no farther" in page.locator(".details").first.text_content()


@needs_dot
def test_a_way_leads_there_and_back_and_says_whose_it_is(opened: Open) -> None:
    page = opened(shipped("basics-macvlan"))
    way = choose(page, 0, 2).locator(".way li")
    asking, asked = page.locator(".details h3").text_content().split(" → ")
    assert way.count() == 1
    assert way.locator("strong").text_content() == "icmp, tcp, udp"
    there, back = way.locator("div").all_text_contents()
    assert there.startswith(f"there: {asking} → ")
    assert there.endswith(f" → {asked}")
    assert back.startswith(f"back: {asked} → ")
    assert back.endswith(f" → {asking}")
    # Whoever isn't reached sends nothing back.
    assert "back: " not in choose(page, 0, 4).text_content()


@needs_dot
def test_the_picture_is_as_wide_as_its_page_on_screen_and_on_paper(opened: Open) -> None:
    page = opened(shipped("basics-macvlan"))
    for medium, width in (("screen", 1000), ("print", 720)):
        page.emulate_media(media=medium)
        page.set_viewport_size({"width": width, "height": 900})
        box = page.locator(".topology svg.lab").bounding_box()
        assert box["x"] + box["width"] <= page.locator(".topology").bounding_box()["width"] + 40
        assert box["width"] > width / 2
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_whole_matrix_is_printed_on_the_sheet(opened: Open) -> None:
    page = opened(shipped("coreos"), "phone")
    canvas, spacer = page.locator(".matrix canvas"), page.locator(".matrix .spacer")
    wide, tall = (float(spacer.evaluate(f"(one) => one.offset{s}")) for s in ("Width", "Height"))
    assert canvas.bounding_box()["width"] < wide
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    printed = canvas.bounding_box()
    assert printed["width"] < SIZES["phone"][0]
    assert printed["height"] / printed["width"] == pytest.approx(tall / wide, rel=0.02)
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert canvas.bounding_box()["height"] > printed["height"]


def test_filters_leave_what_they_name(opened: Open) -> None:
    page = opened(shipped("coreos", wrong=12, missing=6))
    every = int(grid(page).get_attribute("aria-rowcount"))
    page.select_option('select[name="network"]', "ipnet")
    assert int(grid(page).get_attribute("aria-rowcount")) == every
    page.select_option('select[name="network"]', "")
    page.click('button[data-stand="differs"]')
    assert 0 < int(grid(page).get_attribute("aria-rowcount")) < every
    grid(page).focus()
    assert "differs" in said(page) or "no cell" in said(page)
    page.click('button[data-stand="differs"]')
    page.click("text=Show them")
    assert page.get_attribute('button[data-stand="unmeasured"]', "aria-pressed") == "true"
    assert int(grid(page).get_attribute("aria-rowcount")) < every
    page.click('button[data-stand="unmeasured"]')
    page.select_option('select[name="how"]', "udp")
    assert choose(page, 0, 3).locator("tbody tr").count() == 1


def test_a_cause_lights_its_cells(opened: Open) -> None:
    page = opened(broken())
    button = page.locator('button[data-light^="cause"]').first
    before = page.locator(".matrix canvas").first.screenshot()
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    page.wait_for_timeout(100)
    assert page.locator(".matrix canvas").first.screenshot() != before


@pytest.mark.all
def test_many_ends_are_folded_and_unfold_at_a_key(opened: Open) -> None:
    page = opened(shipped("scale-100", wrong=150))
    assert int(grid(page).get_attribute("aria-rowcount")) == 6
    details = choose(page, 0, 0)
    assert "pairs" in said(page)
    details.get_by_text("many-", exact=False).first.click()
    assert int(grid(page).get_attribute("aria-rowcount")) == 105
    assert " → " in details.locator("h3").text_content()
    # Neither is any of 90,000 cells an element of the page.
    assert page.evaluate("document.querySelectorAll('*').length") < 6000


def test_the_theme_follows_the_system_and_its_switch(opened: Open) -> None:
    page = opened(shipped("basics-macvlan"), scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    page.click("#theme")
    assert page.get_attribute("#theme", "aria-pressed") == "false"
    assert page.evaluate(ground) != dark


def test_several_labs_are_shown_one_at_a_time(opened: Open) -> None:
    told = [shipped(lab).run.labs[0] for lab in ("basics-macvlan", "basics-ipvlan")]
    page = opened(Told(run_of(*told)))
    assert page.locator(".lab-page:visible").count() == 1
    page.select_option("#lab-choice", "1")
    assert page.locator(".lab-page:visible h2.lab-name").text_content() == "basics-ipvlan"
    assert " → " in choose(page, 0, 1).locator("h3").text_content()


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        ("phone", "light"),
        ("laptop", "dark"),
        pytest.param("laptop", "light", marks=pytest.mark.all),
        pytest.param("wall", "dark", marks=pytest.mark.all),
    ],
)
def test_axe_finds_nothing_and_nothing_juts_out(
    opened: Open, axe: str, size: str, scheme: str
) -> None:
    page = opened(told_of_all(), size, scheme)
    assert page.locator("section.after").is_visible()
    choose(page, 0, 1)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    page.evaluate(axe)
    found = page.evaluate("axe.run().then((result) => result.violations)")
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]


def restarted() -> Event:
    """Return an event with all that the page tells of one."""
    cell = CellName(source="web-1a", destination="db-1a", protocol="tcp", family=4)
    silent = (
        Healed(source="web-2a", destination="db-1a", family=4, lost=12, after=0.4, healed=31.5),
        Healed(source="guest-2a", destination="guest-1a", family=4, lost=90, after=0.2),
    )
    here = Announcement(how="arp", address="10.1.0.65", mac=MAC, container="web-1a", after=1.5)
    node = NodeEvent(
        node="core-01", seconds=2.5, did=("docker restarted",), failed=("db-1a: no address",),
        asked=9, silent=silent, announced=(here,), unasked={"guest-1b": "it isn't there"},
    )  # fmt: skip
    stale = Reason(
        id="stale-neighbour", title="neighbours remember a MAC address", where="db-1a",
        because="It has another one now.", cure="announce it", reference="arp(7)",
        evidence=("web-2a: 10.1.0.66 is at 02:00:00:00:00:02",), cells=1, least=31.5, most=31.5,
    )  # fmt: skip
    moved = Changed(container="db-1a", interface="eth0", what="MAC address", before=MAC)
    became = Became(what="worse", cell=cell, before="reachable", now="unreachable")
    return Event(
        event="restart", lab="intent", limit=60, nodes=(node,), changed=(moved,), reasons=(stale,),
        same=80, cells=(became,), not_measured=2,
        error=SavedError(message="core-02 is lost", detail="no answer", hint="underlay down"),
    )  # fmt: skip


def told_of_all() -> Told:
    """Return a run with differing and unmeasured cells, statements, an event, and one before."""
    file = root() / "labs" / "intent.yml"
    plan = load(file).plan
    text = file.read_text(encoding="utf-8")

    def run(wrong: int) -> Any:
        verdict = seen(plan, wrong=wrong, missing=2)
        return run_of(
            saved(Source("labs/intent.yml", text, plan), LabResult(verdict, after=(restarted(),)))
        )

    return Told(run(7), compare(run(3), run(7), "before.json"))
