"""Folders that end with their command, or with the next one where that was killed.

A lock held in the folder says that its command lives. Whoever finds it free may remove the
folder: no process id, name or age could tell as much. Other users may have folders of such
names, too, and links: only what is this user's own is opened.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.storage import locks, private

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LOCK = ".lock"
# In the names of hidden folders beside what they are for, so that no folder of the user's is meant.
BESIDE = ".underlay-"
# A sweep holds it for as long as it ends and removes what a killed command has left.
DEADLINE = 120.0


@contextmanager
def folder(what: str, *, inside: Path | None = None) -> Iterator[Path]:
    """Yield a new folder for temporary files, named after ``what`` it is for; remove it after.

    It is ``inside`` the system's folder for such, or another one. Those of killed commands
    are removed first.
    """
    sweep(inside)
    path = Path(tempfile.mkdtemp(prefix=f"underlay-{what}-", dir=inside))
    descriptor = claim(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yield a new folder on the file system of ``path``, in the same folder; remove it after.

    Those of commands that were killed while they made the same ``path`` are removed first. Its
    own lock, without a file of its own: whatever is written passes here. Raises OSError.
    """
    prefix = f".{path.name}{BESIDE}"
    for left_behind in path.parent.glob(f"{glob.escape(prefix)}*"):
        with suppress(OSError):
            descriptor = _held(left_behind)
            shutil.rmtree(left_behind, ignore_errors=True)
            os.close(descriptor)
    folder, descriptor = _made_and_held(prefix, path.parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _made_and_held(prefix: str, above: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=above))
        # Who sweeps at the same moment may take the new folder for one that was left behind.
        with suppress(FileNotFoundError, BlockingIOError):
            descriptor = _held(folder)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)


def _held(folder: Path) -> int:
    """Return a descriptor that holds the lock of ``folder`` itself; OSError where it can't."""
    descriptor = private.opened(folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def sweep(above: Path | None = None) -> None:
    """Remove what ``left`` says."""
    for path in left(above):
        shutil.rmtree(path, ignore_errors=True)


def left(above: Path | None = None) -> Iterator[Path]:
    """Yield this user's folders for temporary files whose commands have been killed.

    They are those in ``above``, or in the system's folder for such.
    """
    folders = (above or Path(tempfile.gettempdir())).glob(f"underlay-*/{LOCK}")
    return abandoned(lock.parent for lock in folders)


def claim(path: Path) -> int:
    """Make the folder ``path`` and hold its lock; return the descriptor that holds it.

    Whoever sweeps at the same moment may take a lock that nobody holds yet, and the folder
    with it: then it is made again. Raises Infrastructure where somebody else has made it.
    """
    busy = f"uses the folder {path}"

    def folder() -> int:
        private.make(path)
        return private.opened(path)

    return locks.wait_for(path / LOCK, busy, deadline=DEADLINE, folder=folder)


def abandoned(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield those of this user's folders ``paths`` whose lock is free, and hold it meanwhile."""
    for path in paths:
        try:
            descriptor = _lock_of(path)
        except OSError:
            continue
        try:
            yield path
        finally:
            os.close(descriptor)


def _lock_of(path: Path) -> int:
    """Return a descriptor that holds the lock of the folder ``path``; OSError as ``locks.take``.

    Between a look at the name and its use, the name may come to mean another folder.
    """
    folder = private.opened(path)
    try:
        return locks.take(Path(LOCK), folder=folder)
    finally:
        os.close(folder)
