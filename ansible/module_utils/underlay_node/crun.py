"""Containers that crun, an OCI runtime, runs in a network namespace made before."""

from __future__ import annotations

import json
import os
import subprocess

from .commands import DEADLINE, Failed, run
from .namespaces import path

BUNDLES = "/run/underlay"
ROOTFS = "/usr/share/underlay/rootfs"
SLEEP = ["/bin/sleep", "2147483647"]
CRUN = ["crun", "--cgroup-manager=disabled"]


def runs(name: str) -> bool:
    """Whether the container's namespace and its process are there."""
    return pid(name) != 0 and os.path.exists(path(name))


def pid(name: str) -> int:
    """Return the container's process, 0 where it has ended or its number is another's by now."""
    try:
        with open(f"/run/crun/{name}/status", encoding="utf-8") as file:
            status = json.load(file)
        living = started(status["pid"]) == status["process-start-time"]
        return status["pid"] if living else 0
    except (OSError, ValueError, KeyError):
        return 0


def started(pid: int) -> int:
    """Return when the process started, in ticks since boot; 0 for one that has ended."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def start(name: str, config: str = "") -> None:
    """Run the container's process with crun in its network namespace.

    ``config`` is its config.json; without one it sleeps.
    """
    bundle = f"{BUNDLES}/{name}"
    os.makedirs(bundle, exist_ok=True)
    with open(f"{bundle}/config.json", "w", encoding="utf-8") as file:
        file.write(config or json.dumps(configuration(name)))
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


def end_all(names: list[str]) -> dict[str, str]:
    """End the containers' processes; return what failed, by name."""
    failed = {}
    for name in names:
        try:
            end(name)
        except Failed as error:
            failed[name] = str(error)
    return failed


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
