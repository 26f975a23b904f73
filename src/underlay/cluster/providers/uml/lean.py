"""A lean node: the full one's kernel, image and node program, but no systemd, cloud-init or Docker.

What cloud-init reads from a NoCloud ISO comes as a tar file in its place, on the same disk:
the kernel starts a shell that lays it over the root and goes on with ``lean.sh`` out of it.
So an image needn't be built anew when any of this changes, and a box of the user's own works.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.image.build import add
from underlay.cluster.node_files import PROGRAM_FILE, files_of, program
from underlay.cluster.providers.uml import wiring
from underlay.cluster.providers.uml.account import add_account, with_account

if TYPE_CHECKING:
    from underlay.plan import Plan, PlannedNode

PROFILE = "lean"
SCRIPT = Path(__file__).with_name("lean.sh")
SEED = "usr/share/underlay/seed"
# The kernel hands on what stands after `--`. devtmpfs is mounted already by some kernels.
FIRST = f"[ -b /dev/ubdb ] || mount -t devtmpfs dev /dev; tar -xf /dev/ubdb -C / && . /{SEED}/start"
# systemd's own mounts, as far as containers and ssh need them.
MOUNTS = """\
sysfs /sys sysfs nosuid,nodev,noexec 0 0
tmpfs /run tmpfs nosuid,nodev,mode=755 0 0
devpts /dev/pts devpts nosuid,noexec,gid=5,mode=600 0 0
tmpfs /dev/shm tmpfs nosuid,nodev 0 0
cgroup2 /sys/fs/cgroup cgroup2 nosuid,nodev,noexec 0 0
"""


def first_process() -> list[str]:
    """Return the words that end a lean kernel's command line."""
    return ["init=/bin/sh", "--", "-c", f'"{FIRST}"']


def make_lean_seed(plan: Plan, node: PlannedNode, files: Path, output: Path) -> None:
    """Write the tar file that makes a root the one of ``node``, from its rendered ``files``."""
    name, script = node.name, with_account(SCRIPT, plan)
    with tarfile.open(output, "w") as tar:
        for folder, mode in (("dev/pts", 0o755), ("dev/shm", 0o755)):
            add(tar, folder, None, mode)
        add(tar, f"{SEED}/start", script)
        add(tar, f"{SEED}/fstab", MOUNTS.encode())
        add(tar, f"{SEED}/links", "".join(f"{line}\n" for line in links(node)).encode())
        add(tar, "etc/hostname", f"{name}\n".encode())
        hosts = f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {name}\n"
        add(tar, "etc/hosts", hosts.encode())
        add_account(tar, plan)
        is_switch = node == plan.switch
        first = wiring.machine_program(plan) if is_switch else program()
        add(tar, PROGRAM_FILE[1:], first, 0o755)
        for path, content in () if is_switch else files_of(files).items():
            add(tar, path[1:], content.encode())


def links(node: PlannedNode) -> list[str]:
    """Return ip's lines that name the NICs and open management; the node program does the rest."""
    lines = ["link set lo up"]
    management = node.management
    cards = [(management.interface, management.mtu), *((n, nic.mtu) for n, _, nic in node.cards)]
    for number, (name, mtu) in enumerate(cards):
        lines.append(f"link set vec{number} name {name}")
        lines.append(f"link set {name} mtu {mtu}")
    for nic in node.nics:
        if nic.bond:
            lines.append(f"link add {nic.interface} type bond mode {nic.bond} miimon 100")
        # Members have to be down to become that; the bond takes them up.
        lines += [f"link set {m.interface} master {nic.interface}" for m in nic.members]
    lines.append(f"address add {management.address} broadcast + dev {management.interface}")
    return [*lines, f"link set {management.interface} up"]
