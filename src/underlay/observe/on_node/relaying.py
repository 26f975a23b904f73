"""Relays a socket of its node to a TCP port of a container, from inside the container's network.

Runs on the container's node: standard library only, Python 3.9 or newer. From outside it couldn't:
a child of macvlan or ipvlan isn't reached from its own host. It prints lines of JSON: first
``ready`` with the ports that are listened at, then each connection that opens, ends or fails. It
ends with its stdin, and takes its socket with it.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import struct
import sys
import threading
import zlib
from contextlib import suppress
from typing import Any

from underlay.observe.on_node.namespaces import Missing, enter, opened

PATIENCE = 5.0  # s that a connection in the container's own network may take
CHUNK = 65536
LISTEN = "0A"  # include/net/tcp_states.h
ANY = ("0.0.0.0", "::")  # noqa: S104 -- compared with, not bound to


def say(row: dict[str, Any]) -> None:
    """Write one line of JSON at once: several threads do, and a pipe keeps short ones whole."""
    os.write(1, json.dumps(row).encode() + b"\n")


def main(argument: str) -> int:
    """Relay as the packed ``argument`` asks; relay_command says what is in it."""
    task = json.loads(zlib.decompress(base64.b64decode(argument)))
    try:
        enter(opened(task["name"], task["kind"], ""))
    except (Missing, OSError) as error:
        say({"missing": str(error)})
        return 1
    ports = listening()
    where = targets(ports.get(task["port"], []), task["addresses"])
    if not where:
        say({"ready": False, "listening": sorted(ports)})
        return 1
    path = task["path"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as taking:
        taking.bind(path)
        try:
            _hand_over(path)
            taking.listen(64)
            say({"ready": True, "listening": sorted(ports)})
            _take(taking, where, task["port"])
        finally:
            os.unlink(path)
    return 0


def listening() -> dict[int, list[str]]:
    """Return the TCP ports that are listened at in this network namespace, with the addresses."""
    found: dict[int, list[str]] = {}
    for name, family, words in (("tcp", socket.AF_INET, 1), ("tcp6", socket.AF_INET6, 4)):
        try:
            with open(f"/proc/thread-self/net/{name}", encoding="ascii") as file:
                rows = [line.split() for line in file.readlines()[1:]]
        except OSError:
            continue
        for row in rows:
            if row[3] != LISTEN:
                continue
            text, _, port = row[1].partition(":")
            # Each word of an address is printed as the number that this machine takes it for.
            numbers = [int(text[at : at + 8], 16) for at in range(0, 8 * words, 8)]
            address = socket.inet_ntop(family, struct.pack(f"={words}I", *numbers))
            found.setdefault(int(port, 16), []).append(address)
    return found


def targets(listened: list[str], own: list[str]) -> list[str]:
    """Return the addresses to try: what is listened at, or for any address the container's own."""
    found: list[str] = []
    for address in listened:
        found += [*own, "127.0.0.1", "::1"] if address in ANY else [address]
    return list(dict.fromkeys(found))


def _hand_over(path: str) -> None:
    """Let the user whose ssh connects to the socket do so, and nobody else."""
    os.chmod(path, 0o600)
    user = os.environ.get("SUDO_UID")
    if user:
        os.chown(path, int(user), -1)


def _take(taking: socket.socket, where: list[str], port: int) -> None:
    """Relay each connection in threads of its own, until stdin is closed."""
    stdin = sys.stdin.fileno()
    number = 0
    while True:
        readable, _, _ = select.select([stdin, taking], [], [])
        if stdin in readable and not os.read(stdin, 4096):
            return
        if taking in readable:
            number += 1
            asking, _ = taking.accept()
            words = asking, where, port, number
            threading.Thread(target=_relay, args=words, daemon=True).start()


def _relay(asking: socket.socket, where: list[str], port: int, number: int) -> None:
    why = ""
    for address in where:
        try:
            answering = socket.create_connection((address, port), PATIENCE)
        except OSError as error:
            why = f"{address} port {port}: {error.strerror or error}"
            continue
        break
    else:
        asking.close()
        say({"failed": number, "why": why})
        return
    answering.settimeout(None)
    say({"opened": number})
    with asking, answering:
        back = threading.Thread(target=_copy, args=(answering, asking), daemon=True)
        back.start()
        _copy(asking, answering)
        back.join()
    say({"closed": number})


def _copy(source: socket.socket, destination: socket.socket) -> None:
    """Copy until there is no more, and say so to the other side; it may go on answering."""
    with suppress(OSError):
        while data := source.recv(CHUNK):
            destination.sendall(data)
    with suppress(OSError):
        destination.shutdown(socket.SHUT_WR)
    # Who can't be written to any more isn't read any more, either.
    with suppress(OSError):
        source.shutdown(socket.SHUT_RD)
