"""Which rights one has on machines that exist: whether ssh gets there, and what may run there."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from underlay.observe.pinned import PATH, digest

if TYPE_CHECKING:
    from underlay.cluster.machines import Answered, Ways

DEADLINE = 45.0
# Asks sudo what it would allow, and runs nothing by it.
SCRIPT = """\
echo user $(id -un)
echo python $({python} -c 'import sys; print(sys.version.split()[0])' 2>/dev/null)
echo digest $(sha256sum {path} 2>/dev/null)
sudo -n -l {path} >/dev/null 2>&1; echo sudo $?
"""
Probe = Literal["allowed", "not there", "another version", "not allowed"]


@dataclass(frozen=True)
class Rights:
    """What one may do on a machine: ``tier`` is the most, and ``error`` why there is nothing."""

    name: str
    address: str
    user: str = ""
    python: str = ""
    probe: Probe = "not there"
    error: str = ""
    hint: str = ""

    @property
    def tier(self) -> Literal["none", "reader", "probe"]:
        """The most that ``check -i`` can do there."""
        if self.error or not self.python:
            return "none"
        return "probe" if self.probe == "allowed" else "reader"


def rights(ways: Ways, path: str = PATH) -> list[Rights]:
    """Ask all machines of ``ways`` at once; ``path`` is where the pinned program would be."""
    commands = {
        name: ["sh", "-c", SCRIPT.format(python=machine.python, path=shlex.quote(path))]
        for name, machine in ways.machines.items()
    }
    answers = ways.ask(commands, deadline=DEADLINE)
    return [_rights(ways, answers[name]) for name in ways.machines]


def _rights(ways: Ways, answer: Answered) -> Rights:
    address = ways.machines[answer.machine].address
    if answer.error:
        return Rights(answer.machine, address, error=answer.error, hint=answer.hint)
    told = {}
    for line in answer.out.splitlines():
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
    error = "" if python else f"{answer.machine}: there is no Python for this user"
    return Rights(answer.machine, address, told.get("user", ""), python, probe, error)
