"""What is laid over the fresh root of an image.

The recipe's files, the CNI runtime program, the kernel's modules, and the containers' image.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from underlay.cluster.image.recipe import BOOT, BUSYBOX, MODULES, kernel_release, mode
from underlay.cluster.process import run, tail, with_its_starter
from underlay.errors import Infrastructure
from underlay.storage import paths, temporary

GO_PATH = "/usr/share/gocode"
COMPILE_DEADLINE = 300.0
COMPILE = ("go", "build", "-trimpath", "-ldflags=-s -w", "-o")


def compile_cni(output: Path) -> None:
    """Compile image/cni/main.go to ``output`` against Debian's libcni, without a network.

    Raises Infrastructure where Go is missing or can't.
    """
    with temporary.folder("go") as scratch:
        settings = {
            "GO111MODULE": "off",
            "GOPATH": GO_PATH,
            "GOFLAGS": "",
            "CGO_ENABLED": "0",
            "GOCACHE": str(scratch),
            "TMPDIR": str(scratch),
        }
        done = run(
            with_its_starter([*COMPILE, str(output), "main.go"]), deadline=COMPILE_DEADLINE,
            environment=settings, folder=paths.root() / "image" / "cni", check=False, name="go",
        )  # fmt: skip
    if done.returncode:
        raise Infrastructure("the CNI runtime program can't be compiled", detail=tail(done.stderr))


def pack(output: Path, cni: Path) -> None:
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
