"""The versions of what Underlay stands on: Vagrant, Ansible, the kernel, the nodes' image.

Nothing of that is started: Vagrant alone would take half a second to say its version.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from underlay import __version__
from underlay.errors import UnderlayError

DEADLINE = 10.0
MISSING = "not installed"
DEBIAN = {"vagrant": "vagrant", "kernel": "user-mode-linux"}


def versions() -> dict[str, str | bool]:
    """Return the versions by what they are of.

    ``image`` is the key of the image that nodes boot, ``image_built`` whether it is cached.
    """
    query = _start_dpkg_query()
    key, is_built = _image()  # meanwhile: dpkg takes as long
    debian = _debian_versions(query)
    return {
        "underlay": __version__,
        "python": platform.python_version(),
        "vagrant": debian["vagrant"],
        "ansible": distribution_version("ansible-core"),
        "kernel": debian["kernel"],
        "image": key,
        "image_built": is_built,
    }


def distribution_version(name: str) -> str:
    """Return the version of the Python package ``name``, or that it isn't installed.

    Its folder's name says it (PyPA's specification of installed packages); importlib.metadata
    would parse its whole description for that.
    """
    folders = (Path(entry) for entry in sys.path if entry)
    for folder in folders:
        for described in folder.glob(f"{name.replace('-', '_')}-*.dist-info"):
            return described.stem.rpartition("-")[2]
    return MISSING


def _image() -> tuple[str, bool]:
    from underlay.cluster.image import build as image

    try:
        current = image.current()
    except UnderlayError as error:
        return f"unknown: {error.message}", False
    return current.key, current.exists


def _start_dpkg_query() -> subprocess.Popen[str] | None:
    """Start asking dpkg for the system packages; None where there is no dpkg."""
    form = "${db:Status-Abbrev} ${Package} ${Version}\n"
    try:
        return subprocess.Popen(
            ["dpkg-query", "--show", f"--showformat={form}", *DEBIAN.values()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError:
        return None


def _debian_versions(query: subprocess.Popen[str] | None) -> dict[str, str]:
    """Return what dpkg said; elsewhere than on Debian it is ``unknown``."""
    if query is None:
        return dict.fromkeys(DEBIAN, "unknown")
    try:
        output, _ = query.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        query.kill()
        query.communicate()
        return dict.fromkeys(DEBIAN, "unknown")
    rows = [line.split() for line in output.splitlines()]
    known = {row[1]: row[2] for row in rows if len(row) == 3 and row[0] == "ii"}
    return {name: known.get(package, MISSING) for name, package in DEBIAN.items()}
