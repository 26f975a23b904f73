"""What no single key can tell: names that lead nowhere, keys that contradict each other.

Each check is a function from the lab's valid parts to problems; ``CHECKS`` lists them.
Addresses have a module of their own, ``lab_addresses.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from underlay.drivers import DRIVERS
from underlay.errors import did_you_mean, nearest
from underlay.lab import Network
from underlay.lab.messages import one_of
from underlay.lab.text import LabText, Place, Problem, quoted
from underlay.lint.keys.addresses import ADDRESS_CHECKS
from underlay.lint.keys.drivers import DRIVER_CHECKS
from underlay.lint.keys.fixed import FIXED_CHECKS
from underlay.lint.keys.leases import LEASE_CHECKS
from underlay.lint.keys.parts import Parts, parts_of
from underlay.lint.keys.ports import PORT_CHECKS
from underlay.plan import MANAGEMENT, MANAGEMENT_SEGMENT
from underlay.plan.naming import bridge_name, default_file, port_name, second_port_name

# moby refuses to make networks of these names: `IsPreDefinedNetwork`.
DOCKER_NAMES = ("bridge", "host", "none", "default")

# What runs without systemd.
LEAN_RUNTIMES = ("cni", "iproute2")

PARENT_KEYS = ("parent", "master", "segment")


def cross_check(text: LabText) -> list[Problem]:
    """Return what contradicts itself in a lab file whose top level is a mapping."""
    parts = parts_of(text)
    return [replace(found, id=kind_of(check)) for check in CHECKS for found in check(parts)]


def kind_of(check: Callable[[Parts], Iterator[Problem]]) -> str:
    """Return the id of the problems that ``check`` finds: its name, in a lab file's spelling."""
    return check.__name__.strip("_").replace("_", "-")


def _parent(parts: Parts) -> Iterator[Problem]:
    """Each network has a segment or a parent, and it exists."""
    interfaces = [MANAGEMENT, *parts.interfaces]
    for name, network in parts.loose_networks.items():
        place = ("networks", name)
        key = parent_key(parts.text, name)
        if network.segment and network.parent:
            hint = "segment alone is enough" if parts.segment_names else ""
            found = f"both segment and {key[-1]}"
            yield parts.text.problem(key, found, "one of them", hint, at_key=True)
        elif (
            not network.segment
            and not network.parent
            and not network.internal
            and not _meant(parts, name)
        ):
            expected = f"segment: {one_of(parts.segment_names)}" if parts.segment_names else "one"
            yield parts.text.problem(place, "neither segment nor parent", expected, at_key=True)
        if network.segment:
            yield from _known(parts.text, (*place, "segment"), network.segment, parts.segment_names)
        if network.parent:
            base = network.parent.partition(".")[0]
            yield from _known(parts.text, key, base, interfaces, shown=network.parent)
            yield from _tag(parts, name, network)


def _meant(parts: Parts, network: str) -> bool:
    """Whether the file tries to name a parent, and another message says what is wrong with it."""
    words = parts.text.data["networks"][network]
    return any(nearest(word, list(PARENT_KEYS)) for word in words)


def _tag(parts: Parts, name: str, network: Network) -> Iterator[Problem]:
    """``parent: eth1.70`` says the VLAN already."""
    base, dot, tag = (network.parent or "").partition(".")
    key = parent_key(parts.text, name)
    if dot and not 1 <= int(tag) <= 4094:
        yield parts.text.problem(key, f"the VLAN {tag}", "a VLAN from 1 to 4094")
    elif dot and str(int(tag)) != tag:
        hint = did_you_mean(f"{base}.{int(tag)}")
        yield parts.text.problem(key, quoted(network.parent), "a VLAN without leading zeros", hint)
    elif dot and network.vlan is not None and network.vlan != int(tag):
        place = ("networks", name, "vlan")
        yield parts.text.problem(place, str(network.vlan), f"{tag}, as in {key[-1]}, or no vlan")


def _mode(parts: Parts) -> Iterator[Problem]:
    """A mode is one of its own driver's."""
    for name, network in parts.loose_networks.items():
        driver, mode = DRIVERS[network.driver], network.mode
        modes = driver.modes
        if mode is None or mode in modes:
            continue
        if not modes:
            place, expected = ("networks", name, "mode"), f"no mode: {network.driver} has none"
            yield parts.text.problem(place, quoted(mode), expected, at_key=True)
            continue
        owner = next(one.name for one in DRIVERS.values() if mode in one.modes)
        hint = f"`{mode}` is {_a(owner)} mode; {network.driver} has {', '.join(modes)}"
        place, expected = ("networks", name, "mode"), one_of(list(modes))
        yield parts.text.problem(place, quoted(mode), expected, driver.refused.get(mode, hint))


def _files(parts: Parts) -> Iterator[Problem]:
    """The net.d files of a node have different names, and Docker has none."""
    taken: dict[str, str] = {}
    for name, network in parts.loose_networks.items():
        place = ("networks", name, "file")
        if network.runtime != "cni":
            if network.file:
                hint = "Docker keeps its networks in its own database"
                yield parts.text.problem(
                    place, quoted(network.file), f"no file for {network.runtime}", hint, at_key=True
                )
            continue
        file = network.file or default_file(parts.network_names.index(name), name)
        if file in taken:
            found = f"the file name {quoted(file)}" + ("" if network.file else " by default")
            expected = f"another one: {taken[file]} has it"
            yield parts.text.problem(place if network.file else place[:2], found, expected)
        taken.setdefault(file, name)


def _groups(parts: Parts) -> Iterator[Problem]:
    """Groups of containers name networks and nodes that exist, each once, of one runtime."""
    for index, group in parts.loose_groups.items():
        place: Place = ("containers", index, "networks")
        yield from _once(parts.text, place, group.networks, "the network")
        for position, name in enumerate(group.networks):
            yield from _known(parts.text, (*place, position), name, parts.network_names)
        runtimes: dict[str, str] = {}
        for position, name in enumerate(group.networks):
            network = parts.loose_networks.get(name)
            if network is None:
                continue
            runtimes.setdefault(network.runtime, name)
            if len(runtimes) > 1:
                first = next(iter(runtimes))
                found = f"{name} of runtime {network.runtime}"
                expected = f"networks of runtime {first} only, as {runtimes[first]} is"
                yield parts.text.problem((*place, position), found, expected)
                break


def _nodes(parts: Parts) -> Iterator[Problem]:
    """Groups of containers name nodes that exist, each once."""
    for index, group in parts.loose_groups.items():
        place: Place = ("containers", index, "on")
        if not parts.nodes or group.on == "all":
            continue
        if isinstance(group.on, str):
            yield from _known(parts.text, place, group.on, ["all", *parts.node_names])
            continue
        yield from _once(parts.text, place, group.on, "the node")
        for position, node in enumerate(group.on):
            yield from _known(parts.text, (*place, position), node, parts.node_names)


def _names(parts: Parts) -> Iterator[Problem]:
    """Names that were cut to the kernel's 15 characters are still different."""
    taken: dict[str, str] = {}
    for name in parts.segment_names:
        if name == MANAGEMENT_SEGMENT:
            yield parts.text.problem(
                ("segments", name), quoted(name), "another name: eth0's segment has it", at_key=True
            )
        count = parts.nodes.count if parts.nodes else 0
        made = [bridge_name(name), *(port_name(name, i) for i in range(1, count + 1))]
        if name in parts.segments and parts.segments[name].bond:
            made += [second_port_name(name, i) for i in range(1, count + 1)]
        clash = next((m for m in made if m in taken), "")
        if clash:
            found = f"a name that gives the interface {clash}"
            yield parts.text.problem(
                ("segments", name),
                found,
                f"another one: {taken[clash]} gives it too",
                "the first 10 characters of a segment's name tell its interfaces apart",
                at_key=True,
            )
        taken.update(dict.fromkeys(made, name))
    for name, network in parts.loose_networks.items():
        if network.runtime == "docker" and name in DOCKER_NAMES:
            expected = "a name that Docker has not reserved"
            yield parts.text.problem(("networks", name), quoted(name), expected, at_key=True)


def _profile(parts: Parts) -> Iterator[Problem]:
    """A lean node has no engine: Docker and podman need what systemd starts."""
    if parts.nodes is None or parts.nodes.profile != "lean":
        return
    for name, network in parts.loose_networks.items():
        if network.runtime not in LEAN_RUNTIMES:
            hint = "or leave `profile: lean` out"
            yield parts.text.problem(
                ("networks", name, "runtime"), quoted(network.runtime),
                f"{one_of(list(LEAN_RUNTIMES))} on lean nodes", hint,
            )  # fmt: skip


def _gateway_route(parts: Parts) -> Iterator[Problem]:
    """A default route by the gateway needs one."""
    for name, network in parts.loose_networks.items():
        by_bridge = network.nat or (DRIVERS[network.driver].bridges_uplink and network.internal)
        if network.default_route == "gateway" and network.gateway is None and not by_bridge:
            place = ("networks", name, "default_route")
            yield parts.text.problem(
                place, "'gateway' without a gateway", "the key gateway beside it"
            )


def parent_key(text: LabText, network: str) -> Place:
    """Return the place of the key that names the parent of the network called ``network``."""
    for key in PARENT_KEYS:
        if ("networks", network, key) in text.keys:
            return ("networks", network, key)
    return ("networks", network)


def _known(
    text: LabText, place: Place, name: str, choices: list[str], shown: str = ""
) -> Iterator[Problem]:
    if choices and name not in choices:
        hint = did_you_mean(nearest(name, choices))
        yield text.problem(place, quoted(shown or name), one_of(choices), hint)


def _once(text: LabText, place: Place, names: list[str], what: str) -> Iterator[Problem]:
    for position, name in enumerate(names):
        if name in names[:position]:
            yield text.problem((*place, position), f"{what} {name} a second time", "it once")


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


CHECKS: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    _parent,
    _mode,
    _files,
    _groups,
    _nodes,
    _names,
    _profile,
    _gateway_route,
    *DRIVER_CHECKS,
    *ADDRESS_CHECKS,
    *FIXED_CHECKS,
    *LEASE_CHECKS,
    *PORT_CHECKS,
)
