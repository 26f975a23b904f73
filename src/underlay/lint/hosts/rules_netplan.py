"""Rules about netplan's files and network-config: one wrong word, and none of it is applied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from underlay.errors import did_you_mean, nearest
from underlay.fleet.document import Document, listed, mapping, word
from underlay.fleet.formats.netplan import DEFAULTS, KINDS, address_text, devices
from underlay.fleet.host import Host, as_address, as_interface, as_subnet
from underlay.lab.text import Place
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import NETPLAN, Hosts, number_of, rule, with_prefix

RENDERERS = ("networkd", "NetworkManager", "sriov")
BOND_MODES = ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb",
              "balance-alb", "active-passive", "balance-tcp", "balance-slb")  # fmt: skip
TOP = ("version", "renderer", "openvswitch", *KINDS)
# What network-config holds beside that in cloud-init's own dialect.
CLOUD_INIT = ("config", "network")
_COMMON = """accept-ra activation-mode addresses critical ignore-carrier dhcp4 dhcp6 dhcp-identifier
    dhcp4-overrides dhcp6-overrides ra-overrides gateway4 gateway6 ipv6-address-generation
    ipv6-address-token ipv6-mtu ipv6-privacy link-local macaddress mtu nameservers optional
    optional-addresses renderer routes routing-policy hairpin port-mac-learning neigh-suppress
    networkmanager openvswitch"""
_PHYSICAL = """match set-name wakeonlan wakeonwlan emit-lldp receive-checksum-offload
    transmit-checksum-offload tcp-segmentation-offload tcp6-segmentation-offload
    generic-segmentation-offload generic-receive-offload large-receive-offload"""
KEYS = {
    "ethernets": f"""{_COMMON} {_PHYSICAL} auth link virtual-function-count embedded-switch-mode
        delay-virtual-functions-rebind infiniband-mode""",
    "vlans": f"{_COMMON} id link",
    "bonds": f"{_COMMON} interfaces parameters",
    "bridges": f"{_COMMON} interfaces parameters",
    "dummy-devices": _COMMON,
    "virtual-ethernets": f"{_COMMON} peer",
}
ROUTE = """from on-link scope table to type via metric mtu congestion-window
    advertised-receive-window advertised-mss"""
_SERVERS = {"nameservers": "search addresses"}
_MATCH = {"match": "driver macaddress name", **_SERVERS}
INSIDE = {
    "ethernets": _MATCH,
    "vlans": _SERVERS,
    "bridges": {
        **_SERVERS,
        "parameters": """ageing-time aging-time forward-delay hello-time max-age path-cost
            port-priority priority stp""",
    },
    "bonds": {
        **_SERVERS,
        "parameters": """mode lacp-rate mii-monitor-interval min-links transmit-hash-policy
            ad-select all-slaves-active all-members-active arp-interval arp-ip-targets arp-validate
            arp-all-targets up-delay down-delay fail-over-mac-policy gratuitous-arp
            gratuitious-arp packets-per-slave packets-per-member primary-reselect-policy
            resend-igmp learn-packet-interval primary""",
    },
}
BOOLEAN = ("dhcp4", "dhcp6", "optional", "critical", "wakeonlan", "ipv6-privacy", "ignore-carrier")


def _documents(hosts: Hosts) -> Iterator[tuple[Host, Document]]:
    for host in hosts:
        for document in host.documents:
            if document.kind == "netplan" and isinstance(document.data, dict):
                yield host, document


def _is_netplan_s(document: Document) -> bool:
    """Whether a document lies in netplan's own folder; cloud-init reads more elsewhere."""
    return document.kind == "netplan" and f"/{document.folder}".endswith("/netplan")


def _devices(hosts: Hosts) -> Iterator[tuple[Host, Document, str, Place, dict[str, Any]]]:
    for host, document in _documents(hosts):
        for kind, place, entry in devices(document):
            yield host, document, kind, place, entry


def _routes(hosts: Hosts) -> Iterator[tuple[Document, Place, dict[str, Any], dict[str, Any]]]:
    """Yield each route with its place, and the interface that it is of."""
    for _, document, _, place, entry in _devices(hosts):
        for i, route in enumerate(listed(entry.get("routes"))):
            if isinstance(route, dict):
                yield document, (*place, "routes", i), route, entry


@rule("netplan-version", "error", NETPLAN)
def netplan_version(hosts: Hosts) -> Iterator[Hit]:
    """Version 2 is all that netplan reads; cloud-init's own network-config may have version 1."""
    for _, document in _documents(hosts):
        inside = "network" in document.data
        body = mapping(document.data.get("network")) if inside else document.data
        place: Place = ("network", "version") if inside else ("version",)
        version = body.get("version")
        allowed = (2,) if _is_netplan_s(document) else (1, 2)
        # netplan takes a file without a version, cloud-init doesn't.
        lacking = version is None and not _is_netplan_s(document)
        if (version is not None and version not in allowed) or (
            lacking and any(kind in body for kind in KINDS)
        ):
            message = f"version is {version!r}" if version is not None else "found no version"
            yield Hit(document.spot(place), message, "version: 2")


@rule("netplan-key-unknown", "error", NETPLAN + ": `unknown key`")
def netplan_key_unknown(hosts: Hosts) -> Iterator[Hit]:
    """A file with a key that netplan doesn't know is refused; nothing in it is applied then."""
    for _, document in _documents(hosts):
        inside = "network" in document.data
        body = mapping(document.data.get("network")) if inside else document.data
        top = TOP if inside else (*TOP, *CLOUD_INIT)
        tables: list[tuple[Place, dict[str, Any], tuple[str, ...]]] = [
            (("network",) if inside else (), body, top)
        ]
        for kind, place, entry in devices(document):
            if kind in KEYS:
                tables.append((place, entry, tuple(KEYS[kind].split())))
            for i, route in enumerate(listed(entry.get("routes"))):
                tables.append(((*place, "routes", i), mapping(route), tuple(ROUTE.split())))
            for key, words in INSIDE.get(kind, {}).items():
                tables.append(((*place, key), mapping(entry.get(key)), tuple(words.split())))
        for place, entry, known in tables:
            for key in entry:
                if key not in known:
                    cure = did_you_mean(nearest(key, known)) or "leave it out"
                    what = str(place[-1]) if place else "the file"
                    yield Hit(document.spot((*place, key)), f"{what} has no key {key!r}", cure)


@rule("netplan-renderer", "error", NETPLAN)
def netplan_renderer(hosts: Hosts) -> Iterator[Hit]:
    """The renderers are networkd and NetworkManager, so written; any other word is refused."""
    for _, document in _documents(hosts):
        top: Place = ("network",) if "network" in document.data else ()
        found = [(top, mapping(document.value(top)))]
        found += [(place, entry) for _, place, entry in devices(document)]
        for place, entry in found:
            name = entry.get("renderer")
            if name is not None and name not in RENDERERS:
                cure = did_you_mean(nearest(name, RENDERERS)) or f"one of {', '.join(RENDERERS)}"
                yield Hit(document.spot((*place, "renderer")), f"no renderer is {name!r}", cure)


@rule("netplan-address", "error", NETPLAN + ": `malformed address`")
def netplan_address(hosts: Hosts) -> Iterator[Hit]:
    """An address has a prefix length; without one netplan refuses the whole file."""
    for _, document, _, place, entry in _devices(hosts):
        for i, each in enumerate(listed(entry.get("addresses"))):
            text = address_text(each)
            if as_interface(text) is None:
                spot = document.spot((*place, "addresses", i))
                message = f"{(text or str(each))[:60]!r} is no address with a prefix length"
                yield Hit(
                    spot, message, f"write it as {with_prefix(text, 6 if ':' in str(text) else 4)}"
                )
        if "addresses" in entry and not isinstance(entry["addresses"], list):
            spot = document.spot((*place, "addresses"))
            yield Hit(
                spot, "addresses isn't a list", f"addresses: [{with_prefix(entry['addresses'])}]"
            )
        for i, each in enumerate(listed(mapping(entry.get("nameservers")).get("addresses"))):
            if as_address(str(each).partition("#")[0].partition("%")[0]) is None:
                spot = document.spot((*place, "nameservers", "addresses", i))
                yield Hit(
                    spot,
                    f"{str(each)[:60]!r} is no name server's address",
                    "write an address alone",
                )


@rule("netplan-vlan", "error", NETPLAN)
def netplan_vlan(hosts: Hosts) -> Iterator[Hit]:
    """A VLAN has an id from 1 to 4094 and names the interface below it."""
    for _, document, kind, place, entry in _devices(hosts):
        if kind != "vlans":
            continue
        tag = entry.get("id")
        if not 1 <= (number_of(tag) or 0) <= 4094:
            message = f"{place[-1]}: id {tag!r} is no VLAN" if "id" in entry else "found no id"
            yield Hit(document.spot((*place, "id")), message, "id: 70, say")
        if not word(entry.get("link")):
            yield Hit(document.spot(place), f"{place[-1]} names no link", "link: eth1, say")


def _defined(host: Host) -> set[str]:
    """Return the interfaces by the names that netplan's files of a host give them."""
    found: set[str] = set()
    for _, document in _documents((host,)):
        found.update(str(place[-1]) for _, place, _ in devices(document))
        # Open vSwitch makes its patch ports by itself.
        switch = mapping(mapping(document.data.get("network")).get("openvswitch"))
        for pair in listed(switch.get("ports")):
            found.update(str(name) for name in listed(pair))
    return found


@rule("netplan-interface-undefined", "error", NETPLAN + ": `interface is not defined`")
def netplan_interface_undefined(hosts: Hosts) -> Iterator[Hit]:
    """What a VLAN, bond or bridge is made of has to stand in netplan's files, too."""
    for host, document, kind, place, entry in _devices(hosts):
        defined = _defined(host)
        named: list[tuple[Place, str]] = []
        if kind == "vlans" and word(entry.get("link")):
            named.append(((*place, "link"), word(entry.get("link"))))
        if kind in ("bonds", "bridges", "vrfs"):
            found = enumerate(listed(entry.get("interfaces")))
            named += [((*place, "interfaces", i), str(name)) for i, name in found]
        for where, name in named:
            if name not in defined:
                cure = did_you_mean(nearest(name, defined)) or f"define {name} under ethernets"
                message = f"{place[-1]} needs {name}, which isn't defined"
                yield Hit(document.spot(where), message, cure)


@rule("netplan-member-twice", "error", NETPLAN + ": `interface is already assigned`")
def netplan_member_twice(hosts: Hosts) -> Iterator[Hit]:
    """An interface is part of one bond or bridge at most."""
    for host in hosts:
        owners: dict[str, tuple[Document, Place]] = {}
        for _, document, kind, place, entry in _devices((host,)):
            for i, name in enumerate(listed(entry.get("interfaces"))):
                if kind in ("bonds", "bridges") and isinstance(name, str):
                    where = (*place, "interfaces", i)
                    other, first = owners.setdefault(name, (document, where))
                    if first != where:
                        message = f"{name} is in {place[-1]} and in {first[-3]}"
                        yield Hit(document.spot(where), message, "keep one", (other.spot(first),))


@rule("netplan-bond", "error", NETPLAN + ": `unknown bond mode`")
def netplan_bond(hosts: Hosts) -> Iterator[Hit]:
    """A bond's mode is one of the kernel's; netplan refuses any other word."""
    for _, document, kind, place, entry in _devices(hosts):
        mode = mapping(entry.get("parameters")).get("mode")
        if kind == "bonds" and mode is not None and mode not in BOND_MODES:
            cure = did_you_mean(nearest(mode, BOND_MODES)) or f"one of {', '.join(BOND_MODES[:7])}"
            spot = document.spot((*place, "parameters", "mode"))
            yield Hit(spot, f"{place[-1]} has no mode {mode!r}", cure)


@rule("netplan-mtu", "error", NETPLAN)
def netplan_mtu(hosts: Hosts) -> Iterator[Hit]:
    """An MTU is a whole number that the protocols can live with, from 68 to 65536."""
    for _, document, _, place, entry in _devices(hosts):
        mtu = entry.get("mtu")
        value = None if isinstance(mtu, bool) else number_of(mtu)
        if mtu is not None and not (value is not None and 68 <= value <= 65536):
            yield Hit(document.spot((*place, "mtu")), f"{mtu!r} is no MTU", "mtu: 1500")


@rule("netplan-wrong-type", "error", NETPLAN + ": `invalid boolean value`")
def netplan_wrong_type(hosts: Hosts) -> Iterator[Hit]:
    """A switch is true or false; netplan also takes yes, no, on and off."""
    words = ("true", "false", "yes", "no", "on", "off", "y", "n")
    for _, document, _, place, entry in _devices(hosts):
        for key in BOOLEAN:
            value = entry.get(key)
            if value is not None and str(value).lower() not in words:
                spot = document.spot((*place, key))
                yield Hit(spot, f"{key} is {str(value)[:40]!r}", f"{key}: true or false")
        for key in ("interfaces", "routes"):
            if entry.get(key) is not None and not isinstance(entry[key], list):
                yield Hit(document.spot((*place, key)), f"{key} isn't a list", f"{key}: […]")
        whole = document.value(place)
        if whole is not None and not isinstance(whole, dict):
            message = f"{place[-1]} is {str(whole)[:40]!r}"
            yield Hit(document.spot(place), message, f"a mapping of what {place[-1]} has")


@rule("netplan-route", "error", NETPLAN)
def netplan_route(hosts: Hosts) -> Iterator[Hit]:
    """A route goes to a subnet, an address or `default`, via a plain address of the same family."""
    for document, place, route, _ in _routes(hosts):
        to, via = route.get("to"), route.get("via")
        target = as_subnet(to) or as_address(to)
        if to is None or (to not in DEFAULTS and target is None):
            found = f"{str(to)[:60]!r} is no destination" if to is not None else "found no to"
            yield Hit(document.spot((*place, "to")), found, "to: default, or to: 10.1.0.0/24")
        gateway = as_address(via)
        if via is not None and gateway is None:
            message = f"{str(via)[:60]!r} is no gateway"
            yield Hit(document.spot((*place, "via")), message, "via: ADDRESS")
        if gateway is not None and target is not None and target.version != gateway.version:
            message = f"{to} can't be reached through {via}: they are of two families"
            yield Hit(document.spot((*place, "via")), message, "one family for both")


@rule(
    "netplan-route-outside",
    "error",
    "Linux, net/ipv4/fib_semantics.c: `Nexthop has invalid gateway`",
)
def netplan_route_outside(hosts: Hosts) -> Iterator[Hit]:
    """A gateway that is in no subnet of its interface can't be reached, unless it is on-link."""
    for document, place, route, entry in _routes(hosts):
        via = as_address(route.get("via"))
        own = [i for e in listed(entry.get("addresses")) if (i := as_interface(address_text(e)))]
        near = [i.network for i in own if via is not None and i.version == via.version]
        # The default route is host-gateway-outside's.
        if via is None or not near or route.get("to") in DEFAULTS or via.is_link_local:
            continue
        if route.get("on-link") is not True and not any(via in network for network in near):
            message = f"{via} is in no subnet of {place[-3]}"
            yield Hit(document.spot((*place, "via")), message, f"take a router in {near[0]}")


@rule("netplan-gateway4", "warning", NETPLAN + ": `gateway4 has been deprecated`")
def netplan_gateway4(hosts: Hosts) -> Iterator[Hit]:
    """Both gateway4 and gateway6 are deprecated: netplan warns at each run."""
    for _, document, _, place, entry in _devices(hosts):
        for key in ("gateway4", "gateway6"):
            if key in entry and _is_netplan_s(document):
                cure = f"routes: [{{to: default, via: {entry[key]}}}]"
                yield Hit(document.spot((*place, key)), f"{key} is deprecated", cure)


@rule("netplan-not-read", "error", NETPLAN + ": /etc/netplan/*.yaml")
def netplan_not_read(hosts: Hosts) -> Iterator[Hit]:
    """Files for netplan end in .yaml; one that ends in .yml is passed over."""
    for host in hosts:
        for name, spot in host.unread("netplan"):
            if name.endswith((".yam", ".conf", ".cfg", ".json", ".YAML")):
                yield Hit(spot, f"netplan doesn't read {name}", "name it to end in .yaml")
        for document in host.documents:
            if _is_netplan_s(document) and document.name.endswith(".yml"):
                cure = f"name it {document.name[:-4]}.yaml"
                yield Hit(document.at(1), f"netplan doesn't read {document.name}", cure)
