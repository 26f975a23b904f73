"""What a virtual machine boots: Underlay's own image, or the one that the lab names."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster import image
from underlay.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.plan import Plan


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
    return Boot(ours.disk, ours.kernel, ours.initrd)


def ensure(plan: Plan, progress: Callable[[str], None]) -> Boot:
    """Return what the nodes of ``plan`` boot, building it where it is Underlay's own.

    Raises BadInput where a file of the user's own is missing or not named.
    """
    if plan.image is None:
        image.ensure(progress)
        return boot_files(plan)
    for key, path in asdict(plan.image).items():
        if not path:
            raise BadInput(f"a virtual machine boots a kernel: image.{key} is missing in the lab")
        if not Path(path).is_file():
            raise BadInput(f"image.{key}: there is no file {path}")
    return boot_files(plan)
