"""Checks of what a driver and a runtime can do: keys that mean nothing to them, or that they need.

``KEYS`` says which drivers know a key, ``RUNTIMES`` which runtimes can make a network of
a driver and mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from underlay.lab import DEFAULT_MODE, Network
from underlay.lab.messages import one_of
from underlay.lab.text import Problem
from underlay.lint.keys.parts import Parts
from underlay.plan.naming import link_name
from underlay.plan.networks import BRIDGED, OVERLAYS

# The drivers that a key means something to; keys that aren't here are everybody's.
KEYS: dict[str, tuple[str, ...]] = {
    "flag": ("ipvlan",),
    "shim": ("macvlan", "ipvlan"),
    "internal": ("macvlan", "ipvlan", "bridge"),
    "routed": ("ipvlan",),
    "allow": ("macvlan",),
    "nat": ("bridge",),
    "vni": ("vxlan",),
    "port": ("vxlan",),
    "group": ("vxlan",),
    "key": ("gretap",),
}
L3_MODES = ("l3", "l3s")
_EVERYBODY = ("cni", "docker", "podman", "iproute2")
# What makes a network of a driver and mode. CNI: main/macvlan, main/ipvlan, main/bridge and
# main/vlan of containernetworking/plugins, where macvlan has no source mode and ipvlan no flag.
# Docker: moby, daemon/libnetwork/drivers. podman: netavark, src/network/vlan.rs.
RUNTIMES: dict[tuple[str, str], tuple[str, ...]] = {
    **{("macvlan", mode): _EVERYBODY for mode in ("bridge", "private", "vepa", "passthru")},
    ("macvlan", "source"): ("iproute2",),
    **{("ipvlan", mode): _EVERYBODY for mode in ("l2", "l3", "l3s")},
    **{(driver, ""): ("cni", "iproute2") for driver in (*BRIDGED, "vlan")},
}
VLAN_ONCE = (
    "driver vlan moves the sub-interface itself into the container: a NIC has each VLAN once"
)
FLAGGED = ("docker", "iproute2")


def _mode(network: Network) -> str:
    return network.mode or DEFAULT_MODE.get(network.driver) or ""


def _driver_key(parts: Parts) -> Iterator[Problem]:
    """A key that means nothing to the network's driver."""
    for name, network in parts.loose_networks.items():
        for key, drivers in KEYS.items():
            place = ("networks", name, key)
            if key in network.model_fields_set and network.driver not in drivers:
                expected = f"no {key} for {network.driver}: it is for {' and '.join(drivers)}"
                yield parts.text.problem(place, f"the key {key}", expected, at_key=True)
        for place, found, expected in _with_mode(name, network):
            yield parts.text.problem(place, found, expected, at_key=True)


def _with_mode(name: str, network: Network) -> Iterator[tuple[tuple[str, str, str], str, str]]:
    mode = _mode(network)
    if network.routed and network.driver == "ipvlan" and mode not in L3_MODES:
        yield ("networks", name, "routed"), f"routed in mode {mode}", "mode l3 or l3s beside it"
    if network.allow is not None and network.driver == "macvlan" and mode != "source":
        yield ("networks", name, "allow"), f"a list in mode {mode}", "mode source beside it"
    if network.vlan is not None and network.driver in OVERLAYS:
        yield ("networks", name, "vlan"), f"a vlan under {network.driver}", "none"
    if network.nat and network.subnet6:
        yield ("networks", name, "subnet6"), "IPv6 behind nat", "IPv4 only, or no nat"
    if network.nat and network.internal:
        yield ("networks", name, "nat"), "nat in an internal network", "one of the two"
    if network.shim and network.internal:
        yield ("networks", name, "shim"), "a shim in an internal network", "one of the two"
    if network.shim and mode == "passthru":
        yield ("networks", name, "shim"), "a shim beside a passthru child", "another mode"


def _needed_key(parts: Parts) -> Iterator[Problem]:
    """A key that the network's driver can't do without."""
    needed = {"vxlan": ("vni", "vni: 100"), "vlan": ("vlan", "vlan: 70")}
    for name, network in parts.loose_networks.items():
        key, example = needed.get(network.driver, ("", ""))
        tagged = network.driver == "vlan" and "." in (network.parent or "")
        written = parts.text.data["networks"][name]
        if key and not tagged and key not in written:
            found = f"{network.driver} without {key}"
            yield parts.text.problem(
                ("networks", name, "driver"), found, f"{key} beside it", f"for example {example}"
            )


def _runtime(parts: Parts) -> Iterator[Problem]:
    """A runtime that can't make such a network."""
    for name, network in parts.loose_networks.items():
        mode = _mode(network)
        able = RUNTIMES.get((network.driver, mode), _EVERYBODY)
        what = f"{network.driver} {mode}".strip()
        if network.flag and network.flag != "bridge" and network.driver == "ipvlan":
            able, what = FLAGGED, f"{what} {network.flag}"
        if network.runtime not in able:
            key = "runtime" if "runtime" in network.model_fields_set else "driver"
            yield parts.text.problem(
                ("networks", name, key),
                f"{what} by {network.runtime}",
                f"runtime {one_of(list(able))}",
            )


def _device(parts: Parts) -> Iterator[Problem]:
    """Names of networks that give two devices of a node the same name."""
    taken: dict[str, str] = {}
    for name, network in parts.loose_networks.items():
        bridged = network.driver in OVERLAYS or (
            network.driver == "bridge" and (network.nat or network.internal)
        )
        kinds = {
            "br": bridged,
            "vx": network.driver == "vxlan",
            "gt": network.driver == "gretap",
            "sh": network.shim,
            "dm": network.internal and not bridged,
        }
        for made in (link_name(kind, name[:11]) for kind, used in kinds.items() if used):
            if made in taken:
                found = f"a name that gives the device {made}"
                expected = f"another one: {taken[made]} gives it too"
                hint = "the first 11 characters of a network's name tell its devices apart"
                yield parts.text.problem(("networks", name), found, expected, hint, at_key=True)
                break
            taken[made] = name


def _bridge_port(parts: Parts) -> Iterator[Problem]:
    """A bridge that holds an uplink, and children on that uplink: the second gets EBUSY.

    A device has one receive handler (net/core/dev.c, netdev_rx_handler_register).
    """
    held: dict[str, str] = {}
    for name, network in parts.loose_networks.items():
        if network.driver == "bridge" and not network.internal and not network.nat:
            held.setdefault(parts.uplink(network), name)
    for name, network in parts.loose_networks.items():
        uplink = parts.uplink(network)
        if network.driver in DEFAULT_MODE and not network.internal and held.get(uplink):
            found = f"{network.driver} on {uplink}, which {held[uplink]}'s bridge holds"
            expected = "another segment, or a vlan of its own"
            hint = "a bridge's port takes no children: `Device or resource busy`"
            yield parts.text.problem(("networks", name, "driver"), found, expected, hint)


def _one_vlan_link(parts: Parts) -> Iterator[Problem]:
    """A NIC has each VLAN once: a container that gets the link leaves none for anybody else."""
    owners: dict[str, str] = {}
    for name, network in parts.loose_networks.items():
        uplink = parts.uplink(network)
        if network.internal or "." not in uplink:
            continue
        taken = "vlan" in (network.driver, parts.loose_networks[owners.get(uplink, name)].driver)
        most = max(parts.used(name).values(), default=0)
        if uplink in owners and taken:
            found = f"{uplink}, which {owners[uplink]} has"
            yield parts.text.problem(
                ("networks", name, "driver"), found, "another vlan or segment", VLAN_ONCE
            )
        elif network.driver == "vlan" and most > 1:
            found = f"{most} containers on a node for its one {uplink}"
            yield parts.text.problem(
                ("networks", name, "driver"), found, "one container on a node", VLAN_ONCE
            )
        owners.setdefault(uplink, name)


DRIVER_CHECKS: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    _driver_key,
    _needed_key,
    _runtime,
    _device,
    _bridge_port,
    _one_vlan_link,
)
