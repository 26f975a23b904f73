"""Takes the pictures in ``pictures/`` of the page of a real run, ``run/coreos.html``, by Chromium.

    .venv/bin/python docs/pictures.py

The run is of the default lab, in which core-03's eth1 was set down and ipnet-2b told not to answer
pings. How it was made, and when to make it anew, stands in ``contributing/site.md``.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).resolve().parent
RUN = DOCS / "run" / "coreos.html"
PICTURES = DOCS / "pictures"
SIZE = {"width": 1280, "height": 800}
# Rows and columns of the matrix: lannet-1b asks lannet-3a.
DOWN, RIGHT = 1, 4


def main() -> None:
    """Write all three pictures."""
    with sync_playwright() as engine:
        # Root, who runs this in containers, has no sandbox of Chromium's.
        browser = engine.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for scheme in ("light", "dark"):
            page = browser.new_context(viewport=SIZE, color_scheme=scheme).new_page()
            page.goto(RUN.as_uri())
            page.wait_for_selector("html[data-ready]")
            if scheme == "light":
                page.screenshot(path=PICTURES / "page-causes.png")
            choose(page)
            picture = PICTURES / f"page-{scheme}.png"
            page.screenshot(path=picture, full_page=True, clip=both(page))
        browser.close()


def choose(page: Any) -> None:
    """Choose the cell, whose way the picture lights."""
    page.locator(".matrix:visible").first.focus()
    page.keyboard.press("Control+Home")
    for key in ["ArrowDown"] * DOWN + ["ArrowRight"] * RIGHT + ["Enter"]:
        page.keyboard.press(key)
    page.evaluate("document.activeElement.blur()")
    # Lit parts fade in.
    page.wait_for_timeout(400)


def both(page: Any) -> dict[str, float]:
    """Return where the lab's picture and the matrix stand on the page."""
    page.evaluate("scrollTo(0, 0)")
    upper = page.locator(".card.topology:visible").first.bounding_box()
    lower = page.locator(".card:visible", has=page.locator(".matrix")).first.bounding_box()
    bottom = lower["y"] + lower["height"]
    return {**upper, "height": bottom - upper["y"]}


if __name__ == "__main__":
    main()
