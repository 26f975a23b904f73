"""Shell scripts that make networks and containers by ``docker`` or ``podman``: options alone.

Nothing is run. What a line does behind a condition is taken once, as it is written; loops over
literal words are taken as often as these say: see shell.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from underlay.fleet.document import Document, listed, number
from underlay.fleet.formats.docker import api_networks
from underlay.fleet.formats.shell import (
    ASSIGNED,
    DECLARED,
    ENDS,
    Loop,
    begins_loop,
    ends_loop,
    lines_of,
    parts_of,
    simple_commands,
    unread_loops,
    words_of,
)
from underlay.fleet.host import Address, Container, Fixed, Network, as_address
from underlay.lab.nodes import Mark
from underlay.lab.text import LabText, Place

MADE = re.compile(r"\b(docker|podman)\s+(network\s+create|run|create)\b")
ENGINES = ("docker", "podman")
# Commands by which no packet goes another way.
_IDLE = ("set", "echo", "printf", "exit", "sleep", "true", ":", "cd")
# What stands before a command, and an engine's commands that leave networks as they are.
_BEFORE = ("sudo", "exec", "time", "command")
_HANDLED = ("run", "create", "container", "pull", "rm", "rmi", "stop", "start", "ps", "images",
            "image", "volume", "logs", "build", "login", "kill", "wait", "info", "version",
            "inspect")  # fmt: skip
# Options of `network connect` that take a value.
CONNECT = ("--alias", "--driver-opt", "--gw-priority", "--ip", "--ip6", "--link",
           "--link-local-ip", "--mac-address")  # fmt: skip
# Options of `run` that may change what becomes of a container's packets.
SWITCHES = ("--sysctl", "--cap-add", "--cap-drop", "--privileged")
# What is read of `ip`, in ip_commands.py, and words of it that are not.
_IP_READ = re.compile(
    r"(l[a-z]* (a[a-z]*|set|show)|a[a-z]* (add|replace|show)|r[a-z]* (add|replace|append|show))\b"
)
_MAKES_LINK = re.compile(r"\bip\b[^;|&]*\bl(?:ink)?\s+add\b")
_IP_UNREAD = frozenset({"promisc", "netns", "down", "arp", "multicast", "allmulticast", "vf",
                        "table", "blackhole", "unreachable", "nexthop"})  # fmt: skip
# So much of a line is told.
SHOWN = 40
# Options of `network create` that take a value, by their short names and other spellings.
VALUED = {
    "-d": "--driver", "-o": "--opt", "--option": "--opt", "--label": "--label",
    "--driver": "--driver", "--opt": "--opt", "--subnet": "--subnet", "--gateway": "--gateway",
    "--ip-range": "--ip-range", "--aux-address": "--aux-address", "--route": "--route",
    "--ipam-driver": "--ipam-driver", "--ipam-opt": "--ipam-opt", "--dns": "--dns",
    "--interface-name": "--interface-name", "--scope": "--scope", "--config-from": "--config-from",
}  # fmt: skip
IGNORED = ("--label", "--dns", "--scope", "--attachable", "--ignore", "--disable-dns")
OF_SUBNET = {"--gateway": "Gateway", "--ip-range": "IPRange"}
PLAIN = {"name": "Name", "--driver": "Driver", "--internal": "Internal",
         "--ipv6": "EnableIPv6", "--ipv4": "EnableIPv4"}  # fmt: skip
# Those of `run` that tell of networks; others are passed over, whatever follows them.
RUN = {"--net": "--network", "--network": "--network", "--ip": "--ip", "--ip6": "--ip6",
       "--mac-address": "--mac-address", "--name": "--name"}  # fmt: skip


# A network that a container is in, with the addresses and the MAC that it has there.
Joined = tuple[str, tuple[Address, ...], str]


@dataclass(frozen=True)
class Command:
    """A command of an engine: its words behind ``network create`` or ``run``, and its line.

    It ``connects`` a container to one more network where it is ``network connect``.
    """

    engine: str
    makes_network: bool
    words: tuple[str, ...]
    line: int
    connects: bool = False


def makes_something(text: str) -> bool:
    """Whether a script makes a network or a container by an engine."""
    return bool(MADE.search(re.sub(r"\\\n", " ", text)))


def makes_any(text: str) -> bool:
    """Whether a script makes a network, a container or an interface."""
    return makes_something(text) or any(map(_MAKES_LINK.search, text.splitlines()))


def read_script(document: Document) -> None:
    """Fill in ``data`` with the networks that a script makes, and the line of each of their keys.

    Each is a body of the Engine's API; ``Engine`` in it says whose command makes it.
    """
    document.marks = LabText(document.file)
    made = [command for command in _commands(document) if command.makes_network]
    document.data = [_network(command) for command in made]
    for position, command in enumerate(made):
        _mark(document, (position,), document.data[position], Mark(command.line, 1))


def script_networks(host: str, document: Document) -> Iterator[Network]:
    """Yield the networks that a script makes, as ``docker network inspect`` would show them."""
    for body, network in zip(listed(document.data), api_networks(host, document), strict=True):
        options = body["Options"]
        if body["Engine"] == "docker":
            yield network
        else:
            yield replace(
                network,
                runtime="podman",
                mode=options.get("mode", ""),
                mtu=number(options.get("mtu")),
                ipam=body["IPAM"].get("Driver", ""),
                routes_by_gateway=options.get("no_default_route") not in ("true", "1"),
            )


def script_containers(host: str, document: Document) -> Iterator[Container]:
    """Yield the containers that a script starts, with the networks that it names for them.

    What it connects later to a container of its own counts as well.
    """
    commands = list(_commands(document))
    later: dict[tuple[str, str], list[Joined]] = {}
    for command in (one for one in commands if one.connects):
        network, name, joined = _connected(command)
        later.setdefault((command.engine, name), []).append((network, *joined))
    # A loop starts one that has no name as often as it is taken.
    times = Counter(commands)
    for command in dict.fromkeys(commands):
        if command.makes_network or command.connects:
            continue
        options = _options(command)
        named = next(iter(options.get("--name", [])), "")
        name = named or f"line-{command.line}"
        given = _given(options)
        networks: list[Joined] = []
        for text in options.get("--network", ["bridge"]):
            network, addresses, mac = _network_option(text)
            first = not networks
            networks.append((network, addresses or given[0] * first, mac or given[1] * first))
        yield Container(
            host=host,
            name=name,
            runtime=command.engine,
            networks=(*networks, *later.get((command.engine, name), ())),
            spot=document.at(command.line),
            document=document,
            count=1 if named else times[command],
        )


def script_fixed(containers: Iterable[Container]) -> Iterator[Fixed]:
    """Yield the addresses and MACs that a script gives its containers."""
    for one in containers:
        for network, addresses, mac in one.networks:
            for address in addresses:
                yield Fixed(one.host, one.name, network, address, "", one.spot)
            if mac:
                yield Fixed(one.host, one.name, network, None, mac, one.spot)


def _given(options: dict[str, list[str]]) -> tuple[tuple[Address, ...], str]:
    """Return the addresses and the MAC that options of their own give."""
    texts = [text for key in ("--ip", "--ip6") for text in options.get(key, [])]
    found = tuple(one for one in map(as_address, texts) if one is not None)
    return found, next(iter(options.get("--mac-address", [])), "")


def _network_option(text: str) -> Joined:
    """Return what ``--network`` says: a name, Docker's name=NAME,ip=IP or podman's NAME:ip=IP.

    Sources: docker-run(1), docker/cli, opts/network.go; podman-run(1).
    """
    name, pairs = _apart(text)
    name = name or next((value for key, value in pairs if key == "name"), "")
    found = (as_address(value) for key, value in pairs if key in ("ip", "ip6"))
    mac = next((value for key, value in pairs if key in ("mac", "mac-address")), "")
    return name, tuple(one for one in found if one is not None), mac


def _apart(text: str) -> tuple[str, list[tuple[str, str]]]:
    plain = text.partition(",")[0]
    name, _, rest = ("", "", text) if "=" in plain and ":" not in plain else text.partition(":")
    pairs = (part.strip('"').partition("=") for part in rest.split(","))
    return name, [(key, value) for key, _, value in pairs]


def _connected(command: Command) -> tuple[str, str, tuple[tuple[Address, ...], str]]:
    """Return the network and the container of ``network connect``, and what it has there."""
    plain: list[str] = []
    words = iter(command.words)
    for word in words:
        if word in CONNECT:
            next(words, "")
        elif not word.startswith("-"):
            plain.append(word)
    network, name = (*plain, "", "")[:2]
    return network, name, _given(_options(command))


def unread_lines(document: Document) -> Iterator[int]:
    """Yield the lines that make something and can't be taken apart: a quote is open there."""
    for line, text in lines_of(document.text):
        if MADE.search(text) and words_of(text) is None:
            yield line


def unread_makers(document: Document) -> Iterator[Loop]:
    """Yield the loops that make networks, containers or interfaces, nobody can tell how often."""
    for loop in unread_loops(document) if document.kind == "script" else ():
        if any(MADE.search(text) or _MAKES_LINK.search(text) for _, text in loop.body):
            yield loop


def other_options(document: Document) -> Iterator[tuple[int, str]]:
    """Yield the options of ``run`` that may change a container's packets, each with its line."""
    for command in _commands(document):
        for word in () if command.makes_network or command.connects else command.words:
            key = word.partition("=")[0]
            if key in SWITCHES:
                yield command.line, key


def unread_addresses(document: Document) -> Iterator[tuple[int, str, str]]:
    """Yield each option that gives a container what is no address as it stands.

    With it come its line and the container's name. In a loop an address may hold the loop's
    variable, and a variable may be set by whoever runs the script.
    """
    for command in _commands(document) if document.kind == "script" else ():
        options = {} if command.makes_network else _options(command)
        said = [(key, text) for key in ("--ip", "--ip6") for text in options.get(key, [])]
        for text in options.get("--network", []):
            said += [
                (f"{key} in --network", v) for key, v in _apart(text)[1] if key in ("ip", "ip6")
            ]
        owner = _connected(command)[1] if command.connects else ""
        owner = owner or next(iter(options.get("--name", [])), "") or f"line-{command.line}"
        for key, text in said:
            if as_address(text) is None:
                yield command.line, owner, f"{key} {text}".rstrip()


def other_lines(document: Document) -> Iterator[tuple[int, str]]:
    """Yield the lines that may do more than make networks and containers, each with its number.

    What only says something, sets a variable or handles images and containers is none of them.
    """
    unread = {loop.line for loop in unread_loops(document)}
    for line, text in lines_of(document.text):
        parts: list[list[str]] = [[]]
        for part in parts_of(text):
            known_loop = begins_loop(part) and line not in unread
            for one in [] if known_loop or ends_loop(part) else words_of(part) or []:
                if one in ENDS:
                    parts.append([])
                else:
                    parts[-1].append(one)
            parts.append([])
        if not text.startswith("#!") and not all(map(_is_idle, parts)):
            shown = " ".join(text.split())
            yield line, shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"


def _is_idle(command: list[str]) -> bool:
    """Whether a command changes nothing of networks beyond what is read of it."""
    words = list(command)
    before = ("do", *DECLARED, *_BEFORE)
    while words and (words[0] in before or ASSIGNED.fullmatch(words[0])):
        words.pop(0)
    if not words or words[0] in _IDLE:
        return True
    engine, *rest = words[0].rpartition("/")[2], *words[1:]
    if engine == "ip":
        plain = " ".join(word for word in rest if not word.startswith("-"))
        return bool(_IP_READ.match(plain)) and not set(rest) & _IP_UNREAD
    if engine not in ENGINES or not rest:
        return False
    inner = rest[1] if rest[0] == "network" and len(rest) > 1 else ""
    return rest[0] in _HANDLED or inner in ("connect", "create", "rm", "inspect", "ls", "prune")


def _commands(document: Document) -> Iterator[Command]:
    for words, line in simple_commands(document):
        yield from _of_engine(words, line)


def _of_engine(part: list[str], line: int) -> Iterator[Command]:
    """Yield what a simple command asks of an engine, if it is one of an engine's."""
    at = next((i for i, word in enumerate(part) if word.rpartition("/")[2] in ENGINES), None)
    if at is None:
        return
    engine, rest = part[at].rpartition("/")[2], part[at + 1 :]
    if rest[:2] == ["network", "create"]:
        yield Command(engine, True, tuple(rest[2:]), line)
    elif rest[:2] == ["network", "connect"]:
        yield Command(engine, False, tuple(rest[2:]), line, connects=True)
    elif rest[:1] in (["run"], ["create"]) or rest[:2] == ["container", "run"]:
        yield Command(engine, False, tuple(rest[1:]), line)


def _pairs(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the options of ``network create`` with their values, and its name as ``name``."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        key, equals, value = word.partition("=")
        if not word.startswith("-"):
            yield "name", word
        elif key in VALUED:
            yield VALUED[key], value if equals else (rest.pop(0) if rest else "")
        else:
            yield key, value


def _network(command: Command) -> dict[str, Any]:
    """Return a network as a body of ``POST /networks/create``; ``Unknown`` are other options."""
    config: list[dict[str, Any]] = []
    body: dict[str, Any] = {"Engine": command.engine, "Name": "", "Driver": "bridge",
                            "IPAM": {"Config": config}, "Options": {}, "Unknown": []}  # fmt: skip
    for key, value in _pairs(command.words):
        if key in OF_SUBNET:
            name = OF_SUBNET[key]
            # Each belongs to the subnet before it that has none; Docker pairs them by what holds.
            found = next((one for one in config if name not in one), None)
            (found if found is not None else {})[name] = value
        elif key == "--subnet":
            config.append({"Subnet": value})
        elif key == "--aux-address":
            name, _, address = value.partition("=")
            (config[-1] if config else {}).setdefault("AuxiliaryAddresses", {})[name] = address
        elif key == "--opt":
            body["Options"] |= dict(one.partition("=")[::2] for one in value.split(","))
        elif key == "--interface-name":
            body["Options"]["parent"] = value
        elif key == "--ipam-driver":
            body["IPAM"]["Driver"] = value
        elif key in PLAIN:
            body[PLAIN[key]] = value if key in ("name", "--driver") else value != "false"
        elif key not in IGNORED:
            body["Unknown"].append(key)
    return body


def _mark(document: Document, place: Place, value: Any, mark: Mark) -> None:
    document.marks.keys[place] = document.marks.values[place] = mark
    entries = value.items() if isinstance(value, dict) else enumerate(listed(value))
    for key, inner in entries:
        _mark(document, (*place, key), inner, mark)


def _options(command: Command) -> dict[str, list[str]]:
    """Return the options of ``run`` that tell of networks, whichever words are between them."""
    found: dict[str, list[str]] = {}
    words = iter(command.words)
    for word in words:
        key, equals, value = word.partition("=")
        if key in RUN:
            found.setdefault(RUN[key], []).append(value if equals else next(words, ""))
    return found
