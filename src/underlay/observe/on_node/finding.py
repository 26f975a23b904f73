"""Which network namespace of a machine is that of a container that somebody else started.

Runs on the machine as part of the probe: standard library only, Python 3.9 or newer, root. It looks
and enters; it starts nothing, and asks no runtime to. By its name a container is known to
`ip netns`, to Docker and to systemd's machines; who has no such name is known by its addresses.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import socket

from underlay.observe.on_node import namespaces, rtnetlink

# Where runtimes keep namespaces by a name: ip netns, CNI and podman; Docker.
NAMED = ("/run/netns", "/run/docker/netns")
DOCKER_RUNS = "/run/docker.pid"
# A unit of systemd's machines, in the path of a process's control group. Of a name it keeps
# letters, digits and a few signs; each other byte, a dash too, is as `\x2d` (systemd-escape(1)).
ESCAPED = re.compile(r"\\x([0-9a-f]{2})")
MACHINE = re.compile(
    r"/(?:machine-(.+?)\.scope|systemd-nspawn@(.+?)\.service)(?:/|$)", re.MULTILINE
)


def opened_here(name: str, path: str) -> int:
    """Return a descriptor of the namespace of the container ``name``; ``path`` are its addresses.

    Raises Missing where there is none, or where several could be meant.
    """
    known = _by_name(name)
    if known:
        return os.open(known, os.O_RDONLY)
    addresses = [address for address in path.split(",") if address]
    wanted = {_packed(address) for address in addresses}
    having = [each for each, own in _addresses().items() if wanted & own]
    if len(having) == 1:
        return os.open(having[0], os.O_RDONLY)
    what = f"the name {name}"
    if addresses:
        what += f" or the address {', '.join(addresses)}"
    if having:
        raise namespaces.Missing(f"{len(having)} namespaces here have {what}: {', '.join(having)}")
    raise namespaces.Missing(f"no namespace here has {what}")


def _by_name(name: str) -> str:
    """Return the path of the namespace that a runtime has by a container's name; or nothing."""
    if not namespaces.NAME.fullmatch(name):
        return ""
    path = f"{NAMED[0]}/{name}"
    if os.path.exists(path):
        return path
    if os.path.exists(DOCKER_RUNS):
        with contextlib.suppress(namespaces.Missing, OSError, ValueError):
            return f"/proc/{namespaces.docker_pid(name)}/ns/net"
    for pid in _processes():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            if name == machine_of(file.read()):
                return f"/proc/{pid}/ns/net"
    return ""


def machine_of(groups: str) -> str:
    """Return the machine's name that ``groups``, a process's control groups, say; or nothing."""
    found = MACHINE.search(groups)
    escaped = (found[1] or found[2]) if found else ""
    return ESCAPED.sub(lambda byte: chr(int(byte[1], 16)), escaped)


def _addresses() -> dict[str, set[bytes]]:
    """Return the addresses of each namespace but this process's own, by a path of it."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        seen = {os.fstat(home).st_ino}
        found = {}
        for path in _paths():
            with contextlib.suppress(OSError):
                number = os.stat(path).st_ino
                if number not in seen:
                    seen.add(number)
                    found[path] = _inside(path, home)
        return found
    finally:
        os.close(home)


def _paths() -> list[str]:
    named = [path for folder in NAMED for path in sorted(glob.glob(f"{folder}/*"))]
    return named + [f"/proc/{pid}/ns/net" for pid in _processes()]


def _processes() -> list[str]:
    return sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int)


def _inside(path: str, home: int) -> set[bytes]:
    """Return the addresses in the namespace at ``path``, and come back ``home``; raise OSError."""
    own = os.open(path, os.O_RDONLY)
    try:
        namespaces.enter(own)
        try:
            netlink = rtnetlink.connect()
            try:
                return set(rtnetlink.addresses(netlink))
            finally:
                netlink.close()
        finally:
            namespaces.enter(home)
    finally:
        os.close(own)


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


namespaces.FINDERS["found"] = opened_here
