"""An image as one file, to carry it to another machine: written whole, read with proof.

The file is a tar, compressed as its name says. ``image.json`` comes first, then the
image's files, and last ``SHA256SUMS``, which names every one of them. Nothing of it is
in place before all of it has been read and each sum is right.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.boot_files import COPY
from underlay.cluster.image.build import Image, lock
from underlay.cluster.process import run, tail
from underlay.errors import BadInput, Infrastructure, reason
from underlay.storage import paths, temporary
from underlay.storage.writing import whole

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

COMPRESSORS: dict[str, tuple[str, ...]] = {
    ".tar.zst": ("zstd", "--quiet", "--threads=0", "-3"),
    ".tar.gz": ("gzip", "-1", "--no-name"),
    ".tgz": ("gzip", "-1", "--no-name"),
    ".tar": (),
}
# Zeros, which are most of a disk, are found by reading, and not where a file happens to have
# holes: with fixed owners and times, the same image gives the same bytes.
CREATE = (
    "--create", "--format=gnu", "--sparse", "--hole-detection=raw", "--no-recursion",
    "--numeric-owner", "--owner=:0", "--group=:0", "--mtime=@0",
)  # fmt: skip
# tar finds out by itself what a file is compressed with.
LIST = ("--list", "--verbose", "--numeric-owner", "--quoting-style=escape")
EXTRACT = ("--extract", "--no-same-owner", "--preserve-permissions", "--touch")
DEADLINE = 1800.0
# Of a file that is read as text, and of how many files: an image has seven.
LONGEST, MOST = 1 << 20, 1000
FACTS, SUMS = "image.json", "SHA256SUMS"
KEY = re.compile(r"[0-9a-f]{16}")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
# A plain file in tar's list: mode, owner, size, day, time, and one blank before its name.
LISTED = re.compile(rf"-\S{{9}} \S+ +\d+ \S+ \S+ ({NAME.pattern})")


def export(image: Image, file: Path) -> None:
    """Write ``image`` to ``file``, whole or not at all; the same image gives the same bytes.

    Raises BadInput where the name of ``file`` ends in none of ``COMPRESSORS`` or can't
    be written, Infrastructure where the compressor is missing or fails.
    """
    compressor = _compressor(file)
    # The virtual machines' copy is made anew wherever it is wanted.
    found = [path for path in image.folder.rglob("*") if path.is_file() and path.name != COPY]
    others = {str(path.relative_to(image.folder)) for path in found} - {FACTS}
    names = [FACTS, *sorted(name for name in others if NAME.fullmatch(name))]
    with temporary.folder("export") as folder:
        (folder / SUMS).write_text(_sums(image.folder, names))
        (folder / SUMS).chmod(0o644)
        places = [f"--directory={image.folder}", *names, f"--directory={folder}", SUMS]
        try:
            with whole(file) as fresh:
                done = _tar(fresh, *CREATE, *compressor, *places)
                if done.returncode:
                    raise Infrastructure(f"cannot write {file}", detail=tail(done.stderr))
                fresh.chmod(0o644)
        except OSError as error:
            raise BadInput(f"cannot write {file}: {reason(error)}") from error


def import_(file: Path, progress: Callable[[str], None]) -> tuple[Image, bool]:
    """Put the image in ``file`` into the cache; return it, and whether it wasn't there before.

    Raises BadInput where ``file`` is no image or any sum is wrong; the cache is as it
    was then. ``progress`` is told when another command holds the cache.
    """
    _check_readable(file)
    folder = paths.cache() / "images"
    with (
        lock(progress),
        # The prefix is that of builds, so that the next one removes what a kill left.
        tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as name,
    ):
        work = Path(name)
        try:
            names = _listed(file)
            done = _tar(file, *EXTRACT, f"--directory={work}")
            if done.returncode:
                raise Infrastructure(f"cannot unpack {file}", detail=tail(done.stderr))
            key = _checked(work, names)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadInput(f"{file} is no image, or is damaged: {error}") from error
        except OSError as error:
            raise Infrastructure(f"cannot unpack {file}: {error}") from error
        image = Image(key, folder / key)
        if image.exists:
            return image, False
        work.chmod(0o755)
        shutil.rmtree(image.folder, ignore_errors=True)
        os.rename(work, image.folder)
        work.mkdir()
    return image, True


def _check_readable(file: Path) -> None:
    try:
        # A pipe can be read but once.
        if stat.S_ISFIFO(file.stat().st_mode):
            raise BadInput(f"cannot read {file}: it is a pipe")
        file.open("rb").close()
    except OSError as error:
        raise BadInput(f"cannot read {file}: {reason(error)}") from error


def _listed(file: Path) -> list[str]:
    """Return the names in ``file``, in their order, before anything of it is written.

    Raises ValueError with what is wrong; only plain files of plain names are taken.
    """
    done = _tar(file, *LIST)
    if done.returncode:
        raise ValueError(done.stderr.partition("\n")[0])
    names: list[str] = []
    lines = done.stdout.split("\n")[:-1]
    if len(lines) > MOST:
        raise ValueError(f"it holds {len(lines)} files")
    for line in lines:
        entry = LISTED.fullmatch(line)
        if entry is None or entry[1] in names:
            raise ValueError(f"unexpected {line.split(maxsplit=5)[-1]!r}")
        if not names and entry[1] != FACTS:
            raise ValueError(f"{FACTS} is not the first file in it")
        if SUMS in names:
            raise ValueError(f"{entry[1]!r} follows the sums")
        names.append(entry[1])
    if SUMS not in names:
        raise ValueError("it ends too early")
    return names


def _checked(work: Path, names: list[str]) -> str:
    """Check the files that were unpacked to ``work``, give them their modes, return the key.

    Raises ValueError with what is wrong.
    """
    for name in names:
        path = work / name
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            raise ValueError(f"unexpected {name!r}")
        path.chmod(0o600)
        # Archives that know no holes are welcome too. Not every file system can have them.
        run(["fallocate", "--dig-holes", str(path)], deadline=DEADLINE, check=False)
        path.chmod(mode & 0o755 | 0o400)
    sums, wanted = _by_name(_sums(work, names[:-1])), _by_name(_text(work / SUMS))
    wrong = sorted(name for name in sums.keys() | wanted if sums.get(name) != wanted.get(name))
    if wrong:
        raise ValueError(f"wrong content of {', '.join(wrong)}")
    (work / SUMS).unlink()
    key = str(json.loads(_text(work / FACTS))["key"])
    if not KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of an image")
    return key


def _sums(folder: Path, names: list[str]) -> str:
    """Return the SHA-256 of the files called ``names``, as sha256sum writes and checks them."""
    return run(["sha256sum", "--", *names], deadline=DEADLINE, folder=folder).stdout


def _by_name(sums: str) -> dict[str, str]:
    return {name: digest for digest, _, name in (row.partition("  ") for row in sums.splitlines())}


def _text(path: Path) -> str:
    if path.stat().st_size > LONGEST:
        raise ValueError(f"{path.name} is too long")
    return path.read_text(encoding="utf-8")


def _tar(file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Have tar work on ``file``. Raises Infrastructure where it or a compressor is missing."""
    # Words of the user's own would do other things; a name with a colon is no other machine's.
    done = run(
        ["tar", "--force-local", f"--file={file.absolute()}", *words],
        deadline=DEADLINE, environment={"TAR_OPTIONS": "", "LC_ALL": "C"}, check=False,
    )  # fmt: skip
    if "Cannot exec" in done.stderr:
        raise Infrastructure(
            "a program that compresses is missing",
            detail=tail(done.stderr),
            hint="underlay doctor; a file whose name ends in .tar needs none",
        )
    return done


def _compressor(file: Path) -> list[str]:
    """Return tar's words for the compressor that the name of ``file`` asks for."""
    for suffix, arguments in COMPRESSORS.items():
        if file.name.endswith(suffix):
            return [f"--use-compress-program={' '.join(arguments)}"] if arguments else []
    raise BadInput(
        f"{file.name} does not say how to compress it",
        hint=f"end it in {', '.join(COMPRESSORS)}",
    )
