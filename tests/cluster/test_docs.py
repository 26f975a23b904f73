"""The shell blocks of the pages that need a lab are run, and JSON tables compared with a real one.

Blocks run in the order of their pages: one breaks the lab and a later one mends it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import doc_pages
from cluster.running import Checkout, Lab
from doc_pages import Block

on_coreos = pytest.mark.parametrize("lab", ["coreos"], indirect=True)

# How to get a document from each verb that has one and needs a lab, an image or a machine.
DOCUMENTS = {
    "demo": ["--timings"],
    "up": ["--timings"],
    "check": [],
    "status": [],
    "render": ["--output", "files"],
    "image": [],
    "doctor": [],
}
DEADLINE = 120.0


@pytest.fixture
def folder(lab: Lab, tmp_path: Path) -> Path:
    """Return a folder that looks like the checkout, in which commands may leave files."""
    for name in ("underlay", "labs"):
        (tmp_path / name).symlink_to(lab.checkout.root / name)
    return tmp_path


@pytest.fixture(scope="module")
def whole() -> Iterator[list[Lab]]:
    """Return a list for the lab in use, which must be green once all blocks have run."""
    used: list[Lab] = []
    yield used
    for lab in used[:1]:
        # What the blocks undo themselves, unless they were interrupted.
        lab.shell("core-02", "ip link set eth1 up")
        lab.shell("switch", "bridge link set dev lan-1 hairpin off")
        lab.check().prove_green()


@on_coreos
@pytest.mark.parametrize("block", doc_pages.blocks("coreos"), ids=str)
def test_block(lab: Lab, block: Block, folder: Path, whole: list[Lab]) -> None:
    whole.append(lab)
    problems = doc_pages.play(block, folder)
    assert not problems, "\n\n".join(problems)


@on_coreos
@pytest.mark.parametrize("verb", DOCUMENTS)
def test_json_has_the_fields_that_its_page_lists(lab: Lab, verb: str, folder: Path) -> None:
    arguments = [verb, "--json", *DOCUMENTS[verb]]
    done = lab.checkout.underlay(*arguments, folder=folder, deadline=DEADLINE)
    assert done.code == 0, str(done)
    page = doc_pages.DOCS / "verbs" / f"{verb}.md"
    assert not doc_pages.wrong_fields(page, json.loads(done.out))


def test_down_too(copy: Checkout) -> None:
    """In a copy of the checkout, so that the lab of all other tests stays up."""
    done = copy.underlay("down", "--all", "--json")
    assert done.code == 0, str(done)
    assert not doc_pages.wrong_fields(doc_pages.DOCS / "verbs" / "down.md", json.loads(done.out))
