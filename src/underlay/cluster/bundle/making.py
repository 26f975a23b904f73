"""Making a bundle: everything is gathered beside the file, which is then written whole or not."""

from __future__ import annotations

import errno
import os
import shutil
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from underlay import __version__
from underlay.cluster.bundle import checkout, debian, wheels
from underlay.cluster.bundle.contents import (
    ARCHITECTURE,
    CHECKOUT,
    DISTRIBUTION,
    FORMAT,
    HEAD,
    IMAGE,
    IMAGE_LICENCES,
    INDEX,
    INSTALL,
    LICENCES,
    MANIFEST,
    NEEDS,
    README,
    RELEASE,
    SUMS,
    Licensed,
    Manifest,
    held,
    needs,
    sums,
    table,
)  # fmt: skip
from underlay.cluster.image import archive, build, licences
from underlay.errors import BadInput, Infrastructure, reason
from underlay.storage import paths
from underlay.storage.writing import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCRIPT = "src/install-bundle.sh"
# MiB, twice what a bundle takes: it is gathered, and then written.
ROOM = 1600
# MiB beside what is installed: apt's and pip's own, and what labs write.
SPARE = 200
# What apt and pip say where the disk is full; the others give the system's own words.
NO_ROOM = (os.strerror(errno.ENOSPC), "enough free space")
ABOUT = """\
Underlay {version}{commit}, with all that it needs on {distribution} {release} ({architecture}),
to be installed on a machine without network:

    ./install [FOLDER]      installs it; FOLDER is ~/underlay if you don't say another
    sh ./install            the same, on a disk whose files can't be executed

Installing Debian packages needs root. Who isn't root and has no sudo without a password is told the
one command that needs it; where the packages are there already, no root is needed.

SHA256SUMS     the sum of every other file: sha256sum --check SHA256SUMS
manifest.json  what every file is
licences.tsv   the packages with versions, source packages and licences
image.packages.tsv   the same of the nodes' image
debs           Debian packages; Debian has their sources, older ones in its snapshot archive
wheels         Python packages
"""


def make(file: Path, progress: Callable[[str], None]) -> Manifest:
    """Write a bundle to ``file``, whole or not at all; ``progress`` is handed a line per step.

    Raises BadInput where there is no checkout, or ``file`` can't be written; Infrastructure where
    this isn't Debian 13, or apt, pip or a build fails.
    """
    checkout.refuse_installed()
    debian.refuse_elsewhere()
    _refuse_small(file)
    wanted = debian.needed()
    image = build.ensure(progress)
    with _full_disks_named(file), whole(file) as fresh:
        work = fresh.parent / "gathered"
        work.mkdir()
        packages = debian.fetch(wanted, work, progress)
        packages += wheels.fetch(work, progress)
        progress("packing the checkout")
        checkout.pack(paths.root(), work / CHECKOUT)
        progress(f"packing the image {image.key}")
        archive.export(image, work / IMAGE)
        parts = licences.table(licences.parts(image.disk))
        (work / IMAGE_LICENCES).write_text(parts, encoding="utf-8")
        progress("adding up sums")
        room = _room(work, image)
        manifest = describe(work, image.key, packages, needs(wanted, room))
        progress(f"writing {file.name}")
        write(work, fresh, manifest)
    return manifest


def _top(manifest: Manifest) -> str:
    """Return what the folder is called that a bundle unpacks to."""
    return (
        f"underlay-{manifest.underlay}-{manifest.distribution}-{manifest.release}"
        f"-{manifest.architecture}"
    )


def _refuse_small(file: Path) -> None:
    try:
        free = shutil.disk_usage(file.absolute().parent).free >> 20
    except OSError as error:
        raise BadInput(f"cannot write {file}: {reason(error)}") from error
    if free < ROOM:
        raise BadInput(f"{file.absolute().parent} has {free} MiB free, a bundle needs {ROOM} MiB")


@contextmanager
def _full_disks_named(file: Path) -> Iterator[None]:
    """Have a full disk be an error of ``file``, whichever program came upon it."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"cannot write {file}: {reason(error)}") from error
    except Infrastructure as error:
        if any(words in f"{error.message} {error.detail}" for words in NO_ROOM):
            full = os.strerror(errno.ENOSPC)
            raise BadInput(f"cannot write {file}: {full}", detail=error.detail) from error
        raise


def _room(work: Path, image: build.Image) -> dict[str, int]:
    """Return how many MiB a machine needs for packages, the folder, and the image."""
    return {
        "system": debian.installed_mib(work) + SPARE,
        "folder": wheels.unpacked_mib(work) + SPARE,
        "cache": (image.disk.stat().st_blocks * 512 >> 20) + SPARE,
    }


def describe(work: Path, image: str, packages: list[tuple[str, Licensed]], needed: str) -> Manifest:
    """Write the files at a bundle's head to ``work``, where all others are; return its manifest.

    ``image`` is the key of the nodes' image, ``packages`` are files in ``work`` with what each
    is, and ``needed`` is what needs.txt is to say. Raises OSError.
    """
    commit, changed = checkout.commit(paths.root())
    facts = (FORMAT, __version__, commit, changed, DISTRIBUTION, RELEASE, ARCHITECTURE)
    python = next(of.version for _, of in packages if of.package == "python3")
    (work / NEEDS).write_text(needed, encoding="utf-8")
    # The shell script is kept executable by the tar, as it is in the checkout.
    shutil.copyfile(paths.root() / SCRIPT, work / INSTALL)
    (work / README).write_text(_about(commit, changed=changed), encoding="utf-8")
    files = [held(work, name, of) for name, of in packages]
    files += [held(work, name) for name in (INDEX, CHECKOUT, IMAGE, IMAGE_LICENCES)]
    licensed = Manifest(*facts, python, image, tuple(files))
    (work / LICENCES).write_text(table(licensed), encoding="utf-8")
    files += [held(work, name) for name in (INSTALL, README, NEEDS, LICENCES)]
    files.sort(key=lambda each: _place(each.name))
    manifest = Manifest(*facts, python, image, tuple(files))
    (work / MANIFEST).write_text(manifest.text(), encoding="utf-8")
    listed = [*manifest.files, held(work, MANIFEST)]
    listed.sort(key=lambda each: _place(each.name))
    (work / SUMS).write_text(sums(listed), encoding="utf-8")
    return manifest


def write(work: Path, file: Path, manifest: Manifest) -> None:
    """Write all files in ``work`` to the tar ``file``; the same ones give the same bytes.

    Raises OSError.
    """
    names = [str(path.relative_to(work)) for path in work.rglob("*") if path.is_file()]
    folder = _top(manifest)
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(names, key=_place):
            with (work / name).open("rb") as opened:
                checkout.add(tar, f"{folder}/{name}", opened, executable=name == INSTALL)
    file.chmod(0o644)


def _about(commit: str, *, changed: bool) -> str:
    also = " with changes" if changed else ""
    return ABOUT.format(
        version=__version__, commit=f" of the commit {commit[:12]}{also}" if commit else "",
        distribution=DISTRIBUTION.capitalize(), release=RELEASE, architecture=ARCHITECTURE,
    )  # fmt: skip


def _place(name: str) -> tuple[int, str]:
    """Return where in a bundle a file stands: the head, then the rest, and last the image."""
    if name in HEAD:
        return HEAD.index(name), ""
    return len(HEAD) + (name == IMAGE), name
