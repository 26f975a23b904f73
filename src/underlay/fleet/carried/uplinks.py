"""What each of a host's networks leaves it by, and which networks a lab can't have at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from underlay.drivers import DRIVERS
from underlay.fleet.carried.values import INSTEAD, Carried, word_of
from underlay.fleet.carried.wires import Uplink, built, marks_of, uplink_of
from underlay.fleet.formats import cni
from underlay.fleet.host import Address, Host, Link, Network, Pool, whole

# What gives a lease instead of a list of addresses.
LEASED = "dhcp"
# Where the subnets stand for plugins that hand out no range of a host's own.
GIVEN = {"static": cni.static_pools, "whereabouts": cni.cluster_pools}


def uplinks_of(carried: Carried, host: Host) -> Iterator[Uplink]:
    """Yield what the host's networks leave it by; those that a lab can't have are left out.

    Raises BadInput for a parent that the host doesn't have.
    """
    for read in host.networks:
        given = read.given or (tuple(GIVEN[read.ipam](read)) if read.ipam in GIVEN else ())
        network = _without_ipv6(carried, replace(read, pools=given) if given else read)
        network = replace(network, runtime=INSTEAD.get(read.runtime, read.runtime))
        why = _refused(network)
        if read.runtime in INSTEAD and read.driver == "bridge" and not built(host, read.parent):
            why = f"no file of {host.name} makes the bridge {read.parent}"
        uplink = None if why else _uplink(carried, host, network)
        if uplink is not None and not uplink.network.pools:
            uplink = _leased(carried, host, uplink)
            why = "no file names its subnet" if uplink is None else ""
        if uplink is not None:
            yield uplink
        else:
            what = f"the network {network.name or network.document.name}"
            carried.leave(network.spot(), what, why or "no file says by which NIC it leaves")


def _without_ipv6(carried: Carried, network: Network) -> Network:
    """Return ``network`` as Docker makes it: without IPv6 where that is off.

    Source: https://docs.docker.com/engine/daemon/ipv6/.
    """
    keys = ("enable_ipv6", "EnableIPv6")
    is_on = any(network.document.value((*network.place, key)) is True for key in keys)
    if network.runtime != "docker" or is_on:
        return network
    for pool in network.pools:
        if pool.subnet.version == 6:
            why = "IPv6 is off in this network, so that Docker takes no notice of it"
            carried.leave(pool.spot, f"the subnet {pool.subnet} of {network.name}", why)
    return replace(network, pools=tuple(p for p in network.pools if p.subnet.version == 4))


def _refused(network: Network) -> str:
    """Return why a lab can't have ``network``, nothing where it can."""
    driver = DRIVERS.get(network.driver)
    if driver is None:
        return f"{network.driver or 'no type'} is none of a lab's drivers: {', '.join(DRIVERS)}"
    if network.runtime not in driver.runtimes:
        able = " and ".join(driver.runtimes)
        return f"a lab has {network.driver} networks of the runtimes {able} alone"
    if not network.parent and not network.internal and not network.on_dummy:
        return "no file names its parent"
    return "no file names its subnet" if not network.pools and network.ipam != LEASED else ""


def _uplink(carried: Carried, host: Host, network: Network) -> Uplink | None:
    """Return what ``network`` leaves the host by; None where no file tells."""
    if DRIVERS[network.driver].bridges_uplink:
        return _bridge(carried, host, network)
    if network.internal or network.on_dummy:
        if network.on_dummy and not network.internal:
            why = "without a parent Docker makes a dummy device: it has no uplink"
            carried.leave(network.spot(), f"no parent of {network.name}", why)
        return Uplink(replace(network, internal=True), "")
    return uplink_of(host, network)


def _bridge(carried: Carried, host: Host, network: Network) -> Uplink | None:
    """Return what a bridge of the plugin's leaves the host by.

    A bridge that the host has holds its NIC; one that the plugin makes has no uplink, and what
    leaves it is masqueraded or nothing (containernetworking/plugins, main/bridge).
    """
    made = built(host, network.parent)
    if made is not None and made.kind == "bridge" and made.members:
        if len(made.members) > 1:
            what = f"{', '.join(made.members[1:])} in the bridge {network.parent} of {host.name}"
            carried.leave(made.spot, what, f"a lab's bridge holds one NIC: {made.members[0]}")
        return uplink_of(host, replace(network, parent=made.members[0], bridge=network.parent))
    own = replace(network, bridge=network.parent)
    place = ("networks", word_of(network.name, (), "network"))
    text = f"no file of {host.name} makes the bridge {network.parent}: the plugin does, with no NIC"
    carried.assume(place, text, network.spot("type"))
    if not network.masquerades:
        return Uplink(replace(own, internal=True), "")
    link = _outward(host)
    return uplink_of(host, replace(own, parent=link.name)) if link is not None else None


def _outward(host: Host) -> Link | None:
    """Return the interface with the host's default route, else the first with an address."""
    routed = [link for link in host.links if link.defaults]
    routed.sort(key=lambda link: min(route.metric or 0 for route in link.defaults))
    return next(iter([*routed, *(link for link in host.links if link.addresses)]), None)


def _leased(carried: Carried, host: Host, uplink: Uplink) -> Uplink | None:
    """Return ``uplink`` with the subnet that its parent has, whose server gives the leases."""
    for (vlan, subnet), spot in marks_of(host, uplink.nic):
        if vlan == uplink.vlan and subnet.version == 4:
            first, last = whole(subnet)
            pool = Pool(subnet, first, last, False, spot)
            return replace(uplink, network=replace(uplink.network, pools=(pool,)))
    return None


def server_address(pool: Pool, taken: set[Address]) -> Address:
    """Return an address for a DHCP server near the end of a subnet that nobody has."""
    number = int(pool.last) - 4
    while type(pool.last)(number) in taken and number > int(pool.first):
        number -= 1
    return type(pool.last)(number)
