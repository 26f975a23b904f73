"""What the probe may not become: too new for a node's Python, or too large for a command line."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from underlay.lab import Lab
from underlay.observe import probe, probe_command, start
from underlay.plan import make_plan

MODULES = [
    Path(probe.__file__).with_name(f"{name}.py") for name in (*start._MODULES, *start._GATHERING)
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_node_with_python_3_9_can_run_it(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    own = {f"underlay.observe.{other.stem}" for other in MODULES} | {"underlay.observe"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module in own or node.module.partition(".")[0] in sys.stdlib_module_names
        if isinstance(node, ast.Import):
            assert all(name.name in sys.stdlib_module_names for name in node.names)


def test_the_whole_command_line_of_a_large_lab_fits_into_one_argument() -> None:
    lab = Lab.model_validate(
        {
            "name": "large",
            "nodes": 20,
            "segments": {"lan": {"subnet": "192.168.70.0/24"}},
            "networks": {"net": {"driver": "macvlan", "segment": "lan", "subnet": "20.1.0.0/16"}},
            "containers": [{"count": 20, "networks": ["net"]}],
        }
    )
    argv = probe_command(make_plan(lab), "core-07")
    assert argv[:2] == ["python3", "-c"]
    assert sum(map(len, argv)) < 120_000
