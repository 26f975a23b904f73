"""Neighbours and routes of a network namespace, read and flushed by rtnetlink(7).

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.
Starting ``ip`` once for each namespace would cost a slow node more than the probing.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

DELETE_NEIGHBOUR, GET_NEIGHBOUR, GET_ROUTE = 29, 30, 26
REQUEST, ACKNOWLEDGE, DUMP = 1, 4, 0x300
ERROR, DONE = 2, 3
INCOMPLETE, FAILED, NOARP, PERMANENT = 0x01, 0x20, 0x40, 0x80
DESTINATION, INTERFACE, GATEWAY = 1, 4, 5
LOCAL = 2

Neighbours = dict[tuple[int, bytes], int]


def connect() -> socket.socket:
    """Return a socket to the kernel's routing side of the current network namespace."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    made.settimeout(5)
    return made


def neighbours(netlink: socket.socket) -> Neighbours:
    """Return {(interface index, IPv4 address): state} of the namespace; raise OSError."""
    table = {}
    for body in _talk(netlink, GET_NEIGHBOUR, DUMP, struct.pack("=B11x", socket.AF_INET)):
        _, index, state = struct.unpack_from("=B3xiH", body)
        address = _attributes(body[12:]).get(DESTINATION, b"")
        if len(address) == 4:
            table[index, address] = state
    return table


def flush(netlink: socket.socket) -> None:
    """Forget all neighbours but permanent ones, as ``ip neigh flush all`` does; raise OSError."""
    for (index, address), state in neighbours(netlink).items():
        if state & (PERMANENT | NOARP):
            continue
        body = struct.pack("=B3xiHBB", socket.AF_INET, index, 0, 0, 0)
        body += struct.pack("=HH4s", 8, DESTINATION, address)
        try:
            _talk(netlink, DELETE_NEIGHBOUR, ACKNOWLEDGE, body)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


def unresolved(netlink: socket.socket, table: Neighbours, address: str) -> bool:
    """Return whether the next hop on the way to ``address`` is a neighbour never found.

    Raises OSError where there is no route.
    """
    wanted = socket.inet_aton(address)
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0)
    body += struct.pack("=HH4s", 8, DESTINATION, wanted)
    answer = _talk(netlink, GET_ROUTE, 0, body)[0]
    if answer[7] == LOCAL:
        return False
    found = _attributes(answer[12:])
    index = struct.unpack("=i", found[INTERFACE])[0]
    state = table.get((index, found.get(GATEWAY, wanted)), INCOMPLETE)
    return bool(state & (INCOMPLETE | FAILED))


def _talk(netlink: socket.socket, kind: int, flags: int, body: bytes) -> list[bytes]:
    """Send one request; return the bodies of its answers, or raise OSError."""
    netlink.send(struct.pack("=IHHII", 16 + len(body), kind, flags | REQUEST, 1, 0) + body)
    bodies: list[bytes] = []
    while True:
        data = netlink.recv(1 << 17)
        while len(data) >= 16:
            size, answer = struct.unpack_from("=IH", data)
            payload, data = data[16:size], data[(size + 3) & ~3 :]
            if answer == ERROR:
                number = -struct.unpack_from("=i", payload)[0]
                if number:
                    raise OSError(number, os.strerror(number))
                return bodies
            if answer == DONE:
                return bodies
            bodies.append(payload)
            if not flags & (DUMP | ACKNOWLEDGE):
                return bodies


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        if size < 4:
            break
        found[kind & 0x3FFF], data = data[4:size], data[(size + 3) & ~3 :]
    return found
