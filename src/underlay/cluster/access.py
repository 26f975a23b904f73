"""Running commands in a lab: on a node, inside a container's network, or where the switch is."""

from __future__ import annotations

import shlex
import signal
import subprocess
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from underlay.cluster import ssh
from underlay.cluster.node_files import PROGRAM, PROGRAM_FILE
from underlay.cluster.process import run
from underlay.cluster.providers import provider
from underlay.errors import EXIT_NOT_RUN, BadInput, Infrastructure, did_you_mean, listed, nearest
from underlay.plan import SWITCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from underlay.cluster.state.lab import LabState
    from underlay.plan import Plan, PlannedContainer

NOT_REACHED = 255
TRUE_DEADLINE = 40.0

# Exit 125 before the command itself can: it isn't there, or the container isn't.
RUN = f"""
command -v -- "$1" >/dev/null 2>&1 || {{ echo "$1: command not found" >&2; exit {EXIT_NOT_RUN}; }}
exec "$@"
"""
# As `ip netns exec` does, /sys shows the host's own devices; where the one outside is covered in
# parts, as in a container, nobody may mount another, and it stays.
OWN_SYS = """
{ mount -t sysfs sysfs /sys || mount -t sysfs -o ro sysfs /sys; } 2>/dev/null
exec "$@"
"""
# The namespaces are the container's, the tools are the node's: tcpdump and iptables are at
# hand, and /sys shows the container's devices because it is mounted anew.
ENTER = f"""
pid=$({{find}} 2>/dev/null) || pid=
case $pid in ''|0) echo "the container {{name}} is not running" >&2; exit {EXIT_NOT_RUN};; esac
exec nsenter --target "$pid" --net --uts --ipc -- unshare --mount sh -c '
mount -t sysfs sysfs /sys || exit {EXIT_NOT_RUN}
{RUN}' sh "$@"
"""
# All namespaces are the container's, its mounts among them: so are tools and files. `sh` is looked
# up in there.
ENTER_WHOLE = f"""
pid=$({{find}} 2>/dev/null) || pid=
case $pid in ''|0) echo "the container {{name}} is not running" >&2; exit {EXIT_NOT_RUN};; esac
exec nsenter --target "$pid" --all -- sh -c '{RUN}' sh "$@"
"""
# The node program knows the process of a container of any runtime. Those that it has noted
# (pause.py there: the process, and when that started) can be read without starting Python.
FIND = f"""\
{{ read -r pid start </run/underlay/NAME/pid &&
[ "$(cut -d ' ' -f 22 /proc/$pid/stat)" = $start ] && echo $pid; }} 2>/dev/null ||
python3 -I -S -c '
import importlib, sys
sys.path.insert(0, "{PROGRAM_FILE}")
print(importlib.import_module("{PROGRAM}.RUNTIME").pid("NAME"))'
"""


def spawn_as_root(state: LabState) -> Callable[[str, list[str]], subprocess.Popen[bytes]]:
    """Return ``spawn(node, argv)``: starts ``argv`` as root on a node, its three streams piped.

    It raises OSError at once for a node that doesn't run, instead of waiting for its ssh.
    """
    by = provider(state.provider)
    plan = state.plan()
    states = by.states(plan, state.folder)
    hosts = {host.name for host in plan.hosts}

    def spawn(node: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        if node in hosts:
            return piped(by.at_external_hosts(state.folder, [*_in_host(node), *arguments]))
        if states[node] != "running":
            raise OSError(f"{node} is {states[node].replace('_', ' ')}")
        return piped(ssh.command(state.folder / "ssh_config", node, ["sudo", "-n", *arguments]))

    return spawn


def refuse_stopped(state: LabState, nodes: Iterable[str]) -> None:
    """Raise Infrastructure, with the command that starts it, where one of ``nodes`` doesn't run."""
    states = provider(state.provider).states(state.plan(), state.folder)
    for node in nodes:
        if states[node] != "running":
            hint = f"underlay up {shlex.quote(state.file)}"
            raise Infrastructure(f"{node} is {states[node].replace('_', ' ')}", hint=hint)


def piped(arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start ``arguments`` with their three streams piped, out of reach of the terminal's signals.

    They end with their standard input. An ssh would go when its terminal is closed, also where
    whoever waits for it was told by nohup(1) to stay.
    """
    return subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def start_at_switch(state: LabState, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start ``arguments`` as root where the segments' bridges are, its streams piped."""
    return piped(provider(state.provider).at_switch(state.folder, arguments))


def run_in(
    state: LabState,
    target: str,
    arguments: list[str],
    *,
    deadline: float,
    own_files: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run ``arguments`` as root in ``target``, as ``execute`` does, and return what it says.

    With ``own_files`` tools and files are those of a container that has a file system of its own,
    not the node's. Raises Infrastructure past ``deadline`` seconds, BadInput for a target that
    isn't there.
    """
    command, _ = _command(state, target, arguments, own_files=own_files)
    return run(command, deadline=deadline, check=False)


def execute(state: LabState, target: str, arguments: list[str], *, tty: bool = False) -> int:
    """Run ``arguments`` as root in ``target``, on this process's streams; return the exit code.

    ``target`` is a node, a container, an external host or ``switch``. With ``tty`` the command
    has a terminal, and what Ctrl-C is to end is the command. 125 means that the command could not
    be run. Raises BadInput, with the nearest name, for another target.
    """
    command, node = _command(state, target, arguments, tty=tty)
    if node:
        refuse_stopped(state, [node])
    with _left_to_the_command() if tty else nullcontext():
        code = subprocess.run(command, check=False).returncode
    if node and code == NOT_REACHED and not _reachable(state, node):
        return EXIT_NOT_RUN
    return _exit_code(code)


@contextmanager
def _left_to_the_command() -> Iterator[None]:
    """Leave Ctrl-C to the command on the terminal: a shell there lives on, and so must this.

    A handler, unlike ignoring the signal, isn't handed down to the command.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _command(
    state: LabState,
    target: str,
    arguments: list[str],
    *,
    tty: bool = False,
    own_files: bool = False,
) -> tuple[list[str], str]:
    """Return what runs ``arguments`` in ``target``, and the node that this needs ssh to, if any."""
    plan, by = state.plan(), provider(state.provider)
    wrapped = ["sh", "-c", RUN, "sh", *arguments]
    if target == SWITCH:
        return by.at_switch(state.folder, wrapped, tty=tty), ""
    if target in {host.name for host in plan.hosts}:
        return by.at_external_hosts(state.folder, [*_in_host(target), *wrapped]), ""
    node, inside = _inside(plan, target, arguments, own_files=own_files)
    words = ["sudo", "-n", *inside]
    return ssh.command(state.folder / "ssh_config", node, words, tty=tty), node


def _inside(
    plan: Plan, target: str, arguments: list[str], *, own_files: bool
) -> tuple[str, list[str]]:
    """Return the node that ``target`` is on, and what to run there as root."""
    for node in plan.nodes:
        if node.name == target:
            return target, ["sh", "-c", RUN, "sh", *arguments]
    for container in plan.containers:
        if container.name == target.partition("@")[0]:
            script = _enter(container, ENTER_WHOLE if own_files else ENTER)
            return container.node, ["sh", "-c", script, "sh", *arguments]
    names = [node.name for node in plan.nodes] + [SWITCH] + [host.name for host in plan.hosts]
    names += [container.name for container in plan.containers]
    hint = (
        did_you_mean(nearest(target, names))
        or f"targets: {listed(names, more=f'underlay status --lab {plan.lab}')}"
    )
    raise BadInput(f"the lab {plan.lab} has no {target!r}", hint=hint)


def _in_host(name: str) -> list[str]:
    """What runs a command in an external host, from where their namespaces are."""
    enter = ["nsenter", f"--net=/run/netns/{name}", "unshare", "--mount"]
    return [*enter, "sh", "-c", OWN_SYS, "sh"]


def _enter(container: PlannedContainer, script: str) -> str:
    find = FIND.replace("RUNTIME", container.runtime).replace("NAME", container.name)
    return script.replace("{find}", find).replace("{name}", container.name)


def _reachable(state: LabState, node: str) -> bool:
    """Tell ssh's own 255 from a command that returned it."""
    probe = ssh.command(state.folder / "ssh_config", node, ["true"])
    return run(probe, deadline=TRUE_DEADLINE, check=False).returncode == 0


def _exit_code(code: int) -> int:
    """A child ended by a signal gets the shell's code for it."""
    return 128 - code if code < 0 else code
