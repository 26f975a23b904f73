"""One User Mode Linux node: its arguments, its start, the proof that it is ready, its end."""

from __future__ import annotations

import hashlib
import re
import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster import ready
from underlay.cluster.image.build import KERNEL
from underlay.cluster.node_files import make_seed as make_iso
from underlay.cluster.node_files import program
from underlay.cluster.process import tail
from underlay.cluster.providers.uml import ignited, initrd, lean, usr
from underlay.cluster.providers.uml.preload import preload
from underlay.cluster.providers.uml.sandbox import NODES, inside
from underlay.cluster.providers.uml.wiring import card_name, management_port
from underlay.cluster.spans import KERNEL_TO_SSH, SSH_TO_READY, Span, record, span
from underlay.cluster.watching import console_end
from underlay.errors import Infrastructure
from underlay.storage.writing import whole, write_whole

if TYPE_CHECKING:
    from underlay.cluster.providers.uml.sandbox import Sandbox
    from underlay.plan import Plan, PlannedNode

REACH_INTERVAL = 0.1
CONSOLE_LINES = 15
SHM = Path("/dev/shm")
# All of this host that hostfs can reach from a node: a folder that isn't there.
NO_HOST_FILES = SHM / "nothing-of-the-host"
# What the node boots from beside its disk, and the hash of what that was made from.
SEED, ORIGIN = "seed.iso", "seed.origin"
# When the kernel was started, by this host's monotonic clock.
BEGAN = "began"
# ext4 says so of a checksum that is wrong or a block that can't be (fs/ext4/super.c); what a node
# writes goes to a file of its own, so that no kill can have left its disk half written.
DAMAGE = re.compile(r"EXT4-fs error \(device ubda\).*")
SEARCHED = 1 << 16


def arguments(plan: Plan, node: PlannedNode, *, updated: bool = False) -> list[str]:
    """Return the command line of the node's kernel, as run inside the sandbox.

    The root disk is the shared image plus a copy-on-write file in the sandbox's
    own memory file system; the seed is a NoCloud ISO, found by its label, or the tar file of a node
    that is lean or that Ignition makes. One that is ``updated`` has a third disk, whose /usr it
    takes. All are reached by the links of ``links``.
    """
    ports = [(management_port(node.index), node.management.mac)]
    cards = enumerate(node.cards, 1)
    ports += [(card_name(node.index, number), mac) for number, (_, mac, _) in cards]
    nics = [
        f"vec{i}:transport=tap,ifname={port},depth=128,gro=1,mac={mac}"
        for i, (port, mac) in enumerate(ports)
    ]
    return [
        str(KERNEL),
        f"umid={node.name}",
        f"uml_dir={SHM / 'uml'}/",
        f"mem={node.memory}M",
        f"ubda={SHM / node.name}.cow,{SHM / node.name}.disk",
        f"ubdbr={SHM / node.name}.seed",
        *([f"ubdcr={SHM / node.name}.usr"] if updated else []),
        # Ignition has made a node before another /usr can have been put on it.
        *([f"initrd={SHM / node.name}.initrd"] if initrd.wanted(node) and not updated else []),
        "root=/dev/ubda",
        "rw",
        # The disk's inode tables are zeros: to write that costs 45 MiB of this host's memory.
        "rootflags=noinit_itable",
        "net.ifnames=0",
        # No use for mandatory access control in a node; setting it up costs boot time.
        "lsm=capability",
        "audit=0",
        # A node's root would read this host's files by mounting hostfs: what runs there, such as a
        # user's own script, is to have none of them. See `linux.uml --help`.
        f"hostfs={NO_HOST_FILES}",
        # An image is made whole: nothing in /etc or /var has to be brought up to date, for which
        # ldconfig alone takes a second of a boot. See kernel-command-line(7).
        "systemd.condition_needs_update=0",
        # It would try out routines of RAID 6 for 0.85 s, to find the quickest for nobody.
        "initcall_blacklist=raid6_select_algo",
        "quiet",
        *nics,
        "con=null",
        "con0=null,fd:1",
        "con1=null",
        *_first_process(node, updated=updated),
    ]


def _first_process(node: PlannedNode, *, updated: bool) -> list[str]:
    """Return the words that name a kernel's first process, where that isn't the image's own."""
    if updated:
        return usr.first_process()
    if node.profile == lean.PROFILE:
        return lean.first_process()
    return ignited.first_process() if node.config == ignited.CONFIG else []


def links(node: PlannedNode, disk: Path) -> dict[str, str]:
    """Return the symbolic links, name to target, through which a node finds its files.

    They lead to what the sandbox shows of them, see ``files``.

    UML makes one command line of its arguments and the loader splits LD_PRELOAD, so
    a space or comma in a user's path must not get there.
    """
    first = {f"{SHM / node.name}.initrd": inside(ignited.initrd())} if initrd.wanted(node) else {}
    return {
        **first,
        f"{SHM / node.name}.disk": inside(disk),
        f"{SHM / node.name}.seed": f"{NODES}/{node.name}/{SEED}",
        f"{SHM / node.name}.usr": f"{NODES}/{node.name}/{usr.KEPT}",
        f"{SHM / node.name}.so": inside(preload()),
    }


def files(plan: Plan, disk: Path) -> list[Path]:
    """Return the files that a sandbox has to show to nodes of ``plan`` that boot from ``disk``."""
    first = [ignited.initrd()] if any(map(initrd.wanted, plan.nodes)) else []
    return [disk, preload(), *first]


def boot(
    plan: Plan, node: PlannedNode, sandbox: Sandbox, disk: Path, state: Path, *, again: bool = False
) -> None:
    """Start the kernel of ``node``, unless it runs, and return at once.

    With ``again`` it goes on with the disk that it has written to, as a machine does, and with
    the /usr that was kept for it.
    """
    folder = state / "nodes" / node.name
    folder.mkdir(parents=True, exist_ok=True)
    if state_of(sandbox, node.name) == "running":
        return
    make_seed(plan, node, state)
    if not again:
        usr.forget(folder)
    console = folder / "console.log"
    console.write_bytes(b"")
    (folder / BEGAN).write_text(str(time.monotonic()))
    request = {
        "do": "start",
        "node": node.name,
        "arguments": arguments(plan, node, updated=usr.is_kept(folder)),
        "links": links(node, disk),
        "environment": {"LD_PRELOAD": f"{SHM / node.name}.so"},
        "disk": "same" if again else "fresh",
    }
    with console.open("ab") as file:
        sandbox.ask(request, console=file)


def start(
    plan: Plan,
    node: PlannedNode,
    sandbox: Sandbox,
    disk: Path,
    state: Path,
    deadline: float,
    *,
    again: bool = False,
) -> None:
    """Start ``node`` and return when it has proven to be ready; idempotent.

    ``state`` is the lab's state folder, with rendered files and ssh_config. With ``again`` the
    node has its own disk still, and is there when its ssh answers: what its files bring back may
    be less than the lab.
    Raises Infrastructure with the console's last lines past ``deadline`` seconds,
    or as soon as the kernel ends.
    """
    limit = time.monotonic() + deadline
    boot(plan, node, sandbox, disk, state, again=again)
    folder = state / "nodes" / node.name
    console = folder / "console.log"
    try:
        _wait_for_ssh(plan, sandbox, node, limit, console)
        if (start := began(state, node.name)) is not None:
            record(state, Span(node.name, KERNEL_TO_SSH, start, time.monotonic()))
        if again:
            return
        with span(state, node.name, SSH_TO_READY):
            left = limit - time.monotonic()
            starving = ready.Starving(node.name, console)

            def meanwhile() -> None:
                if not sandbox.alive:
                    raise Infrastructure(f"{node.name}: the lab's sandbox has ended")
                starving()

            ready.prove(state / "ssh_config", node.name, left, meanwhile)
    except Infrastructure as error:
        if not sandbox.alive:
            # Whoever interrupts a start ends the sandbox: there is no node left to end or to ask.
            raise
        # What didn't get ready isn't left running: status would call it fine.
        sandbox.ask({"do": "kill", "node": node.name})
        printed = console.read_text(errors="replace")
        told = ready.with_console(error, last_words(printed))
        raise ready.out_of_memory(told, plan, node, printed) from error


def began(state: Path, node: str) -> float | None:
    """Return when the kernel of ``node`` was started, on the monotonic clock; None if unknown."""
    with suppress(OSError, ValueError):
        return float((state / "nodes" / node / BEGAN).read_text())
    return None


def last_words(console: str) -> str:
    """Return the end of what a node has printed, from its kernel's panic on where there is one.

    The panic's reason comes first; the registers and the stack after it would push it out.
    """
    lines = [line for line in console.splitlines() if line.strip()]
    panics = [number for number, line in enumerate(lines) if "Kernel panic" in line]
    if panics:
        return "\n".join(lines[max(0, panics[0] - CONSOLE_LINES + 2) : panics[0] + 2])
    return tail(console, CONSOLE_LINES)


def make_seed(plan: Plan, node: PlannedNode, state: Path) -> None:
    """Make the seed that ``node`` boots from, unless there is one of the same files already.

    So it can be made while Vagrant still starts, and by Vagrant's action where nobody has.
    """
    folder, files = state / "nodes" / node.name, state / "files" / node.name
    folder.mkdir(parents=True, exist_ok=True)
    noted, origin = folder / ORIGIN, _origin(plan, files, state)
    with suppress(OSError):
        if noted.read_text() == origin and (folder / SEED).exists():
            return
    with span(state, node.name, "seed"), whole(folder / SEED) as fresh:
        if node.profile == lean.PROFILE:
            lean.make_lean_seed(plan, node, files, fresh)
        elif node.config == ignited.CONFIG:
            ignited.make_ignition_seed(plan, node, files, fresh)
        else:
            make_iso(files, fresh, plan.images)
    write_whole(noted, origin)


def _origin(plan: Plan, files: Path, state: Path) -> str:
    """Return a hash of all that a seed is made from."""
    found = hashlib.sha256(plan.to_json().encode() + program())
    for path in (state / "key.pub", *sorted(files.rglob("*"))):
        if path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            found.update(f"{path.relative_to(state)} {content}\n".encode())
    for path in map(Path, plan.images):
        facts = path.stat()
        found.update(f"{path} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return found.hexdigest()


def state_of(sandbox: Sandbox | None, name: str) -> str:
    """Return ``running``, ``poweroff`` or ``not_created``: Vagrant's words for a machine."""
    if sandbox is None:
        return "not_created"
    word = sandbox.ask({"do": "states"})["states"].get(name)
    if word is None:
        return "not_created"
    return "running" if word == "running" else "poweroff"


def refuse_damaged(node: str, console: Path, hint: str) -> None:
    """Raise Infrastructure where the kernel of ``node`` finds its root file system damaged.

    Much of it may go on all the same, but for what waits for a file that can't be read.
    """
    found = DAMAGE.search(console_end(console, SEARCHED))
    if found:
        raise Infrastructure(f"{node}: its disk is damaged: {found[0].strip()}", hint=hint)


def _wait_for_ssh(
    plan: Plan, sandbox: Sandbox, node: PlannedNode, limit: float, console: Path
) -> None:
    own = f"underlay doctor --image {shlex.quote(plan.image.path)}" if plan.image else ""
    address = node.management.address.ip
    while True:
        last_try = time.monotonic() > limit
        if sandbox.ask({"do": "reach", "address": address, "port": 22})["ok"]:
            return
        refuse_damaged(node.name, console, own or "underlay image build --force")
        word = sandbox.ask({"do": "states"})["states"].get(node.name, "gone")
        if word != "running":
            refused = initrd.failure(node, console_end(console, SEARCHED))
            if refused is not None:
                raise refused
            raise Infrastructure(
                f"{node.name}: its kernel ended while booting ({word})",
                hint=own or "underlay image build --force",
            )
        if last_try:
            raise Infrastructure(
                f"{node.name}: ssh did not answer within the deadline",
                hint=own or "underlay doctor",
            )
        time.sleep(REACH_INTERVAL)
