"""What the probe may not become: too new for a node's Python, or too large for a command line."""

from __future__ import annotations

import ast
import base64
import json
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from underlay.expect import pairs, predict
from underlay.lab import Lab
from underlay.observe import commands
from underlay.observe.on_node import probe
from underlay.observe.on_node.cells import Cell
from underlay.observe.tasks import numbered, packed_tasks
from underlay.plan import make_plan

MODULES = [
    Path(probe.__file__).with_name(f"{name}.py")
    for name in (*commands.PROBED, *commands._GATHERING, *commands.SNIFFING)
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_node_with_python_3_9_can_run_it(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    own = {f"underlay.observe.on_node.{other.stem}" for other in MODULES} | {
        "underlay.observe.on_node"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module in own or node.module.partition(".")[0] in sys.stdlib_module_names
        if isinstance(node, ast.Import):
            assert all(name.name in sys.stdlib_module_names for name in node.names)


def test_the_command_line_fits_into_one_argument() -> None:
    argv = commands.probe_command()
    assert argv[4:8] == ["python3", "-I", "-S", "-c"]
    assert sum(map(len, argv)) < 120_000


def test_each_probe_of_a_large_lab_gets_its_own_cells() -> None:
    lab = Lab.model_validate(
        {
            "name": "large",
            "nodes": 20,
            "segments": {"lan": {"subnet": "192.168.70.0/24"}},
            "networks": {"net": {"driver": "macvlan", "segment": "lan", "subnet": "20.1.0.0/16"}},
            "containers": [{"count": 5, "networks": ["net"]}],
        }
    )
    plan = make_plan(lab)
    lines = packed_tasks(plan, numbered(plan, predict(plan)), "nonce")
    tasks = {node: unpacked(line) for node, line in lines.items()}
    assert list(tasks) == [node.name for node in plan.nodes]
    numbers = sorted(Cell(*row).number for task in tasks.values() for row in task["cells"])
    assert numbers == list(range(len(list(pairs(plan)))))
    for node, task in tasks.items():
        assert task["spaces"][0][0] == node
        assert {space[0] for space in task["spaces"][1:]} == {
            container.name for container in plan.containers if container.node == node
        }


def unpacked(line: str) -> dict[str, Any]:
    assert "\n" not in line
    task: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(line)))
    return task
