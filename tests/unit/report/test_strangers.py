"""Containers that no plan knows: asked for on nodes, counted in a verdict, and named."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from underlay_node import docker, files, others, podman

from underlay.cluster import beyond
from underlay.cluster.beyond import Stranger
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.report.page import Page
from underlay.report.strangers import strangers_document, strangers_section
from underlay.verdict import Verdict

LABS = Path(__file__).resolve().parents[3] / "labs"
STRANGER = Stranger("core-01", "docker", "visitor", "nginx:1.27", "docker")
NOTHING = Verdict("paper", "uml", (), {})


def shown(verdict: Verdict) -> str:
    page = Page(100, ascii_only=False)
    strangers_section(verdict, page)
    return page.text.plain


def test_a_container_that_no_plan_knows_is_named_and_counted() -> None:
    verdict = replace(NOTHING, strangers=(STRANGER,))
    assert verdict.summary.unplanned == 1
    assert "core-01: visitor runs nginx:1.27, started by docker" in shown(verdict)
    assert "underlay exec core-01 -- docker ps" in shown(verdict)
    assert strangers_document(verdict)["strangers"][0]["name"] == "visitor"


@pytest.mark.parametrize(
    ("by", "told"),
    [
        (["docker"], "Somebody started it by hand"),
        (["docker compose, project app"], "A file of yours starts it"),
        (["podman, unit web.service"], "A file of yours starts it"),
        (["docker compose, project app", "podman"], "Somebody started it by hand"),
    ],
)
def test_what_a_file_starts_nobody_started_by_hand(by: list[str], told: str) -> None:
    found = tuple(replace(STRANGER, by=one) for one in by)
    assert told in shown(replace(NOTHING, strangers=found))


def test_nothing_is_said_where_there_is_none() -> None:
    assert shown(NOTHING) == shown(replace(NOTHING, strangers=())) == ""
    assert NOTHING.summary.unplanned == 0
    assert strangers_document(NOTHING) == {"strangers": []}


def test_of_many_some_are_shown() -> None:
    many = replace(NOTHING, strangers=tuple(replace(STRANGER, name=f"v{n}") for n in range(20)))
    assert "and 12 more, in --json" in shown(many)


def test_nodes_are_asked_and_the_silent_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(read_lab(LABS / "docker-vlan.yml"))
    said = {"others": [{k: v for k, v in vars(STRANGER).items() if k != "node"}], "notes": ["a"]}

    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        answers = "core-01" in words
        return subprocess.CompletedProcess(words, 0, json.dumps(said) if answers else "", "gone")

    monkeypatch.setattr(beyond, "run", run)
    monkeypatch.setattr(beyond.ssh, "command", lambda config, node, words: [node, *words])
    found = beyond.look(plan, Path("/nowhere"), ["core-01", "core-02"])
    assert found.strangers == (STRANGER,)
    assert found.notes == {"core-01": ("a",)}
    assert list(found.silent) == ["core-02"]
    assert "gone" in found.silent["core-02"]
    assert not beyond.has_own(plan)


def test_what_runs_on_a_node_and_is_planned_is_no_stranger(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planned = [
        {"name": "web", "runtime": "docker"},
        {"name": "cache", "runtime": "podman"},
        # Of another runtime, so that Docker's of this name is nobody's.
        {"name": "db", "runtime": "podman"},
    ]
    node = tmp_path / "node.json"
    node.write_text(json.dumps({"containers": planned}))
    monkeypatch.setattr(files, "NODE", str(node))
    monkeypatch.setattr(others.os.path, "exists", lambda path: True)
    monkeypatch.setattr(others.os.path, "isdir", lambda path: True)
    label = {others.COMPOSE_PROJECT: "shop"}
    entries = [
        {"Names": ["/web"], "Image": "a", "Labels": {}, "Id": "1"},
        {"Names": ["/db"], "Image": "b", "Labels": label, "Id": "2"},
        # Made anew from its own file, under that one's name.
        {"Names": ["/shop-web-1"], "Image": "a", "Labels": label, "Id": "3"},
    ]
    monkeypatch.setattr(docker, "identities", lambda names: {"3"} if names == ["web"] else set())
    monkeypatch.setattr(docker, "ask", lambda *words: entries)
    monkeypatch.setattr(podman, "pid", {"cache": 7, "db": 0}.get)
    pods = [{"Names": ["x"], "Image": "c", "Pid": 7}, {"Names": ["y"], "Image": "d", "Pid": 8}]
    monkeypatch.setattr(podman, "settle", lambda: None)
    monkeypatch.setattr(others, "run", lambda words: json.dumps(pods))
    assert others.unplanned() == [
        {"runtime": "docker", "name": "db", "image": "b", "by": "docker compose, project shop"},
        {"runtime": "podman", "name": "y", "image": "d", "by": "podman"},
    ]
