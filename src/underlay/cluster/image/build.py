"""The image that nodes boot: Debian, built here without root or KVM, cached by content.

Its name is the hash of everything that goes into it, so that a changed recipe makes another
image and an unchanged one is never built twice. Over the packages are laid the recipe's files,
the CNI runtime program, the kernel's modules, and the containers' image.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shlex
import shutil
import stat
import struct
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.cluster.process import run, tail, with_its_starter
from underlay.errors import BadInput, Infrastructure, did_you_mean, listed, nearest
from underlay.storage import locks, paths, temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

# Where the packages are unpacked.
UNPACKED = Path("/var/tmp")
BUILD_DEADLINE = 1800.0
FORMAT = 1

# The steps of mmdebstrap that take their time; its other lines are about itself.
WORTH_SHOWING = ("downloading packages", "extracting", "installing", "creating tarball")
SUITE = "trixie"
SIZE = "3G"
KERNEL = Path("/usr/bin/linux.uml")
MODULES = Path("/usr/lib/uml/modules")
BUSYBOX = Path("/bin/busybox")
BOOT = "/usr/share/underlay/boot"
GO_PATH = "/usr/share/gocode"
COMPILE_DEADLINE = 300.0
# elf(5), for 64 bits: where the table of program headers is, how many there are, and one of them.
E_PHOFF, E_PHNUM, HEADER = 32, 56, struct.Struct("<IIQQQQQQ")
PT_GNU_STACK, PF_R, PF_W = 0x6474E551, 4, 2
COMPILE = ("go", "build", "-trimpath", "-ldflags=-s -w", "-o")


@dataclass(frozen=True)
class Image:
    """A built image: ``disk`` is ext4 without a partition table, ``cni`` the libcni program."""

    key: str
    folder: Path

    @property
    def disk(self) -> Path:
        """The root file system, opened read-only by nodes."""
        return self.folder / "root.ext4"

    @property
    def kernel(self) -> Path:
        """The kernel of virtual machines; User Mode Linux is a program of this host."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initrd that mounts the root for ``kernel``."""
        return self.folder / "initrd"

    @property
    def cni(self) -> Path:
        """The libcni program of the image, for use on this host."""
        return self.folder / "cni"

    @property
    def exists(self) -> bool:
        """Whether the image has been built completely."""
        return (self.folder / "image.json").exists()

    def check(self) -> None:
        """Raise Infrastructure where the cache's copy was cut or emptied since it was built.

        Sizes tell, and cost nothing; sums of gigabytes before each start would.
        """
        wrong = [path.name for path in (self.disk, self.cni) if not self._whole(path)]
        if wrong or _facts(self).get("key") != self.key:
            raise Infrastructure(
                f"the image {self.key} is damaged: {', '.join(wrong) or 'image.json'}",
                hint="underlay image build --force",
            )

    def _whole(self, path: Path) -> bool:
        expected = _facts(self).get("sizes", {}).get(path.name)
        try:
            size = path.stat().st_size
        except OSError:
            return False
        return size == expected if expected is not None else size > 0


def current() -> Image:
    """Return the image that this checkout asks for, built or not."""
    digest = hashlib.sha256(f"{FORMAT} {SUITE} {SIZE}\n".encode())
    recipe = paths.root() / "image"
    for path in sorted(p for p in recipe.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(recipe)} {mode(path):o}\n".encode())
        digest.update(path.read_bytes())
    for outside in (KERNEL, BUSYBOX):
        digest.update(_identity(outside).encode())
    key = digest.hexdigest()[:16]
    return Image(key, paths.cache() / "images" / key)


def ensure(progress: Callable[[str], None], *, anew: bool = False) -> Image:
    """Return the current image, building it first where it is missing, or in any case ``anew``.

    ``progress`` is handed a line per step. Raises Infrastructure when a build
    tool is missing or fails; a half-built image is never left in place.
    """
    image = current()
    if image.exists and not anew:
        image.check()
        return image
    with lock(progress):
        if anew or not image.exists:
            _build(image, progress)
    return image


def _facts(image: Image) -> dict[str, Any]:
    """Return what is recorded about a built image; nothing where that can't be read."""
    try:
        facts = json.loads((image.folder / "image.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _build(image: Image, progress: Callable[[str], None]) -> None:
    # Only a build needs it, and `underlay --version` asks for an image's key.
    from underlay.cluster.image.licences import built_from

    _remove_abandoned(image.folder.parent)
    _check_room(image.folder.parent, 3072, "set XDG_CACHE_HOME to a folder with more room")
    with tempfile.TemporaryDirectory(prefix=".building-", dir=image.folder.parent) as name:
        work = Path(name)
        _make(work, listed_packages(), progress)
        facts = {
            "key": image.key,
            "suite": SUITE,
            "kernel": kernel_release(),
            "built_from": built_from(),
            "sizes": {path.name: path.stat().st_size for path in sorted(work.iterdir())},
        }
        (work / "image.json").write_text(json.dumps(facts, indent=2) + "\n")
        work.chmod(0o755)
        shutil.rmtree(image.folder, ignore_errors=True)
        finished = image.folder
        os.rename(work, finished)
        work.mkdir()


def build_file(
    file: Path,
    progress: Callable[[str], None],
    *,
    added: Sequence[str] = (),
    left_out: Sequence[str] = (),
) -> None:
    """Write the root file system of another image to ``file``, from today's packages.

    It is of the same recipe, with packages ``added`` and others ``left_out``, and nodes boot it
    only where they are told to. Raises BadInput for a package to leave out that the recipe doesn't
    name, or that others of it need; Infrastructure where the image can't be built.
    """
    from underlay.cluster.image.licences import installed

    packages = listed_packages()
    for name in left_out:
        if name not in packages:
            near = did_you_mean(nearest(name, packages))
            raise BadInput(
                f"--without {name}: image/packages.txt has no such package",
                hint=near or f"one of {', '.join(packages)}",
            )
    _check_room(file.parent, 3072, "write it to a folder with more room")
    wanted = [name for name in (*packages, *added) if name not in left_out]
    with temporary.beside(file) as work:
        _make(work, wanted, progress)
        has = {package for package, *_ in installed((work / "status").read_text("utf-8"))}
        if still := sorted(has.intersection(left_out)):
            raise BadInput(
                f"--without {listed(still)}: other packages need it, and it is in the image all"
                " the same",
                hint=f"apt-cache rdepends --installed {still[0]}  names them",
            )
        (work / "root.ext4").rename(file)


def listed_packages() -> list[str]:
    """Return the packages that the recipe names."""
    lines = (paths.root() / "image" / "packages.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _make(work: Path, packages: Sequence[str], progress: Callable[[str], None]) -> None:
    """Make all files of an image in the folder ``work``."""
    _check_room(UNPACKED, 1536, f"make room in {UNPACKED}")
    progress("image: compiling the CNI runtime program")
    compile_cni(work / "cni")
    overlay = work / "overlay.tar"
    pack(overlay, work / "cni", compile_preloads())
    progress("image: installing Debian packages (about a minute)")
    _bootstrap(work, overlay, packages, progress)
    overlay.unlink()
    progress("image: writing the root file system")
    _write_disk(work)
    (work / "root.tar").unlink()


def _check_room(folder: Path, needed: int, hint: str) -> None:
    room = shutil.disk_usage(folder).free >> 20
    if room < needed:
        raise Infrastructure(
            f"{folder} has {room} MiB free, an image build needs {needed} MiB", hint=hint
        )


def _bootstrap(
    work: Path, overlay: Path, packages: Sequence[str], progress: Callable[[str], None]
) -> None:
    target = shlex.quote(str(work))
    arguments = [
        "mmdebstrap",
        "--variant=minbase",
        "--format=tar",
        '--aptopt=APT::Install-Recommends "false"',
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        f"--include={','.join(packages)}",
        f"--customize-hook=tar-in {shlex.quote(str(overlay))} /",
        '--customize-hook=chroot "$1" /bin/sh /usr/libexec/underlay/setup',
        '--customize-hook=rm "$1/usr/libexec/underlay/setup"',
        f"--customize-hook=copy-out {BOOT}/out/vmlinuz {BOOT}/out/initrd {target}",
        f'--customize-hook=rm -r "$1{BOOT}"',
        f"--customize-hook=copy-out /var/lib/dpkg/status {target}",
        SUITE,
        str(work / "root.tar"),
    ]

    def show(line: str) -> None:
        words = line.removeprefix("I: ")
        if words.startswith(WORTH_SHOWING):
            progress(f"image: {words.rstrip('.')}")

    with temporary.folder("image", inside=UNPACKED) as folder:
        # Without root, mmdebstrap works as users of its own, to whom this home may be closed.
        folder.chmod(0o755)
        environment = {
            "TMPDIR": str(folder),
            # The kernel's package would have initramfs-tools make one of its own.
            "INITRD": "No",
        }
        done = run(
            with_its_starter(arguments), deadline=BUILD_DEADLINE, environment=environment,
            on_line=show, check=False, name=arguments[0],
        )  # fmt: skip
    if done.returncode:
        raise _failed(done.returncode, done.stderr)


def _failed(code: int, said: str) -> Infrastructure:
    """Return the error of a failed mmdebstrap, whose reason is far above its last words."""
    message = f"mmdebstrap failed with exit code {code}"
    no_room = [line for line in said.splitlines() if os.strerror(errno.ENOSPC) in line]
    if no_room:
        return Infrastructure(message, detail=no_room[0].strip(), hint=f"make room in {UNPACKED}")
    return Infrastructure(message, detail=tail(said))


def _write_disk(work: Path) -> None:
    disk = str(work / "root.ext4")
    run(
        ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-L", "underlay",
         "-E", "root_owner=0:0", "-d", str(work / "root.tar"), disk, SIZE],
        deadline=BUILD_DEADLINE,
        environment={"PATH": paths.programs()},
    )  # fmt: skip
    os.chmod(disk, 0o444)


def _identity(path: Path) -> str:
    """A cheap stand-in for a system file's content: packages never change both in place."""
    try:
        facts = path.stat()
    except OSError as error:
        raise Infrastructure(f"{path} is missing", hint="underlay doctor") from error
    return f"{path} {facts.st_size} {int(facts.st_mtime)}\n"


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed builds left; the lock is held, so none of them is alive."""
    for leftover in folder.glob(".building-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def lock(progress: Callable[[str], None]) -> AbstractContextManager[None]:
    """Hold the lock on the cache of images; ``progress`` is told when somebody else does."""
    return locks.held(
        paths.cache() / "images" / ".lock",
        "builds or imports an image",
        deadline=2 * BUILD_DEADLINE,
        waiting=lambda words: progress(f"image: {words}"),
        # Older checkouts share this cache, and don't look whether the file that they lock is
        # still there.
        kept=True,
    )


def kernel_release() -> str:
    """Return the release of the User Mode Linux kernel installed here, such as 6.12.113."""
    releases = sorted(p.name for p in MODULES.iterdir()) if MODULES.is_dir() else []
    if not releases:
        raise Infrastructure(f"{MODULES} has no kernel modules", hint="underlay doctor")
    return releases[-1]


def mode(path: Path) -> int:
    """Return the mode that a file of the recipe has in the image."""
    return 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644


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


def compile_preloads() -> dict[str, bytes]:
    """Return the libraries that programs are started with on nodes, by name: image/preload/*.c.

    Raises Infrastructure where tcc is missing or can't.
    """
    found = {}
    with temporary.folder("tcc") as scratch:
        for source in sorted((paths.root() / "image" / "preload").glob("*.c")):
            library = scratch / f"{source.stem}.so"
            words = ["tcc", "-shared", "-nostdlib", "-o", str(library), str(source)]
            run(words, deadline=COMPILE_DEADLINE)
            found[library.name] = without_executable_stack(library.read_bytes())
    return found


def without_executable_stack(library: bytes) -> bytes:
    """Return an ELF file for x86-64 that doesn't ask for an executable stack.

    tcc writes no PT_GNU_STACK, which is to ask for one, and the C library of Debian 13 loads no
    auditor that does. The table of headers with one more is put at the file's end: between those
    of tcc and what follows there is no room.
    """
    (headers,) = struct.unpack_from("<Q", library, E_PHOFF)
    (count,) = struct.unpack_from("<H", library, E_PHNUM)
    padding = bytes(-len(library) % HEADER.size)
    table = library[headers : headers + count * HEADER.size]
    changed = bytearray(library + padding + table)
    changed += HEADER.pack(PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16)
    struct.pack_into("<Q", changed, E_PHOFF, len(library) + len(padding))
    struct.pack_into("<H", changed, E_PHNUM, count + 1)
    return bytes(changed)


def pack(output: Path, cni: Path, preloads: Mapping[str, bytes]) -> None:
    """Write the tar that is laid over the fresh root: owners, modes and times are fixed."""
    recipe = paths.root() / "image"
    with tarfile.open(output, "w") as tar:
        for path in sorted((recipe / "files").rglob("*")):
            if path.is_file():
                add(tar, str(path.relative_to(recipe / "files")), path.read_bytes(), mode(path))
        add(tar, "usr/libexec/underlay/cni", cni.read_bytes(), 0o755)
        for name, library in preloads.items():
            add(tar, f"usr/libexec/underlay/{name}", library, 0o755)
        add(tar, "usr/libexec/underlay/setup", (recipe / "setup.sh").read_bytes(), 0o755)
        for path in sorted((recipe / "boot").iterdir()):
            add(tar, f"{BOOT[1:]}/{path.name}", path.read_bytes(), mode(path))
        add(tar, "usr/share/underlay/busybox.tar", _busybox(), 0o644)
        modules = MODULES / kernel_release()
        for path in sorted(modules.rglob("*")):
            if path.is_file():
                inside = f"usr/lib/modules/{modules.name}/{path.relative_to(modules)}"
                add(tar, inside, path.read_bytes(), 0o644)


def _busybox() -> bytes:
    """The container image: a static busybox under the names of its applets, and no more."""
    applets = subprocess.run(
        [str(BUSYBOX), "--list"], capture_output=True, text=True, timeout=10, check=True
    ).stdout.split()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for folder in ("bin", "dev", "etc", "proc", "root", "sys", "tmp"):
            add(tar, folder, None, 0o755)
        add(tar, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
        add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
        for applet in applets:
            if applet != "busybox":
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
    return data.getvalue()


def add(
    tar: tarfile.TarFile, name: str, data: bytes | None, mode: int = 0o644, owner: int = 0
) -> None:
    """Add a file to ``tar``, or a folder where there is no ``data``; times are fixed."""
    entry = tarfile.TarInfo(name)
    entry.mode, entry.uid, entry.gid = mode, owner, owner
    if data is None:
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
        return
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
