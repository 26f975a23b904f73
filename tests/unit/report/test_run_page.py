"""The page of a run: that it is whole, holds all of the run, and stands alone."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from base64 import b64decode, b64encode
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import front_end
from underlay.cli import main
from underlay.expect import Prediction, pairs
from underlay.lint import load
from underlay.proof.captured import Captured
from underlay.proof.result import LabResult
from underlay.proof.runs.comparison import compare
from underlay.proof.runs.saving import Source, saved
from underlay.proof.trace import Point
from underlay.render import MARKER, content_hash
from underlay.report.run import Told
from underlay.report.run_page.cells import NONE
from underlay.report.run_page.data import page_document
from underlay.report.run_page.page import _spent, page_text
from underlay.report.run_page.ways import parts_of
from underlay.report.topology import layout
from underlay.report.topology.drawing import picture_of
from underlay.storage import paths
from underlay.storage.paths import root
from unit.proof import test_runs as runs
from unit.proof.test_runs import run_of, seen
from unit.report.test_run_formats import broken, green

home = runs.home
proven = runs.suite
REPORT = root() / "src" / "underlay" / "report"
BUILT = (REPORT / "run_page" / "page.js", REPORT / "watch_page" / "watch.js")
VOID = {"meta", "br", "option"}


def shipped(lab: str, *, wrong: int = 0, missing: int = 0) -> Told:
    """Return a run of a shipped lab, whose text is in it; the first cells are wrong."""
    file = root() / "labs" / f"{lab}.yml"
    plan = load(file).plan
    verdict = seen(plan, wrong=wrong, missing=missing)
    text = file.read_text(encoding="utf-8")
    return Told(run_of(saved(Source(str(file), text, plan), LabResult(verdict))))


class Elements(HTMLParser):
    """Notes what is open, and fails where something else is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.ids += [told["id"]] if told.get("id") else []
        self.fetched += [f"{tag} {name}" for name in ("src", "href") if name in told]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.mark.parametrize(
    "told",
    [green(), broken(), shipped("basics-macvlan", wrong=5, missing=3), Told(run_of())],
    ids=["green", "red", "some", "none"],
)
def test_the_page_is_whole_and_stands_alone(told: Told) -> None:
    text = page_text(told)
    page = Elements()
    page.feed(text)
    assert not page.open
    assert not page.fetched
    assert len(page.ids) == len(set(page.ids))
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert "url(" not in text
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text


def embedded(text: str) -> Any:
    return json.loads(text.partition('id="run">')[2].partition("</script>")[0])


def test_every_cell_is_in_its_place_with_its_outcome() -> None:
    told = broken()
    (lab,) = embedded(page_text(told))["labs"]
    names = [end["name"] for end in lab["ends"]]
    count = len(names)
    places = {(one["protocol"], one["family"]): one for one in lab["layers"]}
    seen_cells = 0
    for cell in told.results.by_lab[told.run.labs[0].lab].verdict.cells:
        if cell.destination not in names:
            continue
        layer = places[str(cell.protocol), cell.family]
        at = 2 * (names.index(cell.source) * count + names.index(cell.destination))
        number = int.from_bytes(b64decode(layer["outcomes"])[at : at + 2], "little")
        rtt = int.from_bytes(b64decode(layer["rtts"])[at : at + 2], "little")
        outcome = lab["outcomes"][number]
        assert outcome["differs"] is cell.differs
        assert outcome["measured"] is cell.measured
        assert lab["predictions"][outcome["prediction"]]["because"] == cell.because
        assert bool(rtt) is (cell.rtt_ms is not None)
        seen_cells += 1
    told_places = [
        int.from_bytes(data[at : at + 2], "little")
        for data in (b64decode(layer["outcomes"]) for layer in lab["layers"])
        for at in range(0, len(data), 2)
    ]
    assert len(told_places) - told_places.count(NONE) == seen_cells


def test_causes_and_what_was_not_measured_come_first() -> None:
    told = broken()
    text = page_text(told)
    causes = told.results.by_lab[told.run.labs[0].lab].explanation
    assert causes is not None
    for cause in causes.causes:
        assert cause.finding.fault.cause.replace("'", "&#39;") in text
    assert text.index("Light its") < text.index("Who reaches whom")
    missing = page_text(shipped("basics-macvlan", missing=3))
    assert missing.index("3 of ") < missing.index("Who reaches whom")
    assert "cells were not measured.</strong>" in missing
    assert "not measured.</strong>" not in page_text(green())


def test_what_is_written_in_a_run_is_never_markup() -> None:
    told = shipped("basics-macvlan", wrong=3)
    lab = told.run.labs[0]
    nasty = lab.model_copy(
        update={"text": lab.text + "# </script><script>alert(1)</script>\n", "plan": "another"}
    )
    text = page_text(Told(told.run.model_copy(update={"labs": (nasty,)})))
    assert "alert(1)</script>" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_picture_is_shown_of_the_plan_of_then_alone() -> None:
    told = shipped("basics-macvlan")
    (lab,) = page_document(told)["labs"]
    assert bool(lab["picture"]) is layout.dot_is_there()
    other = told.run.labs[0].model_copy(update={"plan": "another"})
    (lab,) = page_document(Told(told.run.model_copy(update={"labs": (other,)})))["labs"]
    assert not lab["picture"]
    assert "another plan" in lab["noPicture"]
    assert "another plan" in page_text(Told(told.run.model_copy(update={"labs": (other,)})))


@pytest.mark.skipif(not layout.dot_is_there(), reason="Graphviz isn't here: apt install graphviz")
def test_every_part_of_a_way_is_in_the_picture() -> None:
    (lab,) = page_document(shipped("router-external"))["labs"]
    shown = set(re.findall(r'data-id="([^"]*)"', lab["picture"]))
    assert lab["ways"]
    for there, back in lab["ways"].values():
        assert {*there, *back} <= shown
    assert set(lab["rows"]) <= shown


@pytest.mark.skipif(not layout.dot_is_there(), reason="Graphviz isn't here: apt install graphviz")
@pytest.mark.parametrize("lab", ["coreos", "macvlan-source", "overlay-vxlan"])
def test_a_way_is_that_of_its_own_pair(lab: str) -> None:
    """Pairs that share a way on the page pass the same parts but for their own ends."""
    told = shipped(lab)
    plan = load(root() / "labs" / f"{lab}.yml").plan
    picture = picture_of(plan)
    (shown,) = page_document(told)["labs"]
    numbers = {end["name"]: shown["kinds"][place] for place, end in enumerate(shown["ends"])}
    passages = Prediction(plan).passages
    for pair in pairs(plan):
        cell = (pair.source.name, pair.destination.name, "icmp", int(pair.family))
        names = numbers[pair.source.name], numbers[pair.destination.name]
        there, back = shown["ways"][f"{names[0]} {names[1]} {pair.family}"]
        assert [there, back] == list(map(list, parts_of(picture, pair, passages.of(cell, pair))))


def test_what_was_captured_of_a_cell_stands_with_it() -> None:
    file = root() / "labs" / "basics-macvlan.yml"
    plan = load(file).plan
    verdict = seen(plan, wrong=1)
    cell = verdict.cells[0]
    name = (cell.source, cell.destination, str(cell.protocol), cell.family)
    point = Point("request", "port", "lan-1", "in", seen=True, arp=(), frame="ICMP echo request")
    result = LabResult(verdict, captures=(Captured(name, (point,), "It was seen there.", ()),))
    text = file.read_text(encoding="utf-8")
    told = Told(run_of(saved(Source(str(file), text, plan), result)))
    (lab,) = embedded(page_text(told))["labs"]
    (shown,) = lab["captures"]
    count = len(lab["ends"])
    names = [end["name"] for end in lab["ends"]]
    assert shown["code"] == names.index(name[0]) * count + names.index(name[1])
    assert shown["points"][0]["words"] == "ICMP echo request"


def test_nodes_files_are_shown_where_they_are_rendered_by_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "cache", lambda: tmp_path)
    told = shipped("basics-macvlan")
    assert "underlay render basics-macvlan" in page_text(told)
    plan = load(root() / "labs" / "basics-macvlan.yml").plan
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "_check.pub").write_text("ssh-ed25519 AAAA\n")
    entry = tmp_path / "files" / content_hash(plan, "ssh-ed25519 AAAA")
    (entry / "core-01").mkdir(parents=True)
    (entry / MARKER).touch()
    (entry / "core-01" / "user-data").write_text("#cloud-config <of core-01>\n")
    text = page_text(told)
    assert "<code>core-01/user-data</code>" in text
    assert "#cloud-config &lt;of core-01&gt;" in text


def test_what_changed_since_another_run_is_told_and_marked() -> None:
    before, now = shipped("basics-macvlan"), shipped("basics-macvlan", wrong=2)
    compared = compare(before.run, now.run, "before.json")
    text = page_text(Told(now.run, compared))
    assert "Compared with <code>before.json</code>" in text
    assert "2 worse" in text
    assert len(embedded(text)["labs"][0]["changed"]) == 2
    assert not embedded(page_text(now))["labs"][0]["changed"]


def test_check_writes_the_page_at_its_end(
    proven: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    run = tmp_path / "run.json"
    assert main(["check", "flat", "--html", str(page), "--save", str(run)]) == 0
    made = page.read_text(encoding="utf-8")
    assert embedded(made)["labs"][0]["lab"] == "flat"
    assert main(["report", str(run), "--format", "html"]) == 0
    assert embedded(capsys.readouterr().out.partition("<!doctype")[2]) == embedded(made)
    assert main(["check", "flat", "--html", str(page), "--baseline", str(run)]) == 0
    assert "Compared with" in page.read_text(encoding="utf-8")
    assert main(["check", "flat", "--html", str(tmp_path / "no" / "page.html")]) == 2
    assert "mkdir -p" in capsys.readouterr().err


def test_a_run_that_ended_early_has_a_page_that_says_so(proven: Any, tmp_path: Path) -> None:
    proven.during = staticmethod(runs.interrupt)
    page = tmp_path / "page.html"
    assert main(["check", "flat", "--html", str(page)]) == 130
    assert "interrupted" in page.read_text(encoding="utf-8")
    assert "were not measured.</strong>" in page.read_text(encoding="utf-8")


def test_the_scripts_are_what_their_sources_make(tmp_path: Path) -> None:
    sources = front_end.project(tmp_path)
    for step in ("check", "build"):
        subprocess.run(["npm", "run", "-s", step], cwd=sources, check=True, timeout=120)
    for built in BUILT:
        made = tmp_path / built.relative_to(root())
        assert made.read_text() == built.read_text(), f"npm run build makes another {built.name}"


def test_time_that_no_part_accounts_for_is_a_part_of_its_own() -> None:
    def spent(*labs: dict[str, Any], **timings: float) -> list[tuple[str, float]]:
        times = {"began": "2026-01-01T00:00:00+00:00", "until": "2026-01-01T00:01:40+00:00"}
        return _spent({**times, "timings": timings, "labs": labs}, labs[0])

    lab = {"phases": {"boot": 40.0, "measure": 12.0}, "timings": {"probe": 10.0, "measure": 11.0}}
    other = ("other", 25.0)
    found = spent(lab, render=20.0, total=95.0)
    assert found == [("render", 20.0), ("boot", 40.0), ("probe", 10.0), other]
    # Without a sum it is the time from its beginning to its end.
    assert spent(lab)[-1] == ("other", 50.0)
    # Nobody knows whose the rest is in a run of several labs.
    assert spent(lab, lab, total=95.0) == [("boot", 40.0), ("probe", 10.0)]
    happened = {**lab, "phases": {**lab["phases"], "events": 30.0}}
    assert spent(happened, total=90.0)[-3:] == [("measure", 12.0), ("events", 30.0), ("other", 8.0)]
    assert spent({"phases": {}, "timings": {}}) == []
