"""What a network's keys need of one another, of its driver and of its runtime.

What drivers and runtimes can do is said by the drivers' own values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_interface

from underlay.drivers import DRIVERS
from underlay.errors import did_you_mean, nearest
from underlay.lab import Network
from underlay.lab.messages import one_of
from underlay.lab.text import LabText, Place, Problem, quoted
from underlay.lint.keys.parts import Parts
from underlay.plan import MANAGEMENT
from underlay.plan.hosts import in_one_vlan
from underlay.plan.naming import default_file, link_name, vlan_link_name

# What runs without systemd.
LEAN_RUNTIMES = ("cni", "iproute2")

PARENT_KEYS = ("parent", "master", "segment")
VLAN_ONCE = (
    "driver vlan moves the sub-interface itself into the container: a NIC has each VLAN once"
)
# A DHCP server and a router tell children apart by their MAC addresses, which ipvlan ones share.
OWN_MAC = tuple(one for one in DRIVERS.values() if one.own_mac and one.overlay is None)
ADVERTISED = 64
CNI_PLUGINS = ("host-local", "static")
# Those that have a DHCP client: CNI's plugin and its daemon, netavark and its proxy.
LEASING_RUNTIMES = ("cni", "podman")


def parent(parts: Parts) -> Iterator[Problem]:
    """Each network has a segment or a parent, and it exists."""
    interfaces = [MANAGEMENT, *parts.interfaces, *parts.uplinks.named]
    for name, network in parts.loose_networks.items():
        place = ("networks", name)
        key = parent_key(parts.text, name)
        if network.segment and network.parent:
            hint = "segment alone is enough" if parts.segment_names else ""
            found = f"both segment and {key[-1]}"
            yield parts.text.problem(key, found, "one of them", hint, at_key=True)
        elif not (network.segment or network.parent or network.internal or _meant(parts, name)):
            expected = f"segment: {one_of(parts.segment_names)}" if parts.segment_names else "one"
            yield parts.text.problem(place, "neither segment nor parent", expected, at_key=True)
        if network.segment:
            yield from parts.unknown((*place, "segment"), network.segment, parts.segment_names)
        if network.parent:
            base, _ = parts.nic_and_tag(network.parent)
            yield from parts.unknown(key, base, interfaces, shown=network.parent)
            yield from _tag(parts, name, network)


def _meant(parts: Parts, network: str) -> bool:
    """Whether the file tries to name a parent, and another message says what is wrong with it."""
    words = parts.text.data["networks"][network]
    return any(nearest(word, list(PARENT_KEYS)) for word in words)


def _tag(parts: Parts, name: str, network: Network) -> Iterator[Problem]:
    """``parent: eth1.70`` says the VLAN already."""
    base, tag = parts.nic_and_tag(network.parent or "")
    key = parent_key(parts.text, name)
    if tag and not 1 <= int(tag) <= 4094:
        yield parts.text.problem(key, f"the VLAN {tag}", "a VLAN from 1 to 4094")
    elif tag and str(int(tag)) != tag:
        hint = did_you_mean(vlan_link_name(base, int(tag)))
        yield parts.text.problem(key, quoted(network.parent), "a VLAN without leading zeros", hint)
    elif tag and network.vlan is not None and network.vlan != int(tag):
        place = ("networks", name, "vlan")
        yield parts.text.problem(place, str(network.vlan), f"{tag}, as in {key[-1]}, or no vlan")


def mode(parts: Parts) -> Iterator[Problem]:
    """A mode is one of its own driver's."""
    for name, network in parts.loose_networks.items():
        mode, modes = network.mode, network.traits.modes
        if mode is None or mode in modes:
            continue
        if not modes:
            place, expected = ("networks", name, "mode"), f"no mode: {network.driver} has none"
            yield parts.text.problem(place, quoted(mode), expected, at_key=True)
            continue
        owner = next(one.name for one in DRIVERS.values() if mode in one.modes)
        hint = f"`{mode}` is {_a(owner)} mode; {network.driver} has {', '.join(modes)}"
        place, expected = ("networks", name, "mode"), one_of(list(modes))
        hint = network.traits.refused.get(mode, hint)
        yield parts.text.problem(place, quoted(mode), expected, hint)


def files(parts: Parts) -> Iterator[Problem]:
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


def profile(parts: Parts) -> Iterator[Problem]:
    """A lean node has no engine: Docker and podman need what systemd starts."""
    if parts.nodes is None or parts.nodes.profile != "lean":
        return
    for name, network in parts.loose_networks.items():
        if network.runtime not in LEAN_RUNTIMES:
            place, hint = ("networks", name, "runtime"), "or leave `profile: lean` out"
            expected = f"{one_of(list(LEAN_RUNTIMES))} on lean nodes"
            yield parts.text.problem(place, quoted(network.runtime), expected, hint)


def gateway_route(parts: Parts) -> Iterator[Problem]:
    """A default route by the gateway needs one."""
    for name, network in parts.loose_networks.items():
        by_bridge = network.nat or (network.traits.bridges_uplink and network.internal)
        by_bridge = by_bridge and network.ipam != "none"
        has_gateway = any(pool.gateway for pool in network.pools)
        if network.default_route == "gateway" and not has_gateway and not by_bridge:
            place, found = ("networks", name, "default_route"), "'gateway' without a gateway"
            yield parts.text.problem(place, found, "the key gateway beside it")


def driver_key(parts: Parts) -> Iterator[Problem]:
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
    mode, driver = network.used_mode, network.traits
    if network.routed and "routed" in driver.keys and not driver.routes(mode):
        expected = f"mode {' or '.join(driver.l3_modes)} beside it"
        yield ("networks", name, "routed"), f"routed in mode {mode}", expected
    if network.routed and not network.has_slices:
        # A route to the whole subnet would lead to one owner, and take the subnet's own place.
        expected = "a slice for each node: without ipam: cluster and sliced: false"
        yield ("networks", name, "routed"), "routed where nodes share one range", expected
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


def needed_key(parts: Parts) -> Iterator[Problem]:
    """A key that the network's driver can't do without."""
    for name, network in parts.loose_networks.items():
        written = {*parts.text.data["networks"][name]}
        # The parent's name tells a VLAN as well as the key does.
        written |= {"vlan"} if parts.is_tagged(network) else set()
        for key, example in network.traits.needed.items():
            if key not in written:
                found = f"{network.driver} without {key}"
                place = ("networks", name, "driver")
                hint = f"for example {example}"
                yield parts.text.problem(place, found, f"{key} beside it", hint)


def runtime(parts: Parts) -> Iterator[Problem]:
    """A runtime that can't make such a network."""
    for name, network in parts.loose_networks.items():
        driver, mode = network.traits, network.used_mode
        if mode and not driver.modes:
            continue
        flag = network.flag if network.flag in driver.flags else ""
        able = driver.made_by(mode, flag or "")
        what = f"{network.driver} {driver.mode_word(mode, flag or '')}".strip()
        if network.runtime not in able:
            key = "runtime" if "runtime" in network.model_fields_set else "driver"
            place, expected = ("networks", name, key), f"runtime {one_of(list(able))}"
            yield parts.text.problem(place, f"{what} by {network.runtime}", expected)


def device(parts: Parts) -> Iterator[Problem]:
    """Names of networks that give two devices of a node the same name."""
    taken: dict[str, str] = {}
    for name, network in parts.loose_networks.items():
        driver = network.traits
        bridged = driver.overlay is not None or (driver.bridges_uplink and network.is_closed)
        kinds = {
            "br": bridged,
            driver.overlay.letters if driver.overlay else "": driver.overlay is not None,
            "sh": network.own_shim is not None and network.own_shim.name is None,
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


def same_tunnel(parts: Parts) -> Iterator[Problem]:
    """Two overlays that give a node the same tunnel: the kernel makes the first alone.

    It has each VNI once by UDP port, over whatever parent (Linux drivers/net/vxlan/vxlan_core.c,
    vxlan_vni_in_use), and each pair of a tunnel's ends once by key, where no key is one, too
    (net/ipv4/ip_tunnel.c, ip_tunnel_find). Both were tried on 6.12.
    """
    taken: dict[tuple[object, ...], str] = {}
    for name, network in parts.loose_networks.items():
        if network.traits.overlay is None:
            continue
        if network.vni is not None:
            tells: tuple[object, ...] = (network.vni, network.port)
            said = f"vni {network.vni} at port {network.port}"
            key, expected = "vni", "another vni, or another port"
        else:
            segment = parts.segment_of(network)
            tells = (segment, network.key)
            said = "no key" if network.key is None else f"key {network.key}"
            said = f"tunnels over {segment} with {said}"
            key, expected = "key", "another key"
        first = taken.setdefault((network.driver, *tells), name)
        if first != name:
            written = key if key in network.model_fields_set else "driver"
            found, hint = (
                f"{said}, as {first} has",
                f"a node makes {first}'s tunnel, and refuses this",
            )
            yield parts.text.problem(("networks", name, written), found, expected, hint)


def bridge_port(parts: Parts) -> Iterator[Problem]:
    """A bridge that holds an uplink, and children on that uplink: the second gets EBUSY.

    A device has one receive handler (net/core/dev.c, netdev_rx_handler_register).
    """
    held: dict[str, str] = {}
    for name, network in parts.loose_networks.items():
        if network.traits.bridges_uplink and not network.is_closed:
            held.setdefault(parts.uplink(network), name)
    for name, network in parts.loose_networks.items():
        uplink = parts.uplink(network)
        if network.traits.has_children and not network.internal and held.get(uplink):
            found = f"{network.driver} on {uplink}, which {held[uplink]}'s bridge holds"
            expected = "another segment, or a vlan of its own"
            hint = "a bridge's port takes no children: `Device or resource busy`"
            yield parts.text.problem(("networks", name, "driver"), found, expected, hint)


def one_vlan_link(parts: Parts) -> Iterator[Problem]:
    """A NIC has each VLAN once: a container that gets the link leaves none for anybody else."""
    owners: dict[str, str] = {}
    for name, network in parts.loose_networks.items():
        uplink = parts.uplink(network)
        if network.internal or not parts.is_tagged(network):
            continue
        place = ("networks", name, "driver")
        moved = network.traits.attach == "moved"
        owner = parts.loose_networks[owners.get(uplink, name)]
        taken = moved or owner.traits.attach == "moved"
        most = max(parts.used(name).values(), default=0)
        if uplink in owners and taken:
            found = f"{uplink}, which {owners[uplink]} has"
            yield parts.text.problem(place, found, "another vlan or segment", VLAN_ONCE)
        elif moved and most > 1:
            found = f"{most} containers on a node for its one {uplink}"
            yield parts.text.problem(place, found, "one container on a node", VLAN_ONCE)
        owners.setdefault(uplink, name)


def ipam(parts: Parts) -> Iterator[Problem]:
    """A plugin for addresses is CNI's, and a DHCP lease needs a MAC address of one's own."""
    for name, network in parts.loose_networks.items():
        place = ("networks", name, "ipam")
        if network.ipam in CNI_PLUGINS and network.runtime != "cni":
            expected = f"no ipam for {network.runtime}: it is for cni"
            yield parts.text.problem(place, "the key ipam", expected, at_key=True)
        elif network.ipam == "none":
            if network.runtime == "docker":
                expected = "runtime cni, podman or iproute2"
                hint = "with `--ipam-driver null` Docker refuses it: `ipv4 pool is empty`"
                yield parts.text.problem(place, "none by docker", expected, hint)
            if network.runtime == "cni" and network.driver == "ipvlan":
                expected = "runtime podman or iproute2: the CNI plugin needs an address"
                yield parts.text.problem(place, "none for ipvlan", expected)
        elif network.ipam == "dhcp":
            yield from _leased(parts, name, network, place)
        if network.slaac:
            yield from _advertised(parts, name, network)


def _leased(parts: Parts, name: str, network: Network, place: Place) -> Iterator[Problem]:
    if network.runtime not in LEASING_RUNTIMES:
        expected = f"runtime {' or '.join(LEASING_RUNTIMES)}: no other asks a DHCP server"
        yield parts.text.problem(place, f"dhcp by {network.runtime}", expected)
        return
    hint = ""
    if network.runtime == "podman" and network.driver == "ipvlan":
        hint = "podman 5.4 refuses it: `ipam driver dhcp is not supported with ipvlan`"
    for found in lease_problem(parts, name, network, place, network.runtime):
        yield replace(found, hint=found.hint or hint)


def lease_problem(
    parts: Parts, name: str, network: Network, place: Place, runtime: str = "cni"
) -> Iterator[Problem]:
    """Yield what keeps ``network``'s children from a lease; the key at ``place`` asks for one.

    ``runtime`` is whose drivers are named as those that could have one.
    """
    if network.traits in OWN_MAC and network.is_closed:
        expected = "an uplink: the server is no container of the node"
        yield parts.text.problem(place, "dhcp in a network without an uplink", expected)
    elif network.traits in OWN_MAC and network.mode == "passthru":
        expected = "another mode: a passthru child has its parent's MAC address"
        yield parts.text.problem(place, "dhcp in mode passthru", expected)
    elif not _has_own_mac(network):
        yield parts.text.problem(place, f"dhcp for {network.driver}", _of_own_mac(runtime))
    elif network.subnet6:
        yield parts.text.problem(place, "dhcp with subnet6", "IPv4 only")
    elif network.subnet and not _server(parts, network, "dhcp", network.subnet):
        expected = f"a host with `serves: [dhcp]` and an address in {network.subnet}"
        yield parts.text.problem(place, "dhcp without a server", expected)


def _advertised(parts: Parts, name: str, network: Network) -> Iterator[Problem]:
    place = ("networks", name, "slaac")
    if network.subnet6 is None or network.subnet6.prefixlen != ADVERTISED:
        expected = f"a subnet6 of /{ADVERTISED} beside it"
        yield parts.text.problem(place, str(network.subnet6 or "no subnet6"), expected)
    elif network.runtime not in LEAN_RUNTIMES:
        expected = "runtime cni or iproute2: an engine gives addresses itself"
        yield parts.text.problem(place, f"slaac by {network.runtime}", expected)
    elif network.driver == "ipvlan" and not network.is_closed:
        yield from _advertised_to_ipvlan(parts, name, network, place)
    elif not _has_own_mac(network):
        expected = _of_own_mac(network.runtime)
        yield parts.text.problem(place, f"slaac for {network.driver}", expected)
    elif not _server(parts, network, "ra", network.subnet6):
        expected = f"a host with `serves: [ra]` and an address in {network.subnet6}"
        yield parts.text.problem(place, "slaac without a router", expected)


def _advertised_to_ipvlan(
    parts: Parts, name: str, network: Network, place: Place
) -> Iterator[Problem]:
    """An ipvlan child makes its address of its number on the parent, and hears what is multicast.

    Numbers follow the order in which children are made: with others on that parent, nobody could
    say beforehand which child has which.
    """
    if network.traits.routes(network.used_mode):
        hint = "children in l3 modes get no multicast, and so no advertisement"
        yield parts.text.problem(place, f"slaac in mode {network.used_mode}", "mode l2", hint)
        return
    uplink = parts.uplink(network)
    beside = (
        other
        for other, one in parts.loose_networks.items()
        if other != name and one.traits.has_children and not one.internal
        if parts.uplink(one) == uplink
    )
    found = f"slaac beside {other} on {uplink}" if (other := next(beside, "")) else ""
    found = found or (f"slaac beside a shim on {uplink}" if network.shim else "")
    if found:
        hint = "an ipvlan child's address follows from the order in which all of them are made"
        yield parts.text.problem(place, found, "a parent of its own", hint)
    elif network.subnet6 and not _server(parts, network, "ra", network.subnet6):
        expected = f"a host with `serves: [ra]` and an address in {network.subnet6}"
        yield parts.text.problem(place, "slaac without a router", expected)


def _of_own_mac(runtime: str) -> str:
    able = [one.name for one in OWN_MAC if runtime in one.runtimes]
    return f"{' or '.join(able)}, whose children have MAC addresses of their own"


def _has_own_mac(network: Network) -> bool:
    closed = network.is_closed or network.mode == "passthru"
    return network.traits in OWN_MAC and not closed


def _server(
    parts: Parts, network: Network, service: str, subnet: IPv4Network | IPv6Network
) -> bool:
    segment = parts.segment_of(network)
    near = parts.segments.get(segment)
    return near is not None and any(
        ip_interface(address).ip in subnet
        for name, host in parts.hosts.items()
        if service in host.serves
        for port in host.ports(segment)
        if in_one_vlan(near, name, port.vlan, parts.vlan(network))
        for address in port.addresses
    )


def parent_key(text: LabText, network: str) -> Place:
    """Return the place of the key that names the parent of the network called ``network``."""
    for key in PARENT_KEYS:
        if ("networks", network, key) in text.keys:
            return ("networks", network, key)
    return ("networks", network)


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
