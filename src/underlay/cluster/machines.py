"""The way into machines of an inventory: plain ssh, as its user has it, and nothing but ssh.

What the user's own ssh_config and known_hosts say counts: an unknown host key is refused where ssh
would ask, as nobody is there to be asked. No address but an inventory's is ever connected to.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.access import NOT_REACHED, piped
from underlay.cluster.process import run, tail
from underlay.cluster.ssh import LONGEST_FOLDER, SHORT
from underlay.errors import Infrastructure, UnderlayError, did_you_mean, nearest, reason
from underlay.storage import private, temporary

if TYPE_CHECKING:
    from underlay.cluster.inventory import Machine

CONNECT = 10  # s that a connection may take to come about
# s that a shared connection outlives whoever used it last: only where this process was killed.
PERSIST = 30
# Machines that are spoken to at once.
AT_ONCE = 50
# The least Python that everything which is sent to machines does with.
LEAST = (3, 9)
NEEDED = f"Python {LEAST[0]}.{LEAST[1]} or newer is needed"
# Has a machine say what is wrong with its Python, in words that no locale translates: `-V` is told
# by every Python and costs none a start. Python 2 tells it to stderr, where PyPy may warn before.
CHECKED = f"""\
said=$("$1" -V 2>&1 </dev/null) || said=
said=${{said#*Python }}
case $said in
"") echo "there is no $1 for this user: {NEEDED}" >&2; exit 127;;
[0-2].* | 3.[0-{LEAST[1] - 1}] | 3.[0-{LEAST[1] - 1}][!0-9]*)
    echo "$1 is Python ${{said%%[!0-9.]*}}: {NEEDED}" >&2; exit 127;;
esac
shift
exec "$@"
"""
# What ssh says where it was not let in, and what its user does about that.
ADVICE = (
    ("Host key verification failed", "ssh {way}  once by hand, and accept the key if it is right"),
    ("Permission denied", "ssh {way}  by hand: the key or the user of the inventory isn't let in"),
    ("Could not resolve", "the inventory's ansible_host of {name}"),
    ("", "ssh {way}  by hand shows what is in the way"),
)


@dataclass(frozen=True)
class Answered:
    """What one machine's program said. ``error`` is why it is no answer, empty where it is one.

    ``code`` is the program's exit code; that of one that wasn't reached, or was too late, is 255.
    """

    machine: str
    code: int
    out: str
    err: str
    error: str = ""
    hint: str = ""


class Ways:
    """The connections to ``machines``, which share one ssh for each of them; see ``ways_to``."""

    def __init__(self, machines: Iterable[Machine], sockets: Path) -> None:
        self.machines = {machine.name: machine for machine in machines}
        self._sockets = sockets

    def command(
        self, name: str, arguments: Sequence[str], *, become: bool = False, python: str = ""
    ) -> list[str]:
        """Return the argument list that runs ``arguments`` on the machine ``name``.

        With ``become`` they run as root, by a sudo that asks for nothing. What runs by the
        machine's Python, or by another one called ``python``, isn't begun where that is missing or
        too old: the machine says so instead, and exits with 127. Raises Infrastructure for a
        machine that isn't in the inventory: nothing is sent to any other.
        """
        machine = self._known(name)
        as_root = ["sudo", "-n", "--"] if become and machine.user != "root" else []
        python = python or (machine.python if arguments[0] == machine.python else "")
        checked = ["sh", "-c", CHECKED, "sh", python] if python else []
        words = shlex.join([*checked, *as_root, *arguments])
        return ["ssh", *self._options(machine), "--", machine.address, words]

    def start(
        self, name: str, arguments: Sequence[str], *, become: bool = False, python: str = ""
    ) -> subprocess.Popen[bytes]:
        """Start what ``command`` describes, with its three streams piped.

        It ends with its standard input. Raises as ``command`` does, and OSError.
        """
        return piped(self.command(name, arguments, become=become, python=python))

    def spawn(self, *, become: bool = False) -> Callable[[str, list[str]], subprocess.Popen[bytes]]:
        """Return ``start`` as those want it who lead programs on machines by lines."""
        return lambda name, arguments: self.start(name, arguments, become=become)

    def ask(
        self,
        arguments: Mapping[str, Sequence[str]],
        *,
        deadline: float,
        given: Mapping[str, str] | str = "",
        become: bool = False,
    ) -> dict[str, Answered]:
        """Run each machine's ``arguments`` on all of them at once; return what each answered.

        ``given`` is what they read, all the same or each its own. A machine that isn't reached, or
        hasn't ended within ``deadline`` seconds, has an error for its answer. On an interrupt all
        are ended.
        """
        started: list[subprocess.Popen[bytes]] = []
        over = threading.Event()

        def one(name: str) -> Answered:
            text = given if isinstance(given, str) else given.get(name, "")
            try:
                process = self.start(name, arguments[name], become=become)
            except (OSError, UnderlayError) as error:
                said = reason(error) if isinstance(error, OSError) else error.message
                return Answered(name, NOT_REACHED, "", "", f"ssh did not start: {said}")
            started.append(process)
            if over.is_set():
                process.kill()
            return self._answer(name, process, text, deadline)

        for name in arguments:
            self._known(name)
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            return {each.machine: each for each in pool.map(one, arguments)}
        finally:
            over.set()
            for process in started:
                if process.poll() is None:
                    process.kill()
            pool.shutdown(cancel_futures=True)

    def _answer(
        self, name: str, process: subprocess.Popen[bytes], text: str, deadline: float
    ) -> Answered:
        try:
            out, err = process.communicate(text.encode(), timeout=deadline)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            said = (out.decode(errors="replace"), err.decode(errors="replace"))
            late = f"{name} did not answer within {deadline:.0f} s"
            return Answered(name, NOT_REACHED, *said, late, f"ssh {self._way(name)}  by hand")
        said = (out.decode(errors="replace"), err.decode(errors="replace"))
        if process.returncode == NOT_REACHED:
            return Answered(name, NOT_REACHED, *said, *self.not_reached(name, said[1]))
        return Answered(name, process.returncode, *said)

    def not_reached(self, name: str, complaint: str) -> tuple[str, str]:
        """Return why ssh did not get to the machine ``name``, by what it said, and what to do."""
        said = tail(complaint, 1).strip() or "it did not say why"
        advice = next(text for sign, text in ADVICE if sign in complaint)
        hint = advice.format(way=self._way(name), name=name)
        return f"{name}: ssh did not get there: {said}", hint

    def close(self) -> None:
        """End all shared connections."""
        for name, machine in self.machines.items():
            if self._socket(machine).exists():
                command = ["ssh", *self._options(machine), "-O", "exit", "--", machine.address]
                with suppress(Infrastructure):
                    run(command, deadline=5, check=False, name=f"ssh to {name}")

    def _known(self, name: str) -> Machine:
        if name not in self.machines:
            hint = did_you_mean(nearest(name, self.machines))
            raise Infrastructure(f"{name} is no machine of the inventory", hint=hint)
        return self.machines[name]

    def _socket(self, machine: Machine) -> Path:
        return self._sockets / str(list(self.machines).index(machine.name))

    def _options(self, machine: Machine) -> list[str]:
        """Return ssh's options; the first of two that say the same is the one that counts."""
        own = {
            "BatchMode": "yes",
            "ConnectTimeout": str(CONNECT),
            "ServerAliveInterval": "15",
            "ControlMaster": "auto",
            "ControlPath": str(self._socket(machine)).replace("%", "%%"),
            "ControlPersist": str(PERSIST),
            # Nothing that comes in or goes out but this: no window, agent or port of the user's.
            "ForwardAgent": "no",
            "ForwardX11": "no",
            "ClearAllForwardings": "yes",
        }
        words = ["-T", *(word for key, value in own.items() for word in ("-o", f"{key}={value}"))]
        return [*words, *_identity(machine), *machine.ssh_arguments]

    def _way(self, name: str) -> str:
        """Return the words with which the user gets to a machine by hand."""
        machine = self.machines[name]
        return shlex.join([*_identity(machine), *machine.ssh_arguments, machine.address])


def _identity(machine: Machine) -> list[str]:
    words = ["-p", str(machine.port)] if machine.port else []
    words += ["-l", machine.user] if machine.user else []
    return [*words, *(["-i", machine.key] if machine.key else [])]


@contextmanager
def ways_to(machines: Iterable[Machine]) -> Iterator[Ways]:
    """Yield the connections to ``machines``; they are ended after the block.

    Their sockets lie in a folder of this user's alone, which goes with them. Raises Infrastructure
    where there is no place for it.
    """
    with _socket_folder() as sockets:
        ways = Ways(machines, sockets)
        try:
            yield ways
        finally:
            ways.close()


@contextmanager
def _socket_folder() -> Iterator[Path]:
    above = (private.runtime(), Path(tempfile.gettempdir()), *map(Path, SHORT))
    for folder in above:
        if not folder or not private.keeps_names(folder) or len(str(folder)) > LONGEST_FOLDER - 30:
            continue
        with temporary.folder("ways", inside=folder) as sockets:
            yield sockets
        return
    raise Infrastructure(
        "found no folder for the sockets of shared ssh connections",
        hint=f"set {private.RUNTIME} to a folder of your own (mode 700) with a short path",
    )
