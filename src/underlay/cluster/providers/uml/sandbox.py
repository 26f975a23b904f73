"""A lab's sandbox: user, network, mount and PID namespaces that hold its switch and nodes.

The sandbox is found again by identity: boot id, process id and start time of its
first process. A name or a pattern is never enough to end anything.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from underlay.cluster.providers.uml.wiring import setup
from underlay.cluster.ready import SSH_PORT
from underlay.cluster.requirements.container import tun_hint
from underlay.errors import Infrastructure, reason
from underlay.storage import paths
from underlay.storage.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from underlay.plan import Plan

# Longer than the holder gives any command by which it makes the switch: it says which one hangs.
START_DEADLINE = 90.0
STOP_DEADLINE = 30.0
REQUEST_DEADLINE = 60.0
IDENTITY = "sandbox.id"
TUN = "/dev/net/tun"
# Where a container finds what its memory is limited to, by cgroups of both versions: the folder,
# and in it the limit (a word where there is none), what is taken, and of that the cached files.
LIMITS = (
    ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    (
        "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)  # fmt: skip
# Where a sandbox shows the files that its nodes boot from, each by its path out here, and the
# folder of what is made for each node.
FILES, NODES = "/lab/files", "/lab/nodes"
# Where it keeps its nodes' memory and what they write, as the holder does.
SHM = "/dev/shm"
# Folders of this host that it shows as they are, for programs and libraries, but without Underlay.
SHOWN = ("/usr",)
# How the command line of its first process ends.
FIRST_PROCESS = "/holder.py"
# What makes the namespaces; `doctor` tries it, too.
UNSHARE = (
    "unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--ipc",
    "--fork", "--kill-child", "--mount-proc", "--",
)  # fmt: skip

# By state folder, this process's ends of the sandboxes that it has started and not yet left.
_leases: dict[Path, IO[bytes]] = {}


@dataclass(frozen=True)
class Sandbox:
    """A started sandbox: the identity of its first process, as this host sees it.

    ``started`` is the process's start time in clock ticks since boot.
    """

    boot: str
    pid: int
    started: int
    outer: int
    outer_started: int

    @property
    def alive(self) -> bool:
        """Whether that very process still runs on this very boot."""
        return self.boot == boot_id() and start_time(self.pid) == self.started

    def enter(self, arguments: list[str]) -> list[str]:
        """Return the argument list that runs ``arguments`` inside the sandbox, as its root.

        An ordinary user's PATH leaves out the folders where Debian keeps bridge, tc and nft.
        """
        return [
            "nsenter", "--target", str(self.pid), "--user", "--net", "--mount", "--pid",
            "--preserve-credentials", "--", "env", f"PATH={paths.programs()}", *arguments,
        ]  # fmt: skip

    def ask(self, request: dict[str, Any], *, console: IO[bytes] | None = None) -> dict[str, Any]:
        """Send one request to the holder and return its answer; raise Infrastructure if none.

        With ``console`` it is handed that file, which it can't open: it sees none of this host.
        """
        path = f"/proc/{self.pid}/root{SHM}/holder"
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(REQUEST_DEADLINE)
                connection.connect(path)
                words = json.dumps(request).encode() + b"\n"
                handed = [console.fileno()] if console else []
                sent = socket.send_fds(connection, [words], handed)
                connection.sendall(words[sent:])
                answer: dict[str, Any] = json.loads(connection.makefile().readline())
        except (OSError, ValueError) as error:
            raise Infrastructure(
                f"the lab's sandbox does not answer: {error}", hint="underlay down"
            ) from error
        if "error" in answer:
            raise Infrastructure(f"the lab's sandbox refused: {answer['error']}")
        return answer

    def stop(self) -> None:
        """End the sandbox and wait until all of it is gone; the kernel removes what it held."""
        for pid, started in ((self.pid, self.started), (self.outer, self.outer_started)):
            if self.boot == boot_id() and start_time(pid) == started:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        limit = time.monotonic() + STOP_DEADLINE
        while time.monotonic() < limit:
            if (
                start_time(self.pid) != self.started
                and start_time(self.outer) != self.outer_started
            ):
                return
            time.sleep(0.02)
        raise Infrastructure(f"process {self.pid} of the lab's sandbox does not end")


def start(plan: Plan, state: Path, files: Sequence[Path] = ()) -> Sandbox:
    """Start the sandbox of ``plan``: switch and ports stand when this returns.

    Its nodes can boot from ``files`` and from what is in ``state/nodes``; it sees nothing else
    of this host but the system's programs. It ends with this process, until ``keep`` is called.
    Its identity is written to ``state/sandbox.json``. Raises Infrastructure with
    the reason where namespaces or interfaces cannot be made.
    """
    _check_room(plan)
    (state / "nodes").mkdir(parents=True, exist_ok=True)
    wiring = {"tmpfs_mib": _memory(plan), "commands": setup(plan)}
    return begin(_first_process(state, files), wiring, state)


def begin(first: list[str], wiring: dict[str, Any], state: Path) -> Sandbox:
    """Make the namespaces of a lab, with ``first`` as their first process: the holder, somehow.

    ``wiring`` is what it is told (holder.py). Returns and raises as ``start`` does.
    """
    _check_tun()
    with (state / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(
            [*UNSHARE, *first],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    try:
        sandbox = _made(process, wiring, state)
    except BaseException:
        # Ctrl-C, too: whoever is told that nothing is left may look at once.
        process.kill()
        process.communicate(timeout=STOP_DEADLINE)
        raise
    assert process.stdin is not None
    _leases[state] = process.stdin
    return sandbox


def _first_process(state: Path, files: Sequence[Path]) -> list[str]:
    """Return what runs as the sandbox's first process: the holder, in a root of its own."""
    shown = [(str(file.resolve()), inside(file)) for file in files]
    wanted = {
        "trees": SHOWN,
        # Installed below /usr, Underlay itself has what no learner is to see: courses' solutions.
        "covered": [str(folder) for folder in {paths.PACKAGE, paths.root().resolve()}],
        "binds": [*shown, (str((state / "nodes").resolve()), NODES)],
        "script": str(Path(__file__).with_name("holder.py")),
    }
    script = Path(__file__).with_name("confine.py")
    return [sys.executable, "-I", "-S", str(script), json.dumps(wanted)]


def inside(file: Path) -> str:
    """Return where a sandbox that was given ``file`` shows it."""
    return f"{FILES}{file.resolve()}"


def _made(process: subprocess.Popen[bytes], wiring: dict[str, Any], state: Path) -> Sandbox:
    """Have the new holder make what ``wiring`` says, and note the sandbox's identity."""
    assert process.stdin is not None
    assert process.stdout is not None
    word = b""
    with _ended_after(START_DEADLINE, process) as late, suppress(BrokenPipeError):
        process.stdin.write(json.dumps(wiring).encode() + b"\n")
        process.stdin.flush()
        word = process.stdout.readline()
    if word.strip() != b"ready":
        said = word.decode(errors="replace"), (state / "sandbox.log").read_text(errors="replace")
        raise Infrastructure(
            f"the lab's sandbox did not stand within {START_DEADLINE:.0f} s"
            if late.is_set()
            else "the lab's sandbox could not be made",
            detail="\n".join(text.strip() for text in said if text.strip()),
            hint="underlay doctor",
        )
    pid = _child_of(process.pid)
    sandbox = Sandbox(
        boot_id(), pid, start_time(pid) or 0, process.pid, start_time(process.pid) or 0
    )
    write_whole(state / "sandbox.json", json.dumps(asdict(sandbox)) + "\n")
    _link(sandbox, state)
    return sandbox


@contextmanager
def _ended_after(seconds: float, process: subprocess.Popen[bytes]) -> Iterator[threading.Event]:
    """Kill ``process`` and its group once this lasts longer; the event says that it was.

    A pipe that is read or written meanwhile ends with them: neither can wait for ever.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(seconds, end)
    # An interrupt may come while the timer starts, and nothing would cancel it. The command would
    # end as late as that then.
    timer.daemon = True
    try:
        timer.start()
        yield late
    finally:
        timer.cancel()


def keep(state: Path) -> None:
    """Let the sandbox that this process has started for ``state`` outlive it, if there is one.

    Until then it ends with its starter, whatever ends that: half a lab is left by nobody.
    """
    lease = _leases.pop(state, None)
    if lease is not None:
        with suppress(OSError):
            lease.write(b"keep\n")
            lease.close()


def find(state: Path) -> Sandbox | None:
    """Return the living sandbox whose identity ``state`` holds, or None."""
    try:
        sandbox = Sandbox(**json.loads((state / "sandbox.json").read_text()))
    except (OSError, ValueError, TypeError, RecursionError):
        linked = _linked(state)
        if linked is None:
            return None
        sandbox = linked
    return sandbox if sandbox.alive else None


def _link(sandbox: Sandbox, state: Path) -> None:
    """Note the identity a second time, as a link's target, which can't be cut in the middle.

    Without its identity nobody could end the sandbox any more.
    """
    link = state / IDENTITY
    link.unlink(missing_ok=True)
    link.symlink_to(":".join(str(value) for value in asdict(sandbox).values()))


def _linked(state: Path) -> Sandbox | None:
    try:
        boot, *numbers = os.readlink(state / IDENTITY).split(":")
        pid, started, outer, outer_started = map(int, numbers)
    except (OSError, ValueError):
        return None
    return Sandbox(boot, pid, started, outer, outer_started)


def proxy(state: Path, address: str) -> list[str]:
    """Return what connects to the ssh port of ``address`` in the sandbox of the lab at ``state``.

    It looks for the sandbox at each connection, so that what is kept of an old one leads nowhere.
    """
    script = Path(__file__).with_name("proxy.py")
    return [sys.executable, "-I", "-S", str(script), str(state), address, str(SSH_PORT)]


def boot_id() -> str:
    """Return the kernel's random id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """Return when process ``pid`` started, in clock ticks since boot; None if it's gone or dead.

    The state in proc_pid_stat(5) is the first thread's alone. Of a process whose first thread has
    ended it is Z, while another thread may still run or, in the first process of a PID namespace,
    wait until the kernel has ended all others in there. Such a process isn't dead.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, threads, started = fields[0], int(fields[17]), int(fields[19])
    return None if state == "X" or (state == "Z" and threads <= 1) else started


def _child_of(pid: int) -> int:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                stat = Path(f"/proc/{entry}/stat").read_text()
                if stat.rpartition(")")[2].split()[1] == str(pid):
                    return int(entry)
    raise Infrastructure("the lab's sandbox ended as soon as it started")


def _check_room(plan: Plan) -> None:
    """A node dies by SIGBUS when its memory file finds no room; say so before it starts."""
    free = available_kib() >> 10
    needed = sum(node.memory for node in plan.machines)
    if free < needed:
        raise Infrastructure(
            f"{free} MiB of memory are free, the lab's {len(plan.nodes)} nodes need {needed} MiB",
            hint="fewer nodes, or less `memory` each, in the lab file",
        )


def _check_tun() -> None:
    """Every port of the switch is a tap; what ip says where none can be made names no device."""
    try:
        os.close(os.open(TUN, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        raise Infrastructure(f"{TUN} is missing", hint=tun_hint()) from None
    except OSError as error:
        raise Infrastructure(
            f"{TUN} cannot be opened: {reason(error)}", hint=f"sudo chmod 0666 {TUN}"
        ) from error


def memory_kib(root: Path = Path("/")) -> dict[str, int]:
    """Return this machine's memory as the kernel counts it, such as ``MemAvailable``, in KiB."""
    lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
    return {key: int(rest.split()[0]) for key, _, rest in (line.partition(":") for line in lines)}


def available_kib(root: Path = Path("/")) -> int:
    """Return how much memory a lab may take: what is free here, or what a container has left.

    A container's processes see all of the machine's memory and are killed at their own limit
    (Linux Documentation/admin-guide/cgroup-v2.rst, memory.max). Files that are only cached
    count as taken and as free.
    """
    free = memory_kib(root)["MemAvailable"]
    for folder, limit, taken, cached in LIMITS:
        with suppress(OSError, ValueError, KeyError):
            group = root / folder
            facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            used = int((group / taken).read_text()) - int(facts[cached])
            free = min(free, max(0, int((group / limit).read_text()) - used) >> 10)
    return free


def held_mib(state: Path) -> float:
    """Return what the memory and the disks of a lab's nodes take of this host's, in MiB.

    It is 0 where the lab has no sandbox.
    """
    living = find(state)
    if living is None:
        return 0.0
    try:
        held = os.statvfs(f"/proc/{living.pid}/root{SHM}")
    except OSError:
        # It has ended since.
        return 0.0
    return (held.f_blocks - held.f_bfree) * held.f_frsize / (1 << 20)


def _memory(plan: Plan) -> int:
    """MiB for all nodes' memory and their disks' changes; only touched pages are ever used."""
    return sum(node.memory + 768 for node in plan.machines)
