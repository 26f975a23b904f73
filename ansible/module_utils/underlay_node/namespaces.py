"""Containers without an engine: a named network namespace, and a process that crun starts in it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import threading

from .commands import DEADLINE, Failed, run

BUNDLES = "/run/underlay"
ROOTFS = "/usr/share/underlay/rootfs"
SLEEP = ["/bin/sleep", "2147483647"]
CRUN = ["crun", "--cgroup-manager=disabled"]

# linux/sockios.h and linux/if.h.
SIOCSIFFLAGS = 0x8914
UP = 0x1


def path(name: str) -> str:
    """Return where the network namespace of the container ``name`` is mounted."""
    return f"/run/netns/{name}"


def enter(name: str) -> list[str]:
    """Return the words that run a command in the container's network namespace."""
    return ["nsenter", f"--net={path(name)}", "--"]


def runs(name: str) -> bool:
    """Whether the container's namespace and its process are there, the process being crun's."""
    try:
        with open(f"/run/crun/{name}/status", encoding="utf-8") as file:
            status = json.load(file)
        with open(f"/proc/{status['pid']}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
    except (OSError, ValueError, KeyError):
        return False
    living = fields[0] not in "ZX" and int(fields[19]) == status["process-start-time"]
    return living and os.path.exists(path(name))


def make(names: list[str]) -> None:
    """Make the missing network namespaces and bring up their loopback devices."""
    missing = [name for name in names if not os.path.exists(path(name))]
    if missing:
        run(["ip", "-batch", "-"], "".join(f"netns add {name}\n" for name in missing))
        _raise_loopbacks(missing)


def _raise_loopbacks(names: list[str]) -> None:
    """Bring up ``lo`` in each namespace: from inside, where a process for each would cost more."""
    failed: list[str] = []

    def inside() -> None:
        request = struct.pack("16sH14x", b"lo", UP)
        for name in names:
            try:
                with open(path(name), encoding="ascii") as space:
                    os.setns(space.fileno(), os.CLONE_NEWNET)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
                    fcntl.ioctl(asked, SIOCSIFFLAGS, request)
            except OSError as error:
                failed.append(f"{name}: lo: {error}")

    # A thread of its own: where it has been to, it can't come back from.
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if failed:
        raise Failed("; ".join(failed))


def start(name: str) -> None:
    """Run the container's process with crun in its network namespace."""
    bundle = f"{BUNDLES}/{name}"
    os.makedirs(bundle, exist_ok=True)
    with open(f"{bundle}/config.json", "w", encoding="utf-8") as file:
        json.dump(configuration(name), file)
    # cloud-init's unit has a notify socket; crun would wait for the container to answer on it.
    environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    # Files, not pipes: the container's process keeps what it was started with.
    with open(f"{bundle}/log", "w+", encoding="utf-8") as log:
        done = subprocess.run(
            [*CRUN, "run", "--detach", "--bundle", bundle, name],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=DEADLINE,
            env=environment,
            check=False,
        )
        if done.returncode:
            log.seek(0)
            raise Failed(f"crun run {name}: exit {done.returncode}: {log.read().strip()}")


def end(name: str) -> None:
    """End the container's process, if there is one."""
    if os.path.exists(f"/run/crun/{name}"):
        run([*CRUN, "delete", "--force", name])


def remove(name: str) -> None:
    """Remove the container's network namespace, if there is one."""
    if os.path.exists(path(name)):
        run(["ip", "netns", "delete", name])


def configuration(name: str) -> dict:
    """Return crun's config.json of the container: OCI's runtime specification, version 1.0."""
    namespaces: list[dict] = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
    namespaces.append({"type": "network", "path": path(name)})
    return {
        "ociVersion": "1.0.2",
        "hostname": name,
        "root": {"path": ROOTFS, "readonly": True},
        "process": {
            "args": SLEEP,
            "cwd": "/",
            "env": ["PATH=/bin"],
            "user": {"uid": 0, "gid": 0},
            "capabilities": {
                kind: ["CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE"]
                for kind in ("bounding", "effective", "permitted")
            },
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        ],
        "linux": {"namespaces": namespaces},
    }
