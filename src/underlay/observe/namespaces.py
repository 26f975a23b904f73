"""The network namespaces of a node, and the sockets that listen in them.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct

from underlay.observe import rtnetlink

CLONE_NEWNET = 0x40000000
IP_PKTINFO = 8
SOL_RAW, ICMP_FILTER = 255, 1
NOTHING = struct.pack("=I", 0xFFFFFFFF)
DOCKER = "/var/run/docker.sock"


class Missing(Exception):
    """A namespace cannot be entered or used; the text says why."""


class Space:
    """A network namespace: its listening sockets, and which probes they received.

    ``received`` holds (cell, attempt) by protocol. ``with space:`` enters the
    namespace, so that sockets made there belong to it.
    """

    def __init__(self, name: str, kind: str, path: str, home: int, port: int) -> None:
        """Enter and listen; raise Missing or OSError. ``home`` is the node's own namespace."""
        self.name = name
        self.received: dict[str, list[tuple[int, int]]] = {"icmp": [], "tcp": [], "udp": []}
        self._senders: dict[str, socket.socket] = {}
        self._home = home
        self._own = home if kind == "node" else opened(name, kind, path)
        with self:
            self.icmp = quiet(socket.SOCK_RAW, socket.IPPROTO_ICMP)
            self.udp = quiet(socket.SOCK_DGRAM)
            self.tcp = quiet(socket.SOCK_STREAM)
            self.netlink = rtnetlink.connect()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.udp.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        for busy in (self.icmp, self.udp):
            busy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.udp.bind(("", port))
        self.tcp.bind(("", port))
        self.tcp.listen(1024)

    def __enter__(self) -> None:
        if self._own != self._home:
            enter(self._own)

    def __exit__(self, *_: object) -> None:
        if self._own != self._home:
            enter(self._home)

    def open(self, kind: int) -> socket.socket:
        """Return a non-blocking socket of this namespace."""
        with self:
            return quiet(kind)

    def echo_sender(self, address: str) -> socket.socket:
        """Return the raw socket that sends ICMP from ``address``; raise OSError."""
        if address not in self._senders:
            with self:
                made = quiet(socket.SOCK_RAW, socket.IPPROTO_ICMP)
            made.setsockopt(SOL_RAW, ICMP_FILTER, NOTHING)
            made.bind((address, 0))
            self._senders[address] = made
        return self._senders[address]


def quiet(kind: int, protocol: int = 0) -> socket.socket:
    """Return a non-blocking IPv4 socket of the current namespace."""
    made = socket.socket(socket.AF_INET, kind, protocol)
    made.setblocking(False)
    return made


def opened(name: str, kind: str, path: str) -> int:
    """Return a descriptor of a container's network namespace; raise Missing or OSError."""
    if kind == "docker":
        path = f"/proc/{_docker_pid(name)}/ns/net"
    try:
        return os.open(path or f"/run/netns/{name}", os.O_RDONLY)
    except FileNotFoundError as error:
        raise Missing(f"container {name} has no network namespace: {error}") from None


def enter(namespace: int) -> None:
    """Move this thread into a network namespace; os.setns exists from Python 3.12."""
    if hasattr(os, "setns"):
        os.setns(namespace, CLONE_NEWNET)
    elif ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _docker_pid(name: str) -> int:
    """Return the PID of a running Docker container, as the engine's API tells it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
        engine.settimeout(10)
        try:
            engine.connect(DOCKER)
            engine.sendall(f"GET /containers/{name}/json HTTP/1.0\r\n\r\n".encode())
            answer = b"".join(iter(lambda: engine.recv(65536), b""))
        except OSError as error:
            raise Missing(f"Docker does not answer: {error}") from None
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise Missing(f"Docker knows no container {name}")
    state = json.loads(body)["State"]
    if not state.get("Running") or not state.get("Pid"):
        raise Missing(f"container {name} is {state.get('Status', 'not running')}")
    return int(state["Pid"])


def drain(raw: socket.socket) -> list[bytes]:
    """Return all packets that wait in a raw socket."""
    packets: list[bytes] = []
    while True:
        try:
            packets.append(raw.recv(2048))
        except OSError:
            return packets
