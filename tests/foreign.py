"""Machines that the engine under test doesn't know: it has an inventory of them, and no more.

They are nodes of a lab that another checkout has up. Its own way in is the fixture's hand: it makes
a plain user there, changes what a test wants changed, and lists what a machine has on it.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from cluster.commands import Done, clean_environment, run
from cluster.running import Checkout, Lab

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
SSH_DEADLINE = 120.0
# The user is nobody in particular: no group, no password, no right to become anybody else.
ACCOUNT = f"""
id {USER} >/dev/null 2>&1 || useradd --create-home --shell /bin/sh --password '*' {USER}
install -d -m 700 -o {USER} /home/{USER}/.ssh
cat >/home/{USER}/.ssh/authorized_keys
chown {USER} /home/{USER}/.ssh/authorized_keys
chmod 600 /home/{USER}/.ssh/authorized_keys
"""
SUDOERS = "/etc/sudoers.d/visitor"
INSTALL = f"""
cat >{SUDOERS}.new
chmod 440 {SUDOERS}.new
visudo --check --quiet --file {SUDOERS}.new
mv {SUDOERS}.new {SUDOERS}
"""
# What a machine is, as far as anybody may change it: never what time alone changes.
LISTING = r"""
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
    $in sysctl -a 2>/dev/null | grep -E '^net\.' |
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
    engine. ``key`` is the user's own.
    """

    inventory: Path
    lab: Lab
    key: Path
    names: tuple[str, ...]

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

    def listing(self, names: Sequence[str] = ()) -> dict[str, str]:
        """Return links, addresses, routes, settings, files and processes of each machine."""
        return {name: self.root(name, LISTING) for name in names or self.names}

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

    def captured_at_switch(self, bridge: str, filter_words: Sequence[str]) -> Capture:
        """Start to capture what passes a segment's bridge; see Capture."""
        return Capture(self, bridge, filter_words)


class Capture:
    """Frames that pass the switch while the block runs; ``lines`` are tcpdump's, one a frame."""

    def __init__(self, machines: Foreign, bridge: str, filter_words: Sequence[str]) -> None:
        self.lines: list[str] = []
        words = ["tcpdump", "-n", "-l", "-e", "--immediate-mode", "-i", bridge, *filter_words]
        lab = machines.lab
        self._command = [str(lab.checkout.root / "underlay"), "exec", "--lab", lab.name]
        self._command += ["switch", "--", *words]
        self._folder = lab.checkout.root
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Capture:
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=clean_environment(),
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "listening on" in line:
                return self
        raise AssertionError("tcpdump does not listen at the switch")

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        time.sleep(0.5)  # what has been sent has arrived, and is written by then
        self._process.terminate()
        try:
            out, _err = self._process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            out, _err = self._process.communicate()
        self.lines = [line for line in out.splitlines() if line.strip()]


@contextmanager
def foreign_machines(checkout: Checkout, folder: Path, name: str, text: str) -> Iterator[Foreign]:
    """Yield the nodes of the lab file ``text`` as machines that nobody knows; end the lab after.

    ``checkout`` is to be one of the fixture's own: the engine under test runs in another.
    """
    file = folder / f"{name}.yml"
    file.write_text(text)
    lab = Lab(checkout, name, file)
    try:
        done = lab.up()
        assert done.code == 0, str(done)
        yield _with_visitor(lab, folder)
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
    return Foreign(inventory, lab, key, tuple(hosts))


def _proxy(lab: Lab, node: str) -> str:
    """Return the command that leads to a node's port, as ssh itself reads it of the lab."""
    command = ["ssh", "-G", "-F", str(lab.state / "ssh_config"), node]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    found = [line for line in done.stdout.splitlines() if line.startswith("proxycommand ")]
    return found[0].partition(" ")[2]
