"""Which rights one has on machines that exist: whether ssh gets there, and what may run there."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from underlay.cluster.machines import LEAST, NEEDED
from underlay.observe.pinned import PATH, digest

if TYPE_CHECKING:
    from underlay.cluster.machines import Answered, Ways

DEADLINE = 45.0
# Asks sudo what it would allow, and runs nothing by it. Echo requests are as reader.py sends them:
# by a socket of its own, else by a ping that may, which asks that machine itself.
SCRIPT = """\
echo user $(id -un)
echo python $({python} -c 'import sys; print(sys.version.split()[0])' 2>/dev/null)
icmp=none
if {python} -c 'import socket; socket.socket(2, 2, 1)' 2>/dev/null; then icmp=datagram
elif LC_ALL=C ping -n -c 1 -W 1 127.0.0.1 2>/dev/null | grep -q ' 1 received'; then icmp=ping; fi
echo icmp $icmp
echo digest $(sha256sum {path} 2>/dev/null)
sudo -n -l {path} >/dev/null 2>&1; echo sudo $?
echo uid $(id -u)
sudo -n -l sh >/dev/null 2>&1; echo shell $?
echo listed
LC_ALL=C sudo -n -ll 2>/dev/null
exit 0
"""
# sudo's own words in its long listing, sudo(8): an entry begins so, and asks for no password.
ENTRY, NO_PASSWORD = "Sudoers entry:", "!authenticate"
OTHER_PYTHON = "install it there, or name another by ansible_python_interpreter in the inventory"
Icmp = Literal["datagram", "ping", "none"]
Probe = Literal["allowed", "not there", "another version", "not allowed"]


@dataclass(frozen=True)
class Rights:
    """What one may do on a machine: ``tier`` is the most, and ``error`` why there is nothing.

    ``icmp`` is how this user may send echo requests there, without which a reader has no such
    rows, and nobody the largest packet between machines. ``everything`` says that sudo lets the
    user do all, without a password. ``hint`` says what would allow more.
    """

    name: str
    address: str
    user: str = ""
    python: str = ""
    probe: Probe = "not there"
    icmp: Icmp = "none"
    error: str = ""
    hint: str = ""
    everything: bool = False

    @property
    def tier(self) -> Literal["none", "reader", "probe", "lab"]:
        """The most that can be done there: with ``lab`` also what ``up -i`` does."""
        if self.error or not self.python:
            return "none"
        if self.everything:
            return "lab"
        return "probe" if self.probe == "allowed" else "reader"


def rights(ways: Ways, path: str = PATH) -> list[Rights]:
    """Ask all machines of ``ways`` at once; ``path`` is where the pinned program would be."""
    commands = {
        name: ["sh", "-c", SCRIPT.format(python=machine.python, path=shlex.quote(path))]
        for name, machine in ways.machines.items()
    }
    answers = ways.ask(commands, deadline=DEADLINE)
    return [_rights(ways, answers[name], path) for name in ways.machines]


def _rights(ways: Ways, answer: Answered, path: str) -> Rights:
    address = ways.machines[answer.machine].address
    if answer.error:
        return Rights(answer.machine, address, error=answer.error, hint=answer.hint)
    told = {}
    said, _, listing = answer.out.partition("\nlisted\n")
    for line in said.splitlines():
        word, _, rest = line.partition(" ")
        told[word] = rest.strip()
    found = told.get("digest", "").partition(" ")[0]
    probe: Probe = "allowed"
    if not found:
        probe = "not there"
    elif found != digest():
        probe = "another version"
    elif told.get("sudo") != "0":
        probe = "not allowed"
    python = told.get("python", "")
    error = _amiss(ways, answer.machine, python)
    icmp: Icmp = "datagram" if told.get("icmp") == "datagram" else "none"
    icmp = "ping" if told.get("icmp") == "ping" else icmp
    as_root = told.get("uid") == "0" and ways.machines[answer.machine].user == "root"
    everything = as_root or (told.get("shell") == "0" and _allows_all(told.get("uid"), listing))
    hints = [OTHER_PYTHON] if error else _icmp_hint(icmp)
    hints += [] if error or everything else _probe_hint(probe, path)
    hint, user = "\n".join(hints), told.get("user", "")
    return Rights(
        answer.machine, address, user, python, probe, icmp, error, hint, everything=everything
    )


def _amiss(ways: Ways, name: str, version: str) -> str:
    """Return what is wrong with a machine's Python of ``version``; nothing where it will do."""
    python = ways.machines[name].python
    if not version:
        return f"{name}: there is no {python} for this user: {NEEDED}"
    found = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    return f"{name}: {python} is Python {version}: {NEEDED}" if found < LEAST else ""


def _allows_all(uid: str | None, listing: str) -> bool:
    """Whether sudo's long ``listing`` lets its user run everything as root without a password.

    Of several entries that fit the last one counts (sudoers(5)). Whoever is root is asked for none.
    """
    found = False
    for entry in listing.split(ENTRY)[1:]:
        head, _, commands = entry.partition("Commands:")
        words = commands.split()
        fields = dict(line.strip().partition(":")[::2] for line in head.splitlines())
        users = {user.strip() for user in fields.get("RunAsUsers", "").split(",")}
        if any(word.startswith("!") for word in words):
            return False
        if "ALL" in words and users & {"ALL", "root"}:
            found = uid == "0" or NO_PASSWORD in fields.get("Options", "")
    return found


def _icmp_hint(icmp: Icmp) -> list[str]:
    if icmp != "none":
        return []
    return [
        "no ICMP for this user: its rows and the largest packet can't be measured. An administrator"
        " allows it by  sysctl net.ipv4.ping_group_range='0 2147483647'"
    ]


def _probe_hint(probe: Probe, path: str) -> list[str]:
    """Return what an administrator does so that containers can be entered."""
    line = "`underlay hosts -i … --print-sudoers` prints the line that allows it"
    return {
        "allowed": [],
        "not there": [f"{path} is what `underlay hosts --print-probe` prints; {line}"],
        "another version": [
            f"{path} is of another version: `underlay hosts --print-probe`; {line}"
        ],
        "not allowed": [f"sudo doesn't let this user run {path}: {line}"],
    }[probe]
