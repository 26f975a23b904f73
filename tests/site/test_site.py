"""The built site in a real browser, from files and without a server: `tox -e docs` builds it first.

Debian's Chromium is driven by Playwright, as in the tests of the page of a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browsing import SIZES, Open, axe, browser, needs_chromium, opening

__all__ = ["axe", "browser"]
pytestmark = needs_chromium

FRONT, CONCEPT = "index.html", "concepts/macvlan-host.html"
# The theme tells its own story besides.
BAD = ("error", "warning")


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Path:
    built: Path | None = request.config.getoption("--site")
    if built is None:
        pytest.skip("tox -e docs builds the site and says by --site where it is")
    return built.resolve()


@pytest.fixture
def opened(browser: Any, site: Path) -> Iterator[Open]:
    """Return what opens a page of the site."""
    here = site.as_uri()
    with opening(browser) as open_page:

        def opened(name: str, size: str = "laptop", scheme: str = "light") -> Any:
            return open_page(
                f"{here}/{name}",
                size,
                scheme,
                ours=lambda url: url.startswith((f"{here}/", "data:")),
                expected=lambda said: said.type not in BAD,
            )

        yield opened


def results(page: Any, words: str) -> list[str]:
    """Search by keys, as a reader does, and return where the results lead."""
    page.keyboard.press("Control+k")
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results .search-summary")
    page.wait_for_function("!document.querySelector('#search-progress:not(:empty)')")
    links = page.locator("#search-results li a")
    return [str(links.nth(n).get_attribute("href")) for n in range(links.count())]


def test_search_finds_a_word_and_not_another(opened: Open) -> None:
    found = results(opened(FRONT), "hairpin")
    assert any(CONCEPT in link for link in found)
    assert not any("contributing/provider" in link for link in found)
    assert results(opened(CONCEPT), "zyzzyva") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [FRONT, CONCEPT])
def test_a_page_is_for_everybody(opened: Open, axe: str, name: str, scheme: str) -> None:
    page = opened(name, scheme=scheme)
    page.evaluate(axe)
    found = page.evaluate("axe.run({preload: false, resultTypes: ['violations']})")["violations"]
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [FRONT, CONCEPT, "reference.html", "troubleshooting.html"])
def test_a_page_is_no_wider_than_the_screen(opened: Open, name: str, size: str) -> None:
    page = opened(name, size)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= SIZES[size][0]
    assert all(
        page.evaluate(
            "[...document.images].map((one) => one.naturalWidth > 0 || !one.offsetParent)"
        )
    )


def test_the_switch_turns_pages_pictures_and_drawings_dark(opened: Open) -> None:
    page = opened(FRONT)
    assert page.locator("img.only-light").is_visible()
    page.locator(".theme-switch-button:visible").click()
    page.locator('.theme-change-button[data-mode="dark"]:visible').click()
    assert page.get_attribute("html", "data-theme") == "dark"
    assert page.locator("img.only-dark").is_visible()
    assert not page.locator("img.only-light").is_visible()
    page.goto(page.url.replace(FRONT, CONCEPT))
    assert page.get_attribute("html", "data-theme") == "dark"
    drawing = page.locator("p.drawn img").first
    assert drawing.evaluate("(one) => getComputedStyle(one).colorScheme") == "dark"


def test_dark_systems_get_dark_pages(opened: Open) -> None:
    page = opened(CONCEPT, scheme="dark")
    assert page.get_attribute("html", "data-theme") == "dark"


def test_the_front_page_leads_to_what_people_came_for(opened: Open) -> None:
    page = opened(FRONT)
    titles = page.locator("#underlay > section > h2").all_text_contents()
    assert [title.rstrip("#") for title in titles][:4] == [
        "Try a demo", "Prove my configuration", "Find a fault", "Teach",
    ]  # fmt: skip
    page.get_by_role("link", name="the page of a real run").click()
    page.wait_for_selector("html[data-ready]")
    assert page.locator(".matrix").is_visible()
