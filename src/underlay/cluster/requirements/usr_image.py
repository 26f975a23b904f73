"""Whether the /usr of an image can become that of running nodes, and what it lacks there.

Nodes keep their root, with /etc and /var, and get the /usr of another ext4 file system. debugfs
reads that one, without root and without mounting it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from underlay.cluster.image.build import kernel_release
from underlay.cluster.requirements.own_image import (
    DRIVERS,
    NEEDS,
    debugfs,
    drivers,
    list_present,
    names,
)
from underlay.errors import BadInput
from underlay.storage import temporary

if TYPE_CHECKING:
    from pathlib import Path

# Linux Documentation/filesystems/ext4/super.rst: s_magic, and s_feature_incompat with the bit that
# a journal has to be replayed first, which a disk that can't be written to forbids.
MAGIC_AT, MAGIC = 0x438, 0xEF53
INCOMPAT_AT, NEEDS_RECOVERY = 0x460, 0x4
# elf(5): e_machine of x86-64, as User Mode Linux is.
ELF, MACHINE_AT, X86_64 = b"\x7fELF", 18, 62
MACHINES = {3: "i386", 40: "arm", 183: "arm64", 243: "riscv", 21: "ppc64", 22: "s390"}
# Programs that are in the way of any boot; the first of them that there is tells the machine.
PROGRAMS = ("/usr/lib/systemd/systemd", "/usr/bin/dash", "/usr/bin/bash", "/usr/bin/mount")
BUILD = "underlay image build FILE  makes such a file"


def is_ext4(file: Path) -> bool:
    """Whether ``file`` begins as an ext4 file system does, or one of its forebears."""
    return _number(file, MAGIC_AT, "<H") == MAGIC


def refuse_unfit(file: Path) -> None:
    """Raise BadInput where the file system in ``file`` has no /usr that nodes here can run from."""
    if (_number(file, INCOMPAT_AT, "<I") or 0) & NEEDS_RECOVERY:
        raise BadInput(
            f"{file}: its journal wasn't replayed, and nodes can't write to it",
            hint=f"e2fsck -f {file}",
        )
    if not names(file, "/usr"):
        found = listing(names(file, "/"))
        raise BadInput(
            f"{file}: expected a root file system with the folder /usr, found {found}", hint=BUILD
        )
    present = list_present(file, list(PROGRAMS))
    program = next((path for path in PROGRAMS if path in present), None)
    if program is None:
        raise BadInput(
            f"{file}: nothing can boot from its /usr: it has none of {', '.join(PROGRAMS)}",
            hint=BUILD,
        )
    machine = _machine(file, program)
    if machine != X86_64:
        found = MACHINES.get(machine or 0, f"machine {machine}" if machine else "no ELF program")
        raise BadInput(f"{file}: {program} is for {found}, and nodes are x86-64", hint=BUILD)


def lacking(file: Path, before: Path) -> list[str]:
    """Return in words what nodes need that the /usr of ``before`` has, and that of ``file`` hasn't.

    The kernel stays: it is the modules of the one that runs nodes here that are looked for.
    """
    release = kernel_release()
    needs = [(need.what, need.why, need.paths) for need in NEEDS]
    needs += [
        (f"module {name}", "nodes load it", tuple(drivers(release, name))) for name in DRIVERS
    ]
    paths = [path for *_, some in needs for path in some if path.startswith("/usr/")]
    had, has = list_present(before, paths), list_present(file, paths)
    return [
        f"{what} isn't in it, and was in the /usr before: {had.intersection(some).pop()}; {why}"
        for what, why, some in needs
        if had.intersection(some) and not has.intersection(some)
    ]


def listing(found: list[str]) -> str:
    """Return the names in an image's root as a phrase."""
    return ", ".join(name for name in found if name != "lost+found") or "an empty one"


def _machine(file: Path, program: str) -> int | None:
    """Return for which machine a program of the image is; None where it is no ELF file."""
    with temporary.folder("usr") as folder:
        debugfs(file, [f"dump {program} {folder / 'program'}"])
        head = (folder / "program").read_bytes()[: MACHINE_AT + 2]
    if not head.startswith(ELF) or len(head) < MACHINE_AT + 2:
        return None
    return int.from_bytes(head[MACHINE_AT:], "little" if head[5] == 1 else "big")


def _number(file: Path, at: int, form: str) -> int | None:
    """Return the number at a place of ``file``; None where the file isn't that long."""
    with file.open("rb") as opened:
        opened.seek(at)
        data = opened.read(struct.calcsize(form))
    return struct.unpack(form, data)[0] if len(data) == struct.calcsize(form) else None
