"""What nodes' interfaces are called: each name once on a node, and none that something else has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from underlay.lab import Network
from underlay.lab.text import Place, Problem, quoted
from underlay.lint.keys.parts import Parts
from underlay.plan import MANAGEMENT
from underlay.plan.naming import NAME_BYTES, link_name
from underlay.plan.uplinks import member_names

# What every node has, or the kernel and engines make there by themselves.
TAKEN = {
    MANAGEMENT: "management has it on every node",
    "lo": "every namespace's loopback has it",
    "docker0": "Docker's own bridge has it",
    "podman0": "podman's own bridge has it",
    "bond0": "the kernel makes it when it loads bonding: Documentation/networking/bonding.rst",
    **dict.fromkeys(
        ("gre0", "gretap0", "erspan0", "tunl0", "sit0"), "the kernel's own tunnel has it"
    ),
    **dict.fromkeys(
        ("all", "default"), "sysctls of all interfaces have it: Linux net/ipv4/devinet.c"
    ),
    **dict.fromkeys(
        ("yes", "no", "on", "off", "true", "false", "null", "y", "n"), "YAML takes it for a value"
    ),
    **dict.fromkeys(
        ("address", "alias", "dev", "down", "group", "index", "link", "master", "mtu", "name",
         "netns", "nomaster", "type", "up", "vf", "via"), "ip(8) takes it for a word of its own"
    ),
}  # fmt: skip
# Linux names NICs so before anybody else does, and a name isn't given while another NIC has it.
KERNELS = "vec"


class _Device(NamedTuple):
    """An interface of each node: where the lab file says its name, or what leads to it."""

    place: Place
    name: str
    what: tuple[object, ...]
    who: str
    written: bool


def interface_name(parts: Parts) -> Iterator[Problem]:
    """Interfaces of a node have names of their own, which the kernel takes."""
    known: dict[str, _Device] = {}
    for device in _devices(parts):
        other = known.setdefault(device.name, device)
        found, at_key = quoted(device.name), not device.written
        reserved = TAKEN.get(device.name) or _number_of_the_kernel(device.name)
        if device.written and reserved:
            yield parts.text.problem(device.place, found, f"another name: {reserved}")
        elif len(device.name) > NAME_BYTES:
            expected = f"at most {NAME_BYTES} bytes in the name of an interface"
            hint = f"give it one: interface: vlan{device.what[-1]}, say"
            yield parts.text.problem(device.place, found, expected, hint, at_key=at_key)
        elif other.what != device.what and (other.written or device.written):
            expected = f"another name: {other.who} has it"
            yield parts.text.problem(device.place, found, expected, at_key=at_key)


def made_on_nodes(parts: Parts) -> Iterator[str]:
    """Yield the names of nodes' interfaces with addresses of the plan: NICs, VLANs', bridges."""
    for device in _devices(parts):
        if device.what[0] not in ("member", "dummy", "shim"):
            yield device.name


def taken_on_nodes(parts: Parts) -> dict[str, str]:
    """Return the names that no VLAN sub-interface of a node's own can have, and who has each."""
    found = {
        device.name: f"{device.who} has it"
        for device in _devices(parts)
        if device.what[0] != "vlan"
    }
    return {**found, **TAKEN}


def _number_of_the_kernel(name: str) -> str:
    numbered = name.startswith(KERNELS) and name.removeprefix(KERNELS).isdecimal()
    return "the kernel's first names of NICs are such" if numbered else ""


def _devices(parts: Parts) -> Iterator[_Device]:
    members = member_names(list(parts.segments.items()))
    for segment_name, nic in parts.uplinks.nics.items():
        place: Place = ("segments", segment_name)
        segment = parts.segments.get(segment_name)
        written = bool(segment and segment.interface)
        spot = (*place, "interface") if written else place
        yield _Device(
            spot, nic, ("nic", segment_name), f"the nodes' NIC in {segment_name}", written
        )
        for position, member in enumerate(members.get(segment_name, ())):
            written = bool(segment and segment.members)
            spot = (*place, "members", position) if written else place
            what = ("member", segment_name, position)
            yield _Device(spot, member, what, f"a NIC of {segment_name}'s bond", written)
    for name, network in parts.loose_networks.items():
        yield from _of_network(parts, name, network)


def _of_network(parts: Parts, name: str, network: Network) -> Iterator[_Device]:
    place: Place = ("networks", name)
    uplink, nic, vlan = parts.uplink(network), parts.interface(network), parts.vlan(network)
    spot: Place
    if nic and vlan and not network.is_closed and network.traits.attach != "moved":
        spot = (*place, "interface") if network.interface else place
        yield _Device(
            spot, uplink, ("vlan", nic, vlan), f"VLAN {vlan} of {nic}", bool(network.interface)
        )
    if network.traits.attach == "port":
        # One bridge holds the uplink for all networks on it.
        held = network.traits.bridges_uplink and not network.is_closed
        made = network.bridge or link_name("br", uplink if held else name)
        spot = (*place, "bridge") if network.bridge else place
        what: tuple[object, ...] = ("bridge", uplink) if held else ("bridge of", name)
        yield _Device(spot, made, what, f"{name}'s bridge", bool(network.bridge))
    elif network.internal:
        yield _Device(place, link_name("dm", name), ("dummy", name), f"{name}'s parent", False)
    if network.shim:
        shim = network.own_shim
        own = shim.name if shim and shim.name else ""
        spot = (*place, "shim", "name") if own else place
        made = own or link_name("sh", name)
        yield _Device(spot, made, ("shim", name), f"{name}'s shim", bool(own))


def interface_key(parts: Parts) -> Iterator[Problem]:
    """A name is for an interface that the lab has, and there is one name for it."""
    for name, segment in parts.segments.items():
        if segment.members and not segment.bond:
            place: Place = ("segments", name, "members")
            yield parts.text.problem(place, "members without a bond", "bond beside it", at_key=True)
    known: dict[object, tuple[str, str]] = {}
    for name, network in parts.loose_networks.items():
        for key, found, expected in _without(parts, network):
            yield parts.text.problem(("networks", name, key), found, expected, at_key=True)
        uplink = (parts.interface(network), parts.vlan(network))
        held = network.traits.bridges_uplink and not network.is_closed
        for key, written, what in (
            ("interface", network.interface, ("interface", *uplink)),
            ("bridge", network.bridge if held else None, ("bridge", *uplink)),
        ):
            first, owner = known.setdefault(what, (written, name)) if written else ("", "")
            if written and first != written:
                expected = f"{first}, as {owner} calls it: it is one interface"
                yield parts.text.problem(("networks", name, key), quoted(written), expected)


def _without(parts: Parts, network: Network) -> Iterator[tuple[str, str, str]]:
    """Yield the key, what was found and what was expected for names of what isn't made."""
    if network.interface:
        found = "the name of a sub-interface"
        if network.traits.attach == "moved":
            yield "interface", found, f"none: {network.driver} moves it into its container"
        elif network.is_closed:
            yield "interface", found, "none: the network has no uplink"
        elif not parts.is_tagged(network):
            hint = "a NIC's own name is the segment's key interface"
            yield "interface", f"{found} without a VLAN", f"vlan beside it; {hint}"
    if network.bridge and network.traits.attach != "port":
        yield "bridge", f"the name of a bridge for {network.driver}", "none: it has no bridge"
