"""Images that a test makes of the nodes' own: a copy, in which debugfs changes something."""

from __future__ import annotations

import shutil
from pathlib import Path

from cluster.commands import run
from underlay.cluster.image import build as image


def copied(file: Path) -> Path:
    """Copy the file system that nodes boot to ``file``, and return that."""
    words = ["cp", "--sparse=always", str(image.current().disk), str(file)]
    done = run(words, folder=file.parent, deadline=120)
    assert done.code == 0, str(done)
    file.chmod(0o644)
    return file


def change(file: Path, request: str) -> None:
    """Have debugfs change the file system in ``file``."""
    program = shutil.which("debugfs", path="/usr/sbin:/sbin") or "debugfs"
    done = run([program, "-w", "-R", request, str(file)], folder=file.parent, deadline=60)
    assert done.code == 0, str(done)
    # Its first line of stderr is its version; it fails with exit code 0.
    assert len(done.err.strip().splitlines()) <= 1, str(done)


def marked(file: Path, path: str, text: str) -> Path:
    """Return a copy of the nodes' image as ``file``, with a file of the test's own at ``path``."""
    mark = file.with_suffix(".mark")
    mark.write_text(text)
    change(copied(file), f"write {mark} {path}")
    return file
