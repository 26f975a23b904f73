"""What a node's seed holds: a tar file that a lean one boots by, an ISO for cloud-init."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from underlay.cluster.bundle import make_seed, program
from underlay.cluster.providers.uml import lean
from underlay.cluster.providers.uml.node import arguments
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.storage import paths

KEY = "ssh-ed25519 AAAA lean\n"
NAMES = ("user-data", "meta-data", "network-config")


@pytest.fixture
def plan() -> Plan:
    return make_plan(read_lab(paths.root() / "labs" / "lean.yml"))


def full(plan: Plan) -> Plan:
    nodes = tuple(dataclasses.replace(node, profile="full") for node in plan.nodes)
    return dataclasses.replace(plan, nodes=nodes)


@pytest.fixture
def seed(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tarfile.TarFile:
    monkeypatch.setattr(lean, "key_file", lambda lab: tmp_path / "key")
    (tmp_path / "key.pub").write_text(KEY)
    files = tmp_path / "files"
    (files / "net.d").mkdir(parents=True)
    (files / "net.d" / "20-lannet.conf").write_text("{}\n")
    listed = ["/etc/rkt/net.d/20-lannet.conf", "/etc/underlay/node.json"]
    (files / "node.json").write_text(json.dumps({"files": listed}))
    lean.make_lean_seed(plan, plan.nodes[1], files, tmp_path / "seed.iso")
    # The kernel has no use for a disk that ends within a sector.
    assert (tmp_path / "seed.iso").stat().st_size % 512 == 0
    return tarfile.open(tmp_path / "seed.iso")


def text(seed: tarfile.TarFile, name: str) -> str:
    found = seed.extractfile(name)
    assert found is not None
    return found.read().decode()


def test_it_holds_the_rendered_files_and_the_user(seed: tarfile.TarFile) -> None:
    assert text(seed, "etc/rkt/net.d/20-lannet.conf") == "{}\n"
    assert text(seed, "etc/hostname") == "core-02\n"
    assert text(seed, "home/core/.ssh/authorized_keys") == KEY
    login = seed.getmember("home/core/.ssh/authorized_keys")
    assert (login.mode, login.uid, login.gid) == (0o600, 1000, 1000)
    assert seed.getmember("etc/sudoers.d/90-underlay").mode == 0o440


def test_nics_are_named_in_the_order_of_the_kernels_arguments(
    seed: tarfile.TarFile, plan: Plan
) -> None:
    node = plan.nodes[1]
    lines = text(seed, f"{lean.SEED}/links").splitlines()
    named = [line.split() for line in lines if " name " in line]
    given = [word for word in arguments(plan, node) if word.startswith("vec")]
    nics = {nic.mac: nic.interface for nic in (node.management, *node.nics)}
    for words, argument in zip(named, given, strict=True):
        assert words[2] == argument.partition(":")[0]
        assert words[4] == nics[argument.rpartition("mac=")[2]]
    assert lines[-1] == "link set eth0 up"


def test_its_script_is_a_shell_script(seed: tarfile.TarFile, tmp_path: Path) -> None:
    script = tmp_path / "start"
    script.write_text(text(seed, f"{lean.SEED}/start"))
    assert script.read_text().startswith("user=core\n")
    subprocess.run(["sh", "-n", str(script)], check=True, timeout=10)


def test_only_a_lean_kernel_begins_with_a_shell(plan: Plan) -> None:
    assert "init=/bin/sh" in arguments(plan, plan.nodes[0])
    whole = full(plan)
    assert not any("init=" in word for word in arguments(whole, whole.nodes[0]))


def test_a_seed_holds_its_files_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    files, disks = tmp_path / "files", tmp_path / "disks"
    for folder in (files, disks):
        folder.mkdir()
    for name in NAMES:
        (files / name).write_text(f"this is {name}\n")
    make_seed(files, disks / "one-seed.iso")
    # Another node's seed, made at the same time, would be of a file that this one writes.
    assert [path.name for path in disks.iterdir()] == ["one-seed.iso"]
    found = tmp_path / "found"
    words = ["xorriso", "-osirrox", "on", "-indev", str(disks / "one-seed.iso")]
    subprocess.run(
        [*words, "-extract", "/", str(found)], capture_output=True, check=True, timeout=60
    )
    assert {path.name for path in found.iterdir()} == {*NAMES, "node"}
    assert (found / "node").read_bytes() == program()
    for name in NAMES:
        assert (found / name).read_text() == f"this is {name}\n"
