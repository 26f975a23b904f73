"""A fleet's lab: nodes, segments, networks and containers, in this order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network

from underlay.errors import BadInput, Spot
from underlay.fleet.carried.groups import fixed_addresses, put_containers
from underlay.fleet.carried.interfaces import put_interfaces
from underlay.fleet.carried.left import put_left
from underlay.fleet.carried.nets import (
    LARGEST_MTU,
    SMALLEST_MTU,
    Group,
    grouped,
    put_networks,
    put_routed,
)
from underlay.fleet.carried.pools import put_addresses
from underlay.fleet.carried.shims import put_shims
from underlay.fleet.carried.spare import taken
from underlay.fleet.carried.uplinks import server_address, uplinks_of
from underlay.fleet.carried.values import (
    INSTEAD,
    Carried,
    NoLab,
    Silent,
    node_of,
    nothing_silent,
    word_of,
)
from underlay.fleet.carried.vlans import put_vlans
from underlay.fleet.carried.wires import Port, Uplink, Wire, built, wires
from underlay.fleet.host import Host, Subnet, meet
from underlay.lab.model import MOST_GROUPS, MOST_NODES
from underlay.plan import MANAGEMENT

# What a lab file takes: see lab/model.py.
MOST = {"nodes": MOST_NODES, "segments": 8, "networks": 16, "containers": MOST_GROUPS}
# Names that nodes' NICs can't have: management's, and the one that the kernel gives a bond.
TAKEN = (MANAGEMENT, "lo", "docker0", "podman0", "bond0")
# The modes of bonds that a lab has: their names and numbers (bonding.rst).
BONDS = {"active-backup": "active-backup", "1": "active-backup"}
# Nobody's addresses: RFC 2544, for measuring in closed networks.
NOBODYS = IPv4Network("198.18.0.0/15")


def carry(
    hosts: Sequence[Host],
    stated: dict[str, list[Port]],
    name: str,
    *,
    real: bool = False,
    files: bool | None = None,
    silent: Silent = nothing_silent,
) -> Carried:
    """Return the lab called ``name`` that the files of ``hosts`` lead to.

    ``stated`` are the segments that the user names, each with its hosts' NICs. With ``real`` the
    nodes have the hosts' addresses, VLANs and routes; with ``files``, and where that isn't said,
    they have their files as well, and programs act on these. What hosts contradict one
    another about is no hindrance where ``silent`` gives a reason. Raises BadInput
    where files contradict one another, where a parent isn't there, where nobody can tell which
    NICs are on one wire, and where nothing is left for a lab.
    """
    carried = Carried(real=real, acting=real if files is None else files)
    carried.put(("name",), word_of(name, (), "hosts"))
    nodes = _nodes(carried, hosts)
    uplinks = [uplink for host in hosts for uplink in uplinks_of(carried, host)]
    if not uplinks:
        raise BadInput(
            f"{', '.join(nodes)}: no container network in these files that a lab can have",
            hint="it takes macvlan and ipvlan networks with a subnet"
            + "".join(f"\n{one.spot}: {one.what}: {one.why}" for one in carried.left_out[:8]),
        )
    found = wires(hosts, [uplink for uplink in uplinks if not uplink.network.internal], stated)
    segments = _segments(carried, found, hosts, uplinks)
    subnets = {name: entry["subnet"] for name, entry in carried.lab["segments"].items()}
    groups = grouped(uplinks, segments, subnets, silent)
    put_networks(carried, groups, hosts)
    for group in groups:
        like = next(one for one in groups if one.first.name == group.first.name)
        for name_of_host in group.hosts if group.apart else ():
            carried.split.setdefault(like.name, {})[nodes[name_of_host]] = group.name
        here = {nodes[one.network.host]: one.network for one in group.uplinks}
        carried.networks[group.name] = here
        carried.makers[group.name] = {
            nodes[one.network.host]: one.network.document.starter
            for one in group.uplinks
            if one.network.document.kind not in INSTEAD
        }
    fixed = fixed_addresses(groups, hosts)
    own = [network for host in hosts for network in host.networks]
    known = taken(hosts, [*own, *(uplink.network for uplink in uplinks)])
    for group in groups:
        put_addresses(carried, group, nodes, fixed.get(group.name, set()), known)
    _put_servers(carried, groups)
    put_routed(carried, groups, hosts)
    put_shims(carried, groups, hosts, nodes)
    _in_order(carried)
    if real:
        put_interfaces(carried, hosts, nodes, uplinks, segments)
    put_vlans(carried, hosts, nodes, uplinks, segments)
    put_containers(carried, groups, hosts, nodes)
    if not carried.lab["containers"] and carried.lost:
        first = next(iter(carried.lost.values()))
        fact = f"no container of these hosts is started: {first.what}: {first.why}"
        raise NoLab(first.spot, fact, "a lab has a container at least")
    _refuse_many(carried)
    for number, host in enumerate(hosts, 1):
        put_left(carried, host, number, uplinks, found)
    return carried


def _nodes(carried: Carried, hosts: Sequence[Host]) -> dict[str, str]:
    """Say the nodes, and return their names by host."""
    nodes: dict[str, str] = {}
    for host in hosts:
        nodes[host.name] = node_of(host.name, nodes.values())
    carried.put(("nodes",), {"names": list(nodes.values())})
    for host in hosts:
        if nodes[host.name] != host.name:
            text = f"{host.name} is called {nodes[host.name]} here: host names are small letters"
            carried.assume(("nodes",), text, Spot(host.documents[0].file))
    return nodes


def _segments(
    carried: Carried, found: Sequence[Wire], hosts: Sequence[Host], uplinks: Sequence[Uplink]
) -> dict[Port, str]:
    """Say the segments, and return the name of each by the NICs that are in it."""
    names: dict[Port, str] = {}
    taken: list[str] = []
    lean = all(uplink.network.runtime == "cni" for uplink in uplinks)
    free = _free(hosts, found)
    for wire in found:
        name = word_of(wire.stated or wire.nic, taken, "segment")
        taken.append(name)
        names |= dict.fromkeys(wire.ports, name)
        place = ("segments", name)
        here = (uplink.network.spot("master") for uplink in uplinks if uplink.port in wire.ports)
        first = next(here, Spot(""))
        carried.put(place, {}, first)
        _put_subnets(carried, wire, place, first, free)
        for port, network, spot in wire.joined:
            text = f"{port[0]} is in it by its {port[1]}, where it has {network} as others do"
            carried.assume(place, text, spot)
        _put_mtu(carried, wire, name, hosts)
        _put_interface(carried, wire, name, len(taken), hosts, lean=lean)
        without = [host.name for host in hosts if host.name not in {h for h, _ in wire.ports}]
        if without:
            text = "too gets a NIC in it, as every node does: nothing sits on it"
            carried.assume(place, f"{', '.join(without)} {text}", first)
    if not found:
        carried.put(("segments", "lan"), {"subnet": str(next(free))})
        text = "no network has an uplink; a lab has a segment all the same"
        carried.assume(("segments", "lan"), text, Spot(""))
    return names


def _free(hosts: Sequence[Host], found: Sequence[Wire]) -> Iterator[Subnet]:
    """Yield subnets that no file of the hosts says anything of."""
    used = [pool.subnet for host in hosts for one in host.networks for pool in one.pools]
    used += [subnet for wire in found for _, subnet in wire.marks]
    used += [one.network for host in hosts for link in host.links for one, _ in link.addresses]
    used += [to for host in hosts for link in host.links for to in link.routes if to.prefixlen]
    for subnet in NOBODYS.subnets(new_prefix=24):
        if not any(meet(one, subnet) for one in used):
            yield subnet


def _put_subnets(
    carried: Carried, wire: Wire, place: tuple[str, str], first: Spot, free: Iterator[Subnet]
) -> None:
    """Say the subnets that the NICs have addresses in, without a VLAN: one of each family."""
    for version, key in ((4, "subnet"), (6, "subnet6")):
        told = {s: spot for (vlan, s), spot in wire.marks.items()
                if vlan is None and s.version == version}  # fmt: skip
        if told:
            subnet, spot = next(iter(told.items()))
            carried.put((*place, key), str(subnet), spot)
        elif version == 4:
            text = f"no file gives {wire.nic} an IPv4 address: the nodes' are of nobody's subnet"
            carried.put((*place, key), str(next(free)))
            carried.assume((*place, key), text, first)
        for other in list(told)[1:]:
            carried.leave(told[other], f"the subnet {other} of {wire.nic}", "a segment has one")


def _put_mtu(carried: Carried, wire: Wire, name: str, hosts: Sequence[Host]) -> None:
    """Say the largest packet of a segment's NICs, where a lab has such large ones."""
    known = {host.name: host for host in hosts}
    found = {}
    for host, nic in wire.ports:
        link = known[host].link(nic)
        if link is not None and link.mtu is not None:
            found[host] = (link.mtu, link.at("mtu"))
    if not found:
        return
    smallest, spot = min(found.values(), key=lambda one: one[0])
    if not SMALLEST_MTU <= smallest <= LARGEST_MTU:
        why = f"a lab's NICs carry {SMALLEST_MTU} to {LARGEST_MTU} bytes: these have {LARGEST_MTU}"
        for mtu, place in found.values():
            carried.leave(place, f"mtu {mtu} of {wire.nic}", why)
        return
    for host, (mtu, place) in found.items():
        if mtu != smallest:
            what = f"mtu {mtu} of {wire.nic} of {host}"
            carried.leave(place, what, f"a segment has one MTU: {smallest}, the smallest")
    if smallest != LARGEST_MTU:
        carried.put(("segments", name, "mtu"), smallest, spot)


def _put_interface(
    carried: Carried, wire: Wire, name: str, number: int, hosts: Sequence[Host], *, lean: bool
) -> None:
    """Say what the NIC is called, or the bond; hosts that call it otherwise are named."""
    place = ("segments", name)
    spot = next(iter(wire.marks.values()), carried.origin(place) or Spot(""))
    nic = wire.nic
    if nic in TAKEN:
        nic = f"host-{nic}"
        who = "management" if wire.nic == MANAGEMENT else "something else"
        text = f"{wire.nic} is called {nic} here: on a lab's nodes {who} has that name"
        carried.assume((*place, "interface"), text, spot)
    bonded = _put_bond(carried, wire, place, hosts, lean=lean)
    if bonded or nic != f"eth{number}":
        carried.put((*place, "interface"), nic, spot)
    for host, other in wire.ports:
        if other != wire.nic:
            what = f"the name {other} of a NIC of {host}"
            why = f"it is called {nic} on every node, as on most hosts"
            carried.leave(spot, what, why, matters=False)


def _put_bond(
    carried: Carried, wire: Wire, place: tuple[str, str], hosts: Sequence[Host], *, lean: bool
) -> bool:
    """Say that the NIC is a bond, where a lab has such a one; say what it is where none has.

    Bonds are on lean nodes, which have no engines: ``lean`` says that none is needed.
    """
    known = {host.name: host for host in hosts}
    found = {
        host: made
        for host, nic in wire.ports
        if (made := built(known[host], nic)) is not None and made.kind in ("bond", "bridge")
    }
    if not found:
        return False
    first = next(iter(found.values()))
    alike = (
        len(found) == len(wire.ports) and len({(m.kind, m.members) for m in found.values()}) == 1
    )
    if lean and alike and (first.kind, len(first.members)) == ("bond", 2) and first.mode in BONDS:
        carried.lab["nodes"]["profile"] = "lean"
        carried.put((*place, "bond"), BONDS[first.mode], first.spot)
        carried.put((*place, "members"), list(first.members), first.spot)
        return True
    for host, made in found.items():
        what = f"{made.kind}{f' in mode {made.mode}' if made.mode else ''}"
        of = f" of {', '.join(made.members)}" if made.members else ""
        text = f"{wire.nic} of {host} is a {what}{of}: the lab has a NIC of that name"
        carried.assume(place, text, made.spot)
    return False


def _put_servers(carried: Carried, groups: Sequence[Group]) -> None:
    """Say a host of the lab that gives the leases, in each segment and VLAN that wants some."""
    ports: dict[str, list[dict[str, object]]] = {}
    for group in groups:
        pool = next(iter(group.first.pools), None)
        if carried.lab["networks"][group.name].get("ipam") != "dhcp" or pool is None:
            continue
        address = server_address(pool, set())
        vlan = group.uplinks[0].vlan
        port: dict[str, object] = {"addresses": [f"{address}/{pool.subnet.prefixlen}"]}
        here = ports.setdefault(group.segment, [])
        if all(one.get("vlan") != vlan for one in here):
            here.append(port | ({"vlan": vlan} if vlan is not None else {}))
        text = f"the addresses of {group.name} are leased by a host of the lab, {address}"
        carried.assume(("hosts", "dhcp-server"), text, pool.spot)
    if ports:
        on = {name: found if len(found) > 1 else found[0] for name, found in ports.items()}
        carried.put(("hosts",), {"dhcp-server": {"on": on, "serves": ["dhcp"]}})


def _in_order(carried: Carried) -> None:
    """Sort each network's keys as the page about lab files does."""
    order = ("driver", "mode", "flag", "runtime", "internal", "nat", "segment", "vlan", "interface",
             "bridge", "mtu", "file", "ipam", "subnet", "subnet6", "ip_range", "subnets", "gateway",
             "gateway6", "default_route", "routes", "reserved", "shim", "routed", "sliced",
             "ranges")  # fmt: skip
    for name, entry in carried.lab["networks"].items():
        found = sorted(entry.items(), key=lambda one: order.index(one[0]))
        carried.lab["networks"][name] = dict(found)


def _refuse_many(carried: Carried) -> None:
    lab = carried.lab
    for key, most in MOST.items():
        count = len(lab[key]["names"] if key == "nodes" else lab[key])
        if count > most:
            raise BadInput(
                f"these hosts lead to a lab of {count} {key}: expected at most {most}",
                hint="import fewer hosts at a time",
            )
