"""Making running nodes what their rendered files say, by the node program, all nodes at once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from underlay.cluster import ssh
from underlay.cluster.bundle import PROGRAM_FILE, bundle, program
from underlay.cluster.process import run_bytes, tail
from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from pathlib import Path

    from underlay.plan import Plan

DEADLINE = 300.0
# The program comes first on standard input, then its bundle. It runs in the Python that has
# just been started; its file is for a person who looks, and for commands inside containers.
TAKE = f"""\
import os, runpy, sys
text = sys.stdin.buffer.read(int(sys.argv[1]))
os.makedirs(os.path.dirname({PROGRAM_FILE!r}), exist_ok=True)
fresh = {PROGRAM_FILE!r} + ".new"
with open(fresh, "wb") as file:
    file.write(text)
os.chmod(fresh, 0o755)
os.replace(fresh, {PROGRAM_FILE!r})
sys.argv = [{PROGRAM_FILE!r}, "-"]
runpy.run_path({PROGRAM_FILE!r}, run_name="__main__")
"""


def apply(plan: Plan, state: Path, files: Path) -> dict[str, dict[str, Any]]:
    """Make every node of ``plan`` what the rendered ``files`` say, and return their reports.

    ``state`` is the lab's state folder, with ssh_config. A report is the node program's
    document: ``changed``, ``changes``, ``containers``, ``failed``, ``seconds``. Raises
    Infrastructure, naming each node, where one can't be reached or something failed there.
    """
    with ThreadPoolExecutor(len(plan.nodes)) as pool:
        applying = {
            node.name: pool.submit(_apply, state / "ssh_config", node.name, files / node.name)
            for node in plan.nodes
        }
    reports: dict[str, dict[str, Any]] = {}
    failures = []
    for node, answer in applying.items():
        try:
            reports[node] = answer.result()
            failures += [f"{node}: {failure}" for failure in reports[node]["failed"]]
        except Infrastructure as error:
            failures += [f"{node}: {error.message}", error.detail]
    if failures:
        raise Infrastructure(
            f"the nodes could not become {plan.lab}", detail="\n".join(filter(None, failures))
        )
    return reports


def _apply(config: Path, node: str, files: Path) -> dict[str, Any]:
    """Run the node program on one node; return its report."""
    text = json.dumps({"files": bundle(files)}).encode()
    size = str(len(program()))
    asked = ssh.command(config, node, ["sudo", "-n", "python3", "-I", "-S", "-c", TAKE, size])
    done = run_bytes(asked, program() + text, deadline=DEADLINE)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        said = done.stderr.decode(errors="replace")
        raise Infrastructure(
            f"the node program ended with exit code {done.returncode}", detail=tail(said)
        ) from error
    return report
