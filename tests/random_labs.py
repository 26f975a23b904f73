"""Random labs, for Hypothesis: driver × mode × VLAN × subnet × placement × runtime,
on switches of each kind, in both address families, with overlays, NAT, shims and routers, and
with containers that have several links on one parent.

Only labs that lint finds no error in come out, so the strategy may propose more than fits.
"""

from __future__ import annotations

import json
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from underlay.drivers import DRIVERS
from underlay.errors import BadInput
from underlay.lint import load
from underlay.plan import Plan

NODES = 2
MOST_NODES = 5
NODE_NAMES = tuple(f"core-{index:02}" for index in range(1, NODES + 1))
SEGMENTS = ("lan", "wan")
# What a network takes over from another one, to sit beside it on the same parent.
SHARED = ("driver", "segment", "vlan", "mode", "flag", "runtime")
RUNTIME_NAMES = ("cni", "docker", "podman", "iproute2")
SELDOM = ("vlan", "vxlan", "gretap", "macvtap", "ipvtap")
DRAWN = (*["macvlan", "ipvlan"] * 3, "bridge", "bridge", *SELDOM)
# What each of a lab's networks may also be, beside the drivers that take it, one time in so many.
TRAITS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("internal", ("macvlan", "ipvlan", "bridge"), 6),
    ("shim", ("macvlan", "ipvlan"), 5),
    ("nat", ("bridge",), 3),
    ("routed", ("ipvlan", "ipvtap"), 3),
)
HANDED_OUT = ("", "", "", "", "ranges", "cluster", "subnets")
CHECKS = ("source", "arp", "nd", "broadcast", "multicast", "macs", "pmtu")
# The last part of the address of a gateway that is an external host.
BY_HOST = 1


@st.composite
def labs(
    draw: st.DrawFn, runtimes: tuple[str, ...] = RUNTIME_NAMES, nodes: int = NODES
) -> dict[str, Any]:
    """Return a lab of two segments and so many ``nodes``, as a lab file's mapping without a name.

    Its containers are started by ``runtimes`` only.
    """
    names = [f"net{position}" for position in range(draw(st.integers(1, 4)))]
    dual = draw(_once_in(3))
    networks = {name: draw(_network(i, runtimes, dual)) for i, name in enumerate(names)}
    for before, name in pairwise(names):
        if draw(_once_in(2)):
            networks[name] = _beside(networks[before], networks[name])
    lab: dict[str, Any] = {
        "nodes": nodes,
        "segments": {
            "lan": {"subnet": "192.168.70.0/24"} | draw(_segment("fd00:70::/64" if dual else "")),
            "wan": {"subnet": "192.168.80.0/24"} | draw(_segment("fd00:80::/64" if dual else "")),
        },
        "networks": networks,
        "containers": draw(_containers(networks, nodes)),
    }
    if draw(_once_in(3)):
        lab["hosts"] = {"router": draw(_router(networks, dual))}
    for network in networks.values():
        _hand_out(draw(st.sampled_from(HANDED_OUT)), network)
    if draw(_once_in(3)):
        lab["checks"] = draw(st.lists(st.sampled_from(CHECKS), unique=True, min_size=1))
    if "checks" not in lab and draw(_once_in(4)):
        lab["filters"] = draw(filters(list(networks), NODE_NAMES[:nodes]))
    return lab


def planned(lab: dict[str, Any], name: str = "random") -> Plan | None:
    """Return the plan of ``lab``, or None where a check or lint finds an error in it."""
    with tempfile.TemporaryDirectory(prefix="underlay-random-") as folder:
        file = Path(folder) / "random.yml"
        file.write_text(text(lab, name), encoding="utf-8")
        try:
            loaded = load(file)
            return None if loaded.errors else loaded.plan
        except BadInput:
            return None


def rounds(count: int) -> settings:
    """Return the settings of a test that is tried on ``count`` random labs, however slow one is."""
    slow = [HealthCheck.filter_too_much, HealthCheck.too_slow]
    return settings(max_examples=count, deadline=None, suppress_health_check=slow)


def text(lab: dict[str, Any], name: str) -> str:
    """Return the lab file of ``lab`` under ``name``; JSON is YAML, too."""
    return json.dumps({"name": name, **lab}, indent=2) + "\n"


def _hand_out(how: str, network: dict[str, Any]) -> None:
    """Have addresses handed out otherwise than by slices of one subnet."""
    start = network["subnet"].rpartition(".")[0]
    if how == "ranges":
        last = f"{start}.60/30" if network["runtime"] == "docker" else f"{start}.60-{start}.66"
        network["ranges"] = {"core-01": f"{start}.0/27", "core-02": last}
        network["reserved"] = [f"{start}.2-{start}.3", f"{start}.61"]
    elif how == "cluster":
        network["ipam"] = "cluster"
    elif how == "subnets":
        gateway = {"gateway": network.pop("gateway")} if "gateway" in network else {}
        first = {"subnet": network.pop("subnet"), **gateway}
        six = [{"subnet": network.pop("subnet6")}] if "subnet6" in network else []
        second = {"subnet": f"{start.rpartition('.')[0]}.2.0/24"}
        network["subnets"] = [first, second, *six]


def _once_in(number: int) -> st.SearchStrategy[bool]:
    """True one time in ``number``."""
    return st.sampled_from([False] * (number - 1) + [True])


@st.composite
def filters(
    draw: st.DrawFn, networks: list[str], nodes: tuple[str, ...] = NODE_NAMES
) -> list[dict[str, Any]]:
    """Return a list of packet filters on the containers of networks, and on nodes."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        one: dict[str, Any] = {
            "on": draw(st.sampled_from([*networks, *nodes])),
            "direction": draw(st.sampled_from(["in", "in", "out", "forward"])),
            "protocol": draw(st.sampled_from([None, "icmp", "tcp", "udp"])),
            "from": draw(st.sampled_from([None, None, *networks, *nodes])),
            "to": draw(st.sampled_from([None, None, None, *networks])),
            "state": draw(st.sampled_from([None, None, "new", "established"])),
            "action": draw(st.sampled_from(["accept", "drop", "drop", "reject"])),
        }
        if one["direction"] == "forward":
            one["bridged"] = draw(st.booleans()) and one["on"] in nodes
        if one["action"] == "reject" and one["direction"] != "in":
            one["action"] = "drop"
        found.append({key: value for key, value in one.items() if value})
    return found


@st.composite
def _segment(draw: st.DrawFn, subnet6: str) -> dict[str, Any]:
    drawn: dict[str, Any] = {"subnet6": subnet6, "hairpin": draw(_once_in(4))}
    drawn["isolated"] = draw(_once_in(8))
    drawn["locked"] = draw(_once_in(8))
    drawn["mtu"] = draw(st.sampled_from([0, 0, 0, 0, 1400]))
    return {key: value for key, value in drawn.items() if value}


@st.composite
def _network(
    draw: st.DrawFn, position: int, runtimes: tuple[str, ...], dual: bool
) -> dict[str, Any]:
    driver = draw(st.sampled_from(DRAWN))
    traits = DRIVERS[driver]
    mode = draw(st.sampled_from([*traits.modes, ""])) if traits.modes else ""
    able = traits.made_by(mode or traits.default_mode)
    second = draw(st.sampled_from([position, position, position, 9]))
    network: dict[str, Any] = {
        "driver": driver,
        "segment": draw(st.sampled_from(SEGMENTS)),
        "subnet": f"20.{second}.1.0/24",
        "runtime": draw(st.sampled_from([name for name in runtimes if name in able] or ["cni"])),
    }
    if mode:
        network["mode"] = mode
    if traits.flags and network["runtime"] in traits.made_by(mode, traits.flags[-1]):
        network["flag"] = draw(st.sampled_from(traits.flags))
    if driver == "vxlan":
        network["vni"] = 100 + position
    if driver == "gretap":
        network["key"] = position
    tag = None if traits.overlay else draw(st.sampled_from([None, None, 70, 80]))
    if tag is not None or driver == "vlan":
        network["vlan"] = tag or 70
    if mode == "source":
        allowed = draw(st.sampled_from([None, [], ["containers"], ["nodes"]]))
        network |= {} if allowed is None else {"allow": allowed}
    for key, drivers, seldom in TRAITS:
        if key == "routed" and mode not in traits.l3_modes:
            continue
        if driver in drivers and draw(_once_in(seldom)):
            network[key] = True
    if dual and not network.get("nat") and draw(st.booleans()):
        network["subnet6"] = f"fd00:{second}::/64"
    route = draw(st.sampled_from(["", "", "", "none"]))
    network |= {"default_route": route} if route else {}
    if draw(_once_in(6)):
        network["routes"] = [{"to": f"20.{draw(st.integers(0, 3))}.1.0/24"}]
    return network


def _beside(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return ``second`` as a network on the parent of ``first``, with a subnet of its own."""
    traits = DRIVERS[first["driver"]]
    own = {"subnet", "subnet6", "default_route", "routes"} & set(second)
    taken = {key: first[key] for key in SHARED if key in first}
    # What makes two overlays two.
    number = int(second["subnet"].split(".")[1])
    taken |= {key: 200 + number for key in ("vni", "key") if key in traits.keys}
    return {key: second[key] for key in second if key in own} | taken


@st.composite
def _containers(draw: st.DrawFn, networks: dict[str, Any], nodes: int) -> list[dict[str, Any]]:
    """Groups in one network each, and such as are in several; of these one may be a router."""
    names = [f"core-{index:02}" for index in range(1, nodes + 1)]
    by_runtime: dict[str, list[str]] = {}
    for name, network in networks.items():
        by_runtime.setdefault(network["runtime"], []).append(name)
    groups = []
    for alike in by_runtime.values():
        groups += [draw(_group([name], names)) for name in alike]
        if len(alike) > 1 and draw(st.sampled_from([True, True, False])):
            several = draw(st.sampled_from([2, 2, 3]))
            groups.append(draw(_group(draw(st.permutations(alike))[:several], names)))
            if draw(st.booleans()):
                groups[-1] |= draw(_forwarding(groups[-1]["networks"], networks, names))
    return groups


@st.composite
def _forwarding(
    draw: st.DrawFn, names: list[str], networks: dict[str, Any], nodes: list[str]
) -> dict[str, Any]:
    """What makes a group the router between its networks, which then lead by it."""
    node = draw(st.sampled_from(nodes))
    # A /24 is cut into a power of two of slices: one that no node has, and then each node's.
    slices = 1 << len(nodes).bit_length()
    number = 256 // slices * (1 + nodes.index(node)) + 6
    addresses = {}
    for name in names:
        gateway = _address(networks[name], number)
        addresses[name] = gateway
        if draw(st.booleans()):
            networks[name] |= {"gateway": gateway, "default_route": "gateway"}
    return {"on": node, "count": 1, "name": "joint", "forwards": True, "addresses": addresses}


@st.composite
def _router(draw: st.DrawFn, networks: dict[str, Any], dual: bool) -> dict[str, Any]:
    """An external host on both segments, the gateway of untagged networks there."""
    on: dict[str, Any] = {}
    for segment, own in (("lan", "192.168.70"), ("wan", "192.168.80")):
        addresses = [f"{own}.250/24", *([f"fd00:{own[-2:]}::250/64"] if dual else [])]
        for network in networks.values():
            if network["segment"] != segment or "vlan" in network or "gateway" in network:
                continue
            if network["driver"] in ("macvlan", "ipvlan", "bridge") and draw(st.booleans()):
                gateway = _address(network, BY_HOST)
                addresses.append(f"{gateway}/24")
                network |= {"gateway": gateway, "default_route": "gateway"}
        on[segment] = {"addresses": list(dict.fromkeys(addresses))}
    return {"on": on, "forwards": draw(st.booleans())}


def _address(network: dict[str, Any], number: int) -> str:
    return f"{network['subnet'].rpartition('.')[0]}.{number}"


@st.composite
def _group(draw: st.DrawFn, networks: list[str], nodes: list[str]) -> dict[str, Any]:
    return {
        "on": draw(st.sampled_from(["all", "all", *nodes[:2]])),
        "count": draw(st.integers(1, 2)),
        "networks": list(networks),
    }
