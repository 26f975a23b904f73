"""Containers that attach by a tap (macvtap, ipvtap): the links, and what carries their frames.

Three things make one attachment. The device itself is in HOLDER, a namespace of the node in
which nothing answers. A TAP interface is the container's network card. The node's one process
``tap_guest`` copies frames between the character device of the first and the second.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import struct
import sys
import zlib
from collections.abc import Callable

from . import namespaces, routes, tap_guest
from .commands import Failed, batch_all, run, show, write
from .crun import BUNDLES, started

HOLDER = "underlay-taps"
PROGRAM = f"{BUNDLES}/tap_guest.py"
SOCKET = f"{BUNDLES}/tap_guest.sock"
NOTE = f"{BUNDLES}/tap_guest.pid"
DEADLINE = 20.0
# Nothing in HOLDER may answer for a container. A macvtap device needs no address, but ipvlan
# finds an ipvtap device by those that are put on it: without the rule that leads to the table
# of local addresses they aren't the namespace's own, not even where the relay has ended.
SETTINGS = {
    "net/ipv6/conf/default/addr_gen_mode": "1",
    "net/ipv6/conf/default/accept_ra": "0",
}
RULES = ["-4 rule delete pref 0", "-6 rule delete pref 0"]
# linux/if_tun.h and linux/sockios.h.
TUNSETIFF = 0x400454CA
TUNGETIFF = 0x800454D2
TUNSETOFFLOAD = 0x400454D0
TUNSETSNDBUF = 0x400454D4
SIOCSIFHWADDR = 0x8924
SIOCGIFHWADDR = 0x8927
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
ARPHRD_ETHER = 1


def prepare() -> None:
    """Make the namespace of the devices, where it isn't there yet."""
    if os.path.exists(namespaces.path(HOLDER)):
        return
    namespaces.make([HOLDER])
    failed: list[str] = []

    def inside() -> None:
        try:
            _enter(HOLDER)
            for name, value in SETTINGS.items():
                with open(f"/proc/sys/{name}", "w", encoding="ascii") as setting:
                    setting.write(value)
        except OSError as error:
            failed.append(f"{HOLDER}: {error}")

    namespaces.aside(inside)
    for words in failed:
        raise Failed(words)
    for rule in RULES:
        run(["ip", "-netns", HOLDER, *rule.split()])


def create(wanted: list[tuple[str, dict, dict]], *, passing: str) -> dict[str, str]:
    """Make the interfaces of many attachments; return what failed, by container.

    Each of ``wanted`` is a container's name, its attachment and the network. Afterwards the
    container has a TAP called as ``passing`` says for the attachment's interface.
    """
    if not wanted:
        return {}
    prepare()
    # What a run that was killed left of them would be in the way.
    namespaces.delete_links(held([(name, attachment) for name, attachment, _ in wanted]))
    failed: dict[str, str] = {}
    _lines(creation, wanted, failed)
    _lines(holding, wanted, failed, space=HOLDER)
    for name, attachment, network in wanted:
        try:
            if name not in failed:
                _unqueue(device(name, attachment), network)
                connect(name, attachment)
        except Failed as error:
            failed[name] = str(error)

    def put(name: str, attachment: dict, network: dict) -> list[str]:
        interface = attachment["interface"].replace("eth", passing)
        return card(name, attachment, network, passing=interface)

    _lines(put, wanted, failed, space=HOLDER)
    namespaces.delete_links(held([(name, one) for name, one, _ in wanted if name in failed]))
    return failed


def held(wanted: list[tuple[str, dict]]) -> dict[str, list[str]]:
    """Return what namespaces.delete_links is given to remove the attachments' devices."""
    return {HOLDER: [device(name, attachment) for name, attachment in wanted]}


def up(name: str, attachments: list[dict]) -> bool:
    """Whether the attachments' devices are there and up."""
    for attachment in attachments:
        rows = show(["-netns", HOLDER, "link", "show", "dev", device(name, attachment)])
        if not rows or "UP" not in rows[0]["flags"]:
            return False
    return True


def leave() -> None:
    """Remove HOLDER and all that belongs to the relay, where no device is left."""
    if not os.path.exists(namespaces.path(HOLDER)):
        return
    if any(row["ifname"].startswith("tp-") for row in show(["-netns", HOLDER, "link", "show"])):
        return
    namespaces.remove([HOLDER])
    with contextlib.suppress(OSError, ValueError):
        with open(NOTE, encoding="ascii") as file:
            pid, since = (int(word) for word in file.read().split())
        if started(pid) == since:
            os.kill(pid, signal.SIGKILL)
    for path in (NOTE, SOCKET, PROGRAM):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def creation(name: str, attachment: dict, network: dict) -> list[str]:
    """Return ip's lines, for the node's namespace, that make the device in HOLDER."""
    words = ["link", "add", "link", network["parent"], "name", device(name, attachment)]
    mac = routes.given_mac(attachment, network)
    if mac and network["mode"] != "passthru":
        words += ["address", mac]
    words += ["mtu", str(network["mtu"]), "netns", HOLDER, "type", network["driver"]]
    words += ["mode", network["mode"]]
    words += [network["flag"]] if network.get("flag") else []
    return [" ".join(words)]


def holding(name: str, attachment: dict, network: dict) -> list[str]:
    """Return ip's lines, for HOLDER, that set the device up."""
    tap = device(name, attachment)
    lines = []
    if network["mode"] == "source":
        kind, allowed = network["driver"], attachment.get("allow") or []
        lines += [f"link set dev {tap} type {kind} macaddr add {mac}" for mac in allowed]
    if not network["own_mac"]:
        lines += [
            f"address add {_alone(a)} dev {tap} noprefixroute" for a in _own(name, attachment)
        ]
    # The groups that the guest joins are not known here. Neutron's macvtap agent does the same.
    return [*lines, f"link set {tap} allmulticast on up"]


def card(name: str, attachment: dict, network: dict, *, passing: str) -> list[str]:
    """Return ip's lines, for HOLDER, that put the TAP into the container."""
    own = _card(name, attachment)
    # An l3 device knows no neighbours, and its guest must not ask for any.
    arp = " arp off" if _routes(network) else ""
    return [
        f"link set {own} mtu {network['mtu']}{arp}",
        f"link set {own} netns {name} name {passing}",
    ]


def inside(name: str, attachment: dict, network: dict, *, passing: str) -> list[str]:
    """Return ip's lines, for the container, that its interface needs before it is up."""
    if network["own_mac"]:
        return []
    # ipvlan finds a child by its addresses, and the kernel's own choice isn't known to it.
    # All children of a parent would choose the same one, too, having its MAC address. What
    # the node says of that is forgotten on the way into the container.
    lines = [f"link set {passing} addrgenmode none"]
    if attachment.get("address6"):
        lines.append(f"address add {link_local(name, attachment)} nodad dev {passing}")
    return lines


def link_local(name: str, attachment: dict) -> str:
    """Return the link-local address of an ipvtap device's guest."""
    number = _number(name, attachment)
    return f"fe80::1:{number >> 16:x}:{number & 0xFFFF:x}/64"


def connect(name: str, attachment: dict) -> None:
    """Make the container's card in HOLDER, and have the relay serve it."""
    tap = nic = -1
    try:
        tap, mac = _open(device(name, attachment))
        nic = _make(_card(name, attachment), mac)
        _hand_over(tap, nic)
    except OSError as error:
        raise Failed(f"{device(name, attachment)}: {error}") from error
    finally:
        for descriptor in (tap, nic):
            if descriptor >= 0:
                os.close(descriptor)


def device(name: str, attachment: dict) -> str:
    """Return the name of the device in HOLDER; a container's may be longer than 15 letters."""
    return f"tp-{_number(name, attachment):08x}"


def _lines(
    made: Callable[[str, dict, dict], list[str]],
    wanted: list[tuple[str, dict, dict]],
    failed: dict[str, str],
    *,
    space: str = "",
) -> None:
    """Run the lines of all containers that haven't failed yet by one ip; note what fails."""
    owned = [
        (name, line)
        for name, attachment, network in wanted
        if name not in failed
        for line in made(name, attachment, network)
    ]
    for number, words in batch_all([line for _, line in owned], space=space).items():
        name, line = owned[number]
        failed.setdefault(name, f"ip {line}: {words}")


def _unqueue(tap: str, network: dict) -> None:
    """Keep the guest of an l3 device from crashing the node.

    Its frames belong to the tap's socket, which is none of IPv6's. In l3 ipvlan hands them to
    ip6_output, and ip6_skb_dst_mtu takes that socket for one of IPv6's, unless it is called
    within another device's transmission (dev_recursion_level). It is where a device has no
    queue. An ipvlan device has none, but an ipvtap device has one (ipvtap_setup).
    """
    if _routes(network):
        run(["tc", "-netns", HOLDER, "qdisc", "replace", "dev", tap, "root", "noqueue"])


def _routes(network: dict) -> bool:
    """Whether it is the node that routes what a guest sends."""
    return not network["own_mac"] and network["mode"] != "l2"


def _card(name: str, attachment: dict) -> str:
    return f"tn-{_number(name, attachment):08x}"


def _number(name: str, attachment: dict) -> int:
    return zlib.crc32(f"{name} {attachment['interface']}".encode())


def _own(name: str, attachment: dict) -> list[str]:
    own = routes.addresses(attachment)
    return [*own, link_local(name, attachment)] if attachment.get("address6") else own


def _alone(address: str) -> str:
    host = address.partition("/")[0]
    return f"{host}/128 nodad" if ":" in host else f"{host}/32"


def _enter(space: str) -> None:
    with open(namespaces.path(space), encoding="ascii") as file:
        namespaces.join(file.fileno())


def _open(name: str) -> tuple[int, str]:
    """Open the character device of the tap ``name``, and make it speak plain frames.

    Returns its descriptor and the device's MAC address, which is the parent's for ipvtap
    devices and in passthru, whatever was asked for.
    """
    found: list[tuple[int, str]] = []
    failed: list[OSError] = []

    def inside() -> None:
        try:
            _enter(HOLDER)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
                answer = fcntl.ioctl(asked, SIOCGIFHWADDR, struct.pack("40s", name.encode()))
            found.append((socket.if_nametoindex(name), answer[18:24].hex(":")))
        except OSError as error:
            failed.append(error)

    namespaces.aside(inside)
    for error in failed:
        raise error
    index, mac = found[0]
    # Opened from the node's namespace: a descriptor keeps the one that it was opened in.
    tap = os.open(f"/dev/tap{index}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # Devices of other namespaces may have the same index, and the file is one for all.
        asked = fcntl.ioctl(tap, TUNGETIFF, bytes(40))
        if asked[:16].rstrip(b"\0").decode() != name:
            raise OSError(f"/dev/tap{index} is another device's")
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"", IFF_TAP | IFF_NO_PI))
        fcntl.ioctl(tap, TUNSETOFFLOAD, 0)
        fcntl.ioctl(tap, TUNSETSNDBUF, struct.pack("i", 0x7FFFFFFF))
    except OSError:
        os.close(tap)
        raise
    return tap, mac


def _make(name: str, mac: str) -> int:
    """Make a TAP interface in HOLDER, which ends with its descriptors.

    The node's udev would give it a MAC address of its own choice where it sees it before this has
    set one, and the guest would take nothing that is sent to the device's. It sees the interfaces
    of the node's namespace alone.
    """
    if not os.path.exists("/dev/net/tun"):
        run(["modprobe", "tun"])
    opened: list[int] = []
    failed: list[OSError] = []

    def inside() -> None:
        try:
            _enter(HOLDER)
            opened.append(os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            failed.append(error)

    namespaces.aside(inside)
    for error in failed:
        raise error
    (nic,) = opened
    try:
        request = struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI)
        fcntl.ioctl(nic, TUNSETIFF, request)
        octets = bytes.fromhex(mac.replace(":", ""))
        hardware = struct.pack("16sH6s16x", name.encode(), ARPHRD_ETHER, octets)
        fcntl.ioctl(nic, SIOCSIFHWADDR, hardware)
        fcntl.ioctl(nic, TUNSETOFFLOAD, 0)
    except OSError:
        os.close(nic)
        raise
    return nic


def _hand_over(tap: int, nic: int) -> None:
    """Give both descriptors to the node's relay; start one where none listens."""
    for attempt in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
            asked.settimeout(DEADLINE)
            try:
                asked.connect(SOCKET)
                socket.send_fds(asked, [b"pair"], [tap, nic])
                if asked.recv(16) == tap_guest.TAKEN:
                    return
            except (FileNotFoundError, ConnectionError) as error:
                # The last relay ended with its last container.
                if attempt:
                    raise OSError(f"{SOCKET}: {error}") from error
        _start()
    raise OSError(f"{SOCKET}: not taken")


def _start() -> None:
    """Start the relay with a socket that listens already, so that nobody waits for it."""
    write(PROGRAM, tap_guest.__loader__.get_source(tap_guest.__name__))
    if os.path.exists(SOCKET):
        os.unlink(SOCKET)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(SOCKET)
        listener.listen(64)
        streams = [(os.POSIX_SPAWN_DUP2, listener.fileno(), 0)]
        streams += [(os.POSIX_SPAWN_OPEN, n, "/dev/null", os.O_RDWR, 0) for n in (1, 2)]
        pid = os.posix_spawn(
            sys.executable, [sys.executable, "-IS", PROGRAM], {}, file_actions=streams, setsid=True
        )
    write(NOTE, f"{pid} {started(pid)}\n")
