"""Nodes' images of older Debian suites: what a machine that nobody has upgraded has on it.

Each is a real root of its suite from this machine's own mirror, with its Python, iproute2, sudo and
sshd, so that nothing on it is of the suite that Underlay is made for. Over it lies what a lean node
needs to be a lab's: the kernel's modules, the libcni program and the containers' root.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from cluster.commands import run
from underlay.cluster.image import build as image

DEADLINE = 1800.0
HOOKS = Path("/usr/share/mmdebstrap/hooks")
# What machines have that carry containers of CNI's and namespaces of iproute2's.
PACKAGES = (
    "systemd-sysv", "kmod", "netbase", "sudo", "openssh-server", "python3", "iproute2",
    "containernetworking-plugins", "crun", "iputils-ping", "iputils-arping", "tcpdump", "iptables",
    "nftables", "procps", "conntrack", "ethtool", "busybox-static",
)  # fmt: skip
# What image/setup.sh does, as far as a lean node is about it.
SETUP = """\
for release in /usr/lib/modules/*; do depmod "${release##*/}"; done
mkdir -p /usr/share/underlay/rootfs /etc/rkt/net.d /etc/cni
tar -C /usr/share/underlay/rootfs -xf /usr/share/underlay/busybox.tar
ln -s ../rkt/net.d /etc/cni/net.d
update-alternatives --quiet --set iptables /usr/sbin/iptables-legacy
update-alternatives --quiet --set ip6tables /usr/sbin/ip6tables-legacy
chmod 440 /etc/sudoers.d/underlay
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
ssh-keygen -q -t ed25519 -N '' -C node -f /etc/ssh/ssh_host_ed25519_key
printf '' >/etc/resolv.conf
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /usr/libexec/underlay/setup
LC_ALL=C find / -xdev -name '*[! -~]*' -delete
"""


@dataclass(frozen=True)
class Suite:
    """A suite of Debian's by its ``name``, and which ``python`` its python3 is, as 3.9.

    ``merging`` are mmdebstrap's words for /bin and /lib as its installer made them, links to those
    of /usr; ``more`` are packages of its own.
    """

    name: str
    python: str
    merging: str
    more: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}-{self.python}"


# The oldest suite brings PyPy, too, an interpreter that is older than what Underlay needs.
OLD_PYPY = "/usr/bin/pypy3"
BULLSEYE = Suite(
    "bullseye", "3.9", f"--extract-hook={HOOKS / 'merged-usr' / 'extract00.sh'}", ("pypy3",)
)
BOOKWORM = Suite("bookworm", "3.11", f"--hook-dir={HOOKS / 'maybe-merged-usr'}")


def disk_of(suite: Suite, folder: Path) -> Path:
    """Make the image of ``suite`` in ``folder``, and return it."""
    overlay, root = folder / "overlay.tar", folder / "root.tar"
    image.pack(overlay, image.current().cni, image.compile_preloads())
    words = [
        "mmdebstrap",
        "--variant=minbase",
        "--format=tar",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude=/usr/share/{kind}/*" for kind in ("doc", "man", "locale")),
        suite.merging,
        f"--include={','.join((*PACKAGES, *suite.more))}",
        f"--customize-hook=tar-in {shlex.quote(str(overlay))} /",
        f'--customize-hook=chroot "$1" /bin/sh -euc {shlex.quote(SETUP)}',
        suite.name,
        str(root),
        mirror(),
    ]
    _done(words, folder)
    disk = folder / f"{suite.name}.ext4"
    environment = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    words = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0"]
    _done([*words, "-d", str(root), str(disk), image.SIZE], folder, PATH=environment)
    overlay.unlink()
    root.unlink()
    return disk


def mirror() -> str:
    """Return where this machine's own packages come from, as its apt knows it."""
    words = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)",
             "Created-By: Packages"]  # fmt: skip
    done = run(words, folder=Path("/"), deadline=60)
    rows = [line.split() for line in done.out.splitlines()]
    found = [row[1] for row in rows if row[0] == image.SUITE]
    assert found, str(done)
    return found[0]


def _done(words: list[str], folder: Path, **environment: str) -> None:
    done = run(words, folder=folder, deadline=DEADLINE, environment=environment)
    assert done.code == 0, str(done)
