"""What a bundle holds, and how it says so.

A bundle is a tar of one folder. ``install`` is its first file, and ``SHA256SUMS`` names all others;
``manifest.json`` says what each of them is, and ``needs.txt`` what the machine must be and have, in
a form that the shell of a machine reads on which nothing else is installed yet.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT = 1
INSTALL, README, SUMS, MANIFEST, NEEDS = (
    "install", "README.txt", "SHA256SUMS", "manifest.json", "needs.txt",
)  # fmt: skip
LICENCES, IMAGE_LICENCES = "licences.tsv", "image.packages.tsv"
# What comes first, so that a look into the file's beginning is enough to begin.
HEAD = (INSTALL, README, SUMS, MANIFEST, NEEDS, LICENCES, IMAGE_LICENCES)
CHECKOUT = "underlay.tar.gz"
IMAGE = "image.tar.zst"
DEBS = "debs"
WHEELS = "wheels"
# What apt reads of a folder of packages.
INDEX = f"{DEBS}/Packages"
# What a bundle is for. Another release's packages would have other names and another Python.
DISTRIBUTION, RELEASE, ARCHITECTURE = "debian", "13", "amd64"
BLOCK = 1 << 20


@dataclass(frozen=True)
class Licensed:
    """A Debian package, or one of Python's: ``source`` is Debian's name of what it is built from.

    ``licences`` are short names, sorted.
    """

    package: str
    version: str
    source: str
    licences: tuple[str, ...]


@dataclass(frozen=True)
class Held:
    """A file of a bundle. ``licensed`` says of a package what it is."""

    name: str
    bytes: int
    sha256: str
    licensed: Licensed | None = None


@dataclass(frozen=True)
class Manifest:
    """What a bundle is: of which Underlay, for which machines, and each file but the sums' own.

    ``changed`` says that the checkout held more than its ``commit``. ``image`` is the key of the
    nodes' image.
    """

    format: int
    underlay: str
    commit: str
    changed: bool
    distribution: str
    release: str
    architecture: str
    python: str
    image: str
    files: tuple[Held, ...]

    def text(self) -> str:
        """Return the manifest as it is written: the same one is the same bytes."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    def within(self, folder: str) -> list[Held]:
        """Return the packages that lie in ``folder`` of the bundle."""
        return [h for h in self.files if h.licensed and h.name.startswith(f"{folder}/")]


@dataclass(frozen=True)
class Needed:
    """A Debian package that a machine needs, and its ``probe``, which is there where it is.

    ``version`` is given where no other will do.
    """

    package: str
    probe: str
    version: str = ""


def parsed(text: str | bytes) -> Manifest:
    """Return the manifest that ``text`` holds. Raises ValueError where it holds none."""
    from pydantic import TypeAdapter

    return TypeAdapter(Manifest).validate_json(text)


def needs(packages: Sequence[Needed], room: dict[str, int]) -> str:
    """Return what needs.txt says: a word and its value in each line.

    ``room`` is how many MiB are wanted for what.
    """
    lines = [f"distribution {DISTRIBUTION}", f"release {RELEASE}", f"architecture {ARCHITECTURE}"]
    lines += [f"room-{what} {mib}" for what, mib in room.items()]
    lines += [f"package {p.package} {p.probe} {p.version or '-'}" for p in packages]
    return "".join(f"{line}\n" for line in lines)


def held(folder: Path, name: str, licensed: Licensed | None = None) -> Held:
    """Return what is to be said of the file ``name`` in ``folder``."""
    path = folder / name
    return Held(name, path.stat().st_size, sha256(path), licensed)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums(files: Sequence[Held]) -> str:
    """Return what SHA256SUMS says, as sha256sum writes and checks it."""
    return "".join(f"{each.sha256}  {each.name}\n" for each in files)


def table(manifest: Manifest) -> str:
    """Return licences.tsv: each package with its version, source package and licences."""
    rows = [("kind", "package", "version", "source", "licences", "sha256")]
    for folder, kind in ((DEBS, "debian"), (WHEELS, "python")):
        for each in manifest.within(folder):
            of = each.licensed
            assert of is not None
            licences = ", ".join(of.licences)
            rows.append((kind, of.package, of.version, of.source, licences, each.sha256))
    return "".join("\t".join(row) + "\n" for row in rows)
