"""The shell blocks that need no nodes are run, and what runs them notices what it must."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import doc_pages
from doc_pages import Block, Step
from underlay import cli
from underlay.cli.frame import verb_command

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = {
    "lint": ["labs/broken/seed-eth0.yml"],
    "predict": ["intent"],
    "import": [str(ROOT / "tests/golden/files/coreos" / host) for host in ("core-01", "core-02")],
    "diff": [str(Path(__file__).parent / "files" / f"{which}.yml") for which in ("before", "now")],
    "labs": ["docker"],
    "faults": [],
    "env": ["--lab", "docker-vlan"],
    "workshop": [],
    "test": ["--layer", "golden", "--", "-k", "test_schema_beside_the_labs"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder like a checkout, whose `underlay` is this Python with these sources."""
    program = tmp_path / "underlay"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m underlay "$@"\n')
    program.chmod(0o755)
    (tmp_path / "labs").symlink_to(ROOT / "labs")
    # Blocks change these as their readers do.
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


@pytest.fixture(autouse=True)
def sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """What blocks run has these sources, and one processor from Python 3.13 on.

    Where a block runs a single test, several processes would each collect all others.
    """
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("PYTHON_CPU_COUNT", "1")


@pytest.mark.parametrize("block", doc_pages.blocks("unit"), ids=str)
def test_block(block: Block, folder: Path) -> None:
    problems = doc_pages.play(block, folder)
    assert not problems, "\n\n".join(problems)


@pytest.mark.parametrize("verb", DOCUMENTS)
def test_json_has_the_fields_that_its_page_lists(verb: str, folder: Path) -> None:
    done = subprocess.run(
        ["./underlay", verb, "--json", *DOCUMENTS[verb]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={k: v for k, v in os.environ.items() if not k.startswith(("UNDERLAY_", "PYTEST_"))},
    )
    page = doc_pages.DOCS / "verbs" / f"{verb}.md"
    assert not doc_pages.wrong_fields(
        page, json.loads(done.stdout), empty=("part", "errors", "taken")
    )


def test_every_document_is_compared_with_its_page() -> None:
    """A verb that takes `--json` stands in one of the tables, here or in test_docs.py."""
    tree = ast.parse((ROOT / "tests" / "cluster" / "test_docs.py").read_text(encoding="utf-8"))
    elsewhere = {
        str(ast.literal_eval(key))
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if key is not None
    }
    taking = {
        verb
        for verb in cli.summaries()
        if any("--json" in parameter.opts for parameter in verb_command(verb).params)
    }
    assert taking == elsewhere | set(DOCUMENTS)


def played(folder: Path, *steps: Step) -> list[str]:
    return doc_pages.play(Block(doc_pages.DOCS / "index.md", 1, "unit", steps), folder)


def test_a_right_block_passes(folder: Path) -> None:
    assert not played(folder, Step("echo one; false", ("one",)), Step("echo $?", ("1",)))


def test_other_output_is_noticed(folder: Path) -> None:
    (problem,) = played(folder, Step("echo one", ("two",)))
    assert "-two\n+one" in problem


def test_more_output_is_noticed(folder: Path) -> None:
    assert played(folder, Step("echo one; echo two", ("one",)))


def test_hidden_failure_is_noticed(folder: Path) -> None:
    (problem,) = played(folder, Step("false", ()))
    assert "ends with 1, which the page hides" in problem


def test_a_command_that_ends_the_shell_is_noticed(folder: Path) -> None:
    assert played(folder, Step("exit 0", ()), Step("echo two", ("two",)))


def test_any_lines_stand_for_some_and_for_none(folder: Path) -> None:
    assert not played(folder, Step("seq 5", ("1", "…", "5")), Step("echo 1", ("1", "…")))
    assert played(folder, Step("seq 5", ("1", "…", "4")))


def test_only_what_changes_is_scrubbed() -> None:
    lines = ["up, 15.3 s", "20.1.1.65/24 on eth1.70, mtu 1500", "measuring 612 cells …"]
    scrubbed = ["up, [NUMBER] s", "20.1.1.65/24 on eth1.70, mtu 1500"]
    assert doc_pages.scrubbed("\n".join(lines), ROOT) == scrubbed


def test_a_wrong_table_of_fields_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "verb.md"
    page.write_text("## JSON\n| `rows[].name` |\n| `parents.<segment>` |\n| `gone` |\n")
    document = {"rows": [{"name": "a", "new": 1}], "parents": {"lan": "eth1"}}
    assert doc_pages.wrong_fields(page, document) == [
        "verb.md does not list rows[].new",
        "verb.md lists gone, which is not there",
    ]
