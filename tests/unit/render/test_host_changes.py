"""A lab on a host of somebody's own, in a sandbox of this machine's kernel: killed, and undone.

Commands are killed at their lines, one after the other; the next one repairs what that has left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from underlay.lint import load
from underlay.storage.paths import root

UNSHARE = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork",
           "--mount-proc", "--kill-child"]  # fmt: skip
HERE = Path(__file__).parent
LAB = """\
name: guests
nodes: 1
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  guestnet: {driver: macvlan, segment: lan, subnet: 20.1.2.0/24, runtime: iproute2}
containers:
  - {on: core-01, networks: [guestnet]}
"""
NET_D = "/etc/rkt/net.d/10-guests.conf"
# Lines of one command, about: what is tried every day is each so-many-th of them.
STEP = 23


def files(folder: Path, lab: str = LAB) -> dict[str, str]:
    """Return what a command sends for the only node of a lab: node.json, and a file of net.d."""
    file = folder / "guests.yml"
    file.write_text(lab)
    plan = json.loads(load(file).plan.to_json())
    node = {key: plan[key] for key in ("lab", "networks", "containers")}
    node["node"], node["files"] = plan["nodes"][0], [NET_D, "/etc/underlay/node.json"]
    text = json.dumps({"cniVersion": "1.0.0", "name": "guests", "type": "macvlan"})
    return {"/etc/underlay/node.json": json.dumps(node), NET_D: text}


def sandboxed(program: list[str], given: object) -> Any:
    """Run Python in a sandbox with the node program at hand; return the JSON that it prints."""
    paths = [str(HERE), str(root() / "ansible" / "module_utils")]
    done = subprocess.run(
        [*UNSHARE, sys.executable, *program],
        input=json.dumps(given),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize(("first", "step"), [(1, STEP), pytest.param(2, 1, marks=pytest.mark.all)])
def test_a_command_killed_at_any_line_is_repaired_by_the_next(
    tmp_path: Path, first: int, step: int
) -> None:
    task = {"files": files(tmp_path), "first": first, "step": step}
    found = sandboxed([str(HERE / "host_sandbox.py")], task)
    assert found["changed"]
    assert found["undone"]
    assert found["differs"] == []
    # It was killed in every phase, and the next command knew.
    assert found["points"]["apply"] > 200, found["points"]
    assert found["points"]["undo"] > 60, found["points"]
    assert any(told.startswith("a command was cut short after") for told in found["told"])
    assert "an undoing was cut short" in found["told"]
