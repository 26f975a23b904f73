"""A bundle of a few kilobytes: all of its parts are there, and none is the real one."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from underlay.cluster.bundle import making
from underlay.cluster.bundle.contents import (
    CHECKOUT,
    DEBS,
    IMAGE,
    IMAGE_LICENCES,
    INDEX,
    SUMS,
    WHEELS,
    Licensed,
    Needed,
    needs,
)  # fmt: skip

KEY = "0123456789abcdef"
PACKAGES = [
    (f"{DEBS}/python3_3.13.5-1_amd64.deb", Licensed("python3", "3.13.5-1", "python3", ("PSF",))),
    (f"{WHEELS}/rich-1-py3-none-any.whl", Licensed("rich", "1", "rich", ("MIT",))),
]
# It stands in for the launcher, and says how it was called.
LAUNCHER = """\
#!/bin/sh
echo "$PIP_NO_INDEX $PIP_CONFIG_FILE $PIP_FIND_LINKS $*" >>"${0%/*}/called"
echo '{"current": true}'
"""
Change = Callable[[list[tuple[str, bytes]]], None]


def small_bundle(
    folder: Path,
    *,
    needed: str = "",
    launcher: str = LAUNCHER,
    more: Mapping[str, str] | None = None,
    name: str = "small.tar",
) -> Path:
    """Return a bundle in ``folder`` that wants what ``needed`` says: by default, nothing.

    ``more`` are files of its checkout beside the launcher.
    """
    work = folder / "gathered"
    for each in (DEBS, WHEELS):
        (work / each).mkdir(parents=True)
    for path, _ in PACKAGES:
        (work / path).write_text(path)
    for path in (INDEX, IMAGE, IMAGE_LICENCES):
        (work / path).write_text(path)
    with tarfile.open(work / CHECKOUT, "w:gz") as tar:
        add(tar, "underlay", launcher.encode(), 0o755)
        for path, text in (more or {}).items():
            add(tar, path, text.encode())
    manifest = making.describe(work, KEY, PACKAGES, needed or needs([], {}))
    making.write(work, folder / name, manifest)
    return folder / name


def this_system(packages: list[Needed] | None = None, *, room: int = 0) -> str:
    """Return what needs.txt says where this very machine is wanted."""
    from underlay.cluster.bundle.debian import system

    distribution, release, architecture = system()
    said = needs(packages or [], {"system": room, "folder": room, "cache": room}).splitlines()
    first = [f"distribution {distribution}", f"release {release}", f"architecture {architecture}"]
    return "".join(f"{line}\n" for line in first + said[3:])


def add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))


def changed(file: Path, change: Change, *, summed: bool = False) -> Path:
    """Return a copy of the bundle ``file`` after ``change``; ``summed`` has its sums follow."""
    with tarfile.open(file) as tar:
        entries = [(e.name, f.read()) for e in tar if (f := tar.extractfile(e)) is not None]
    change(entries)
    if summed:
        top = entries[0][0].partition("/")[0]
        rows = [
            f"{hashlib.sha256(data).hexdigest()}  {name.partition('/')[2]}\n"
            for name, data in entries
            if not name.endswith(SUMS)
        ]
        at = [name for name, _ in entries].index(f"{top}/{SUMS}")
        entries[at] = (f"{top}/{SUMS}", "".join(rows).encode())
    copy = file.with_name("changed.tar")
    with tarfile.open(copy, "w") as tar:
        for name, data in entries:
            add(tar, name, data, 0o755 if name.endswith("/install") else 0o644)
    return copy
