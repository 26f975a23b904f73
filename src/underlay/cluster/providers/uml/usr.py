"""Another /usr for a node that runs: from its next boot on, read-only, as CoreOS updates.

CoreOS has two partitions for /usr, writes the one that isn't in use, and boots into it; /etc, /var
and the rest of the root stay. Here the second one is a disk of its own, and a shell that the kernel
starts mounts its /usr over the root's before it becomes systemd.

The image lies in the node's folder, which its sandbox shows read-only. An open file in the hands of
the node's process would be less: what is opened by /proc/self/fd is opened anew, for writing as
well (proc(5)), and whoever is root on a node is that process.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from underlay.cluster.process import run
from underlay.storage.writing import whole

if TYPE_CHECKING:
    from pathlib import Path

KEPT = "usr.ext4"
COPY_DEADLINE = 300.0
# /mnt is there in any root (FHS 3.0); what is mounted at /usr stays when it goes. Whatever that
# /usr lacks is found out by the boot, as it is on a machine.
FIRST = (
    "[ -b /dev/ubdc ] || mount -t devtmpfs dev /dev; mount -o ro /dev/ubdc /mnt"
    " && mount --bind /mnt/usr /usr && { umount /mnt; exec /sbin/init; }"
)


def first_process() -> list[str]:
    """Return the words that end the command line of the kernel of a node with another /usr."""
    return ["init=/bin/sh", "--", "-c", f'"{FIRST}"']


def keep(nodes: Path, node: str, image: Path) -> None:
    """Keep ``image`` in the folder of ``node``, one of ``nodes``; it is copied once at most.

    So it is there for later boots when the file of that name is gone, or is another one. Raises
    Infrastructure where it can't be copied.
    """
    image = image.resolve()
    with whole(nodes / node / KEPT) as fresh:
        for source in (image, *_copies(nodes, image)):
            with suppress(OSError):  # it is on another file system, or somebody else's
                os.link(source, fresh)
                return
        words = ["--reflink=auto", "--sparse=always", "--preserve=timestamps"]
        run(["cp", *words, str(image), str(fresh)], deadline=COPY_DEADLINE)


def _copies(nodes: Path, image: Path) -> list[Path]:
    """Return the copies of ``image`` that other nodes have."""
    facts = image.stat()
    known = [(path, path.stat()) for path in nodes.glob(f"*/{KEPT}")]
    return [
        path
        for path, has in known
        if (has.st_size, has.st_mtime_ns) == (facts.st_size, facts.st_mtime_ns)
    ]


def forget(folder: Path) -> None:
    """Have the node of ``folder`` boot with its root's own /usr: it is made anew."""
    (folder / KEPT).unlink(missing_ok=True)


def is_kept(folder: Path) -> bool:
    """Whether there is another /usr for the node of ``folder``."""
    return (folder / KEPT).exists()
