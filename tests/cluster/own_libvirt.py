"""A libvirtd of the tests' own, in network, mount and PID namespaces that end with it.

No bridge, dnsmasq, firewall rule, domain or socket of it is ever seen on this machine:
it has its own interfaces, its own /run, /etc/libvirt and /var/lib/libvirt. Needs root.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_DEADLINE = 60.0
UNSHARE = (
    "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
    "--propagation", "private", "--",
)  # fmt: skip

# Without systemd there is nobody who would hand it cgroups, and as root it may read every cache.
SETTINGS = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
"""
# Members of the group get in without polkit, which needs a system bus; libvirt's own way elsewhere.
DAEMON_SETTINGS = """\
unix_sock_group = "libvirt"
unix_sock_rw_perms = "0770"
auth_unix_rw = "none"
"""
SCRIPT = """
export PATH="$PATH:/usr/sbin:/sbin"
ip link set lo up
for folder in /run /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
    mount -t tmpfs -o mode=0755 tmpfs "$folder"
done
mkdir -p /run/lock /var/lib/libvirt/dnsmasq /var/lib/libvirt/images /var/log/libvirt/qemu
printf '%s' "$1" >/etc/libvirt/qemu.conf
printf '%s' "$2" >/etc/libvirt/libvirtd.conf
virtlogd --daemon
libvirtd --daemon
tries=0
until virsh --connect qemu:///system list >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || { echo "libvirtd does not answer" >&2; exit 1; }
    sleep 0.1
done
echo ready
# The first process of these namespaces: reaps what daemons leave, until it is killed.
while :; do sleep 3600 & wait $!; done
"""


class OwnLibvirt:
    """The daemon's namespaces, by the process that holds them."""

    def __init__(self, process: subprocess.Popen[str], inside: int) -> None:
        self.process = process
        self.inside = inside

    def enter(self, folder: Path, *command: str) -> list[str]:
        """Return what runs ``command`` in ``folder`` where this libvirtd is."""
        namespaces = ["--net", "--mount", "--pid", f"--wdns={folder}"]
        return ["nsenter", "--target", str(self.inside), *namespaces, "--", *command]


@contextmanager
def own_libvirt() -> Iterator[OwnLibvirt]:
    """Start the daemon and hand out its namespaces; nothing is left of them afterwards."""
    process = subprocess.Popen(
        [*UNSHARE, "sh", "-euc", SCRIPT, "own-libvirt", SETTINGS, DAEMON_SETTINGS],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "libvirtd could not be started"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield OwnLibvirt(process, int(children[0]))
    finally:
        process.kill()
        process.wait(timeout=START_DEADLINE)
