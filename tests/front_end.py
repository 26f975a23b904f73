"""The front end's npm packages, as its lock file pins them: there, or fetched for a test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from underlay.storage.paths import root

FRONT_END = root() / "frontend"


def project(folder: Path) -> Path:
    """Return a copy of the front end in ``folder`` with its packages; skip without them."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm isn't here: apt install npm")
    copy = folder / "frontend"
    shutil.copytree(FRONT_END, copy, ignore=shutil.ignore_patterns("node_modules"))
    if (FRONT_END / "node_modules").is_dir():
        (copy / "node_modules").symlink_to(FRONT_END / "node_modules")
        return copy
    try:
        subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund"], cwd=copy, capture_output=True, check=True,
            timeout=120,
        )  # fmt: skip
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("npm ci fetched nothing: its registry isn't reached from here")
    return copy
