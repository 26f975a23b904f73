"""What nodes say of themselves, held against what was rendered for them; and whose failure leads.

The node's part is the node program's own, on files of the test's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from underlay_node import containers, docker, files, ready, remember

from underlay.cluster.node_files import NODE_FILE, judge
from underlay.cluster.process import headline, refuse
from underlay.cluster.vagrant import cause
from underlay.errors import Infrastructure
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan

LAB = """\
name: paper
nodes: 1
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: iproute2}
containers:
  - {count: 1, networks: [lannet]}
"""
CONTAINER = {"name": "lannet-1a", "runtime": "iproute2", "attachments": []}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "paper.yml").write_text(LAB)
    return make_plan(read_lab(tmp_path / "paper.yml"))


@pytest.fixture
def rendered(tmp_path: Path) -> Path:
    folder = tmp_path / "core-01"
    folder.mkdir()
    node = {"lab": "paper", "node": {"name": "core-01"}, "networks": [], "containers": [CONTAINER]}
    (folder / "node.json").write_text(json.dumps({**node, "files": [NODE_FILE]}))
    return folder


@pytest.fixture
def said(rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a node says that was made from these files, and whose container runs."""
    record = tmp_path / "applied.json"
    read = files.read
    monkeypatch.setattr(files, "NODE", NODE_FILE)
    at = {NODE_FILE: str(rendered / "node.json")}
    monkeypatch.setattr(files, "read", lambda path: read(at.get(path, path)))
    monkeypatch.setattr(remember, "RECORD", str(record))
    monkeypatch.setattr(containers, "ended", lambda started: {})
    made = remember.Record({"lab": "paper"}, {"lannet-1a": containers.specification(CONTAINER, {})})
    made.write()
    return ready.statement()


def test_a_node_that_is_ready(said: dict[str, Any], plan: Plan, rendered: Path) -> None:
    assert said["failed"] == []
    assert judge(said, plan, "core-01", rendered) == []


def test_what_has_ended_is_said_and_what_never_ran(
    said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "ended", lambda started: dict.fromkeys(started, "has ended"))
    assert ready.statement()["failed"] == ["lannet-1a: has ended"]
    remember.Record({"lab": "paper"}, {}).write()
    assert ready.statement()["failed"] == ["lannet-1a: was not started"]
    remember.Record({"lab": "paper"}, {}, ["lannet-1a: docker: no room"]).write()
    assert ready.statement()["failed"] == ["lannet-1a: docker: no room"]
    remember.Record({}, {}).write()
    assert ready.statement()["failed"] == ["the node program has not run"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"failed": ["lannet-1a: docker: no room"]}, "lannet-1a: docker: no room"),
        ({"lab": "other"}, "says that its lab is 'other', expected 'paper'"),
        ({"node": "core-02"}, "says that its node is 'core-02', expected 'core-01'"),
        ({"containers": 0}, "says that its containers is 0, expected 1"),
        ({"files": {}}, f"{NODE_FILE} is not the one that was rendered"),
        ({"files": {NODE_FILE: ""}}, f"{NODE_FILE} is not the one that was rendered"),
        ({"files": []}, "did not say whether it is ready"),
    ],
)
def test_any_other_statement_is_not_believed(
    said: dict[str, Any], plan: Plan, rendered: Path, change: dict[str, Any], words: str
) -> None:
    (failure,) = judge({**said, **change}, plan, "core-01", rendered)
    assert failure.startswith(f"core-01: {words}")


@pytest.mark.parametrize("nothing", [None, [], "ready", {}])
def test_silence_is_no_statement(nothing: object, plan: Plan, rendered: Path) -> None:
    assert judge(nothing, plan, "core-01", rendered)


def test_the_first_failure_is_the_message() -> None:
    refuse([])
    assert headline(["core-01: x\nmore"]) == "core-01: x"
    with pytest.raises(Infrastructure, match=r"^core-01: x \(and 1 more\)$") as failure:
        refuse(["core-01: x", "core-02: y"])
    assert failure.value.detail == "core-01: x\ncore-02: y"


def test_a_node_s_own_failure_leads_what_vagrant_says() -> None:
    words = [
        "An error occurred while executing multiple actions in parallel.",
        "error: the lab's sandbox does not answer",
        "error: core-03: docker: failed to allocate gateway (POST /networks/create)",
        "error: core-03: docker: failed to allocate gateway (POST /networks/create)",
    ]
    assert cause(words) == (
        "core-03: docker: failed to allocate gateway (POST /networks/create) (and 1 more)"
    )
    assert cause(words[:1]) == ""


def test_docker_s_words_are_one_line() -> None:
    assert docker._words('{"message": "invalid network config:\\ninvalid gateway\\n"}') == (
        "invalid network config: invalid gateway"
    )
    assert docker._words("no JSON\n") == "no JSON"
