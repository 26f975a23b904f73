"""What is made of hosts' files: a lab's keys, where each is from, and what else is to be said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from underlay.errors import BadInput, Spot
from underlay.fleet.document import Document
from underlay.fleet.host import Network
from underlay.lab.text import Place, dotted

# What the lab file takes for names of segments and networks, of nodes, and of devices.
WORD_LENGTH = 20
NODE_LENGTH = 63
NAME_LENGTH = 63
# What runs containers in a lab in the place of a program that no node has.
INSTEAD = {"nspawn": "cni"}


@dataclass(frozen=True)
class Assumption:
    """Something that the files don't say, or that a lab file says otherwise.

    ``place`` is the key of the lab that it is about, and ``spot`` the line that led to it. One
    that is ``weighty`` is said each time, however many are alike: the lab has something then that
    no file has. Those of one ``kind`` are alike.
    """

    place: Place
    text: str
    spot: Spot
    weighty: bool = False
    kind: str = ""

    @property
    def key(self) -> str:
        """The key as people write it: networks.lannet.gateway."""
        return dotted(self.place)

    @property
    def shape(self) -> tuple[object, ...]:
        """What is alike in those of one kind: the key without names, and how the text begins."""
        if self.weighty or self.kind:
            return (self.kind or self.text,)
        plain = tuple(step for i, step in enumerate(self.place) if i in (0, 2))
        words = [word for word in self.text.split() if word.islower() and word.isalpha()]
        return (*plain, *words[:6])


@dataclass(frozen=True)
class LeftOut:
    """A file or a key that the lab file doesn't say: where it stands, what it is, and why.

    ``matters`` is whether it may bear on who reaches whom.
    """

    spot: Spot
    what: str
    why: str
    matters: bool = True

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.spot}: {self.what}: {self.why}"


@dataclass
class Carried:
    """A lab that hosts' files lead to. ``origins`` has the place in them of a key's value."""

    lab: dict[str, Any] = field(default_factory=dict)
    # Whether nodes have the hosts' own addresses, VLANs and routes, and whether they have their
    # files, which programs act on.
    real: bool = False
    acting: bool = False
    origins: dict[Place, Spot] = field(default_factory=dict)
    assumptions: list[Assumption] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    # The file that makes a network, by network and node, and the one that starts a container of
    # a group, by the group's position and node.
    makers: dict[str, dict[str, Document]] = field(default_factory=dict)
    starters: dict[tuple[int, str], Document] = field(default_factory=dict)
    # Interfaces that the lab calls otherwise than their host's files: node, name, and name here.
    renamed: list[tuple[str, str, str, Spot]] = field(default_factory=list)
    # Containers of hosts' files that the lab hasn't, by name: why not.
    lost: dict[str, LeftOut] = field(default_factory=dict)
    # What a node's files call as others do and is a network of its own: by that name and node.
    split: dict[str, dict[str, str]] = field(default_factory=dict)
    # Networks as the hosts' files have them, by the lab's network and node.
    networks: dict[str, dict[str, Network]] = field(default_factory=dict)

    def put(self, place: Place, value: object, spot: Spot | None = None) -> None:
        """Say ``value`` at ``place``, which stems from ``spot``; mappings are made on the way."""
        inside: Any = self.lab
        for step in place[:-1]:
            inside = inside.setdefault(step, {})
        inside[place[-1]] = value
        if spot is not None and spot.file:
            self.origins[place] = spot

    def assume(
        self, place: Place, text: str, spot: Spot, *, weighty: bool = False, kind: str = ""
    ) -> None:
        """Note what had to be assumed for the key at ``place``; the same once only."""
        found = Assumption(place, text, spot, weighty, kind)
        if all((one.place, one.text) != (place, text) for one in self.assumptions):
            self.assumptions.append(found)

    def leave(self, spot: Spot, what: str, why: str, *, matters: bool = True) -> None:
        """Note what the lab file can't say; the same once only."""
        found = LeftOut(spot, what, why, matters)
        if found not in self.left_out:
            self.left_out.append(found)

    def origin(self, place: Place) -> Spot | None:
        """Return where the value at ``place`` is from, or the nearest key around it."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.origins:
                return self.origins[place[:length]]
        return None


# The id of what leads to no lab, where no rule about hosts' files says the same.
NO_LAB = "fleet-lab"


class NoLab(BadInput):
    """What hosts' files say leads to no lab: ``fact`` is why, and ``spot`` the line to mend.

    ``rules`` are the rules about hosts' files that say the same, and ``other`` is the second line
    that it is about, where there is one: a comment at either may silence it.
    """

    def __init__(
        self,
        spot: Spot,
        fact: str,
        hint: str = "",
        *,
        rules: tuple[str, ...] = (),
        other: Spot | None = None,
    ) -> None:
        super().__init__(f"{spot}: {fact}", hint=hint)
        self.spot, self.fact, self.other = spot, fact, other
        self.rules = (*rules, NO_LAB)


# What tells why a comment in hosts' files silences what leads to no lab; nothing where none does.
Silent = Callable[[NoLab], str]


def nothing_silent(_: NoLab) -> str:
    """Return nothing: no comment silences anything."""
    return ""


class Contradiction(NoLab):
    """Files say two things where a lab has one; both places are named."""

    def __init__(
        self,
        what: str,
        first: tuple[str, Spot],
        second: tuple[str, Spot],
        hint: str = "",
        rules: tuple[str, ...] = (),
    ) -> None:
        super().__init__(
            second[1],
            f"{what}: found {second[0]}, expected {first[0]} as in {first[1]}",
            hint=hint
            or "mend one of the two; `underlay lint --host NAME=DIR …` says what else differs",
            rules=rules,
            other=first[1],
        )


def word_of(name: str, taken: Iterable[str], fallback: str) -> str:
    """Return ``name`` as a lab takes it for a segment or network, and as nobody in ``taken`` is.

    Small letters, digits and single hyphens are kept, from the first letter on.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    plain = re.sub(r"^[0-9-]+", "", plain)[:WORD_LENGTH].rstrip("-") or fallback
    return _free(plain, set(taken), WORD_LENGTH)


def node_of(name: str, taken: Iterable[str]) -> str:
    """Return a host's name as a lab takes it for a node, and as nobody in ``taken`` is."""
    plain = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:NODE_LENGTH].strip("-") or "host"
    return _free(plain, set(taken), NODE_LENGTH)


def container_of(name: str) -> str:
    """Return a container's name as a lab takes it."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).lstrip("_.-")[:NAME_LENGTH]
    return plain or "container"


def _free(name: str, taken: set[str], length: int) -> str:
    if name not in taken:
        return name
    number = 2
    while (made := f"{name[: length - 1 - len(str(number))].rstrip('-')}-{number}") in taken:
        number += 1
    return made
