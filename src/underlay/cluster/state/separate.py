"""State apart: a folder for the labs of one ``check DIR``, beside the state of those that are up.

Whatever such a lab is called, it meets no running one: locks, records and sandboxes are the
folder's own. A lock held in it says that its command lives; the folder of one that was killed
is swept by the next, or by ``down --all``, with all that runs in it.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.providers import NAMES, provider
from underlay.errors import UnderlayError
from underlay.storage import paths
from underlay.storage.temporary import abandoned, claim

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def separate_state() -> Iterator[Path]:
    """Let ``paths.home()`` be a new folder within the block; yield the one that it was before.

    Whatever runs of its labs after the block is ended, and the folder is removed.
    """
    sweep()
    outer = paths.home()
    folder = outer / "checks" / str(os.getpid())
    descriptor = claim(folder)
    try:
        with _home_at(folder):
            yield outer
    finally:
        _end_labs(folder)
        os.close(descriptor)


def sweep() -> list[str]:
    """End what commands that were killed have left in their folders; return its labs' names."""
    found = []
    for folder in abandoned(sorted((paths.home() / "checks").glob("*"))):
        found += [path.name for path in (folder / "labs").glob("*")]
        _end_labs(folder)
    return found


def end_kept() -> list[str]:
    """End the labs that tests of somebody's own have left up; return their names."""
    found = []
    for folder in sorted((paths.home() / paths.KEPT).glob("*")):
        found += [path.name for path in (folder / "labs").glob("*")]
        _end_labs(folder)
    return found


def _end_labs(folder: Path) -> None:
    """End whatever runs of the labs in ``folder``, by identity, and remove it."""
    with _home_at(folder):
        for lab in sorted(paths.states().glob("*")):
            for name in NAMES:
                with suppress(UnderlayError):
                    provider(name).destroy(lab)
    shutil.rmtree(folder, ignore_errors=True)
    paths.remove_empty(folder.parent, folder.parent.parent)


@contextmanager
def _home_at(folder: Path) -> Iterator[None]:
    before = os.environ.get(paths.HOME)
    os.environ[paths.HOME] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[paths.HOME]
        else:
            os.environ[paths.HOME] = before
