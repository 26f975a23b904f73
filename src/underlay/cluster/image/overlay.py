"""What is laid over the fresh root of an image: made while Debian's packages are installed.

The recipe's files, the CNI runtime program, the kernel's modules, and the containers' image.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.image.recipe import BOOT, BUSYBOX, MODULES, kernel_release, mode
from underlay.cluster.process import end_group, tail, with_its_starter
from underlay.errors import Infrastructure
from underlay.storage import paths, temporary

if TYPE_CHECKING:
    from collections.abc import Iterator

GO_PATH = "/usr/share/gocode"
COMPILE_DEADLINE = 300.0
COMPILE = ("go", "build", "-trimpath", "-ldflags=-s -w", "-o")
INTERVAL = 0.05


@contextmanager
def overlaid(work: Path) -> Iterator[Path]:
    """Make the overlay beside the block; yield the pipe that whoever is in it reads it from.

    The pipe is ``work/overlay.tar``, and ``work/cni`` the compiled program afterwards. The
    reader waits until all is made, or reads nothing where it can't be. Raises Infrastructure
    then, also in place of the reader's own complaint.
    """
    pipe = work / "overlay.tar"
    os.mkfifo(pipe)
    stopped = threading.Event()
    with (
        temporary.folder("go") as scratch,
        ThreadPoolExecutor(1) as pool,
    ):
        compiler = _compiler(work / "cni", str(scratch))
        made = pool.submit(_make, compiler, work, pipe, stopped)
        try:
            yield pipe
        finally:
            stopped.set()
            if compiler.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(compiler.pid, signal.SIGKILL)
            made.result()
            pipe.unlink()


def _compiler(output: Path, scratch: str) -> subprocess.Popen[str]:
    """Start compiling image/cni/main.go against Debian's libcni, without a network."""
    settings = {
        "GO111MODULE": "off",
        "GOPATH": GO_PATH,
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
        "GOCACHE": scratch,
        "TMPDIR": scratch,
    }
    try:
        return subprocess.Popen(
            with_its_starter([*COMPILE, str(output), "main.go"]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=paths.root() / "image" / "cni",
            env={**os.environ, **settings},
            start_new_session=True,
        )
    except OSError as error:
        raise Infrastructure(
            f"setpriv cannot be run: {error.strerror}", hint="underlay doctor"
        ) from error


def _make(
    compiler: subprocess.Popen[str], work: Path, pipe: Path, stopped: threading.Event
) -> None:
    packed = work / ".overlay.tar"
    try:
        try:
            _, said = compiler.communicate(timeout=COMPILE_DEADLINE)
        except subprocess.TimeoutExpired:
            end_group(compiler)
            said = f"not done within {COMPILE_DEADLINE:.0f} s"
        if compiler.returncode and not stopped.is_set():
            raise Infrastructure("the CNI runtime program can't be compiled", detail=tail(said))
        if not compiler.returncode:
            _pack(packed, work / "cni")
    finally:
        _hand_over(packed, pipe, stopped)
        packed.unlink(missing_ok=True)


def _hand_over(packed: Path, pipe: Path, stopped: threading.Event) -> None:
    """Write ``packed`` to the pipe's reader as soon as there is one; nothing if it is missing."""
    while not stopped.is_set():
        try:
            end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            time.sleep(INTERVAL)
            continue
        os.set_blocking(end, True)
        with (
            suppress(BrokenPipeError, FileNotFoundError),
            open(end, "wb") as writer,
            packed.open("rb") as reader,
        ):
            shutil.copyfileobj(reader, writer)
        return


def _pack(output: Path, cni: Path) -> None:
    """Write the tar that is laid over the fresh root: owners, modes and times are fixed."""
    recipe = paths.root() / "image"
    with tarfile.open(output, "w") as tar:
        for path in sorted((recipe / "files").rglob("*")):
            if path.is_file():
                _add(tar, str(path.relative_to(recipe / "files")), path.read_bytes(), mode(path))
        _add(tar, "usr/libexec/underlay/cni", cni.read_bytes(), 0o755)
        _add(tar, "usr/libexec/underlay/setup", (recipe / "setup.sh").read_bytes(), 0o755)
        for path in sorted((recipe / "boot").iterdir()):
            _add(tar, f"{BOOT[1:]}/{path.name}", path.read_bytes(), mode(path))
        _add(tar, "usr/share/underlay/busybox.tar", _busybox(), 0o644)
        modules = MODULES / kernel_release()
        for path in sorted(modules.rglob("*")):
            if path.is_file():
                inside = f"usr/lib/modules/{modules.name}/{path.relative_to(modules)}"
                _add(tar, inside, path.read_bytes(), 0o644)


def _busybox() -> bytes:
    """The container image: a static busybox under the names of its applets, and no more."""
    applets = subprocess.run(
        [str(BUSYBOX), "--list"], capture_output=True, text=True, timeout=10, check=True
    ).stdout.split()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for folder in ("bin", "dev", "etc", "proc", "root", "sys", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        _add(tar, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
        for applet in applets:
            if applet != "busybox":
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
    return data.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))
