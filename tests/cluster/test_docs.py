"""The shell blocks of the pages that need a lab are run, and JSON tables compared with a real one.

Blocks run in the order of their pages: one breaks the lab and a later one mends it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

import doc_pages
from cluster.running import SHARED, Checkout, Lab
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
    "converge": ["--diff"],
    "capture": ["lan", "--seconds", "1"],
    "trace": ["lannet-1a", "lannet-2a"],
}
# A lab that is as it should be is changed nowhere, and has nothing that nobody planned.
EMPTY = {
    "converge": ("changes", "diff"),
    "check": ("unplanned", "blind", "intent"),
    "demo": ("unplanned", "blind", "intent"),
    # The lab has no external host; tests/unit/cli/test_status.py compares what one looks like.
    "status": ("hosts",),
}
# One after the other: the lab is broken, explained and mended. A verb's exit code, its arguments,
# and what may be empty in it.
BROKEN = {
    "break": (0, ["container-drops-incoming", "--container", "lannet-2a"], ()),
    "explain": (
        1,
        [],
        (
            *("unexplained", "ruled_out", "not_borne_out", "doubted", "suspects", "unseen"),
            *("unplanned", "intent"),
        ),
    ),
    "mend": (0, [], ()),
}
# These start labs of their own, or make another one of the nodes: as few and small as can be.
SLOW = {
    "switch": (["docker-ipvlan"], ()),
    "bench": (["cli_start_s", "--quick"], ("not_run", "growth")),
    "soak": (
        ["--trials", "1", "--cycles", "1", "--checks", "1"],
        ("broken", "longest_gone_s", "load.false_verdicts"),
    ),
}
# Verbs that measure or look around. The tutorial breaks, explains and mends the lab every day, and
# test_watch.py and test_status.py look at what these say; reports are of the same as check prints.
MEASURING = ("break", "check", "explain", "mend", "report", "status", "trace", "watch")
# Their documents are for the full proof as well; test_unplanned.py compares that of check daily,
# and test_status.py that of status.
SLOW_DOCUMENTS = ("demo", "check", "status")
# `down` has a test of its own below.
ALONE = {"down": ["--all"]}
# They run until they are interrupted; their own tests compare what they print.
UNTIL_INTERRUPTED = {"forward": "test_forward.py", "watch": "test_watch.py"}
# tests/unit/cluster/bundle compares what it prints of a small bundle.
FETCHING = {"bundle": "test_verb.py"}
# They ask machines of an inventory; tests/unit/observe/survey compares what they print, and so does
# the test there.
OF_MACHINES = {"hosts": "test_hosts_probe.py", "survey": "test_sentences.py"}
SLOW_DEADLINE = 600.0
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


def case(block: Block) -> ParameterSet:
    """Return a block as a test's case, for the full proof if the tutorial shows the same."""
    slow = block.page.parent.name == "verbs" and block.page.stem in MEASURING
    return pytest.param(block, marks=pytest.mark.all if slow else ())


@on_coreos
@pytest.mark.parametrize("block", [case(b) for b in doc_pages.blocks("coreos")], ids=str)
def test_block(lab: Lab, block: Block, folder: Path, whole: list[Lab]) -> None:
    whole.append(lab)
    problems = doc_pages.play(block, folder)
    assert not problems, "\n\n".join(problems)


# What demo's block starts is what up's starts, and demo measures it as well.
@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, marks=() if block.page.stem == "demo" else pytest.mark.all)
        for block in doc_pages.blocks("stopped")
    ],
    ids=str,
)
def test_block_that_starts_the_lab(block: Block, apart: Checkout, tmp_path: Path) -> None:
    """In a copy of the checkout, where the lab isn't up and its nodes really boot.

    Where several processes share the tests, it stays up for the other blocks.
    """
    assert apart.underlay("down", "--all").code == 0
    assert not apart.state("coreos").exists()
    for name in ("underlay", "labs"):
        (tmp_path / name).symlink_to(apart.root / name)
    try:
        problems = doc_pages.play(block, tmp_path)
        nodes = apart.state("coreos") / "nodes"
        consoles = [path.stat().st_size for path in nodes.glob("*/console.log")]
        assert not problems, "\n\n".join(problems)
        assert len(consoles) == 3
        assert all(consoles)
    except BaseException:
        apart.underlay("down", "--all", deadline=DEADLINE)
        raise
    if not SHARED:
        apart.underlay("down", "--all", deadline=DEADLINE)


def test_the_verbs_that_start_a_lab_have_such_a_block() -> None:
    assert {block.page.stem for block in doc_pages.blocks("stopped")} == {"demo", "up"}


@on_coreos
@pytest.mark.parametrize(
    "verb",
    [pytest.param(v, marks=pytest.mark.all if v in SLOW_DOCUMENTS else ()) for v in DOCUMENTS],
)
def test_json_has_the_fields_that_its_page_lists(lab: Lab, verb: str, folder: Path) -> None:
    arguments = [verb, "--json", *DOCUMENTS[verb]]
    done = lab.checkout.underlay(*arguments, folder=folder, deadline=DEADLINE)
    assert done.code == 0, str(done)
    page = doc_pages.DOCS / "verbs" / f"{verb}.md"
    assert not doc_pages.wrong_fields(page, json.loads(done.out), EMPTY.get(verb, ()))


@pytest.mark.all
@on_coreos
def test_documents_about_a_broken_lab_have_the_fields_that_pages_list(
    lab: Lab, folder: Path
) -> None:
    problems = []
    for verb, (code, words, empty) in BROKEN.items():
        done = lab.checkout.underlay(
            verb, "--json", "--lab", lab.name, *words, folder=folder, deadline=DEADLINE
        )
        assert done.code == code, str(done)
        page = doc_pages.DOCS / "verbs" / f"{verb}.md"
        problems += doc_pages.wrong_fields(page, json.loads(done.out), empty)
    assert not problems


@pytest.mark.all
@pytest.mark.parametrize("verb", SLOW)
def test_json_of_slow_verbs_has_the_fields_that_its_page_lists(verb: str, copy: Checkout) -> None:
    words, empty = SLOW[verb]
    if verb == "switch":
        done = copy.underlay("up", "cni-ipvlan", deadline=SLOW_DEADLINE)
        assert done.code == 0, str(done)
    try:
        done = copy.underlay(verb, "--json", *words, deadline=SLOW_DEADLINE)
    finally:
        copy.underlay("down", "--all", deadline=DEADLINE)
    assert done.code == 0, str(done)
    page = doc_pages.DOCS / "verbs" / f"{verb}.md"
    assert not doc_pages.wrong_fields(page, json.loads(done.out), empty)


def test_down_too(copy: Checkout) -> None:
    """In a copy of the checkout, so that the lab of all other tests stays up."""
    done = copy.underlay("down", *ALONE["down"], "--json")
    assert done.code == 0, str(done)
    assert not doc_pages.wrong_fields(doc_pages.DOCS / "verbs" / "down.md", json.loads(done.out))
