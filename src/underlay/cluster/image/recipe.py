"""What an image is made from, besides the folder ``image`` of this checkout."""

from __future__ import annotations

import stat
from pathlib import Path

from underlay.errors import Infrastructure

SUITE = "trixie"
SIZE = "3G"
KERNEL = Path("/usr/bin/linux.uml")
MODULES = Path("/usr/lib/uml/modules")
BUSYBOX = Path("/bin/busybox")
BOOT = "/usr/share/underlay/boot"


def kernel_release() -> str:
    """Return the release of the User Mode Linux kernel installed here, such as 6.12.113."""
    releases = sorted(p.name for p in MODULES.iterdir()) if MODULES.is_dir() else []
    if not releases:
        raise Infrastructure(f"{MODULES} has no kernel modules", hint="underlay doctor")
    return releases[-1]


def mode(path: Path) -> int:
    """Return the mode that a file of the recipe has in the image."""
    return 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
