"""What a driver of containers' networks is: one value, which every stage asks what it must know.

The values stand in the files beside this one, one driver in each. A stage never compares a
driver's name: it asks the value how containers attach, whose MAC address they have, and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from underlay.drivers.rule import Rule

# How a container comes to its interface:
#   child   the interface is a child of the parent, and is moved into the container
#   port    the interface is one end of a pair of veths, whose other end is a port of a bridge
#           that the node has for the network
#   tap     the child of the parent is a tap, which stays on the node; the container has a TAP
#           interface, and a process of the node copies frames between the two
#   moved   the interface itself, which is the parent's, is moved into the container
Attach = Literal["child", "tap", "port", "moved"]
EVERY_RUNTIME = ("cni", "docker", "podman", "iproute2")


class OverlaySettings(Protocol):
    """What a network says about its tunnels; the plan's networks do."""

    @property
    def vni(self) -> int:
        """The identifier of a VXLAN."""

    @property
    def port(self) -> int:
        """The UDP port of a VXLAN."""

    @property
    def group(self) -> str:
        """The multicast group for a VXLAN's broadcasts, empty for none."""

    @property
    def key(self) -> int | None:
        """The key of GRE tunnels."""


@dataclass(frozen=True)
class Tunnel:
    """One tunnel device of a node: to the node numbered ``peer``, or to all of them (0).

    ``options`` are the device's own, in ip-link(8)'s words; ``fdb`` lists the nodes that
    broadcasts are sent to.
    """

    peer: int
    options: Mapping[str, Any]


# From the network's settings, the node's own underlay address, and every other node's address by
# the node's number.
Tunnels = Callable[[OverlaySettings, str, Mapping[int, str]], Iterator[Tunnel]]


@dataclass(frozen=True, eq=False)
class Overlay:
    """What makes a driver an overlay: its frames travel in packets between the nodes.

    ``outer`` is the IP protocol of those packets. ``overhead`` is how many bytes they add on
    IPv4, ``overhead_of`` how many more with a key of the lab file. ``letters`` begin the
    names of its devices on a node, ``tunnels`` says which devices a node has. Their kind
    (ip-link(8), type) is the driver's name.
    """

    outer: Literal["udp", "gre"]
    overhead: int
    letters: str
    tunnels: Tunnels
    overhead_of: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Driver:
    """A driver of containers' networks, and all that other stages must know of it.

    ``name``
        what lab files and iproute2 call it.
    ``title``
        its heading on the generated page of rules.
    ``position``
        where it stands when drivers are listed, such as in a message; the least comes first.
    ``attach``
        how a container comes to its interface; see ``Attach``.
    ``own_mac``
        whether that interface has a MAC address of its own, and not what it sits on has.
    ``reach``
        who reaches whom: a table of rules, in which the first one that holds decides.
    ``broadcast``
        who hears what is sent to everybody: a table like it.
    ``macs``
        which MAC address a receiver sees, where it isn't that of the interface that sent it.
    ``beside``
        rules that the prediction applies itself, for what no relation between two tells.
    ``modes``
        its modes. The first holds where the lab file names none.
    ``refused``
        modes of its kin that it can't be used in, each with the reason for the message.
    ``l3_modes``
        those in which the node routes what a child sends, and the child asks for no neighbour.
    ``flags``
        what may be said beside a mode. The first holds where the lab file says nothing.
    ``keys``
        the keys of a network that mean something to it, beyond those that do to every driver.
    ``needed``
        the keys that it can't do without, each with an example for the message.
    ``runtimes``
        what can make a network of it.
    ``runtimes_of``
        what alone can make a network with that mode or flag.
    ``handler``
        the driver whose receive handler it puts on the parent, empty for its own name's. A
        device has one handler (Linux net/core/dev.c, netdev_rx_handler_register), so drivers
        with different ones don't share a parent.
    ``overlay``
        its tunnels, where it is an overlay.
    """

    name: str
    title: str
    position: int
    attach: Attach
    own_mac: bool
    reach: tuple[Rule, ...]
    broadcast: tuple[Rule, ...] = ()
    macs: tuple[Rule, ...] = ()
    beside: tuple[Rule, ...] = ()
    modes: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    l3_modes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    needed: Mapping[str, str] = field(default_factory=dict)
    runtimes: tuple[str, ...] = EVERY_RUNTIME
    runtimes_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    handler: str = ""
    overlay: Overlay | None = None

    @property
    def default_mode(self) -> str:
        """The mode where the lab file names none; empty where there are no modes."""
        return self.modes[0] if self.modes else ""

    @property
    def default_flag(self) -> str:
        """The flag where the lab file names none; empty where there are no flags."""
        return self.flags[0] if self.flags else ""

    @property
    def has_children(self) -> bool:
        """Whether containers share the parent itself, as its children."""
        return self.attach in ("child", "tap")

    @property
    def by_address(self) -> bool:
        """Whether the parent tells its children apart by their IP addresses, having one MAC."""
        return self.has_children and not self.own_mac

    @property
    def by_mac(self) -> bool:
        """Whether the parent tells its children apart by their MAC addresses."""
        return self.has_children and self.own_mac

    @property
    def bridges_uplink(self) -> bool:
        """Whether the bridge that containers are ports of holds the uplink; a closed one none."""
        return self.attach == "port" and self.overlay is None

    @property
    def receiver(self) -> str:
        """Whose receive handler is on the parent."""
        return self.handler or self.name

    def takes_mac(self, mode: str) -> bool:
        """Whether an interface in ``mode`` can be given a MAC address.

        A passthru child has its parent's, whatever is asked for.
        """
        return self.own_mac and mode != "passthru"

    def mode_word(self, mode: str, flag: str) -> str:
        """Return how the tables of rules call a mode with its flag; the usual flag is left out."""
        return mode if flag in ("", self.default_flag) else f"{mode} {flag}"

    def routes(self, word: str) -> bool:
        """Whether the node routes what a child sends in a mode that the tables call ``word``."""
        return word.partition(" ")[0] in self.l3_modes

    def made_by(self, mode: str, flag: str = "") -> tuple[str, ...]:
        """Return the runtimes that can make a network with this mode and flag."""
        return self.runtimes_of.get(flag) or self.runtimes_of.get(mode) or self.runtimes


# What a machine's own interface has instead of a driver: nobody's child, with no rules of its own.
NONE = Driver(name="", title="", position=0, attach="moved", own_mac=True, reach=(), runtimes=())
