"""The site's pages: which there are, what a verb's page holds, where links lead."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import doc_pages
from underlay import cli
from underlay.cli.frame import build_command

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
SECTIONS = ("Usage", "Examples", "Files written", "Exit codes")
# The pages outside docs/ whose links are checked as well.
OTHERS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md")
LINK = re.compile(r"\]\(([^)\s]+)\)")
# Of this repository, as opposed to Linux's or moby's files, which are cited too.
# Written by a complete test run.
WRITTEN = ("docs/proof/tests.json", "docs/proof/durations.json")
OURS = re.compile(r"`((?:src|image|ansible|cloud-config|labs|tests|docs|vagrant)/[\w./-]+)`")

every_verb = pytest.mark.parametrize("verb", cli.summaries())
every_page = pytest.mark.parametrize(
    "page", [*doc_pages.PAGES, *OTHERS], ids=lambda page: str(page.relative_to(ROOT))
)


def page_of(verb: str) -> Path:
    return DOCS / "verbs" / f"{verb}.md"


def sections() -> dict[str, list[str]]:
    """Return the pages in the site's header, each with those below it, in their order."""
    toc = YAML(typ="safe").load(DOCS / "_toc.yml")
    return {
        f"{entry['file']}.md": [f"{one['file']}.md" for one in entry["entries"]]
        for entry in toc["entries"]
    }


def nav() -> list[str]:
    """Return the pages in the site's navigation, in its order."""
    return ["index.md", *(page for top, below in sections().items() for page in (top, *below))]


def parameters(verb: str) -> list[Any]:
    """Return the arguments and options that the verb's help lists, without --help itself."""
    module = importlib.import_module(f"underlay.cli.verbs.{verb}")
    listed: list[Any] = build_command(verb, module.command, getattr(module, "CONTEXT", {})).params
    return listed


def options(verb: str) -> set[str]:
    return {o for p in parameters(verb) for o in p.opts if p.param_type_name == "option"}


def without_code(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors that git hosts, and MyST after them, give the page's headings."""
    titles = re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w-]", "", t.strip().lower().replace(" ", "-")) for t in titles}


def test_every_page_is_in_the_navigation_once() -> None:
    assert sorted(nav()) == sorted(str(page.relative_to(DOCS)) for page in doc_pages.PAGES)


def test_verbs_pages_and_navigation_are_one_list() -> None:
    verbs = list(cli.summaries())
    assert sorted(page.stem for page in (DOCS / "verbs").glob("*.md")) == sorted(["index", *verbs])
    assert [Path(page).stem for page in nav() if page.startswith("verbs/")] == ["index", *verbs]


@pytest.mark.parametrize("section", sections())
def test_a_section_links_to_all_that_stands_below_it(section: str) -> None:
    page = DOCS / section
    linked = {
        str((page.parent / target).resolve().relative_to(DOCS))
        for target in LINK.findall(without_code(page))
    }
    assert set(sections()[section]) <= linked


@every_verb
def test_page_begins_with_the_question_it_answers(verb: str) -> None:
    title, _, question = page_of(verb).read_text(encoding="utf-8").splitlines()[:3]
    assert title == f"# {verb}"
    assert question.endswith("?")


@every_verb
def test_page_has_the_same_shape_as_all(verb: str) -> None:
    text = page_of(verb).read_text(encoding="utf-8")
    titles = tuple(re.findall(r"^## (.+)$", text, re.MULTILINE))
    assert titles == SECTIONS + (("JSON",) if "--json" in options(verb) else ())


@every_verb
def test_usage_lists_what_help_lists(verb: str) -> None:
    rows = doc_pages.first_column(doc_pages.section(page_of(verb), "Usage"))
    listed = {row.split()[0] for row in rows if row.startswith("--") and row != "-- CMD..."}
    short = {name for name in options(verb) if not name.startswith("--")}
    assert listed == options(verb) - short
    # A short name stands beside the long one.
    for name in short:
        assert any(f", `{name}`" in line for line in doc_pages.section(page_of(verb), "Usage"))
    arguments = [p for p in parameters(verb) if p.param_type_name == "argument"]
    names = [(p.metavar or p.name.upper()).strip("[]") for p in arguments]
    assert [row for row in rows if row not in listed and row.split()[0] not in listed] == names


@every_verb
def test_page_has_an_example_that_is_run(verb: str) -> None:
    assert any(block.where for block in doc_pages.blocks_of(page_of(verb)))


@every_page
def test_every_block_has_a_mark(page: Path) -> None:
    if page not in OTHERS:
        doc_pages.blocks_of(page)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(without_code(page)):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(there), f"{page}: no heading for {target}"


@every_page
def test_files_that_are_named_exist(page: Path) -> None:
    for name in OURS.findall(without_code(page)):
        # NAME stands for what a reader adds.
        there = "NAME" in name or name in WRITTEN or (ROOT / name).exists()
        assert there, f"{page}: there is no {name}"


def test_how_long_the_tests_take_is_said_in_one_way() -> None:
    """Three pages had three figures; one sentence holds for quiet machines and for slow ones."""
    said = "about a quarter of an hour on two quiet processors, half as much again on a slow day"
    help_text = ROOT / "src/underlay/cli/verbs/test.py"
    for page in (*OTHERS, page_of("test"), help_text):
        assert said in " ".join(page.read_text("utf-8").split()), page
