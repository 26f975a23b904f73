"""The Python packages of a bundle, as wheels: those of requirements.txt, and Underlay's own."""

from __future__ import annotations

import sys
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.bundle.contents import WHEELS, Licensed
from underlay.cluster.image.licences import UNNAMED
from underlay.cluster.process import run
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message

DEADLINE = 1200.0
PYTHON = [sys.executable, "-I", "-m"]
# As the launcher installs them: by their sums, and no source package, which would run its own code.
DOWNLOAD = (
    "pip", "--disable-pip-version-check", "download", "--no-input", "--progress-bar", "off",
    "--no-deps", "--require-hashes", "--only-binary", ":all:",
)  # fmt: skip
CLASSIFIER = "License :: OSI Approved :: "
LONGEST = 60


def fetch(folder: Path, progress: Callable[[str], None]) -> list[tuple[str, Licensed]]:
    """Fetch the wheels of requirements.txt into ``folder/wheels``, and build Underlay's own.

    Returns each file's name in ``folder`` with what it is. Raises Infrastructure with what pip
    says where it can't.
    """
    wheels, work = folder / WHEELS, folder / ".pip"
    wheels.mkdir()
    work.mkdir()
    progress("fetching Python packages")
    listed = ["--dest", str(wheels), "--requirement", str(paths.root() / "requirements.txt")]
    environment = {"TMPDIR": str(work.absolute())}
    run([*PYTHON, *DOWNLOAD, *listed], deadline=DEADLINE, environment=environment, name="pip")
    progress("building Underlay's own wheel")
    run(
        [*PYTHON, "hatchling", "build", "--target", "wheel", "--directory", str(wheels.absolute())],
        deadline=DEADLINE, environment=environment, folder=paths.root(), name="hatchling",
    )  # fmt: skip
    work.rmdir()
    found = sorted(wheels.iterdir())
    for path in found:
        path.chmod(0o644)
    return [(f"{WHEELS}/{path.name}", described(path)) for path in found]


def unpacked_mib(folder: Path) -> int:
    """Return how many MiB the wheels in ``folder`` take, once installed."""
    sizes = (
        entry.file_size
        for path in (folder / WHEELS).iterdir()
        for entry in zipfile.ZipFile(path).infolist()
    )
    return sum(sizes) >> 20


def described(wheel: Path) -> Licensed:
    """Return what a wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        said = Parser().parsestr(archive.read(name).decode(errors="replace"), headersonly=True)
    package = str(said["Name"])
    return Licensed(package, str(said["Version"]), package, _licences(said))


def _licences(said: Message) -> tuple[str, ...]:
    expression = said.get("License-Expression")
    if expression:
        return (str(expression),)
    classifiers = [str(each) for each in said.get_all("Classifier", [])]
    named = {each.removeprefix(CLASSIFIER) for each in classifiers if each.startswith(CLASSIFIER)}
    # Some put the whole text there.
    free = str(said.get("License") or "").strip()
    short = {free} if free and "\n" not in free and len(free) <= LONGEST else set()
    return tuple(sorted(named or short)) or (UNNAMED,)
