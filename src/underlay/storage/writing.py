"""Writing a file whole or not at all: readers see the old one or the new one, never half of it.

What is written lies in a folder of its own beside the file, which is closed to other users,
until it takes the file's place in one step. Nothing is forced to the disk: these files are
caches, and the state of labs that don't outlive a crash of this machine either.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from underlay.storage import temporary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield where something is to be written that takes the place of ``path`` afterwards.

    Where it can't be written, or its writer is interrupted, ``path`` is as it was and nothing
    is left beside it; what a killed writer has left there goes with the next. A symbolic link
    at ``path`` is replaced, not followed. Raises OSError.
    """
    with temporary.beside(path) as folder:
        fresh = folder / path.name
        yield fresh
        fresh.rename(path)


def write_whole(path: Path, data: str | bytes, *, mode: int = 0o666) -> None:
    """Write ``data`` to ``path``, text as UTF-8.

    The file's mode is ``mode`` less the umask, from its first byte on, whatever the mode of a
    file that was there. Raises OSError, which names ``path``.
    """
    content = data.encode() if isinstance(data, str) else data
    try:
        with whole(path) as fresh:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with open(descriptor, "wb") as file:
                file.write(content)
    except OSError as error:
        # Python names no file where a disk is full, and nobody knows that beside ``path``.
        error.filename, error.filename2 = str(path), None
        raise
