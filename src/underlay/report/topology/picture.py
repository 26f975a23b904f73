"""What a picture of a lab shows: machines, interfaces, networks with containers, and switches.

Every format is made of one ``Picture``. It knows nothing of places and colours, and what stands
in it is what the plan says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "segment", "nic", "bond", "vlan", "bridge", "tunnel", "shim", "dummy", "interface", "network"
]
# A cable goes to the switch, a stack from an interface to what sits on it; ``same`` ties the
# interfaces of one container together.
Tie = Literal["cable", "stack", "same"]
KINDS: dict[Kind, str] = {
    "segment": "segment",
    "nic": "card",
    "bond": "bond",
    "vlan": "VLAN interface",
    "bridge": "bridge",
    "tunnel": "tunnel",
    "shim": "shim",
    "dummy": "dummy",
    "interface": "interface",
    "network": "network",
}


@dataclass(frozen=True)
class Row:
    """A line of a network's box: a container, or all of them where they are folded.

    ``name`` and ``address`` are shown; ``ends`` are those of the matrix that it stands for.
    """

    id: str
    name: str
    address: str
    ends: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """A box: an interface, a segment's switch, or a network on one machine.

    ``lines`` stand below its name, ``rows`` are a network's containers, and ``group`` is the id
    of the machine that it is in, empty for a switch. ``driver`` is a network's.
    """

    id: str
    kind: Kind
    name: str
    lines: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    group: str = ""
    driver: str = ""

    @property
    def words(self) -> str:
        """All that it says in one line, for who can't see it."""
        told = [f"{KINDS[self.kind]} {self.name}", *self.lines]
        told += [f"{row.name} {row.address}".strip() for row in self.rows]
        return ", ".join(told)


@dataclass(frozen=True)
class Group:
    """A machine, or several that are alike: ``names`` are all that the box stands for."""

    id: str
    kind: Literal["node", "host"]
    name: str
    note: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """What ties two items together, the upper one first; ``label`` is written on it."""

    id: str
    one: str
    other: str
    tie: Tie
    label: str = ""


@dataclass(frozen=True)
class Picture:
    """All of a lab's picture.

    ``places`` says which item or row shows an interface, by its machine or container and its name,
    and ``ports`` which line shows a switch's port, by segment and name of the port.
    """

    lab: str
    groups: tuple[Group, ...]
    items: tuple[Item, ...]
    lines: tuple[Line, ...]
    places: dict[tuple[str, str], str] = field(default_factory=dict)
    ports: dict[tuple[str, str], str] = field(default_factory=dict)

    def inside(self, group: str) -> tuple[Item, ...]:
        """Return the items of one machine by its id, or with an empty one the switches."""
        return tuple(item for item in self.items if item.group == group)

    @property
    def words(self) -> str:
        """What the picture shows, in a sentence."""
        nodes = sum(len(one.names) for one in self.groups if one.kind == "node")
        ends = sum(len(row.ends) for item in self.items for row in item.rows)
        networks = dict.fromkeys(item.name for item in self.items if item.kind == "network")
        told = [
            "1 node" if nodes == 1 else f"{nodes} nodes",
            f"{ends} containers' interfaces" if ends != 1 else "1 container's interface",
            _listed("network", list(networks)),
            _listed("segment", [item.name for item in self.items if item.kind == "segment"]),
        ]
        hosts = [one.name for one in self.groups if one.kind == "host"]
        told += [f"external {_listed('host', hosts)}"] if hosts else []
        return f"Lab {self.lab}: {', '.join(told)}."


def _listed(noun: str, names: list[str]) -> str:
    if not names:
        return f"no {noun}"
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(names)}"
