"""An image whose /usr nodes are to run from: what is refused, and what it is found to lack."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from underlay.cli.after import _refuse
from underlay.cluster.image.build import kernel_release
from underlay.cluster.providers import provider
from underlay.cluster.providers.uml import node as uml_node
from underlay.cluster.providers.uml import usr
from underlay.cluster.requirements.own_image import DRIVERS, NEEDS, drivers
from underlay.cluster.requirements.usr_image import (
    INCOMPAT_AT,
    NEEDS_RECOVERY,
    is_ext4,
    lacking,
    refuse_unfit,
)
from underlay.errors import BadInput
from underlay.lint import load
from underlay.plan import Plan
from underlay.proof.after import Asked, asked_for

SYSTEMD = "/usr/lib/systemd/systemd"
LAB = """\
name: updated
nodes: {{count: 2, profile: {profile}}}
segments:
  lan: {{subnet: 192.168.70.0/24}}
networks:
  lannet: {{driver: macvlan, segment: lan, subnet: 20.1.1.0/24}}
containers:
  - {{on: all, networks: [lannet]}}
"""


def program(machine: int = 62) -> bytes:
    """Return the first bytes of a program of little-endian words (elf(5))."""
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HH", 3, machine)


def image_of(folder: Path, files: dict[str, bytes]) -> Path:
    """Return an ext4 image that holds ``files``, named after how many others there are."""
    for path, content in files.items():
        file = folder / "root" / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    image = folder / "root.ext4"
    (folder / "root").mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-d", str(folder / "root"), str(image), "8M"],
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        check=True,
        timeout=30,
    )
    return image


def whole(leave_out: str = "") -> dict[str, bytes]:
    paths = [need.paths[0] for need in NEEDS]
    paths += [drivers(kernel_release(), name)[0] for name in DRIVERS]
    return {path: program() for path in paths if path != leave_out}


def plan_of(folder: Path, profile: str = "full") -> Plan:
    file = folder / "updated.yml"
    file.write_text(LAB.format(profile=profile))
    return load(file).plan


def test_a_whole_image_is_an_update_and_lacks_nothing(tmp_path: Path) -> None:
    image = image_of(tmp_path, whole())
    assert is_ext4(image)
    assert asked_for([f"upgrade={image}"]) == [Asked("update", image=image)]
    assert asked_for([f"upgrade={image}"])[0].words == f"upgrade={image}"
    assert lacking(image, image) == []


@pytest.mark.parametrize("what", ["networkd", "CNI macvlan", "module macvlan"])
def test_what_it_lacks_is_named_where_the_one_before_had_it(what: str, tmp_path: Path) -> None:
    places = {need.what: need.paths[0] for need in NEEDS}
    gone = places.get(what) or drivers(kernel_release(), "macvlan")[0]
    before = image_of(tmp_path / "before", whole())
    image = image_of(tmp_path / "after", whole(leave_out=gone))
    (said,) = lacking(image, before)
    assert said.startswith(f"{what} isn't in it, and was in the /usr before: {gone}; ")
    assert lacking(image, image) == lacking(before, image) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"/etc/hosts": b""}, "expected a root file system with the folder /usr, found etc"),
        ({}, "found an empty one"),
        ({"/usr/share/doc/x": b""}, "nothing can boot from its /usr: it has none of"),
        ({SYSTEMD: program(183)}, f"{SYSTEMD} is for arm64, and nodes are x86-64"),
        ({SYSTEMD: program(62)[:18]}, f"{SYSTEMD} is for no ELF program"),
        ({"/usr/bin/bash": program(3)}, "/usr/bin/bash is for i386"),
    ],
)
def test_a_file_system_that_no_node_can_run_from_is_refused(
    files: dict[str, bytes], said: str, tmp_path: Path
) -> None:
    image = image_of(tmp_path, files)
    (asked,) = asked_for([f"upgrade={image}"])
    with pytest.raises(BadInput, match=r"root\.ext4") as refused:
        _refuse("uml", [asked], plan_of(tmp_path))
    assert said in refused.value.message
    assert "underlay image build" in refused.value.hint


def test_a_journal_that_was_not_replayed_is_refused(tmp_path: Path) -> None:
    image = image_of(tmp_path, whole())
    refuse_unfit(image)
    with image.open("r+b") as file:
        file.seek(INCOMPAT_AT)
        (features,) = struct.unpack("<I", file.read(4))
        file.seek(INCOMPAT_AT)
        file.write(struct.pack("<I", features | NEEDS_RECOVERY))
    with pytest.raises(BadInput, match="journal wasn't replayed"):
        refuse_unfit(image)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("next", b"\x1f\x8b\0\0", "is no lab file and no ext4 image, expected a lab file"),
        (
            "next",
            b"name: other\n",
            "is no lab file and no ext4 image, expected a lab file (.yml or",
        ),
        ("next.yml", b"\x1f\x8b\0\0", "is no lab file and no ext4 image"),
        ("next.img", b"wrong", "is no ext4 file system, expected an image with /usr"),
        ("next.ext4", b"", "is no ext4 file system, expected an image with /usr"),
        ("next", None, "found a folder at"),
        ("next", "none", "found nothing at"),
    ],
)
def test_what_is_neither_a_lab_file_nor_an_image_is_refused(
    name: str, content: bytes | str | None, said: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    if content is None:
        file.mkdir()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    with pytest.raises(BadInput, match="expected a") as refused:
        asked_for([f"upgrade={file}"])
    assert said in refused.value.message


def test_lean_nodes_and_other_providers_have_no_update(tmp_path: Path) -> None:
    provider("uml").refuse_to_update(plan_of(tmp_path))
    with pytest.raises(BadInput, match=r"lean nodes .* no update: core-01, core-02"):
        provider("uml").refuse_to_update(plan_of(tmp_path, "lean"))
    with pytest.raises(BadInput, match="libvirt can't boot with another image's /usr"):
        provider("libvirt").replace_usr(plan_of(tmp_path), "core-01", tmp_path, tmp_path / "x")


def test_an_image_is_not_judged_where_nodes_take_none(tmp_path: Path) -> None:
    image = image_of(tmp_path, {"/etc/hosts": b""})
    with pytest.raises(BadInput, match=r"lean nodes .* no update"):
        _refuse("uml", asked_for([f"upgrade={image}"]), plan_of(tmp_path, "lean"))


def test_an_image_is_kept_for_later_boots_and_copied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, nodes = tmp_path / "next.ext4", tmp_path / "nodes"
    image.write_bytes(b"1" * 8192)
    for name in ("core-01", "core-02", "core-03"):
        (nodes / name).mkdir(parents=True)
    link = os.link

    def on_another_file_system(source: Path, target: Path) -> None:
        if source == image:
            raise OSError
        link(source, target)

    usr.keep(nodes, "core-01", image)
    assert (nodes / "core-01" / usr.KEPT).samefile(image)
    usr.forget(nodes / "core-01")
    assert not usr.is_kept(nodes / "core-01")
    monkeypatch.setattr(os, "link", on_another_file_system)
    for name in ("core-01", "core-02"):
        usr.keep(nodes, name, image)
    first, second = (nodes / name / usr.KEPT for name in ("core-01", "core-02"))
    assert first.read_bytes() == image.read_bytes()
    assert not first.samefile(image)
    assert first.samefile(second)
    image.write_bytes(b"2")
    usr.keep(nodes, "core-03", image)
    usr.keep(nodes, "core-01", image)
    assert [(nodes / f"core-0{n}" / usr.KEPT).read_bytes()[:1] for n in (1, 2, 3)] == [
        b"2", b"1", b"2",
    ]  # fmt: skip


def test_an_updated_node_has_a_disk_more_and_starts_from_its_usr(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    node = plan.nodes[0]
    plain, updated = (uml_node.arguments(plan, node, updated=word) for word in (False, True))
    more = [word for word in updated if word not in plain]
    assert more == ["ubdcr=/dev/shm/core-01.usr", *usr.first_process()]
    assert '"' not in usr.FIRST
