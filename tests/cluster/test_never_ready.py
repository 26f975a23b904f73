"""Nodes that don't get ready, as the user of `up` sees it: why, what next, and nothing left.

They boot a root of the test's own, the smallest that fails in its way. So that nobody waits
for minutes, it is in a copy of the checkout in which a node has less time to get ready.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.commands import run
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout, Lab
from cluster.small_lab import small_lab
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.storage import paths

LAB = small_lab(
    "stuck", 1, count=1, lean=False, runtime="iproute2", more="image: {path: stuck.ext4}\n"
)
DEADLINE = 15
# By what a node's first process does: a shell script, what `up` says of it, what the console does.
PANICS = "echo nothing will come of nothing", "its kernel ended while booting", "Kernel panic"
HANGS = "echo waiting for Godot; while :; do sleep 1; done", "ssh did not answer", "for Godot"
# Somebody takes the connection and then says nothing.
IS_SILENT = (
    "ip address add {address} dev vec0; ip link set vec0 up; echo ears without a mouth;"
    " while :; do nc -l -p 22; done",
    "ssh did not answer",
    "ears without a mouth",
)
APPLETS = ("sh", "echo", "sleep", "ip", "nc", "mount")


@pytest.fixture(scope="module")
def hasty(here: Checkout) -> Iterator[Checkout]:
    """A copy of the checkout in which a node must be ready within ``DEADLINE`` seconds."""
    with here.copied_apart() as copy:
        module = copy.root / "src/underlay/cluster/providers/uml/provider.py"
        text, changed = re.subn(
            r"^NODE_DEADLINE = .*$", f"NODE_DEADLINE = {DEADLINE}.0", module.read_text(), flags=re.M
        )
        assert changed == 1
        module.write_text(text)
        yield copy


def stuck(checkout: Checkout, folder: Path, script: str) -> Lab:
    """Return a lab of one node, not up, whose first process is a shell that runs ``script``."""
    file = folder / "stuck.yml"
    file.write_text(LAB)
    tree = folder / "tree"
    for name in ("bin", "sbin", "dev", "proc"):
        (tree / name).mkdir(parents=True)
    busybox = tree / "bin" / "busybox"
    busybox.write_bytes(Path("/bin/busybox").read_bytes())
    busybox.chmod(0o755)
    for name in APPLETS:
        (tree / "bin" / name).symlink_to("busybox")
    (tree / "sbin" / "init").write_text(f"#!/bin/sh\n{script}\n")
    (tree / "sbin" / "init").chmod(0o755)
    disk = str(folder / "stuck.ext4")
    make = ["mke2fs", "-q", "-t", "ext4", "-d", str(tree), disk, "16M"]
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    done = run(make, folder=folder, deadline=30, environment={"PATH": path})
    assert done.code == 0, str(done)
    return Lab(checkout, "stuck", file)


@pytest.mark.all
@pytest.mark.parametrize(
    ("script", "why", "console"),
    [PANICS, HANGS, IS_SILENT],
    ids=("panics", "hangs", "never-brings-ssh-up"),
)
def test_up_says_why_and_keeps_what_tells_it(
    hasty: Checkout, script: str, why: str, console: str, tmp_path: Path
) -> None:
    before = interfaces()
    (tmp_path / "stuck.yml").write_text(LAB)
    (node,) = make_plan(read_lab(tmp_path / "stuck.yml")).nodes
    lab = stuck(hasty, tmp_path, script.format(address=node.management.address))
    done = lab.up()
    assert done.code == 3, str(done)
    assert f"core-01: {why}" in done.err, str(done)
    assert console in done.err, str(done)
    assert "defect" not in done.err, str(done)
    assert re.search(r"^hint: underlay ", done.err, re.MULTILINE), str(done)
    prove_nothing_is_left(hasty, before)
    (folder,) = re.findall(r"^kept: (.+)$", done.err, re.MULTILINE)
    prove_kept(Path(folder), lab.name, console)


def prove_kept(folder: Path, lab: str, console: str) -> None:
    """Fail unless ``folder`` tells why the run failed, and holds no secret."""
    files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {"plan.json", "spans.jsonl", "core-01-console.log", "failure.json"} <= set(files)
    assert console.encode() in files["core-01-console.log"]
    assert b"host" in files["spans.jsonl"]
    key = (paths.cache() / "keys" / lab).read_bytes()
    secrets = [line for line in key.splitlines() if not line.startswith(b"-----")]
    assert len(secrets) > 2
    for name, content in files.items():
        assert b"PRIVATE KEY" not in content, name
        for line in secrets:
            assert line not in content, name
