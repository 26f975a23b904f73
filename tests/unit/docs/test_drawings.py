"""The drawings on pages are what ``graph`` draws of the labs today; ``--update-golden`` draws them.

Graphviz places boxes a little otherwise from version to version. So places and sizes aren't
compared, but all words, colours, parts and ties are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import doc_pages
from underlay.lint import load
from underlay.report.topology.drawing import picture_of
from underlay.report.topology.layout import dot_is_there, layout_of
from underlay.report.topology.svg import svg_text
from underlay.storage.paths import root

DRAWINGS = doc_pages.DOCS / "drawings"
SHOWN = re.compile(r"!\[([^]]*)\]\([./]*drawings/([\w-]+)\.svg\)")
PLACES = re.compile(r' (?:x|y|width|height|cx|cy|d|viewBox)="[^"]*"')
LABS = sorted(
    {name for page in doc_pages.PAGES for _, name in SHOWN.findall(page.read_text("utf-8"))}
)


def drawn(name: str) -> str:
    shipped = root() / "labs" / f"{name}.yml"
    plan = load(shipped if shipped.is_file() else root() / "examples" / name / "lab.yml").plan
    picture = picture_of(plan)
    return svg_text(picture, layout_of(picture))


@pytest.mark.skipif(not dot_is_there(), reason="Graphviz: apt install graphviz")
@pytest.mark.parametrize("name", LABS)
def test_drawing_is_the_lab_of_today(
    name: str, golden: Callable[[Path, str], None], request: pytest.FixtureRequest
) -> None:
    file, text = DRAWINGS / f"{name}.svg", drawn(name)
    if request.config.getoption("--update-golden") or not file.is_file():
        golden(file, text)
    told = f"docs/drawings/{name}.svg isn't what graph draws; draw it with --update-golden"
    assert PLACES.sub("", file.read_text("utf-8")) == PLACES.sub("", text), told


def test_every_drawing_is_shown_and_described() -> None:
    assert sorted(file.stem for file in DRAWINGS.iterdir()) == LABS
    for page in doc_pages.PAGES:
        for words, name in SHOWN.findall(page.read_text("utf-8")):
            assert len(words) > len(name) + 20, f"{page}: {name}.svg has no description"
