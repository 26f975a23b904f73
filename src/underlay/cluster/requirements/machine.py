"""What a machine must have to run labs: one function per row of ``underlay doctor``."""

from __future__ import annotations

import getpass
import glob
import os
import platform
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.process import run
from underlay.cluster.providers.uml.sandbox import UNSHARE, available_kib, memory_kib
from underlay.cluster.requirements.container import RESTRICTION, engine, missing, tun_hint
from underlay.errors import UnderlayError, reason
from underlay.storage.paths import cache, programs, root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GIB = 1 << 30
DISK_NEEDED = 3 * GIB
MEMORY_NEEDED = 2 * GIB
SUBORDINATE_IDS = 65536
OLDEST_PYTHON = (3, 11)
OLDEST_VAGRANT = (2, 3)
# The first that fills a file system from a tar file (its release notes: e2fsprogs 1.47.1).
OLDEST_MKE2FS = (1, 47, 1)
DEADLINE = 20.0

# Ordinary users' PATH leaves out the folders where Debian keeps ip and mke2fs.
SBIN = {"PATH": programs()}
WIRING = (
    "ip link add doctor0 type bridge && ip tuntap add dev doctor1 mode tap"
    " && ip link set doctor1 master doctor0"
)
# Relative to the root of the machine that is looked at, which tests replace by one of their own.
HERE = Path("/")
# What no container can change.
OUTSIDE = "on the machine that the container is on: "
# Settings that keep user namespaces from everybody: 0 in any of them does.
FORBIDDING = ("user/max_user_namespaces", "kernel/unprivileged_userns_clone")


@dataclass(frozen=True)
class Row:
    """One fact about this machine. ``fix`` is a command or a change; empty where ``ok``."""

    what: str
    found: str
    needed: str
    fix: str
    ok: bool


def package_rows(listed: str = "packages.txt") -> Iterator[Row]:
    """Yield a row per package of the list; only its probe is looked at, not dpkg."""
    for package, probe, why in packages(listed):
        found = _find(probe)
        fix = f"sudo apt-get install --no-install-recommends {package}"
        yield row(package, found or f"no {probe}", bool(found), f"it {why}", fix)


def packages(listed: str = "packages.txt") -> list[tuple[str, str, str]]:
    """Return (package, probe, what it is for) for each line of a list at the root."""
    lines = (root() / listed).read_text(encoding="utf-8").splitlines()
    split = [line.split(None, 2) for line in lines if line.strip() and line[0] != "#"]
    return [(package, probe, why) for package, probe, why in split]


def python() -> Row:
    """Whether this Python is new enough."""
    return row(
        "Python",
        platform.python_version(),
        sys.version_info >= OLDEST_PYTHON,
        "3.11 or newer",
        "use Debian 12 or 13, or remove .venv after installing a newer /usr/bin/python3",
    )


def mke2fs() -> Row:
    """Whether mke2fs can fill a file system from a tar file."""
    said = _said(["mke2fs", "-V"])
    numbers = said.split()[1].split(".") if len(said.split()) > 1 else []
    version = tuple(int(n) for n in numbers if n.isdigit())
    needed = ".".join(map(str, OLDEST_MKE2FS))
    return row(
        "mke2fs -d", said, version >= OLDEST_MKE2FS, f"{needed} or newer", "Debian 13 has it"
    )


def vagrant() -> Row:
    """Whether Vagrant starts at all, for its Ruby may be broken, and is new enough."""
    said = _said(["vagrant", "--version"])
    found = vagrant_version(said)
    new = found is not None and found >= OLDEST_VAGRANT
    oldest = ".".join(map(str, OLDEST_VAGRANT))
    fix = (
        f"use Debian 12 or 13, which have {oldest}"
        if found
        else "sudo apt-get install --reinstall vagrant"
    )
    return row("Vagrant runs", said, new, f"Vagrant {oldest} or newer", fix)


def vagrant_version(said: str) -> tuple[int, int] | None:
    """Return Vagrant's version from what `vagrant --version` prints; None where it says none."""
    found = re.fullmatch(r"Vagrant (\d+)\.(\d+).*", said)
    return (int(found[1]), int(found[2])) if found else None


def container(root: Path = HERE) -> Row | None:
    """Whether podman or Docker, in whose container this is, lets labs in; None outside of one."""
    found = engine(root)
    if found is None:
        return None
    flags = missing(found, root)
    lacking = " ".join(flags)
    return row(
        "container",
        f"{found.name}'s, started without {lacking}" if lacking else f"{found.name}'s",
        not lacking,
        "what labs need and a container hasn't by default",
        f"start it anew: {found.name} run {shlex.join(flags)} …",
    )


def sandbox() -> Row:
    """Whether this user may make the namespaces that a lab lives in."""
    failure = _failure([*UNSHARE, "true"])
    return row(
        "sandbox",
        failure or "user, network, mount and PID namespaces can be made",
        not failure,
        "user namespaces (a plain chroot forbids them, and so do some containers)",
        _sandbox_fix(),
    )


def _sandbox_fix() -> str:
    rows = (check() for check in (container, user_namespaces, app_armor))
    if any(found is not None and not found.ok for found in rows):
        return "see the rows around this one"
    return "leave the chroot or container"


def user_namespaces(root: Path = HERE) -> Row | None:
    """Whether a setting forbids user namespaces altogether; None where none does."""
    for name in FORBIDDING:
        if _read(root / "proc/sys" / name) == "0":
            setting = name.replace("/", ".")
            value = 15000 if "max" in name else 1
            fix = f"sudo sysctl -w {setting}={value}; to keep it: a line in /etc/sysctl.d"
            return row("user namespaces", f"{setting} is 0", False, f"{setting} above 0", fix)
    return None


def app_armor(root: Path = HERE) -> Row | None:
    """Whether AppArmor keeps ordinary users from namespaces, as Ubuntu does from 23.10 on.

    None on kernels without that setting. Source: Ubuntu's security notes on
    unprivileged user namespace restrictions.
    """
    setting = _read(root / RESTRICTION)
    if not setting:
        return None
    restricted = setting == "1"
    inside = engine(root)
    found = "restricts user namespaces" if restricted else "leaves user namespaces alone"
    return row(
        "AppArmor",
        found,
        # It doesn't bind root, but a container's root need not be one that it doesn't bind.
        not restricted or (os.geteuid() == 0 and not (inside and _failure([*UNSHARE, "true"]))),
        "user namespaces for ordinary users",
        f"{OUTSIDE if inside else ''}"
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0;"
        " to keep it: the same line in /etc/sysctl.d/60-underlay.conf",
    )


def tun(root: Path = HERE) -> Row:
    """Whether this user may open /dev/net/tun, through which a node's NIC is wired."""
    try:
        os.close(os.open(root / "dev/net/tun", os.O_RDWR))
    except FileNotFoundError:
        found, fix = "is missing", tun_hint(root)
    except OSError as error:
        where = OUTSIDE if engine(root) else ""
        found, fix = f"cannot be opened: {reason(error)}", f"{where}sudo chmod 0666 /dev/net/tun"
    else:
        found, fix = "can be opened", ""
    return row("/dev/net/tun", found, not fix, "readable and writable for this user", fix)


def wiring() -> Row:
    """Whether a bridge and a tap can be made in a sandbox: segments consist of nothing else."""
    failure = _failure([*UNSHARE, "sh", "-c", WIRING])
    where = OUTSIDE if engine() else ""
    inside = container()
    fix = f"{where}sudo modprobe -a bridge tun; sudo chmod 0666 /dev/net/tun"
    return row(
        "bridge and tap",
        failure or "can be made in a sandbox",
        not failure,
        "the drivers bridge and tun, usable by this user",
        fix if inside is None or inside.ok else "see the rows above",
    )


def subordinate_ids() -> Row | None:
    """Whether this user has user and group ids to hand out, as mmdebstrap needs; None for root."""
    if os.geteuid() == 0:
        return None
    user = getpass.getuser()
    lacking = [f for f in ("/etc/subuid", "/etc/subgid") if _granted(Path(f), user) < 1]
    return row(
        "subuid and subgid",
        f"{user} has none in {' and '.join(lacking)}" if lacking else f"{user} has them",
        not lacking,
        f"{SUBORDINATE_IDS} ids each, with which an image is built without root",
        f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}",
    )


def disk() -> Row:
    """Whether the cache has room for an image and the nodes' changes to it."""
    folder = next(p for p in (cache(), *cache().parents) if p.exists())
    free = shutil.disk_usage(folder).free
    fix = "set XDG_CACHE_HOME to a folder with more room"
    return row(f"room in {cache()}", _gib(free), free >= DISK_NEEDED, _gib(DISK_NEEDED), fix)


def memory(root: Path = HERE) -> Row:
    """Whether enough memory is free for three nodes and a build."""
    free = available_kib(root) * 1024
    fix = "end other programs, or lower `memory` under `nodes` in the lab file"
    if free < memory_kib(root)["MemAvailable"] * 1024:
        fix = "start the container with more --memory, or none"
    return row("free memory", _gib(free), free >= MEMORY_NEEDED, _gib(MEMORY_NEEDED), fix)


def image() -> Row:
    """Whether the nodes' image is cached; well either way, for the first `up` builds it."""
    from underlay.cluster.image.build import current

    try:
        found = current()
    except UnderlayError as error:
        return row("image", error.message, False, "what it is built from", error.hint)
    said = f"cached in {found.folder}" if found.exists else "not built yet; the first `up` does it"
    return row("image", said, True, "", "")


CHECKS: tuple[Callable[[], Row | None], ...] = (
    python, mke2fs, vagrant, container, sandbox, user_namespaces, app_armor, tun, wiring,
    subordinate_ids, disk, memory, image,
)  # fmt: skip


def row(what: str, found: str, ok: bool, needed: str, fix: str) -> Row:
    """Return a row that says how to mend what it is about where that isn't ``ok``."""
    return Row(what, found, needed, "" if ok else fix, ok)


def _find(probe: str) -> str:
    """Where a package's probe is: a path, perhaps with wildcards, or a command's name."""
    if probe.startswith("/"):
        return next(iter(sorted(glob.glob(probe))), "")
    return shutil.which(probe, path=SBIN["PATH"]) or ""


def _read(file: Path) -> str:
    """What a setting of the kernel says; empty where this kernel doesn't have it."""
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _said(arguments: list[str]) -> str:
    """The first line that a command prints about itself; why not, where it can't be run."""
    try:
        result = run(arguments, deadline=DEADLINE, environment=SBIN, check=False)
    except UnderlayError as error:
        return error.message
    lines = (result.stdout + result.stderr).strip().splitlines()
    return lines[0] if lines else "prints nothing"


def _failure(arguments: list[str]) -> str:
    """The last line that a failing command said; empty where it succeeded."""
    try:
        result = run(arguments, deadline=DEADLINE, environment=SBIN, check=False)
    except UnderlayError as error:
        return error.message
    if result.returncode == 0:
        return ""
    lines = result.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit code {result.returncode}"


def _granted(file: Path, user: str) -> int:
    """How many subordinate ids ``file`` grants; subuid(5) allows the name or the number."""
    try:
        rows = [line.split(":") for line in file.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return 0
    owners = (user, str(os.getuid()))
    return sum(int(row[2]) for row in rows if len(row) == 3 and row[0] in owners)


def _gib(number: int) -> str:
    return f"{number / GIB:.1f} GiB"
