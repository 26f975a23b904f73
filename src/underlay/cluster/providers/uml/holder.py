"""PID 1 of a lab's sandbox: makes the switch, starts nodes, reaps them, answers questions.

Runs as a script with the standard library alone, inside new user, network, mount
and PID namespaces, in the root that ``confine.py`` has made. When it ends, by whatever
cause, the kernel ends every node and removes every interface, mount and memory file: nothing
has to be tidied up.

Standard input carries ``{"tmpfs_mib", "commands"}`` as JSON, as ``wiring.py``
makes them; ``ready`` on standard output says that the switch stands. ``keep`` on standard
input says that the lab is up: if it ends without, at any time, so does the sandbox. It serves a
unix socket in its private /dev/shm, reached from outside as /proc/PID/root/dev/shm/holder.
One JSON object a line, one answer a line:

    {"do": "start", "node", "arguments", "links", "environment", "disk"} → {"ok": true}
    {"do": "states"}                                  → {"states": {node: "running" | "exited N"}}
    {"do": "reach", "address", "port"}                → {"ok": bool}
    {"do": "kill", "node"}                            → {"ok": bool}

With ``start`` comes a descriptor of the file that takes what the node's console prints.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
from typing import IO, Any

SHM = "/dev/shm"
SOCKET = f"{SHM}/holder"
SETUP_DEADLINE = 60
REACH_DEADLINE = 1.0
REAP_INTERVAL = 1.0
REQUEST_SIZE = 1 << 16
# What is kept of a console, in bytes: whoever is root on a node could fill this host's disk by it.
CONSOLE_SIZE, CHUNK = 16 << 20, 1 << 16
# s in which the last words of a node that has ended are read.
LAST_WORDS = 2.0
# A node's process needs no right but those to its files: its ports stand, and are anybody's.
POWERLESS = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--"]
# Magic, version, time, size, sector size, alignment, format; the image's path follows
# (Linux arch/um/drivers/cow_user.c, cow_header_v3).
COW = struct.Struct(">IIIQIII")
COW_MAGIC, COW_VERSION, COW_PATH = 0x4F4F4F4D, 3, 4096


class Nodes:
    """The node processes of this sandbox, by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._consoles: dict[str, threading.Thread] = {}

    def start(
        self,
        node: str,
        arguments: list[str],
        links: dict[str, str],
        environment: dict[str, str],
        console: int,
        disk: str = "fresh",
    ) -> dict[str, Any]:
        """Start ``node`` unless it runs; its console is appended to the descriptor ``console``.

        Its ``disk`` is a fresh one, or the ``same`` that it has written to before.
        """
        with self._lock:
            known = self._processes.get(node)
            if known is None or known.poll() is not None:
                # A fresh disk: cloud-init and what it starts are of the first boot only.
                written = [f"{SHM}/{node}.cow"] if disk == "fresh" else []
                if disk == "same":
                    mend(f"{SHM}/{node}.cow")
                for stale in (*written, *links):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(stale)
                for link, target in links.items():
                    os.symlink(target, link)
                process = self._processes[node] = subprocess.Popen(
                    [*POWERLESS, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env={"TMPDIR": SHM, "HOME": SHM, "PATH": "/usr/bin:/bin:/usr/lib/uml"}
                    | environment,
                )
                copied = threading.Thread(
                    target=copy_console, args=(process.stdout, console), daemon=True
                )
                self._consoles[node] = copied
                copied.start()
            return {"ok": True}

    def states(self) -> dict[str, Any]:
        """Return what each node started so far is doing."""
        with self._lock:
            codes = {node: process.poll() for node, process in self._processes.items()}
            ended = [self._consoles[node] for node, code in codes.items() if code is not None]
        for console in ended:
            console.join(LAST_WORDS)
        return {
            "states": {
                node: "running" if code is None else f"exited {code}"
                for node, code in codes.items()
            }
        }

    def owns(self, pid: int) -> bool:
        """Whether ``pid`` is a node's first process."""
        with self._lock:
            return any(process.pid == pid for process in self._processes.values())

    def kill(self, node: str) -> dict[str, Any]:
        """End ``node`` at once, with the processes of its own session, and forget it."""
        with self._lock:
            process = self._processes.pop(node, None)
        if process is None:
            return {"ok": False}
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return {"ok": True}


def copy_console(printed: IO[bytes], console: int) -> None:
    """Write what a node has ``printed`` to ``console``, up to its bound, and drop the rest.

    A node has no file of this host's in its hands, not even its own console.
    """
    left = CONSOLE_SIZE
    with printed, open(console, "wb", buffering=0) as file:
        while chunk := os.read(printed.fileno(), CHUNK):
            with contextlib.suppress(OSError):  # this host's disk may be full
                file.write(chunk[:left])
            left -= len(chunk[:left])


def mend(path: str) -> None:
    """Have a node's copy-on-write file say of all blocks that were written that they were.

    Whether a sector is the node's own or its image's stands in a bitmap. The kernel marks in its
    memory what a request is about before it is carried out; where one fails, as each that is to
    write zeros does, the file's bitmap is never told, nor by later ones of the same sectors (Linux
    arch/um/drivers/ubd_kern.c, cowify_bitmap and do_io). That is noticed when the file is opened
    again: what was written there is gone. A block of the root file system is a page, and a page
    that was never written is a hole. Raises OSError.
    """
    with open(path, "r+b", buffering=0) as file:
        magic, version, _, size, sector, alignment, _ = COW.unpack(file.read(COW.size))
        if (magic, version) != (COW_MAGIC, COW_VERSION):
            return
        start = -(-(COW.size + COW_PATH) // alignment) * alignment
        length = size // sector // 8
        data = -(-(start + -(-size // sector // 8)) // alignment) * alignment
        file.seek(start)
        bitmap = bytearray(file.read(length))
        at = data
        while at < data + size:
            try:
                begin = os.lseek(file.fileno(), at, os.SEEK_DATA)
                at = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            except OSError:  # there is nothing more
                break
            first, last = (begin - data) // (8 * sector), -(-(at - data) // (8 * sector))
            bitmap[first:last] = b"\xff" * (last - first)
        file.seek(start)
        file.write(bitmap[:length])


def reach(address: str, port: int) -> dict[str, Any]:
    """Try one TCP connection from the sandbox to a node's management address."""
    try:
        with socket.create_connection((address, port), timeout=REACH_DEADLINE) as connection:
            connection.settimeout(REACH_DEADLINE)
            return {"ok": connection.recv(1) != b""}
    except OSError:
        return {"ok": False}


class Handler(socketserver.StreamRequestHandler):
    """One connection: any number of requests, a line each."""

    nodes = Nodes()

    def handle(self) -> None:
        """Answer requests until the other side closes."""
        read, handed = b"", []
        while True:
            data, descriptors, _, _ = socket.recv_fds(self.request, REQUEST_SIZE, 1)
            handed += descriptors
            *lines, read = (read + data).split(b"\n")
            for line in lines:
                request = json.loads(line) | ({"console": handed.pop(0)} if handed else {})
                self.wfile.write(json.dumps(self.answer(request)).encode() + b"\n")
            if not data:
                break
        for descriptor in handed:
            os.close(descriptor)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request; a failure becomes ``{"error": text}``."""
        try:
            match request.pop("do"):
                case "start":
                    return self.nodes.start(**request)
                case "states":
                    return self.nodes.states()
                case "reach":
                    return reach(**request)
                case "kill":
                    return self.nodes.kill(**request)
                case other:
                    return {"error": f"no such request: {other}"}
        except (OSError, TypeError) as error:
            return {"error": str(error)}


class Server(socketserver.ThreadingUnixStreamServer):
    """A thread per connection: waiting for one node never delays another."""

    daemon_threads = True
    # All nodes call at once, and where five wait Linux turns the sixth away (unix(7), EAGAIN).
    request_queue_size = 128


def make_switch(wiring: dict[str, Any]) -> None:
    """Mount the private memory file system, then make bridges and ports."""
    # Of nodes, too, the kernel keeps what isn't counted as size: a file's name and facts.
    size = f"size={wiring['tmpfs_mib']}m,nr_inodes=65536,nosuid,nodev,mode=0700"
    command(["mount", "-t", "tmpfs", "-o", size, "underlay", SHM])
    # Frames that cross the switch are no business of the host's IP filters.
    for name in ("iptables", "ip6tables", "arptables"):
        path = f"/proc/sys/net/bridge/bridge-nf-call-{name}"
        if os.path.exists(path):
            with open(path, "w") as setting:
                setting.write("0")
    # Where iproute2 keeps the names of namespaces; this host's /run may belong to root.
    command(["mount", "-t", "tmpfs", "-o", "size=16m,mode=0755", "underlay", "/run"])
    for arguments, text in wiring["commands"]:
        command(arguments, text)


def command(arguments: list[str], text: str = "") -> None:
    """Run a set-up command; exit with its words when it fails."""
    done = subprocess.run(
        arguments, input=text, capture_output=True, text=True, timeout=SETUP_DEADLINE, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: {done.stderr.strip()}")


def reap(nodes: Nodes) -> None:
    """Collect orphans for ever, as PID 1 must; the nodes' own exit codes are left to ``nodes``."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        time.sleep(REAP_INTERVAL)
        nodes.states()
        with contextlib.suppress(ChildProcessError):
            while (
                child := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            ) and not nodes.owns(child.si_pid):
                os.waitpid(child.si_pid, 0)


def main() -> None:
    """Make the switch, say so, and serve until killed."""
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    wiring = json.loads(sys.stdin.readline())
    threading.Thread(target=watch_starter, daemon=True).start()
    make_switch(wiring)
    server = Server(SOCKET, Handler)
    # What is mounted can't be removed: no node can put something else in its place.
    command(["mount", "--bind", SOCKET, SOCKET])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(null, stream)
    reap(Handler.nodes)


def watch_starter() -> None:
    """End everything when standard input ends without ``keep``: the starter was killed half-way."""
    if sys.stdin.readline().strip() != "keep":
        os._exit(1)


if __name__ == "__main__":
    main()
