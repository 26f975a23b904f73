"""The container that Underlay runs in, if it does, and what its engine withholds from labs there.

A lab is a sandbox of namespaces with taps in it. What podman and Docker withhold of that by
default, and with which flag they give it, was measured: docs/containers-and-ci.md has the runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.process import run
from underlay.errors import UnderlayError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 20.0
TUN = "dev/net/tun"
TUN_FLAG = "--device=/dev/net/tun"
# The same for both engines, whose own names for it differ by history alone.
NAMESPACES_FLAG = "--security-opt=seccomp=unconfined"
ROOT_FLAG = "--cap-add=SETFCAP"
APP_ARMOR_FLAG = "--security-opt=apparmor=unconfined"
SELINUX_FLAG = "--security-opt=label=disable"
# Ubuntu's setting: namespaces can be made, and nothing be done in them. No flag changes that.
RESTRICTION = "proc/sys/kernel/apparmor_restrict_unprivileged_userns"
# Relative to the root that is looked at, which tests replace by one of their own.
HERE = Path("/")


@dataclass(frozen=True)
class Engine:
    """A program that runs containers.

    ``mark`` is a file that it puts in each of them, and ``proc`` its flag that leaves /proc as it
    is: where parts are hidden or read-only, the kernel lets nobody in a user namespace mount a
    whole one (Linux fs/namespace.c, mount_too_revealing).
    """

    name: str
    mark: str
    proc: str


ENGINES = (
    Engine("podman", "run/.containerenv", "--security-opt=unmask=/proc/*"),
    Engine("docker", ".dockerenv", "--security-opt=systempaths=unconfined"),
)


def engine(root: Path = HERE) -> Engine | None:
    """Return the engine in whose container this runs; None outside of containers.

    Another engine's containers can't be told from a machine, and count as one.
    """
    return next((each for each in ENGINES if (root / each.mark).exists()), None)


def missing(found: Engine, root: Path = HERE) -> list[str]:
    """Return the flags that a container of ``found`` was started without and that labs need.

    Each is looked for by itself, so that all are told at once and not one after the other.
    """
    return list(_missing(found, root))


def _missing(found: Engine, root: Path) -> Iterator[str]:
    if not (root / TUN).exists():
        yield TUN_FLAG
    if hidden(root):
        yield found.proc
    if not _can("true"):
        yield NAMESPACES_FLAG
    elif restricted(root):
        return
    elif not _can("--map-root-user", "true"):
        yield ROOT_FLAG
    elif not _can("--map-root-user", "--mount", "true"):
        yield SELINUX_FLAG if ":" in confined_by(root) else APP_ARMOR_FLAG


def restricted(root: Path = HERE) -> bool:
    """Whether AppArmor keeps namespaces of whoever isn't the machine's root from being of use."""
    try:
        return (root / RESTRICTION).read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False


def hidden(root: Path = HERE) -> list[str]:
    """Return what of /proc is covered by mounts: by hiding, or by making it read-only."""
    try:
        lines = (root / "proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    # proc_pid_mountinfo(5): the fifth field is the mount point.
    return [point for line in lines if (point := line.split()[4]).startswith("/proc/")]


def confined_by(root: Path = HERE) -> str:
    """Return the label or profile that this process has; empty where there is neither.

    SELinux's has colons (``system_u:system_r:container_t:s0``), AppArmor's hasn't
    (``docker-default (enforce)``).
    """
    try:
        said = (root / "proc/self/attr/current").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    return said.strip("\0\n ")


def tun_hint(root: Path = HERE) -> str:
    """Return what mends a missing /dev/net/tun, on a machine or in a container."""
    found = engine(root)
    if found is None:
        return "sudo modprobe tun"
    return f"start the container with {TUN_FLAG}"


def _can(*arguments: str) -> bool:
    """Whether unshare(1) makes a user namespace with these further ``arguments``."""
    try:
        done = run(["unshare", "--user", *arguments], deadline=DEADLINE, check=False)
    except UnderlayError:
        return False
    return done.returncode == 0
