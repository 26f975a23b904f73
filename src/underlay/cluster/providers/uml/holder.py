"""PID 1 of a lab's sandbox: makes the switch, starts nodes, reaps them, answers questions.

Runs as a script with the standard library alone, inside new user, network, mount
and PID namespaces. When it ends, by whatever cause, the kernel ends every node
and removes every interface, mount and memory file: nothing has to be tidied up.

Standard input carries ``{"tmpfs_mib", "commands"}`` as JSON, as ``wiring.py``
makes them; ``ready`` on standard output says that the switch stands. ``keep`` on standard
input says that the lab is up: if it ends without, at any time, so does the sandbox. It serves a
unix socket in its private /dev/shm, reached from outside as /proc/PID/root/dev/shm/holder.
One JSON object a line, one answer a line:

    {"do": "start", "node", "arguments", "links", "environment", "console"}   → {"ok": true}
    {"do": "states"}                                  → {"states": {node: "running" | "exited N"}}
    {"do": "reach", "address", "port"}                → {"ok": bool}
    {"do": "kill", "node"}                            → {"ok": bool}
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from typing import Any

SHM = "/dev/shm"
SOCKET = f"{SHM}/holder"
SETUP_DEADLINE = 60
REACH_DEADLINE = 1.0
REAP_INTERVAL = 1.0


class Nodes:
    """The node processes of this sandbox, by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self,
        node: str,
        arguments: list[str],
        links: dict[str, str],
        environment: dict[str, str],
        console: str,
    ) -> dict[str, Any]:
        """Start ``node`` unless it runs; its console is appended to the file ``console``."""
        with self._lock:
            known = self._processes.get(node)
            if known is None or known.poll() is not None:
                # A fresh disk: cloud-init and what it starts are of the first boot only.
                for stale in (f"{SHM}/{node}.cow", *links):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(stale)
                for link, target in links.items():
                    os.symlink(target, link)
                with open(console, "ab") as log:
                    self._processes[node] = subprocess.Popen(
                        arguments,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                        env={"TMPDIR": SHM, "HOME": SHM, "PATH": "/usr/bin:/bin:/usr/lib/uml"}
                        | environment,
                    )
            return {"ok": True}

    def states(self) -> dict[str, Any]:
        """Return what each node started so far is doing."""
        with self._lock:
            codes = {node: process.poll() for node, process in self._processes.items()}
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
        for line in self.rfile:
            request = json.loads(line)
            self.wfile.write(json.dumps(self.answer(request)).encode() + b"\n")

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
    size = f"size={wiring['tmpfs_mib']}m,mode=0700"
    command(["mount", "-t", "tmpfs", "-o", size, "underlay", SHM])
    # Frames that cross the switch are no business of the host's IP filters.
    for name in ("iptables", "ip6tables", "arptables"):
        path = f"/proc/sys/net/bridge/bridge-nf-call-{name}"
        if os.path.exists(path):
            with open(path, "w") as setting:
                setting.write("0")
    # Where iproute2 keeps the names of namespaces; this host's /run may belong to root.
    command(["mount", "-t", "tmpfs", "-o", "mode=0755", "underlay", "/run"])
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
