"""Each part does the work: without it, nothing comes about."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from cluster.commands import Done, run
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout, Lab

on_coreos = pytest.mark.parametrize("lab", ["coreos"], indirect=True)

# Takes a container and its net.d file away; the container's own network first, as its
# deletion needs the file.
TAKE_AWAY = """
crun delete --force lannet-1a
/usr/libexec/underlay/cni del lannet lannet-1a /run/netns/lannet-1a eth0
ip netns delete lannet-1a
mv /etc/rkt/net.d/20-lannet.conf /root/
"""
BRING_BACK = """
mv /root/20-lannet.conf /etc/rkt/net.d/
/opt/underlay/node
"""


def test_a_vagrant_that_does_nothing_starts_nothing(here: Checkout, tmp_path: Path) -> None:
    """It ends with 0, as after a start; but no node runs, and ``up`` says so."""
    before = interfaces()
    copy = here.copied(tmp_path / "underlay")
    stub = tmp_path / "bin" / "vagrant"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\necho "$@" >>"${0%/*}/called"\n')
    stub.chmod(0o755)
    command = [str(copy.root / "underlay"), "up"]
    path = {"PATH": f"{stub.parent}:{os.environ['PATH']}"}
    done = run(command, folder=copy.root, deadline=120, environment=path)
    assert (done.code, done.out) == (3, ""), str(done)
    nodes = "core-01, core-02, core-03"
    error = f"error: vagrant ended without an error, but has not started {nodes}\n"
    assert error in done.err, str(done)
    assert f"the program called was {stub}\n" in done.err, str(done)
    assert "hint: underlay doctor" in done.err, str(done)
    assert (stub.parent / "called").read_text() == "up --provider=uml\n"
    prove_no_kernel_ran(done)
    prove_nothing_is_left(copy, before)


def test_without_the_shims_up_action_nothing_starts(here: Checkout, tmp_path: Path) -> None:
    before = interfaces()
    copy = here.copied(tmp_path / "underlay")
    shim = copy.root / "vagrant" / "underlay.rb"
    text, removed = re.subn(
        r"    def action_up\n.*?\n    end\n\n", "", shim.read_text(), flags=re.DOTALL
    )
    assert removed == 1
    shim.write_text(text)

    done = copy.underlay("up", deadline=120)
    assert done.code == 3, str(done)
    assert "vagrant failed" in done.err, str(done)
    prove_no_kernel_ran(done)
    prove_nothing_is_left(copy, before)


def prove_no_kernel_ran(done: Done) -> None:
    """Fail where a node of a start that failed has a console: its kernel writes to one."""
    (kept,) = re.findall(r"^kept: (.+)$", done.err, re.MULTILINE)
    files = {path.name for path in Path(kept).rglob("*")}
    assert "failure.json" in files
    assert not {name for name in files if "console" in name}, files


# That nothing starts without a file is shown daily of a shim's.
@pytest.mark.all
@on_coreos
def test_without_its_file_the_runtime_refuses_the_container(lab: Lab) -> None:
    lab.shell("core-01", TAKE_AWAY)
    try:
        done = lab.execute("core-01", "/opt/underlay/node")
        assert done.code == 1, str(done)
        assert 'no net configuration with name "lannet" in /etc/cni/net.d' in done.err, str(done)
        report = done.document()
        assert (report["containers"], len(report["failed"])) == (4, 1), str(done)
    finally:
        lab.shell("core-01", BRING_BACK)
        lab.check().prove_green()


def test_the_image_brings_no_rendered_file(here: Checkout) -> None:
    """That ssh brings none either is said by cloud-init's log; see test_files.py."""
    shown = here.underlay("image", "show", "--json").document()
    assert shown["built"]
    disk = Path(shown["folder"]) / "root.ext4"
    assert names(disk, "/etc/rkt") == {"net.d"}
    assert names(disk, "/etc/rkt/net.d") == set()
    assert "underlay" not in names(disk, "/etc")
    assert names(disk, "/usr/libexec/underlay") == {"cni", "go.so", "pieces.so", "relocations.so"}


def names(disk: Path, folder: str) -> set[str]:
    """Return the names in a folder of the root file system, as debugfs lists them."""
    done = run(["debugfs", "-R", f"ls -p {folder}", str(disk)], folder=disk.parent, deadline=60)
    # One line a file: /inode/mode/owner/group/name/size/
    found = {line.split("/")[5] for line in done.out.splitlines() if line.startswith("/")}
    assert found >= {".", ".."}, str(done)
    return found - {".", ".."}
