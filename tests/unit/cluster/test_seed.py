"""The NoCloud seed: what is in it, and that seeds may be made beside one another."""

from __future__ import annotations

import subprocess
from pathlib import Path

from underlay.cluster.bundle import make_seed, program

NAMES = ("user-data", "meta-data", "network-config")


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
