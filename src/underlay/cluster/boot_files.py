"""What a virtual machine boots: Underlay's own image, or the one that the lab names."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.image import build as image
from underlay.cluster.process import run
from underlay.errors import BadInput
from underlay.storage.writing import whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.plan import Plan

# User Mode Linux locks the file that it boots from, and qemu refuses a locked one.
COPY = "machine.ext4"
COPY_DEADLINE = 300.0
XML_SIGNS = "<>&"


@dataclass(frozen=True)
class Boot:
    """Files on this host. ``disk`` holds the root file system without a partition table."""

    disk: Path
    kernel: Path
    initrd: Path

    @property
    def format(self) -> str:
        """The disk's format in qemu's words: by its name, as qemu-img's guesses are unsafe."""
        return "qcow2" if self.disk.suffix == ".qcow2" else "raw"


def boot_files(plan: Plan) -> Boot:
    """Return what the nodes of ``plan`` boot, whether it is there or not."""
    own = plan.image
    if own is not None:
        return Boot(Path(own.path), Path(own.kernel), Path(own.initrd))
    ours = image.current()
    return Boot(ours.folder / COPY, ours.kernel, ours.initrd)


def ensure_boot_files(plan: Plan, progress: Callable[[str], None]) -> Boot:
    """Return what the nodes of ``plan`` boot, building it where it is Underlay's own.

    Raises BadInput where a file of the user's own is missing or not named.
    """
    if plan.image is None:
        _copy(image.ensure(progress).disk, boot_files(plan).disk)
        return boot_files(plan)
    for key, path in asdict(plan.image).items():
        if not path:
            raise BadInput(f"a virtual machine boots a kernel: image.{key} is missing in the lab")
        if not Path(path).is_file():
            raise BadInput(f"image.{key}: there is no file {path}")
        if key != "path" and set(path) & set(XML_SIGNS):
            raise BadInput(
                f"image.{key}: found {path!r}, expected a path without {', '.join(XML_SIGNS)}:"
                " vagrant-libvirt writes it into XML as it is",
                hint="give the file another name, or name a link to it in the lab",
            )
    return boot_files(plan)


def _copy(disk: Path, copy: Path) -> None:
    """Make the virtual machines' own copy of the image, where it is missing."""
    if not copy.exists():
        with whole(copy) as fresh:
            words = ["cp", "--reflink=auto", "--sparse=always", str(disk), str(fresh)]
            run(words, deadline=COPY_DEADLINE)
