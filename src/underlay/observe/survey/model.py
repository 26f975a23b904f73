"""The survey: what was seen of machines and of the segments that their NICs are in.

A value that can be printed as JSON and read back. Nothing here judges; ``None`` stands for what
nobody has looked at, which is not the same as none.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Having = Literal["loaded", "built in", "to be loaded", "absent", "unknown"]


class Seen(BaseModel):
    """Base of every part of a survey. A later version's fields are passed over when it is read."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class Link(Seen):
    """One interface of a machine, as its kernel tells an ordinary user."""

    name: str
    """What it is called."""
    index: int = 0
    """Its number in the kernel."""
    mac: str = ""
    """Its MAC address."""
    kind: str = "nic"
    """`nic` for a real one, else what `ip -details link` calls its kind: bridge, vlan, bond."""
    driver: str = ""
    """The kernel's driver of a real one."""
    up: bool = True
    """Whether it is set up."""
    carrier: bool = True
    """Whether it has a carrier."""
    mtu: int = 1500
    """The largest packet that it sends."""
    parent: str = ""
    """The interface that a VLAN's or a child is on."""
    elsewhere: bool = False
    """Whether its other end is in another network namespace."""
    master: str = ""
    """The bridge or bond that it is a port of."""
    vlan: int | None = None
    """The tag of a VLAN's interface."""
    mode: str = ""
    """The mode of a macvlan, ipvlan or bond."""
    speed: int = 0
    """Mbit/s, as the link says; 0 where it doesn't."""
    promiscuity: int = 0
    """How many ask it to take frames that are for others."""
    addresses: list[str] = []
    """Its addresses, with prefix lengths."""
    owner: str = ""
    """The service that configures it: NetworkManager or systemd-networkd."""


class Machine(Seen):
    """One machine of the inventory, and what an ordinary user sees there."""

    name: str
    """Its name in the inventory."""
    failed: str = ""
    """Why it wasn't read; nothing else is known of it then."""
    kernel: str = ""
    """The kernel's release."""
    way_in: str = ""
    """The address there that ssh came to."""
    links: list[Link] = []
    """Its interfaces."""
    routes: list[dict[str, str]] = []
    """The routes of its main table: dst, gateway, dev, protocol."""
    modules: dict[str, Having] = {}
    """How its kernel has the modules that drivers need."""
    runtimes: dict[str, str] = {}
    """Container runtimes, with the paths of their programs."""
    plugins: dict[str, list[str]] = {}
    """CNI plugins by folder."""
    sysctls: dict[str, str] = {}
    """Switches of the kernel that matter for frames and addresses."""
    lacking: list[str] = []
    """Programs that would have told more."""

    def link(self, name: str) -> Link | None:
        """Return the interface called ``name``; None where there is none."""
        return next((link for link in self.links if link.name == name), None)


class Port(Seen):
    """One NIC, as frames showed what its port of the switch does with them."""

    machine: str
    """The machine."""
    nic: str
    """Its NIC."""
    reaches: list[str] = []
    """The ports, as MACHINE:NIC, at which its frames without a tag arrived."""
    partner: str = ""
    """The port that the frames below went to and came from."""
    sources: tuple[int, int] | None = None
    """Of so many source MAC addresses of its own making (second), so many arrived (first)."""
    returned: tuple[int, int] | None = None
    """Of so many of these, frames that the partner sent to so many arrived here."""
    foreign: bool | None = None
    """Whether a frame from a MAC address of another maker's arrived."""
    reflected: tuple[int, int] | None = None
    """Of so many frames for a second MAC address at this port, so many came back out of it."""
    reflected_own: tuple[int, int] | None = None
    """The same for frames for its own MAC address, as ipvlan sends them."""
    largest: int | None = None
    """The largest packet in bytes that arrived at the partner."""
    tried: int | None = None
    """The largest packet in bytes that was sent."""
    vlans: dict[int, list[str]] = {}
    """By tag: the ports at which frames with it arrived, as MACHINE:NIC, with `=TAG` behind it, or
    `=none` where they had another tag there, or none."""
    group4: tuple[int, int] | None = None
    """Of so many members of an IPv4 group in its segment, so many heard it send there."""
    group6: tuple[int, int] | None = None
    """The same for IPv6."""
    strangers4: tuple[int, int] | None = None
    """Of so many that are no members, so many heard the IPv4 group."""
    strangers6: tuple[int, int] | None = None
    """The same for IPv6."""

    @property
    def name(self) -> str:
        """MACHINE:NIC."""
        return f"{self.machine}:{self.nic}"


class Group(Seen):
    """NICs that are one segment: by frames, or because the command line says so."""

    name: str
    """What it is called: as the command line has it, else seg1 and so on."""
    stated: bool = False
    """Whether the command line says that these NICs are one segment."""
    ports: list[str]
    """Its ports, as MACHINE:NIC."""
    vlans: list[int] = []
    """The tags whose frames were sent there to see whether they pass."""


class Answer(Seen):
    """Who answered when a machine's IPv4 address was asked for by ARP."""

    address: str
    """The address, without its prefix length."""
    owner: str
    """The port that has it, as MACHINE:NIC."""
    asked_from: str
    """The port that asked."""
    macs: list[str]
    """The MAC addresses that answered."""


class Sender(Seen):
    """Who was heard to advertise itself as a router, or to offer leases."""

    kind: Literal["router advertisement", "DHCP offer"]
    """What was heard."""
    at: str
    """The port at which it was heard, as MACHINE:NIC."""
    mac: str
    """Its sender's MAC address."""
    address: str
    """Its sender's address."""
    vlan: int | None = None
    """The tag that it had."""
    said: str = ""
    """Of a router the prefixes, of a server the address offered."""


class Survey(Seen):
    """All that was seen of the machines of an inventory."""

    machines: list[Machine]
    """The machines, in the inventory's order."""
    sent: bool = False
    """Whether frames were sent."""
    listened: float | None = None
    """For how many seconds routers and DHCP servers were listened for; None where nobody did."""
    asked: bool = False
    """Whether they were asked for: a router solicitation and a DHCPDISCOVER from each NIC."""
    ports: list[Port] = []
    """The NICs that sent frames."""
    groups: list[Group] = []
    """Which of them share a segment."""
    answers: list[Answer] = []
    """Who answered for the machines' own addresses."""
    senders: list[Sender] = []
    """Routers and DHCP servers that were heard."""
    amiss: list[str] = []
    """What could not be asked, and why."""
    frames: int = 0
    """How many frames were sent."""
    seconds: float = 0.0
    """How long all of it took."""

    def machine(self, name: str) -> Machine:
        """Return the machine called ``name``; raise StopIteration for another."""
        return next(one for one in self.machines if one.name == name)

    def port(self, name: str) -> Port:
        """Return the port MACHINE:NIC; raise StopIteration for another."""
        return next(one for one in self.ports if one.name == name)
