"""``underlay --version``: Underlay's own version, and those of what it stands on.

Nothing of that is started: Vagrant alone would take half a second to say its version.
"""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

from underlay import __version__
from underlay.errors import UnderlayError

DEADLINE = 10.0
MISSING = "not installed"
DEBIAN = {"vagrant": "vagrant", "kernel": "user-mode-linux"}
LABELS = {
    "underlay": "underlay",
    "python": "Python",
    "vagrant": "Vagrant",
    "ansible": "ansible-core",
    "kernel": "User Mode Linux",
    "image": "nodes' image",
}


def show(as_json: bool) -> None:
    """Print all versions, Underlay's own in the first line, or one JSON document of them."""
    found = versions()
    if as_json:
        print(json.dumps({**found, "image_built": image_is_built()}, indent=2))
        return
    for name, value in found.items():
        built = "" if name != "image" or image_is_built() else " (not built yet)"
        print(f"{LABELS[name]} {value}{built}")


def versions() -> dict[str, str]:
    """Return the versions by what they are of; ``image`` is the key of the image to boot."""
    debian = _debian()
    return {
        "underlay": __version__,
        "python": platform.python_version(),
        "vagrant": debian["vagrant"],
        "ansible": _distribution("ansible-core"),
        "kernel": debian["kernel"],
        "image": _image_key(),
    }


def image_is_built() -> bool:
    """Whether the image that nodes boot is in the cache."""
    from underlay.cluster.image import current

    try:
        return current().exists
    except UnderlayError:
        return False


def _image_key() -> str:
    from underlay.cluster.image import current

    try:
        return current().key
    except UnderlayError as error:
        return f"unknown: {error.message}"


def _distribution(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return MISSING


def _debian() -> dict[str, str]:
    """What dpkg says of the system packages; elsewhere than on Debian it is ``unknown``."""
    form = "${db:Status-Abbrev} ${Package} ${Version}\n"
    try:
        said = subprocess.run(
            ["dpkg-query", "--show", f"--showformat={form}", *DEBIAN.values()],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return dict.fromkeys(DEBIAN, "unknown")
    rows = [line.split() for line in said.splitlines()]
    known = {row[1]: row[2] for row in rows if len(row) == 3 and row[0] == "ii"}
    return {name: known.get(package, MISSING) for name, package in DEBIAN.items()}
