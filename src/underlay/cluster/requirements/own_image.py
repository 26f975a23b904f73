"""What an image of the user's own must hold: the rows of ``underlay doctor --image FILE``.

The file is read by debugfs, without root and without mounting it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from underlay.cluster.process import run
from underlay.cluster.requirements.machine import SBIN, Row, row
from underlay.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE = 60.0
MODULES = "/usr/lib/modules"
MODULE_FILES = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")
DRIVERS = {
    "macvlan": "kernel/drivers/net/macvlan",
    "ipvlan": "kernel/drivers/net/ipvlan/ipvlan",
    "8021q": "kernel/net/8021q/8021q",
}


@dataclass(frozen=True)
class Need:
    """Something that an image must hold: any one of ``paths``."""

    what: str
    why: str
    fix: str
    paths: tuple[str, ...]


NEEDS = (
    Need("systemd", "it starts everything", "install systemd-sysv",
         ("/usr/lib/systemd/systemd",)),
    Need("networkd", "cloud-init hands it the NICs", "install systemd, enable systemd-networkd",
         ("/usr/lib/systemd/systemd-networkd",)),
    Need("cloud-init", "it reads the seed", "install cloud-init",
         ("/usr/bin/cloud-init",)),
    Need("ssh server", "Underlay and Vagrant come in by ssh", "install openssh-server",
         ("/usr/sbin/sshd",)),
    Need("ssh host key", "cloud-init is told to keep it", "ssh-keygen -A in the image",
         ("/etc/ssh/ssh_host_ed25519_key",)),
    Need("sudo", "probes run as root", "install sudo", ("/usr/bin/sudo",)),
    Need("python3", "the probe is a Python program", "install python3", ("/usr/bin/python3",)),
    Need("ip", "containers get their namespaces by it", "install iproute2",
         ("/usr/bin/ip", "/usr/sbin/ip")),
    Need("crun", "it starts CNI containers", "install crun", ("/usr/bin/crun",)),
    Need("CNI macvlan", "networks of runtime cni use it", "install containernetworking-plugins",
         ("/usr/lib/cni/macvlan", "/opt/cni/bin/macvlan")),
    Need("CNI ipvlan", "networks of runtime cni use it", "install containernetworking-plugins",
         ("/usr/lib/cni/ipvlan", "/opt/cni/bin/ipvlan")),
    Need("Docker", "networks of runtime docker use it", "install docker.io, enable docker.socket",
         ("/usr/sbin/dockerd", "/usr/bin/dockerd")),
    Need("libcni program", "the node program calls it",
         "go build image/cni, as /usr/libexec/underlay/cni",
         ("/usr/libexec/underlay/cni",)),
    Need("containers' root", "it is what containers run from",
         "unpack a static busybox with its applets there",
         ("/usr/share/underlay/rootfs/bin/busybox",)),
    Need("Docker's layer", "Docker containers are made of it", "tar the containers' root there",
         ("/usr/share/underlay/busybox.tar",)),
)  # fmt: skip


def examine(file: Path) -> list[Row]:
    """Return a row for everything that the image ``file`` must hold.

    Raises BadInput where there is no such file.
    """
    if not file.is_file():
        raise BadInput(f"there is no file {file}", hint="underlay doctor --image FILE")
    system = _file_system(file)
    if not system.ok:
        return [system]
    releases = names(file, MODULES)
    wanted = [path for need in NEEDS for path in need.paths]
    wanted += [path for release in releases for name in DRIVERS for path in drivers(release, name)]
    present = list_present(file, wanted)
    return [system, *(_row(need, present) for need in NEEDS), *_modules(releases, present)]


def _file_system(file: Path) -> Row:
    said = debugfs(file, ["show_super_stats -h"])
    found = re.search(r"^Filesystem volume name: +(.*)$", said, re.MULTILINE)
    return row(
        "file system",
        f"ext4, label {found.group(1)}" if found else "not ext4",
        bool(found),
        "ext4 without a partition table, as a raw file",
        f"qemu-img convert -O raw {file.name} FILE, then copy its root partition",
    )


def _row(need: Need, present: set[str]) -> Row:
    found = next((path for path in need.paths if path in present), "")
    lacking = f"no {' or '.join(need.paths)}"
    return row(need.what, found or lacking, bool(found), need.why, need.fix)


def _modules(releases: list[str], present: set[str]) -> list[Row]:
    """Every kernel in the image has the drivers; which one is booted is not the image's to say."""
    rows = []
    for name in DRIVERS:
        lacking = [r for r in releases if not present.intersection(drivers(r, name))]
        ok = bool(releases) and not lacking
        found = f"for {', '.join(releases)}" if ok else f"not for {', '.join(lacking or ['any'])}"
        fix = f"copy the modules of the kernel that boots it to {MODULES}"
        rows.append(row(f"module {name}", found, ok, "nodes load it", fix))
    return rows


def drivers(release: str, name: str) -> list[str]:
    """Return where a driver's module may be, of the kernel ``release``."""
    return [f"{MODULES}/{release}/{DRIVERS[name]}{end}" for end in MODULE_FILES]


def list_present(file: Path, paths: list[str]) -> set[str]:
    """Return those of ``paths`` that the image has; debugfs prints a heading per request."""
    said = debugfs(file, [f'stat "{path}"' for path in paths])
    parts = re.split(r'^debugfs: +stat "([^"]*)"\n', said, flags=re.MULTILINE)
    return {path for path, text in zip(parts[1::2], parts[2::2], strict=True) if "Inode:" in text}


def names(file: Path, folder: str) -> list[str]:
    """Return the names in a folder of the image; none where there is no such folder."""
    said = debugfs(file, [f"ls -p {folder}"])
    found = [line.split("/")[5] for line in said.splitlines() if line.count("/") >= 6]
    return sorted(name for name in found if name not in (".", ".."))


def debugfs(file: Path, requests: list[str]) -> str:
    """Return what debugfs says to ``requests`` about the image, with a heading for each."""
    done = run(
        ["debugfs", "-f", "-", str(file)],
        deadline=DEADLINE,
        environment=SBIN,
        input_text="\n".join(requests) + "\n",
        check=False,
    )
    return done.stdout
