"""Neighbours, routes and addresses of a network namespace, by rtnetlink(7).

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.
Starting ``ip`` once for each namespace would cost a slow node more than the probing.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

GET_ADDRESS, GET_ROUTE, DELETE_NEIGHBOUR, GET_NEIGHBOUR = 22, 26, 29, 30
REQUEST, ACKNOWLEDGE, DUMP = 1, 4, 0x300
ERROR, DONE = 2, 3
INCOMPLETE, FAILED, NOARP, PERMANENT = 0x01, 0x20, 0x40, 0x80
DESTINATION, INTERFACE, GATEWAY = 1, 4, 5
ADDRESS, OWN_ADDRESS = 1, 2
TENTATIVE, DAD_FAILED, FOR_EVER = 0x40, 0x08, 0x80
LOCAL = 2
SIZES = {4: socket.AF_INET, 16: socket.AF_INET6}

DEADLINE = struct.pack("@ll", 5, 0)  # struct timeval: s until the kernel has to have answered
AT_ONCE = 128  # requests in one message to the kernel, each of which may be answered by an error

# (interface index, address): state
Neighbours = dict[tuple[int, bytes], int]


def connect() -> socket.socket:
    """Return a socket to the kernel's routing side of the current network namespace."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    # Python's own time limit costs a call of poll(2) before each other call.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, DEADLINE)
    return made


def neighbours(netlink: socket.socket) -> Neighbours:
    """Return the states of all IPv4 and IPv6 neighbours of the namespace; raise OSError."""
    table = {}
    for body in _talk(netlink, GET_NEIGHBOUR, DUMP, bytes(12)):
        _, index, state = struct.unpack_from("=B3xiH", body)
        address = _attributes(body[12:]).get(DESTINATION, b"")
        if len(address) in SIZES:
            table[index, address] = state
    return table


def flush(netlink: socket.socket) -> bool:
    """Forget all neighbours but permanent ones, as ``ip neigh flush all`` does; raise OSError.

    Returns whether one was still looked for, so that packets may have waited for it.
    """
    bodies, sought = [], False
    for (index, address), state in neighbours(netlink).items():
        if not state & (PERMANENT | NOARP):
            body = struct.pack("=B3xiHBB", SIZES[len(address)], index, 0, 0, 0)
            bodies.append(body + _attribute(DESTINATION, address))
            sought |= bool(state & INCOMPLETE)
    for start in range(0, len(bodies), AT_ONCE):
        _order(netlink, DELETE_NEIGHBOUR, bodies[start : start + AT_ONCE], errno.ENOENT)
    return sought


def addresses(netlink: socket.socket) -> dict[bytes, tuple[int, bool]]:
    """Return {address: (interface index, whether it can't be used yet)}; raise OSError.

    An IPv6 address is tentative until nobody objected to it (RFC 4862, 5.4).
    """
    found = {}
    for family in SIZES.values():
        for body in _talk(netlink, GET_ADDRESS, DUMP, struct.pack("=B7x", family)):
            _, _, flags, _, index = struct.unpack_from("=BBBBI", body)
            told = _attributes(body[8:])
            address = told.get(OWN_ADDRESS, told.get(ADDRESS, b""))
            found[address] = (index, bool(flags & TENTATIVE and not flags & DAD_FAILED))
    return found


def origins(netlink: socket.socket) -> list[tuple[bytes, int, bool]]:
    """Return each address with its interface's index, and whether it was made for a while only.

    One that a router's advertisement brought is, or one that was leased; who adds one by hand
    makes it permanent (RFC 4862, 5.5; Linux include/uapi/linux/if_addr.h). Raises OSError.
    """
    found = []
    for family in SIZES.values():
        for body in _talk(netlink, GET_ADDRESS, DUMP, struct.pack("=B7x", family)):
            _, _, flags, _, index = struct.unpack_from("=BBBBI", body)
            told = _attributes(body[8:])
            address = told.get(OWN_ADDRESS, told.get(ADDRESS, b""))
            found.append((address, index, not flags & FOR_EVER))
    return found


def next_hop(netlink: socket.socket, wanted: bytes) -> tuple[int, bytes] | None:
    """Return (interface index, next hop) on the way to ``wanted``; None where that is local.

    Raises OSError where there is no route.
    """
    body = struct.pack("=BBBBBBBBI", SIZES[len(wanted)], 8 * len(wanted), 0, 0, 0, 0, 0, 0, 0)
    answer = _talk(netlink, GET_ROUTE, 0, body + _attribute(DESTINATION, wanted))[0]
    if answer[7] == LOCAL:
        return None
    found = _attributes(answer[12:])
    return struct.unpack("=i", found[INTERFACE])[0], found.get(GATEWAY, wanted)


def unresolved(table: Neighbours, hop: tuple[int, bytes] | None) -> bool:
    """Return whether a next hop is a neighbour never found; None stands for a local one."""
    return hop is not None and bool(table.get(hop, INCOMPLETE) & (INCOMPLETE | FAILED))


def looked_for(table: Neighbours, hop: tuple[int, bytes]) -> bool:
    """Return whether a next hop is a neighbour that the kernel has to look for, found or not."""
    return hop in table and not table[hop] & (PERMANENT | NOARP)


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


def _order(netlink: socket.socket, kind: int, bodies: list[bytes], ignored: int) -> None:
    """Send many requests at once, and wait for the last one's end; raise the first OSError."""
    last = len(bodies)
    netlink.send(
        b"".join(
            struct.pack("=IHHII", 16 + len(body), kind, flags, number, 0) + body
            for number, body in enumerate(bodies, 1)
            for flags in [REQUEST | (ACKNOWLEDGE if number == last else 0)]
        )
    )
    failed = 0
    while True:
        data = netlink.recv(1 << 17)
        while len(data) >= 16:
            size, _, number = struct.unpack_from("=IH2xI", data)
            error = -struct.unpack_from("=i", data, 16)[0]
            data = data[(size + 3) & ~3 :]
            failed = failed or (error if error != ignored else 0)
            if number == last:
                if failed:
                    raise OSError(failed, os.strerror(failed))
                return


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        if size < 4:
            break
        found[kind & 0x3FFF], data = data[4:size], data[(size + 3) & ~3 :]
    return found
