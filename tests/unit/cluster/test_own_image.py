"""An image of the user's own: the lab's key, and what doctor finds in a file system."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from underlay.cli import main
from underlay.cluster.boot_files import ensure_boot_files
from underlay.cluster.prepare import load_plan
from underlay.cluster.requirements.own_image import DRIVERS, MODULES, NEEDS, examine
from underlay.errors import BadInput
from underlay.plan import plan_from_json

LAB = """\
name: own
nodes: 1
image: {path: root.qcow2, kernel: /boot/vmlinuz, initrd: initrd}
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24}
containers:
  - {count: 1, networks: [lannet]}
"""


def make(folder: Path, paths: list[str]) -> Path:
    """Return an ext4 image that holds empty files of these paths."""
    for path in paths:
        file = folder / "root" / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    image = folder / "root.ext4"
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-L", "mine", "-d", str(folder / "root"), str(image), "8M"],
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        check=True,
        timeout=30,
    )
    return image


def complete() -> list[str]:
    drivers = [f"{MODULES}/6.1.0-mine/{path}.ko.xz" for path in DRIVERS.values()]
    return [need.paths[-1] for need in NEEDS] + drivers


def test_a_complete_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = make(tmp_path, complete())
    assert [row for row in examine(image) if not row.ok] == []
    assert main(["doctor", "--image", str(image)]) == 0
    assert "ext4, label mine" in (said := capsys.readouterr().out)
    assert said.endswith("this image can be a node\n")


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.what)
def test_each_thing_that_may_be_missing(need: object, tmp_path: Path) -> None:
    image = make(tmp_path, [path for path in complete() if path not in need.paths])  # type: ignore[attr-defined]
    (row,) = [row for row in examine(image) if not row.ok]
    assert row.what == need.what  # type: ignore[attr-defined]
    assert row.fix


def test_a_kernel_without_drivers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = make(tmp_path, [*complete(), f"{MODULES}/6.9.0-other/modules.dep"])
    lacking = {row.what: row.found for row in examine(image) if not row.ok}
    assert lacking == {f"module {name}": "not for 6.9.0-other" for name in DRIVERS}
    assert main(["doctor", "--image", str(image)]) == 3
    assert "fix: copy the modules" in capsys.readouterr().out


def test_what_is_no_file_system(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("text")
    (row,) = examine(file)
    assert (row.ok, row.found) == (False, "not ext4")
    with pytest.raises(BadInput, match="no file"):
        examine(tmp_path / "nonsuch")


def test_paths_count_from_the_lab_file(tmp_path: Path) -> None:
    file = tmp_path / "own.yml"
    file.write_text(LAB)
    plan = load_plan(file)
    assert plan.image is not None
    assert plan.image.path == str(tmp_path / "root.qcow2")
    assert plan.image.kernel == "/boot/vmlinuz"
    assert plan_from_json(plan.to_json()) == plan


def test_missing_files_are_named(tmp_path: Path) -> None:
    file = tmp_path / "own.yml"
    file.write_text(LAB.replace(", kernel: /boot/vmlinuz", ""))
    with pytest.raises(BadInput, match=r"image\.path: there is no file"):
        ensure_boot_files(load_plan(file), print)
    (tmp_path / "root.qcow2").touch()
    with pytest.raises(BadInput, match=r"image\.kernel is missing"):
        ensure_boot_files(load_plan(file), print)
    file.write_text(LAB.replace("/boot/vmlinuz", "root.qcow2").replace("initrd}", "root.qcow2}"))
    assert ensure_boot_files(load_plan(file), print).format == "qcow2"
