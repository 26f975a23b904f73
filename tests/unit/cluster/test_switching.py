"""What keeps nodes from becoming another lab's, what the switch changes, what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.cluster.providers.uml.wiring import card_name, changes, links
from underlay.cluster.state.lab import LabState, read_state, unfinished
from underlay.cluster.suite import Suite
from underlay.cluster.switching import differences
from underlay.lint import load
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.storage import paths

LAB = """\
name: {name}
nodes: {nodes}
segments:
{segments}
networks:
  one: {{driver: macvlan, segment: {first}, subnet: 20.1.1.0/24, runtime: iproute2}}
containers: [{{networks: [one]}}]
{more}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME, str(tmp_path / "home"))
    return tmp_path / "home"


def plan(
    folder: Path,
    name: str = "a",
    *segments: str,
    nodes: str = "2",
    more: str = "",
) -> Plan:
    """Return the plan of a small lab with these ``segments``."""
    wanted = segments or ("lan",)
    lines = [f"  {s}: {{subnet: 192.168.{i}.0/24}}" for i, s in enumerate(wanted, 70)]
    file = folder / f"{name}.yml"
    text = LAB.format(name=name, nodes=nodes, segments="\n".join(lines), first=wanted[0], more=more)
    file.write_text(text)
    return make_plan(read_lab(file))


def test_labs_with_the_same_cards_differ_in_nothing_that_matters(tmp_path: Path) -> None:
    assert differences(plan(tmp_path, "a", "lan", "wan"), plan(tmp_path, "b", "x", "y")) == []


@pytest.mark.parametrize(
    ("nodes", "segments", "more", "said"),
    [
        ("3", ("lan",), "", "nodes: core-01, core-02 run, b needs core-01, core-02, core-03"),
        ("{count: 2, memory: 768}", ("lan",), "", "MiB of memory: it has 512, b needs 768"),
        ("{count: 2, prefix: web}", ("lan",), "", "b needs web-01, web-02"),
        ("{count: 2, profile: lean}", ("lan",), "", "profile: it has full, b needs lean"),
        (
            "{count: 2, config: ignition}",
            ("lan",),
            "",
            "configuration: it has cloud-config, b needs ignition",
        ),
        (
            "{count: 2, config: ignition, ignition_in: initrd}",
            ("lan",),
            "",
            "configuration: it has cloud-config, b needs ignition in an initrd",
        ),
        ("2", ("lan", "wan"), "", "NICs: it has 1, b needs 2"),
        ("2", ("lan",), "user: other", "user: core run, b needs other"),
    ],
)
def test_other_nodes_are_named_with_what_differs(
    tmp_path: Path, nodes: str, segments: tuple[str, ...], more: str, said: str
) -> None:
    found = differences(plan(tmp_path), plan(tmp_path, "b", *segments, nodes=nodes, more=more))
    assert any(said in line for line in found), found


def test_a_node_opens_its_port_by_a_name_that_no_segment_takes_away(tmp_path: Path) -> None:
    before, after = plan(tmp_path, "a", "lan", "wan"), plan(tmp_path, "b", "wan", "lan")
    for index in (1, 2):
        for card in (1, 2):
            port = before.segments[card - 1].ports[f"core-{index:02}"]
            made = f"link property add dev {port} altname {card_name(index, card)}"
            assert made in links(before)
    renaming = next(words for words, _ in changes(after) if "rename()" in words[2])
    # By pairs: the name that stays, and the one to come.
    assert renaming[4:8] == ["card_1_1", "wan-1", "card_1_2", "lan-1"]


def test_a_record_that_was_renamed_half_way_is_of_the_folder_that_it_is_in(home: Path) -> None:
    folder = home / "labs" / "new"
    folder.mkdir(parents=True)
    (folder / "lab.json").write_text('{"lab": "old", "file": "/old.yml", "provider": "uml"}')
    assert read_state("new") is None
    unfinished(folder).touch()
    assert read_state("new") == LabState("new", "/old.yml", "uml")


def test_labs_are_grouped_by_what_they_need(tmp_path: Path) -> None:
    plans = [
        plan(tmp_path, "a", "lan"),
        plan(tmp_path, "b", "lan", "wan"),
        plan(tmp_path, "c", "other"),
        plan(tmp_path, "d", "lan", nodes="3"),
    ]
    labs = [load(tmp_path / f"{each.lab}.yml") for each in plans]
    suite = Suite("uml", lambda _: None, lambda _: None)
    assert [[loaded.plan.lab for loaded in group] for group in suite.groups(labs)] == [
        ["a", "c"],
        ["b"],
        ["d"],
    ]
    # Virtual machines can't be switched.
    apart = Suite("libvirt", lambda _: None, lambda _: None)
    assert [len(group) for group in apart.groups(labs)] == [1, 1, 1, 1]
