"""The network namespaces of a node: where a container's is, and how one enters it.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CLONE_NEWNET = 0x40000000
DOCKER = "/var/run/docker.sock"

# What Docker calls its containers; a name goes into a request to its engine.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# By kind: how a namespace is found where a runtime's own ways don't lead there.
FINDERS: dict[str, Callable[[str, str], int]] = {}


class Missing(Exception):
    """A namespace cannot be entered or used; the text says why."""


def opened(name: str, kind: str, path: str) -> int:
    """Return a descriptor of a container's network namespace; raise Missing or OSError.

    Of a kind that ``FINDERS`` has, that finds it by its name and what stands for its path.
    """
    if kind in FINDERS:
        return FINDERS[kind](name, path)
    if kind == "docker":
        path = f"/proc/{docker_pid(name)}/ns/net"
    try:
        if kind == "crun":
            path = f"/proc/{_crun_pid(name)}/ns/net"
        if kind == "podman":
            with open(f"/run/underlay/{name}.pid", encoding="ascii") as file:
                path = f"/proc/{int(file.read())}/ns/net"
            if not os.path.exists(path):
                raise Missing(f"container {name}: its process has ended")
        return os.open(path or f"/run/netns/{name}", os.O_RDONLY)
    except (FileNotFoundError, ValueError) as error:
        raise Missing(f"container {name} has no network namespace: {error}") from None


def enter(namespace: int) -> None:
    """Move this thread into a network namespace; os.setns exists from Python 3.12."""
    if hasattr(os, "setns"):
        os.setns(namespace, CLONE_NEWNET)  # novm
    elif ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _crun_pid(name: str) -> int:
    """Return the PID of a container's own program, as crun has written it down.

    Its namespace has a name and would be there without it. crun's word is of a process that
    started then, and not of another that has its number by now.
    """
    try:
        with open(f"/run/crun/{name}/status", encoding="utf-8") as file:
            status = json.load(file)
    except FileNotFoundError:
        raise Missing(f"container {name}: its own program was not started") from None
    try:
        with open(f"/proc/{status['pid']}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        fields = ["X"]
    if fields[0] in "ZX" or int(fields[19]) != status["process-start-time"]:
        raise Missing(f"container {name}: its own program has ended")
    return int(status["pid"])


def docker_pid(name: str) -> int:
    """Return the PID of a running Docker container, as the engine's API tells it."""
    if not NAME.fullmatch(name):
        raise Missing(f"{name!r} is no name of a container of Docker's")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
        engine.settimeout(10)
        try:
            engine.connect(DOCKER)
            engine.sendall(f"GET /containers/{name}/json HTTP/1.0\r\n\r\n".encode())
            answer = b"".join(iter(lambda: engine.recv(65536), b""))
        except OSError as error:
            raise Missing(f"Docker does not answer: {error}") from None
    head, _, body = answer.partition(b"\r\n\r\n")
    known = json.loads(body) if b" 200 " in head.split(b"\r\n")[0] else {}
    # A missing name that is plain hexadecimal may be how another container's id begins.
    if known.get("Name") != f"/{name}":
        raise Missing(f"Docker knows no container {name}")
    state = known["State"]
    if not state.get("Running") or not state.get("Pid"):
        raise Missing(f"container {name} is {state.get('Status', 'not running')}")
    return int(state["Pid"])
