"""Where in hosts' files a prediction that packets contradict stems from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from underlay.lint import load
from underlay.plan import Plan
from underlay.report.origins import origins_document, origins_of, origins_text
from underlay.storage import paths
from underlay.verdict import Cell, Verdict

FLEET = paths.root() / "examples/cni-vlans"


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(FLEET)
    return load(Path("lab.yml")).plan


def differs(source: str, destination: str) -> Verdict:
    """Return a verdict in which one cell isn't as predicted."""
    cell = Cell(
        source, destination, "icmp", "reachable", "unreachable", "no_answer", "", "", "", "", None
    )
    return Verdict("cni-vlans", "uml", (cell,), {})


def test_the_networks_of_both_ends_say_where_they_are_from(plan: Plan) -> None:
    found = origins_of(plan, [("apps-1a", "apps-2a")])
    assert {(one.network, one.node) for one in found} == {("apps", "node-a"), ("apps", "node-b")}
    said = {one.what: f"{one.file}:{one.line}" for one in found if one.node == "node-b"}
    file = "hosts/node-b/etc/cni/net.d/30-apps.conflist"
    assert said["parent"] == f"{file}:7"
    assert said["mode"] == f"{file}:8"
    assert {"driver", "range", "gateway", "route"} <= {*said}


def test_a_node_is_there_with_its_own_interface(plan: Plan) -> None:
    found = origins_of(plan, [("node-c", "apps-1a")])
    (own,) = [one for one in found if not one.network]
    assert (own.node, own.what) == ("node-c", "ens4.30")
    assert own.file == "hosts/node-c/etc/systemd/network/20-ens4.30.network"


def test_each_file_is_named_once_in_a_line(plan: Plan) -> None:
    text = " ".join(origins_text(plan, differs("guests-1a", "guests-3a")).plain.split())
    assert text.startswith("What they were predicted from guests on node-a: hosts/node-a/")
    assert text.count("hosts/node-a/etc/cni/net.d/40-guests.conflist") == 1
    assert ":7 (parent), :8 (mode)" in text
    document = origins_document(plan, differs("guests-1a", "guests-3a"))["origins"]
    assert {"network", "node", "what", "file", "line"} == {*document[0]}


def test_a_lab_without_a_fleet_says_nothing(plan: Plan) -> None:
    bare = replace(plan, origins=())
    verdict = differs("apps-1a", "apps-2a")
    assert origins_document(bare, verdict) == {"origins": []}
    assert not origins_text(bare, verdict)


def test_a_key_of_the_lab_file_is_where_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for host in ("node-a", "node-b", "node-c"):
        source = FLEET / "hosts" / host
        for file in source.rglob("*"):
            if file.is_file():
                copy = tmp_path / "copy" / host / file.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(file.read_text())
    text = "name: own\nfleet: {node-a: copy/node-a, node-b: copy/node-b}\n"
    Path("lab.yml").write_text(text + "networks:\n  apps: {mode: private}\n")
    found = origins_of(load(Path("lab.yml")).plan, [("apps-1a", "apps-2a")])
    assert {f"{one.file}:{one.line}" for one in found if one.what == "mode"} == {"lab.yml:4"}
