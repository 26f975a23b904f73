"""Pages in Debian's Chromium, driven by Playwright: opened at a size, and watched."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import front_end

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="apt install chromium")

SIZES = {"phone": (390, 844), "laptop": (1280, 800), "wall": (2560, 1440)}
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as engine:
        # Root, who runs tests in containers, has no sandbox of Chromium's.
        started = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    packages = front_end.project(tmp_path_factory.mktemp("axe"))
    return (packages / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@contextmanager
def opening(browser: Any) -> Iterator[Open]:
    """Return what opens a page; at the end nothing was asked of elsewhere and nothing went wrong.

    ``ours`` says which addresses the page may ask for, and ``expected`` what its console may say.
    """
    wrong: list[str] = []
    contexts = []

    def open_page(
        url: str,
        size: str,
        scheme: str,
        *,
        ours: Callable[[str], bool],
        expected: Callable[[Any], bool] = lambda said: False,
    ) -> Any:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on(
            "console",
            lambda said: None if expected(said) else wrong.append(f"console: {said.text}"),
        )
        page.on("request", lambda asked: None if ours(asked.url) else wrong.append(asked.url))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Return what opens an address that is served, whose page asks for nothing of anybody else."""
    with opening(browser) as open_page:

        def opened(
            url: str, size: str = "laptop", scheme: str = "light", allowed: tuple[str, ...] = ()
        ) -> Any:
            page = open_page(
                url,
                size,
                scheme,
                ours=lambda asked: asked.startswith(url),
                expected=lambda said: said.text in allowed,
            )
            page.wait_for_selector("html[data-ready]")
            return page

        yield opened
