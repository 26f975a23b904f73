"""Checks of what a driver and a runtime can do: keys that mean nothing to them, or that they need.

Which those are is said by the drivers' own values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from underlay.drivers import DRIVERS
from underlay.lab import Network
from underlay.lab.messages import one_of
from underlay.lab.text import Problem
from underlay.lint.keys.parts import Parts
from underlay.plan.naming import link_name

VLAN_ONCE = (
    "driver vlan moves the sub-interface itself into the container: a NIC has each VLAN once"
)


def _mode(network: Network) -> str:
    return network.mode or DRIVERS[network.driver].default_mode


def _driver_key(parts: Parts) -> Iterator[Problem]:
    """A key that means nothing to the network's driver."""
    known: dict[str, list[str]] = {}
    for one in DRIVERS.values():
        for key in one.keys:
            known.setdefault(key, []).append(one.name)
    for name, network in parts.loose_networks.items():
        for key, drivers in known.items():
            place = ("networks", name, key)
            if key in network.model_fields_set and network.driver not in drivers:
                expected = f"no {key} for {network.driver}: it is for {' and '.join(drivers)}"
                yield parts.text.problem(place, f"the key {key}", expected, at_key=True)
        for place, found, expected in _with_mode(name, network):
            yield parts.text.problem(place, found, expected, at_key=True)


def _with_mode(name: str, network: Network) -> Iterator[tuple[tuple[str, str, str], str, str]]:
    mode, driver = _mode(network), DRIVERS[network.driver]
    if network.routed and "routed" in driver.keys and not driver.routes(mode):
        expected = f"mode {' or '.join(driver.l3_modes)} beside it"
        yield ("networks", name, "routed"), f"routed in mode {mode}", expected
    if network.allow is not None and "allow" in driver.keys and mode != "source":
        yield ("networks", name, "allow"), f"a list in mode {mode}", "mode source beside it"
    if network.vlan is not None and driver.overlay:
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
    for name, network in parts.loose_networks.items():
        written = {*parts.text.data["networks"][name]}
        # The parent's name tells a VLAN as well as the key does.
        written |= {"vlan"} if "." in (network.parent or "") else set()
        for key, example in DRIVERS[network.driver].needed.items():
            if key not in written:
                found = f"{network.driver} without {key}"
                place = ("networks", name, "driver")
                hint = f"for example {example}"
                yield parts.text.problem(place, found, f"{key} beside it", hint)


def _runtime(parts: Parts) -> Iterator[Problem]:
    """A runtime that can't make such a network."""
    for name, network in parts.loose_networks.items():
        driver, mode = DRIVERS[network.driver], _mode(network)
        if mode and not driver.modes:
            continue
        flag = network.flag if network.flag in driver.flags else ""
        able = driver.made_by(mode, flag or "")
        what = f"{network.driver} {driver.mode_word(mode, flag or '')}".strip()
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
        driver = DRIVERS[network.driver]
        closed = network.nat or network.internal
        bridged = driver.overlay is not None or (driver.bridges_uplink and closed)
        kinds = {
            "br": bridged,
            driver.overlay.letters if driver.overlay else "": driver.overlay is not None,
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
        closed = network.internal or network.nat
        if DRIVERS[network.driver].bridges_uplink and not closed:
            held.setdefault(parts.uplink(network), name)
    for name, network in parts.loose_networks.items():
        uplink = parts.uplink(network)
        if DRIVERS[network.driver].has_children and not network.internal and held.get(uplink):
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
        moved = DRIVERS[network.driver].attach == "moved"
        owner = parts.loose_networks[owners.get(uplink, name)]
        taken = moved or DRIVERS[owner.driver].attach == "moved"
        most = max(parts.used(name).values(), default=0)
        if uplink in owners and taken:
            found = f"{uplink}, which {owners[uplink]} has"
            yield parts.text.problem(
                ("networks", name, "driver"), found, "another vlan or segment", VLAN_ONCE
            )
        elif moved and most > 1:
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
