"""The checkout in a bundle: what its commit tracks, and the user's own labs and courses."""

from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path
from typing import IO

from underlay.cluster import checkout as repository
from underlay.cluster.process import run
from underlay.errors import BadInput
from underlay.storage import paths

DEADLINE = 60.0
# The user's own of these go along, though no commit has them.
OWN = ("courses", "labs")
# Where there is no repository, as in a checkout that came by a bundle: nothing of what is made.
MADE = frozenset(
    {
        ".venv", ".underlay", ".vagrant", ".tox", ".git", ".hypothesis", ".from-bundle",
        "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", "node_modules",
    }
)  # fmt: skip
# 1980: the first time that a zip file can hold, as wheels made of these files have to.
EPOCH = 315532800
# A checkout that a bundle was installed to says here which one it was, and of which commit.
CAME_FROM = ".from-bundle"


def commit(root: Path) -> tuple[str, bool]:
    """Return the commit of the checkout at ``root``, and whether it holds more; empty for none."""
    found = repository.commit(root)
    if found:
        return found, repository.dirty(root)
    try:
        words = (root / CAME_FROM).read_text(encoding="utf-8").split()
    except OSError:
        words = []
    return (words[1] if len(words) > 1 else ""), False


def refuse_installed() -> None:
    """Raise BadInput where Underlay was installed as a wheel: it has no checkout to carry."""
    if not paths.is_checkout():
        raise BadInput(
            "a bundle is made of a checkout, and this Underlay is installed",
            hint="clone Underlay and run ./underlay bundle there",
        )


def files(root: Path) -> list[Path]:
    """Return what a bundle carries of the checkout at ``root``, relative to it, sorted."""
    if (root / ".git").exists():
        names = {*_git(root, "--cached"), *_git(root, "--others", "--exclude-standard", "--", *OWN)}
        found = [Path(name) for name in names if name]
    else:
        found = []
        for folder, below, here in os.walk(root):
            below[:] = [name for name in below if name not in MADE]
            inside = Path(folder).relative_to(root)
            found += [inside / name for name in here if name not in MADE]
    # What was deleted and not committed is still tracked.
    return sorted(path for path in found if (root / path).is_file())


def pack(root: Path, output: Path) -> None:
    """Write the checkout at ``root`` to ``output``, a .tar.gz; the same files give the same bytes.

    Raises OSError.
    """
    with (
        output.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in files(root):
            with (root / path).open("rb") as file:
                add(tar, str(path), file, executable=os.access(root / path, os.X_OK))


def add(tar: tarfile.TarFile, name: str, file: IO[bytes], *, executable: bool) -> None:
    """Add an open ``file`` to ``tar`` as ``name``, with fixed owner and time."""
    entry = tarfile.TarInfo(name)
    entry.size = os.fstat(file.fileno()).st_size
    entry.mode = 0o755 if executable else 0o644
    entry.mtime = EPOCH
    tar.addfile(entry, file)


def _git(root: Path, *words: str) -> list[str]:
    return run(["git", "ls-files", "-z", *words], deadline=DEADLINE, folder=root).stdout.split("\0")
