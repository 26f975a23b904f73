"""A lab's picture: all of every lab is in it, it is folded, and what each format keeps."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from underlay.cli import main
from underlay.cli.which_lab import lab_names
from underlay.errors import Infrastructure
from underlay.expect import Prediction, ends, pairs
from underlay.lab.text import LabError
from underlay.lint import load
from underlay.report.topology import layout
from underlay.report.topology.dot import dot_text
from underlay.report.topology.drawing import MOST_NODES, picture_of
from underlay.report.topology.drawio import drawio_text
from underlay.report.topology.mermaid import escaped, mermaid_text
from underlay.report.topology.picture import Picture
from underlay.report.topology.svg import svg_text
from underlay.storage.paths import root

LABS = [name for name in lab_names() if not name.startswith("broken/")]
SVG = "{http://www.w3.org/2000/svg}"
needs_dot = pytest.mark.skipif(
    shutil.which("dot") is None, reason="Graphviz isn't here: apt install graphviz"
)


def file_of(lab: str) -> Path:
    return root() / "labs" / f"{lab}.yml"


def picture(lab: str) -> Picture:
    return picture_of(load(file_of(lab)).plan)


@pytest.mark.parametrize("lab", LABS)
def test_all_of_a_lab_is_in_its_picture(lab: str) -> None:
    plan = load(file_of(lab)).plan
    made = picture_of(plan)
    ids = [item.id for item in made.items]
    rows = [row.id for item in made.items for row in item.rows]
    assert len({*ids, *rows}) == len(ids) + len(rows)
    for line in made.lines:
        assert {line.one, line.other} <= set(ids), line
    shown = [end for item in made.items for row in item.rows for end in row.ends]
    assert sorted(shown) == sorted(end.name for end in ends(plan) if end.kind == "container")
    machines = {name for group in made.groups for name in group.names}
    assert machines == {one.name for one in (*plan.nodes, *plan.hosts)}
    assert set(made.places.values()) <= {*ids, *rows}
    for node in plan.nodes:
        for card, _, _ in node.cards:
            assert (node.name, card) in made.places


@pytest.mark.parametrize("lab", ["coreos", "bond", "overlay-vxlan", "router-external", "shim"])
def test_all_that_packets_pass_has_its_place(lab: str) -> None:
    plan = load(file_of(lab)).plan
    made = picture_of(plan)
    passages = Prediction(plan).passages
    for pair in pairs(plan):
        cell = (pair.source.name, pair.destination.name, "icmp", int(pair.family))
        for one in passages.of(cell, pair):
            known = made.ports if one.kind == "port" else made.places
            assert (one.where, one.interface) in known, one


def test_many_containers_are_one_line_and_nodes_alike_one_box(tmp_path: Path) -> None:
    made = picture("scale-100")
    assert [len(item.rows) for item in made.items if item.kind == "network"] == [1, 1, 1]
    many = tmp_path / "many.yml"
    text = file_of("scale-100").read_text(encoding="utf-8")
    many.write_text(text.replace("count: 3,", f"count: {MOST_NODES + 1},"), encoding="utf-8")
    folded = picture_of(load(many).plan)
    (group,) = folded.groups
    assert len(group.names) == MOST_NODES + 1
    assert group.note.startswith(f"{MOST_NODES + 1} nodes alike")
    (network,) = (item for item in folded.items if item.kind == "network")
    assert network.rows[0].name == f"{100 * (MOST_NODES + 1)} containers"


def test_what_a_format_reads_as_its_own_is_escaped() -> None:
    assert escaped('a"<b>&') == "a#quot;#lt;b#gt;#amp;"
    made = picture("bond")
    assert dot_text(Picture('a"b', (), (), ())).startswith('graph "a\\"b" {')
    ET.fromstring(drawio_text(made))
    assert mermaid_text(made).count("subgraph") == mermaid_text(made).count("  end\n")


@needs_dot
@pytest.mark.parametrize("lab", ["coreos", "bond", "trunk-native", "scale-100", "internal"])
def test_svg_shows_each_part_once_within_its_frame(lab: str) -> None:
    made = picture(lab)
    placed = layout.layout_of(made)
    drawn = ET.fromstring(svg_text(made, placed))
    ids = [one.get("data-id") for one in drawn.iter(f"{SVG}g") if one.get("data-id")]
    rows = [row.id for item in made.items for row in item.rows]
    told = (*made.groups, *made.items, *made.lines)
    assert sorted(map(str, ids)) == sorted([*(one.id for one in told), *rows])
    assert drawn.get("role") == "img"
    labelled = str(drawn.get("aria-labelledby")).split()
    assert labelled == [one.get("id") for one in drawn if one.tag in (f"{SVG}title", f"{SVG}desc")]
    for box in (*placed.items.values(), *placed.groups.values()):
        assert 0 <= box.x <= box.x + box.width <= placed.width
        assert 0 <= box.y <= box.y + box.height <= placed.height
    # No box of a machine lies upon another's, and they stand in the plan's order.
    nodes = [placed.groups[group.id] for group in made.groups if group.kind == "node"]
    for left, right in pairwise(nodes):
        assert left.x + left.width <= right.x


@needs_dot
def test_svg_style_is_within_it_and_nothing_is_fetched() -> None:
    made = picture("basics-macvlan")
    text = svg_text(made, layout.layout_of(made))
    assert "prefers-color-scheme: dark" in text
    assert "url(" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "<style>" not in svg_text(made, layout.layout_of(made), alone=False)


def test_without_graphviz_its_package_and_the_other_formats_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    assert main(["graph", "flat"]) == 2
    told = capsys.readouterr()
    assert not told.out
    assert "apt install graphviz" in told.err
    assert "mermaid, drawio and dot" in told.err
    for ending in (".mmd", ".drawio", ".dot"):
        assert main(["graph", "flat", "-o", str(tmp_path / f"flat{ending}")]) == 0
    assert (tmp_path / "flat.dot").read_text(encoding="utf-8").startswith('graph "flat" {')


def test_a_failing_dot_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "dot", stderr="syntax error\n")

    monkeypatch.setattr(layout, "dot_is_there", lambda: True)
    monkeypatch.setattr(subprocess, "run", fails)
    with pytest.raises(Infrastructure, match="dot failed"):
        layout.layout_of(picture("flat"))


def test_a_file_that_is_no_lab_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text("name: bad\nnodse: 3\n", encoding="utf-8")
    assert main(["graph", str(bad)]) == 2
    with pytest.raises(LabError):
        load(bad)
    assert main(["graph", "flat", "--format", "dot", "-o", str(tmp_path / "no" / "x.dot")]) == 2


@pytest.mark.parametrize("name", ["flat.png", "flat"])
def test_an_ending_that_says_no_format_is_refused_with_those_that_do(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["graph", "flat", "-o", str(tmp_path / name)]) == 2
    told = capsys.readouterr().err
    assert "says none of the formats" in told
    assert all(ending in told for ending in (".svg", ".mmd", ".drawio", ".dot"))
    assert not (tmp_path / name).exists()
    assert main(["graph", "flat", "--format", "dot", "-o", str(tmp_path / name)]) == 0
