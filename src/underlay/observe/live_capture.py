"""Captures on machines that exist, and runs programs in containers there, as root by sudo.

Programs go over ssh's standard input: no file is written, and nothing of them stands in a list of
processes. Containers are looked for as the probe looks for them (finding.py), whoever started them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.cluster.access import NOT_REACHED
from underlay.cluster.process import tail
from underlay.errors import EXIT_NOT_RUN, Infrastructure
from underlay.observe.capture import listened
from underlay.observe.commands import fed, fed_command, sniff_task
from underlay.observe.frame_filter import COMPILING, compiling, read_program
from underlay.observe.live import ABSENT
from underlay.observe.live_probe import addresses_of
from underlay.plan import SWITCH

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

    from underlay.cluster.machines import Answered, Ways
    from underlay.observe.capture import Caught, Spaces
    from underlay.observe.frame_filter import Program
    from underlay.plan import Plan

NO_MACHINE = "no machine of the inventory"
SUDO = "sudo:"
HINT_SUDO = (
    "ansible_user is to be one whom sudo lets do everything; underlay hosts -i INVENTORY  shows it"
)
FINDING = ("rtnetlink", "namespaces", "finding")
# sniff.py asks for a namespace by its name alone; here each container's addresses are known, too.
SOUGHT = """\
from underlay.observe.on_node import finding, namespaces

ADDRESSES = {addresses!r}
namespaces.FINDERS["sought"] = lambda name, _: finding.opened_here(name, ADDRESSES[name])
"""
# Becomes another program, in a container's network namespace where its task names one.
ENTERING = f"""\
import base64, json, os, sys, zlib
from underlay.observe.on_node import finding, namespaces

def main(argument):
    name, addresses, words = json.loads(zlib.decompress(base64.b64decode(argument)))
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    try:
        if name:
            namespaces.enter(finding.opened_here(name, addresses))
        os.execvp(words[0], words)
    except FileNotFoundError:
        print(words[0] + ": command not found", file=sys.stderr)
    except (namespaces.Missing, OSError) as error:
        print(error, file=sys.stderr)
    return {EXIT_NOT_RUN}
"""
# A user's PATH may lack where Debian has tcpdump, which compiles for anybody.
COMPILE = 'PATH=$PATH:/usr/sbin:/sbin exec "$@"'


def sniff_there(
    plan: Plan,
    ways: Ways,
    spaces: Spaces,
    *,
    seconds: float,
    count: int = 0,
    marks: tuple[bytes, ...] = (),
    program: Program | None = None,
    snap: int = 256,
    meanwhile: Callable[[], object] | None = None,
) -> Caught:
    """Capture as ``sniff`` does, by sudo on the machines of ``ways``.

    The points of the switch, of a machine that ``ways`` don't know, and of one that isn't reached
    come back with the reason; nothing is raised for that.
    """
    addresses = {container.name: addresses_of(container) for container in plan.containers}
    own = {"sought": SOUGHT.format(addresses=addresses)}
    unheard = {
        machine: NO_MACHINE if machine == SWITCH else f"{machine} {ABSENT}"
        for machine in spaces
        if machine not in ways.machines
    }

    def start(machine: str) -> subprocess.Popen[bytes]:
        parts = [
            (name, "node" if kind == "node" else "sought", devices)
            for name, kind, devices in spaces[machine]
        ]
        task = sniff_task(
            parts, seconds=seconds, count=count, marks=marks, program=program, snap=snap
        )
        process = ways.start(machine, fed_command(ways.machines[machine].python), become=True)
        assert process.stdin is not None
        text = fed((*FINDING, "socket_options", "bpf", "sought", "sniff"), own, task)
        # Where it has ended already, that is noticed, and why.
        with suppress(BrokenPipeError):
            process.stdin.write(text.encode())
            process.stdin.flush()
        return process

    def silent(machine: str, code: int, complaint: str) -> None:
        unheard[machine] = _why(ways, machine, code, complaint)

    known = [machine for machine in spaces if machine not in unheard]
    caught = listened(start, known, seconds=seconds, meanwhile=meanwhile, silent=silent)
    missing = dict(caught.missing)
    for machine, why in unheard.items():
        missing |= {
            f"{name} {device}": why for name, _, devices in spaces[machine] for device in devices
        }
    return replace(caught, missing=missing)


def run_there(
    plan: Plan, ways: Ways, machine: str, name: str, words: Sequence[str], *, deadline: float
) -> Answered:
    """Run ``words`` as root in the network namespace of ``name``, a container or the machine.

    Raises Infrastructure where the machine isn't reached, sudo refuses, the container isn't there
    or the program isn't.
    """
    container = next((each for each in plan.containers if each.name == name), None)
    at = [container.name, addresses_of(container)] if container else ["", ""]
    text = fed((*FINDING, "entering"), {"entering": ENTERING}, [*at, list(words)])
    command = fed_command(ways.machines[machine].python)
    done = ways.ask({machine: command}, deadline=deadline, given=text, become=True)[machine]
    if done.error:
        raise Infrastructure(done.error, hint=done.hint)
    if done.code == EXIT_NOT_RUN or SUDO in done.err:
        why = tail(done.err, 1).strip()
        hint = HINT_SUDO if SUDO in done.err else ""
        if not hint and words[0] == "ping":
            hint = f"on {machine}: sudo apt-get install iputils-ping"
        raise Infrastructure(f"{name}: {why}", hint=hint)
    return done


def compiled_there(ways: Ways, machine: str, expression: str) -> Program:
    """Return the program for ``expression``, which ``machine`` compiles, as ``compiled`` does.

    Raises Infrastructure where that isn't reached, too.
    """
    command = ["sh", "-c", COMPILE, "sh", *compiling(expression)]
    done = ways.ask({machine: command}, deadline=COMPILING)[machine]
    if done.error:
        raise Infrastructure(done.error, hint=done.hint)
    return read_program(machine, expression, done.code, done.out, done.err)


def _why(ways: Ways, machine: str, code: int, complaint: str) -> str:
    """Return why nobody listens on a machine, by what ssh, sudo or Python said there."""
    if code == NOT_REACHED:
        return ways.not_reached(machine, complaint)[0].removeprefix(f"{machine}: ")
    return complaint or f"exit code {code}"
