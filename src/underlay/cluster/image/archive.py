"""An image as one file, to carry it to another machine: written whole, read with proof.

The file is a tar, compressed as its name says. ``image.json`` comes first, then the
image's files, and last ``SHA256SUMS``, which names every one of them. Nothing of it is
in place before all of it has been read and each sum is right.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from underlay.cluster.boot_files import COPY
from underlay.cluster.image.build import Image, lock
from underlay.errors import BadInput, Infrastructure, UnderlayError
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMPRESSORS = {
    ".tar.zst": ("zstd", "--quiet", "--threads=0", "-3"),
    ".tar.gz": ("gzip", "-1", "--no-name"),
    ".tgz": ("gzip", "-1", "--no-name"),
    ".tar": ("cat",),
}
# The first bytes of a compressed file (RFC 1952, RFC 8878) tell what reads it.
MAGIC = {b"\x1f\x8b": ("gzip", "-dc"), b"\x28\xb5\x2f\xfd": ("zstd", "--quiet", "-dc")}
DEADLINE = 1800.0
END_DEADLINE = 60.0
CHUNK = 1 << 16
BUFFER = 1 << 20
ZEROS = bytes(CHUNK)
FACTS, SUMS = "image.json", "SHA256SUMS"
KEY = re.compile(r"[0-9a-f]{16}")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


def export(image: Image, file: Path) -> None:
    """Write ``image`` to ``file``, whole or not at all; the same image gives the same bytes.

    Raises BadInput where the name of ``file`` ends in none of ``COMPRESSORS`` or can't
    be written, Infrastructure where the compressor is missing or fails.
    """
    arguments = _compressor(file)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    except OSError as error:
        raise BadInput(f"cannot write {file}: {error.strerror}") from error
    fresh = Path(name)
    try:
        with (
            os.fdopen(handle, "wb") as output,
            _piped(arguments, Infrastructure, stdin=subprocess.PIPE, stdout=output) as process,
        ):
            assert process.stdin is not None
            with process.stdin, _tar(process.stdin, "w|") as tar:
                _pack(tar, image)
        fresh.chmod(0o644)
        fresh.rename(file)
    finally:
        fresh.unlink(missing_ok=True)


def import_(file: Path, progress: Callable[[str], None]) -> tuple[Image, bool]:
    """Put the image in ``file`` into the cache; return it, and whether it wasn't there before.

    Raises BadInput where ``file`` is no image or any sum is wrong; the cache is as it
    was then. ``progress`` is told when another command holds the cache.
    """
    folder = paths.cache() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with (
        lock(folder / ".lock", progress),
        # The prefix is that of builds, so that the next one removes what a kill left.
        tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as name,
    ):
        work = Path(name)
        try:
            with _opened(file) as tar:
                key = _unpack(tar, work)
        except (tarfile.TarError, EOFError, ValueError, KeyError) as error:
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


def _pack(tar: tarfile.TarFile, image: Image) -> None:
    # The virtual machines' copy is made anew wherever it is wanted.
    files = [p for p in image.folder.rglob("*") if p.is_file() and p.name != COPY]
    names = {str(path.relative_to(image.folder)): path for path in files}
    sums = ""
    for name in [FACTS, *sorted(names.keys() - {FACTS})]:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = names[name].stat().st_size, names[name].stat().st_mode & 0o777
        with names[name].open("rb") as content:
            summed = _Summed(content)
            tar.addfile(entry, summed)
        sums += f"{summed.digest.hexdigest()}  {name}\n"
    entry = tarfile.TarInfo(SUMS)
    entry.size, entry.mode = len(sums), 0o644
    tar.addfile(entry, io.BytesIO(sums.encode()))


def _unpack(tar: tarfile.TarFile, work: Path) -> str:
    """Write the archive's files to ``work`` and return the image's key.

    Raises ValueError with what is wrong; only plain files of plain names are taken.
    """
    sums: dict[str, str] = {}
    wanted: dict[str, str] | None = None
    for entry in tar:
        content = tar.extractfile(entry) if entry.isreg() else None
        if content is None or not NAME.fullmatch(entry.name) or entry.name in sums:
            raise ValueError(f"unexpected {entry.name!r}")
        if not sums and entry.name != FACTS:
            raise ValueError(f"{FACTS} is not the first file in it")
        if wanted is not None:
            raise ValueError(f"{entry.name!r} follows the sums")
        if entry.name == SUMS:
            lines = content.read(CHUNK).decode().splitlines()
            wanted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
            continue
        sums[entry.name] = _write(content, work / entry.name, entry.mode)
    if wanted is None:
        raise ValueError("it ends too early")
    wrong = sorted(name for name in sums.keys() | wanted if sums.get(name) != wanted.get(name))
    if wrong:
        raise ValueError(f"wrong content of {', '.join(wrong)}")
    key = str(json.loads((work / FACTS).read_text(encoding="utf-8"))["key"])
    if not KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of an image")
    return key


def _write(content: IO[bytes], path: Path, mode: int) -> str:
    """Write ``content`` with holes for zeros, which is most of a disk; return its SHA-256."""
    digest = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            if chunk == ZEROS:
                file.seek(CHUNK, os.SEEK_CUR)
            else:
                file.write(chunk)
        file.truncate()
    path.chmod(mode & 0o755)
    return digest.hexdigest()


def _tar(stream: IO[bytes], mode: Literal["r|", "w|"]) -> tarfile.TarFile:
    """Open a tar in a pipe; tarfile's own buffers of 10 KiB make it slow."""
    tar: tarfile.TarFile = tarfile.open(  # noqa: SIM115 -- the callers close it
        fileobj=stream, mode=mode, bufsize=BUFFER
    )
    tar.copybufsize = CHUNK  # type: ignore[attr-defined]  # typeshed lacks it
    return tar


class _Summed:
    """A file that is summed up while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next ``size`` bytes."""
        data = self.file.read(size)
        self.digest.update(data)
        return data


def _compressor(file: Path) -> tuple[str, ...]:
    for suffix, arguments in COMPRESSORS.items():
        if file.name.endswith(suffix):
            return arguments
    raise BadInput(
        f"{file.name} does not say how to compress it",
        hint=f"end it in {', '.join(COMPRESSORS)}",
    )


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        # Unbuffered: the reader goes on where this process has left the file.
        source = file.open("rb", buffering=0)
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror}") from error
    with source:
        start = source.read(4)
        source.seek(0)
        reader = next(
            (words for magic, words in MAGIC.items() if start.startswith(magic)), ("cat",)
        )
        with _piped(reader, BadInput, stdin=source, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            with process.stdout, _tar(process.stdout, "r|") as tar:
                yield tar
                # To the end, or the reader would find its pipe closed and fail.
                while process.stdout.read(CHUNK):
                    pass


@contextmanager
def _piped(
    arguments: tuple[str, ...],
    failure: type[UnderlayError],
    *,
    stdin: IO[bytes] | int,
    stdout: IO[bytes] | int,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program between two streams; raise ``failure`` where it fails."""
    try:
        process = subprocess.Popen(arguments, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
    except OSError as error:
        hint = f"install {arguments[0]}, or choose a name that ends in .tar.gz"
        raise Infrastructure(f"{arguments[0]}: {error.strerror}", hint=hint) from error
    watch = threading.Timer(DEADLINE, process.kill)
    watch.start()
    try:
        yield process
        assert process.stderr is not None
        said = process.stderr.read().decode(errors="replace").strip()
        if process.wait(timeout=END_DEADLINE):
            raise failure(f"{arguments[0]} failed", detail=said)
    except BrokenPipeError as error:
        raise Infrastructure(f"{arguments[0]} ended too early") from error
    finally:
        watch.cancel()
        if process.poll() is None:
            process.kill()
            process.wait(timeout=END_DEADLINE)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
