"""Machines that the engine under test doesn't know: it has an inventory of them, and no more.

They are nodes of a lab that another checkout has up. Its own way in is the fixture's hand: it makes
a plain user there, changes what a test wants changed, and lists what a machine has on it.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from socket import inet_ntoa

import pytest
from ruamel.yaml import YAML

from cluster.commands import Done, clean_environment, run
from cluster.running import Checkout, Lab
from underlay.cluster.access import run_in
from underlay.cluster.happening import happen
from underlay.cluster.state.lab import read_state
from underlay.storage.paths import HOME

# Two segments, as in the default lab, and containers that lean nodes can run.
RACK = """\
name: rack
nodes: {count: 3, profile: lean}
segments:
  lan: {subnet: 192.168.70.0/24}
  wan: {subnet: 192.168.80.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: cni}
  ipnet: {driver: ipvlan, segment: wan, subnet: 30.1.1.0/24, runtime: iproute2}
containers:
  - {on: all, networks: [lannet]}
  - {on: all, networks: [ipnet]}
"""
USER = "visitor"
EVERYTHING = f"{USER} ALL=(ALL) NOPASSWD: ALL"
SSH_DEADLINE = 120.0
SCRIPT_DEADLINE = 300.0
# Who may send echo requests: systemd says so (sysctl.d/50-default.conf), and lean nodes have none.
ANYBODY = "0 2147483647"
# And sudo makes a folder for its time stamps when somebody first asks it.
KEPT_BY_NO_FILE = f"""
install -d -m 711 /run/sudo
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
echo '{ANYBODY}' >/proc/sys/net/ipv4/ping_group_range
"""
# The user is nobody in particular: no group, no password, no right to become anybody else.
ACCOUNT = f"""
id {USER} >/dev/null 2>&1 || useradd --create-home --shell /bin/sh --password '*' {USER}
install -d -m 700 -o {USER} /home/{USER}/.ssh
cat >/home/{USER}/.ssh/authorized_keys
chown {USER} /home/{USER}/.ssh/authorized_keys
chmod 600 /home/{USER}/.ssh/authorized_keys
{KEPT_BY_NO_FILE}
"""
SUDOERS = "/etc/sudoers.d/visitor"
INSTALL = f"""
cat >{SUDOERS}.new
chmod 440 {SUDOERS}.new
visudo --check --quiet --file {SUDOERS}.new
mv {SUDOERS}.new {SUDOERS}
"""
# What a machine is, as far as anybody may change it: never what time changes. Bytes are sorted
# and settings read as files: words of a language and `sysctl` took a node several times as long.
LISTING = r"""
export LC_ALL=C
spaces=$(ls /run/netns 2>/dev/null || true)
for space in '' $spaces; do
    in=${space:+ip netns exec $space}
    echo "== ${space:-machine}"
    $in ip -details link | sed -E 's/(state|qlen|group) .*//; /^ +RX|^ +TX/d'
    $in ip address | grep -vE 'valid_lft'
    for family in -4 -6; do
        $in ip $family route show table all | sed -E 's/expires [0-9]+sec//' | sort
        $in ip $family rule
    done
    $in grep -rs . /proc/sys/net |
        grep -vE 'stat|random|secret|file-nr|fs\.|_count|nf_conntrack_(count|max)|netdev_rss' | sort
    $in nft list ruleset 2>/dev/null || true
done
echo '== files'
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /var/log -o -path /var/cache \) \
    -prune -o -printf '%p %y %m %U %s\n' | grep -vE '/(\.cache/ansible|journal)' | sort
find /run -xdev -not -path '/run/user/*' -not -path '/run/utmp' -not -path '/run/sudo/*' \
    -printf '%p %y %m %U\n' | sort
find /tmp /dev/shm /var/tmp -printf '%p %y %m %U\n' | sort
echo '== processes'
ps -eo user=,args= | grep -vE ' \[|ps -eo|sshd|sudo|find |sort$|sh -euc|sed |systemd-|\(sd-pam\)' |
    grep -vE '^root +sleep|/usr/lib/systemd' | sort
"""


@dataclass(frozen=True)
class Foreign:
    """Machines by their ``inventory``: ``names`` in order, which ssh reaches as ``USER``.

    ``lab`` is how the fixture gets at them as root, and at their switch; no test hands that to the
    engine. ``key`` is the user's own. ``listed`` are those that are looked at for what a command
    has changed: all in the full proof, and every day one, since the same is done to each and a list
    of all its files costs a node more than the measurement does.
    """

    inventory: Path
    lab: Lab
    key: Path
    names: tuple[str, ...]
    listed: tuple[str, ...]

    def root(self, name: str, script: str, *arguments: str) -> str:
        """Run a shell script as root on a machine, by the fixture's hand."""
        return self.lab.shell(name, script, *arguments)

    def switch(self, script: str, *arguments: str) -> str:
        """Run a shell script where the segments' bridges are, which are called as segments are."""
        return self.lab.shell("switch", script, *arguments)

    def ssh(self, name: str, *words: str) -> Done:
        """Run ``words`` on a machine as the inventory's user: what anybody can do there."""
        document = YAML(typ="safe").load(self.inventory.read_text())
        common, host = document["all"]["vars"], document["all"]["hosts"][name]
        key, port = common["ansible_ssh_private_key_file"], str(host["ansible_port"])
        options = ["-F", "none", "-o", "BatchMode=yes", "-i", key, "-p", port]
        options += ["-l", common["ansible_user"], *shlex.split(host["ansible_ssh_common_args"])]
        command = ["ssh", *options, host["ansible_host"], shlex.join(words)]
        return run(command, folder=self.inventory.parent, deadline=SSH_DEADLINE)

    def everywhere(self, scripts: Mapping[str, str]) -> dict[str, str]:
        """Run each machine's shell script as root, on all at once; return what they print."""
        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as threads:
            patch.setenv(HOME, str(self.lab.checkout.root / ".underlay"))
            state = read_state(self.lab.name)
            assert state is not None

            def ran(name: str) -> str:
                words = ["sh", "-euc", scripts[name]]
                done = run_in(state, name, words, deadline=SCRIPT_DEADLINE)
                assert done.returncode == 0, f"{name}:\n{done.stdout}\n{done.stderr}"
                return str(done.stdout)

            return dict(zip(scripts, threads.map(ran, scripts), strict=True))

    def listing(self) -> dict[str, str]:
        """Return links, addresses, routes, settings, files and processes of ``listed`` machines."""
        return self.everywhere(dict.fromkeys(self.listed, LISTING))

    def install(self, path: str, text: str) -> None:
        """Put a program at ``path`` on all machines, as an administrator does: only root writes."""
        for name in self.names:
            script = f"cat >{path}.new; chmod 755 {path}.new; mv {path}.new {path}"
            done = self.lab.verb("exec", name, "--", "sh", "-euc", script, text=text)
            assert done.code == 0, str(done)

    @contextmanager
    def sudoers(self, *lines: str) -> Iterator[None]:
        """Have ``lines`` in the sudoers of all machines, as an administrator puts them there."""
        text = "".join(f"{line}\n" for line in lines)
        for name in self.names:
            done = self.lab.verb("exec", name, "--", "sh", "-euc", INSTALL, text=text)
            assert done.code == 0, str(done)
        try:
            yield
        finally:
            for name in self.names:
                self.root(name, f"rm -f {SUDOERS}")

    def reboot(self, name: str) -> None:
        """Have a machine boot again from its own disk, and wait until it is there."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(HOME, str(self.lab.checkout.root / ".underlay"))
            state = read_state(self.lab.name)
            assert state is not None
            done = happen(state, "reboot", name, ())
        assert not done.failed, done
        # What the account is made with and no file keeps.
        self.root(name, KEPT_BY_NO_FILE)

    @contextmanager
    def without(self, folder: Path, *names: str) -> Iterator[Path]:
        """Hand out an inventory in ``folder`` that lacks the machines ``names``."""
        yaml = YAML(typ="safe")
        document = yaml.load(self.inventory.read_text())
        for name in names:
            del document["all"]["hosts"][name]
        file = folder / "fewer.yml"
        with file.open("w") as open_file:
            yaml.dump(document, open_file)
        yield file

    def captured_at_switch(self) -> Capture:
        """Capture what comes to the ports of all segments; see Capture."""
        return Capture(self)


@dataclass(frozen=True)
class Heard:
    """A packet at a port of the switch: ``kind`` is arp, icmp, tcp, udp or a number.

    ``opens`` says that it is TCP's first segment; ``text`` is the beginning of what it carries.
    """

    port: str
    kind: str
    source: str
    destination: str
    source_port: int = 0
    opens: bool = False
    text: bytes = b""


class Capture:
    """What passes the switch while the block runs, by which port it came there: ``heard``."""

    def __init__(self, machines: Foreign) -> None:
        self.heard: list[Heard] = []
        lab = machines.lab
        self._command = [str(lab.checkout.root / "underlay"), "exec", "--lab", lab.name]
        self._command += ["switch", "--", "python3", "-I", "-S", "-c", SNIFFER]
        self._folder = lab.checkout.root
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Capture:
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=clean_environment(),
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        time.sleep(0.5)  # what has been sent has arrived by then
        out, _err = self._process.communicate("", timeout=60)
        rows = (line.split() for line in out.splitlines())
        self.heard = [heard(port, bytes.fromhex(frame)) for port, frame in rows]


# Runs where the bridges are, until its standard input ends.
SNIFFER = """
import os, select, socket, sys
made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
print("ready", flush=True)
over = False
while not over:
    found, _, _ = select.select([0, made], [], [])
    over = 0 in found and not os.read(0, 1)
    if made in found:
        data, place = made.recvfrom(256)
        # What comes to a port, once: bridges have it as well, and so has the port it leaves by.
        if place[2] != 4 and data[12:14] in (b"\\x08\\x00", b"\\x08\\x06"):
            print(place[0], data.hex())
"""


def heard(port: str, frame: bytes) -> Heard:
    """Return what a frame with an ARP or IPv4 packet says."""
    body = frame[14:]
    if frame[12:14] == b"\x08\x06":
        return Heard(port, "arp", inet_ntoa(body[14:18]), inet_ntoa(body[24:28]))
    inside = body[(body[0] & 15) * 4 :]
    kind = {1: "icmp", 6: "tcp", 17: "udp"}.get(body[9], str(body[9]))
    opens = kind == "tcp" and inside[13] & 0x12 == 0x02
    own = int.from_bytes(inside[:2], "big") if kind in ("tcp", "udp") else 0
    places = inet_ntoa(body[12:16]), inet_ntoa(body[16:20])
    return Heard(port, kind, *places, own, opens, inside[8:])


@contextmanager
def foreign_machines(
    checkout: Checkout,
    folder: Path,
    name: str,
    text: str,
    *,
    list_all: bool = True,
    provider: str = "uml",
) -> Iterator[Foreign]:
    """Yield the nodes of the lab file ``text`` as machines that nobody knows; end the lab after.

    ``checkout`` is to be one of the fixture's own: the engine under test runs in another.
    """
    file = folder / f"{name}.yml"
    file.write_text(text)
    lab = Lab(checkout, name, file)
    try:
        done = lab.up("--provider", provider)
        assert done.code == 0, str(done)
        found = _with_visitor(lab, folder)
        yield replace(found, listed=found.names) if list_all else found
    finally:
        checkout.underlay("down", "--all")


def _with_visitor(lab: Lab, folder: Path) -> Foreign:
    """Make the plain user on all nodes of ``lab``, and write the inventory that leads to it."""
    key = folder / "visitor"
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", USER, "-f", str(key)]
    subprocess.run(made, check=True, timeout=60)
    public = key.with_suffix(".pub").read_text()
    known = folder / "known_hosts"
    hosts, seen = {}, []
    for node in lab.plan.nodes:
        address = str(node.management.address.ip)
        done = lab.verb("exec", node.name, "--", "sh", "-euc", ACCOUNT, text=public)
        assert done.code == 0, str(done)
        for line in lab.shell(node.name, "cat /etc/ssh/ssh_host_*_key.pub").splitlines():
            seen.append(f"{address} {' '.join(line.split()[:2])}\n")
        hosts[node.name] = {
            "ansible_host": address,
            "ansible_port": 22,
            "ansible_ssh_common_args": shlex.join(
                [
                    "-o",
                    f"UserKnownHostsFile={known}",
                    "-o",
                    f"ProxyCommand={_proxy(lab, node.name)}",
                ]
            ),
        }
    known.write_text("".join(seen))
    inventory = folder / "inventory.yml"
    shared = {"ansible_user": USER, "ansible_ssh_private_key_file": str(key)}
    with inventory.open("w") as open_file:
        YAML(typ="safe").dump({"all": {"vars": shared, "hosts": hosts}}, open_file)
    return Foreign(inventory, lab, key, tuple(hosts), tuple(hosts)[:1])


def _proxy(lab: Lab, node: str) -> str:
    """Return the command that leads to a node's port, as ssh itself reads it of the lab."""
    command = ["ssh", "-G", "-F", str(lab.state / "ssh_config"), node]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    found = [line for line in done.stdout.splitlines() if line.startswith("proxycommand ")]
    return found[0].partition(" ")[2]
