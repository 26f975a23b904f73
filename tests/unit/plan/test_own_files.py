"""Files of the user's own in a plan: they are in its JSON where there are any, and only then."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from underlay.lint.read import read_lab
from underlay.plan import OwnFile, Plan, make_plan, plan_from_json

ROOT = Path(__file__).resolve().parents[3]
FILE = OwnFile("/srv/compose.yml", "compose", "services: {}\n", 0o600, "hosts/core-01/compose.yml")


def with_file(plan: Plan) -> Plan:
    """Return ``plan`` as if its first node's file made the first network and container."""
    node, network, container = plan.nodes[0], plan.networks[0], plan.containers[0]
    made = replace(network, made_by=((node.name, FILE.path),))
    return replace(
        plan,
        nodes=(replace(node, own=(FILE,)), *plan.nodes[1:]),
        networks=(made, *plan.networks[1:]),
        containers=(replace(container, started_by=FILE.path), *plan.containers[1:]),
    )


def test_a_plan_says_whose_files_make_it() -> None:
    plan = with_file(make_plan(read_lab(ROOT / "labs/coreos.yml")))
    again = plan_from_json(plan.to_json())
    assert again == plan
    assert again.nodes[0].own == (FILE,)
    assert again.nodes[0].own[0].source == FILE.source
    assert again.networks[0].made_by == (("core-01", "/srv/compose.yml"),)
    assert again.containers[0].started_by == "/srv/compose.yml"


def test_a_plan_without_such_files_says_nothing_of_them() -> None:
    plan = make_plan(read_lab(ROOT / "labs/coreos.yml"))
    told = json.loads(plan.to_json())
    assert all("own" not in node for node in told["nodes"])
    assert all("started_by" not in container for container in told["containers"])
    assert all("made_by" not in network for network in told["networks"])
    # Of a network that is the interface whose address stands for a node, and always said.
    assert all("own" in network for network in told["networks"])


def test_where_a_file_lies_changes_nothing_of_a_plan() -> None:
    assert replace(FILE, source="elsewhere") == FILE
