"""A host's own interfaces as ``ip`` in a shell script makes them: ip-link(8), ip-address(8).

Nothing is run. Read are ``ip link add`` and ``set``, ``ip address add`` and ``ip route add`` with
what they say of names, parents, kinds, modes, VLANs, MTUs, addresses and routes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from underlay.errors import Spot
from underlay.fleet.document import Document, number
from underlay.fleet.formats.shell import simple_commands
from underlay.fleet.host import (
    Address,
    DefaultRoute,
    Interface,
    Link,
    Subnet,
    as_address,
    as_interface,
    as_subnet,
)

MAKES = re.compile(r"\bip\s+(-\S+\s+)*l(i|in|ink)?\s+a(d|dd)?\s.*\btype\s+(macvlan|ipvlan|vlan)\b")
OBJECTS = {"link": "link", "address": "address", "route": "route"}
# Words of `ip link add` and `set` that a value follows, and what it is called here.
VALUED = {"link": "lower", "name": "name", "dev": "name", "mtu": "mtu", "type": "kind",
          "mode": "mode", "id": "vlan", "address": "mac", "master": "master"}  # fmt: skip


@dataclass
class _Made:
    """What a script says of one interface."""

    spot: Spot
    said: dict[str, str] = field(default_factory=dict)
    spots: dict[str, Spot] = field(default_factory=dict)
    addresses: list[tuple[Interface, Spot]] = field(default_factory=list)
    routes: list[tuple[Subnet, Address | None, Spot]] = field(default_factory=list)


def makes_links(text: str) -> bool:
    """Whether a script makes an interface of a kind that container networks have to do with."""
    return any(MAKES.search(line) for line in re.sub(r"\\\n", " ", text).splitlines())


def script_links(host: str, document: Document) -> Iterator[Link]:
    """Yield the interfaces that a script makes or configures, and those that they sit on."""
    made: dict[str, _Made] = {}
    for words, line in simple_commands(document):
        spot = document.at(line)
        for kind, verb, rest in _asked(words):
            if kind == "link" and verb in ("add", "set"):
                _link(made, rest, spot)
            elif kind == "address" and verb in ("add", "replace"):
                _address(made, rest, spot)
            elif kind == "route" and verb in ("add", "replace", "append"):
                _route(made, rest, spot)
    for one in list(made.values()):
        lower = one.said.get("lower", "")
        if lower and lower not in made:
            made[lower] = _Made(one.spot)
    yield from (_as_link(host, name, one) for name, one in made.items())


def _asked(words: Sequence[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the object of an ``ip`` command, what is done to it, and the words behind that."""
    at = next((i for i, word in enumerate(words) if word.rpartition("/")[2] == "ip"), None)
    if at is None:
        return
    rest = [word for word in words[at + 1 :] if not re.fullmatch(r"-[46a-z]+", word)]
    kind = next((full for full in OBJECTS if rest and full.startswith(rest[0])), "")
    verbs = ("add", "set", "replace", "append")
    verb = next((full for full in verbs if len(rest) > 1 and full.startswith(rest[1])), "")
    if kind and verb:
        yield kind, verb, rest[2:]


def _link(made: dict[str, _Made], words: list[str], spot: Spot) -> None:
    said: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in VALUED and rest:
            said.setdefault(VALUED[word], rest.pop(0))
        elif word not in ("up", "down", "bridge", "private", "vepa"):
            said.setdefault("name", word)
    name = said.pop("name", "")
    if name:
        one = made.setdefault(name, _Made(spot))
        one.said |= said
        one.spots |= dict.fromkeys(said, spot)


def _address(made: dict[str, _Made], words: list[str], spot: Spot) -> None:
    device = _after(words, "dev")
    alone = as_address(words[0]) if words else None
    # A single address is a subnet of its own.
    text = f"{alone}/{alone.max_prefixlen}" if alone is not None else (words or [""])[0]
    interface = as_interface(text)
    if device and interface is not None:
        made.setdefault(device, _Made(spot)).addresses.append((interface, spot))


def _route(made: dict[str, _Made], words: list[str], spot: Spot) -> None:
    rest = [word for word in words if word not in ("to", "unicast")]
    device, via = _after(rest, "dev"), as_address(_after(rest, "via"))
    text = rest[0] if rest else ""
    if text == "default":
        text = "::/0" if via is not None and via.version == 6 else "0.0.0.0/0"
    alone = as_address(text)
    to = as_subnet(f"{alone}/{alone.max_prefixlen}" if alone is not None else text)
    if device and to is not None:
        made.setdefault(device, _Made(spot)).routes.append((to, via, spot))


def _after(words: Sequence[str], key: str) -> str:
    return next((words[i + 1] for i, word in enumerate(words[:-1]) if word == key), "")


def _as_link(host: str, name: str, one: _Made) -> Link:
    kind = one.said.get("kind", "")
    # Without a word the kernel takes vepa for a macvlan: ip-link(8).
    usual = "vepa" if kind == "macvlan" else ""
    return Link(
        host=host,
        name=name,
        spot=one.spot,
        addresses=tuple(one.addresses),
        mtu=number(one.said.get("mtu")),
        mac=one.said.get("mac", ""),
        vlan=number(one.said.get("vlan")) if kind == "vlan" else None,
        lower=one.said.get("lower", ""),
        routes=tuple(to for to, _, _ in one.routes if to.prefixlen),
        defaults=tuple(
            DefaultRoute(via, None, spot)
            for to, via, spot in one.routes
            if not to.prefixlen and via is not None
        ),
        hops=tuple((to, via) for to, via, _ in one.routes if via is not None),
        kind=kind,
        master=one.said.get("master", ""),
        mode=one.said.get("mode", usual),
        spots=one.spots,
    )
