"""What on a host of somebody's own is in a lab's way: looked for, and never changed.

Each conflict says what was found and what to do about it. Whatever is in the way and isn't found
here is refused by the kernel or a plugin, and then undone.
"""

from __future__ import annotations

import glob
import ipaddress
import json
import os
import shutil
from collections.abc import Iterable, Iterator

from . import files, host_plugins, host_spaces, iproute2, routes
from .commands import Failed, show
from .host_changes import Change, place, routes_there
from .host_journal import Key

NET_D = ("/etc/cni/net.d", "/etc/rkt/net.d")
MODULES = {"macvlan": "macvlan", "ipvlan": "ipvlan", "vlan": "8021q"}
# Children of these kinds take a parent for themselves: another kind is refused by the kernel
# (netdev_rx_handler_register in drivers/net/macvlan.c and drivers/net/ipvlan/ipvlan_main.c).
TAKERS = ("macvlan", "macvtap", "ipvlan", "ipvtap")
ANOTHER_ADDRESS = "another range or address in the lab file"
ANOTHER_MAC = "macs: at the container in the lab file, or the networks there in another order"
ANOTHER_NAME = "another name in the lab file, or remove it by hand if it is nobody's"


class Conflict(dict):
    """One conflict: ``found`` says what is there, ``cure`` what to do about it."""

    def __init__(self, found: str, cure: str) -> None:
        super().__init__(found=found, cure=cure)


def conflicts(
    node: dict, sent: dict[str, str], fresh: list[Change], ours: set[Key]
) -> list[Conflict]:
    """Return what is in the way of the ``fresh`` changes that are still to be made.

    ``node`` is a node.json's document and ``sent`` are the files of the plan, by their paths.
    What is ``ours`` already is in nobody's way: it stays, or goes first.
    """
    rows = show(["-details", "address", "show"])
    own = {row["ifname"]: row for row in rows if ("link", row["ifname"]) not in ours}
    others = [one for one in host_spaces.others() if ("container", one[0]) not in ours]
    fresh = [change for change in fresh if change.key not in ours]
    specified = [change.wanted for change in fresh if change.kind == "container"]
    return [
        *_programs(node, sent, specified),
        *_interfaces(node, own, specified),
        *_taken(fresh, own, others),
        *_networks(sent, fresh),
        *_parents(own, others, specified),
        *_addresses(specified, own, others),
    ]


def asked(fresh: Iterable[Change]) -> list[tuple[str, str, str]]:
    """Return what is to be asked for on the wire: by which interface, which address, and whose.

    A MAC address that somebody has answers by the link-local address that Linux makes of it.
    Behind a sub-interface that isn't there yet nobody can be asked; and what is in a mode of ipvlan
    without ARP answers nobody.
    """
    found: dict[tuple[str, str], str] = {}
    fresh = list(fresh)
    made = {change.name for change in fresh if change.kind == "link"}
    for change in fresh:
        for attachment in _attachments(change):
            network = change.wanted["networks"][attachment["network"]]
            if network["parent"] in made:
                continue
            for address in routes.addresses(attachment):
                bare = address.partition("/")[0]
                found[network["parent"], bare] = f"the address {bare} of {change.name}"
            if mac := routes.given_mac(attachment, network):
                found[network["parent"], link_local(mac)] = (
                    f"the MAC address {mac} of {change.name}"
                )
    return [(nic, address, whose) for (nic, address), whose in found.items()]


def link_local(mac: str) -> str:
    """Return the address that Linux makes of a MAC address (RFC 4291, appendix A)."""
    own = bytearray(bytes.fromhex(mac.replace(":", "")))
    own[0] ^= 2
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + own[:3] + b"\xff\xfe" + own[3:]))


def _attachments(change: Change) -> list[dict]:
    found: list[dict] = (
        change.wanted["container"]["attachments"] if change.kind == "container" else []
    )
    return found


def _programs(node: dict, sent: dict[str, str], specified: list[dict]) -> Iterator[Conflict]:
    """Yield programs and parts of the kernel that aren't there."""
    for program in ("ip", "nsenter"):
        if not shutil.which(program):
            cure = "install iproute2 and util-linux"
            yield Conflict(f"there is no program {program}", cure)
    texts = {t for one in specified for t in one.get("texts", {}).values()}
    lacking = host_plugins.lacking([n for text in sorted(texts) for n in host_plugins.needed(text)])
    for name in lacking:
        yield Conflict(
            f"there is no CNI plugin {name} in {', '.join(host_plugins.FOLDERS)}",
            "install containernetworking-plugins, or runtime: iproute2 in the lab file",
        )
    for text in () if lacking else sorted(texts):
        try:
            host_plugins.version(text)
        except Failed as error:
            yield Conflict(str(error), "newer plugins, or runtime: iproute2 in the lab file")
    kinds = {n["driver"] for one in specified for n in one["networks"].values()}
    kinds |= {"vlan"} if node["node"]["vlans"] else set()
    for module in sorted({MODULES[kind] for kind in kinds if kind in MODULES}):
        if _absent(module):
            cure = "another driver in the lab file, or a kernel that has it"
            yield Conflict(f"the kernel has no {module}", cure)


def _absent(module: str) -> bool:
    """Whether the kernel's own lists say that it hasn't a module; without them nobody knows."""
    folder = f"/lib/modules/{os.uname().release}"
    lists = [files.read(f"{folder}/{name}") for name in ("modules.dep", "modules.builtin")]
    if os.path.isdir(f"/sys/module/{module}") or None in lists:
        return False
    return not any(f"/{module}.ko" in text for text in lists if text)


def _interfaces(node: dict, own: dict[str, dict], specified: list[dict]) -> Iterator[Conflict]:
    """Yield the NICs of the lab file that aren't as it says, and who owns those that are used."""
    used = {n["parent"] for one in specified for n in one["networks"].values()}
    vlans = {vlan["interface"]: vlan["link"] for vlan in node["node"]["vlans"]}
    used |= {vlans[name] for name in used & {*vlans}}
    least: dict[str, int] = {}
    for network in (n for one in specified for n in one["networks"].values()):
        parent = vlans.get(network["parent"], network["parent"])
        least[parent] = max(least.get(parent, 0), network["mtu"])
    survey = "the lab file is to say what is there; underlay survey --lab writes one that does"
    for nic in node["node"]["nics"]:
        name = nic["interface"]
        if name not in own:
            cure = f"the interface's name in the lab file: here are {', '.join(sorted(own))}"
            yield Conflict(f"the parent {name} is missing", cure)
            continue
        row = own[name]
        has = {f"{one['local']}/{one['prefixlen']}" for one in row["addr_info"]}
        wants = {one for one in (nic["address"], nic.get("address6", "")) if one}
        if lost := wants - has:
            said = ", ".join(sorted(has)) or "no address"
            yield Conflict(f"{name} has {said}, and not {', '.join(sorted(lost))}", survey)
        if name not in used:
            continue
        if "UP" not in row["flags"]:
            yield Conflict(f"{name} is down", f"ip link set {name} up  by hand")
        if row["mtu"] < least.get(name, 0):
            found = f"{name} has the MTU {row['mtu']}, and what sits on it is to have {least[name]}"
            yield Conflict(found, f"mtu: {row['mtu']}  at the segment in the lab file")
        if row.get("master"):
            found = f"{name} is a port of {row['master']}"
            yield Conflict(found, "another interface: a port can't be a parent as well")
        if _by_network_manager(row["ifindex"]):
            found = f"NetworkManager owns {name}"
            yield Conflict(found, f"nmcli device set {name} managed no  by hand, if that may be")


def _by_network_manager(index: int) -> bool:
    """Whether NetworkManager's own note says that it configures an interface."""
    text = files.read(f"/run/NetworkManager/devices/{index}") or ""
    return "managed=true" in text.split()


def _taken(
    fresh: list[Change], own: dict[str, dict], others: list[tuple[str, list[dict]]]
) -> Iterator[Conflict]:
    """Yield the places that somebody else has already."""
    vlans = {
        (row.get("link"), row["linkinfo"]["info_data"].get("id")): name
        for name, row in own.items()
        if row.get("linkinfo", {}).get("info_kind") == "vlan"
    }
    for change in fresh:
        path = place(change)
        if path and os.path.lexists(path):
            words = {
                "file": f"{path} is there, and isn't this lab's",
                "store": f"{path} is there: somebody has a CNI network called {change.name}",
                "container": f"the container name {change.name} is taken: {path} is there",
            }
            yield Conflict(words[change.kind], ANOTHER_NAME)
        if change.kind == "link":
            vlan = change.wanted
            found = change.name if change.name in own else vlans.get((vlan["link"], vlan["vlan"]))
            if found:
                yield Conflict(f"the interface {found} is there, and isn't this lab's",
                               ANOTHER_NAME)  # fmt: skip
        if change.kind == "route":
            for row in routes_there(change.wanted):
                found = f"a route to {row['dst']} by {row.get('dev', 'somewhere')} is there"
                yield Conflict(found, "another range in the lab file, or remove it by hand")
        for attachment in _attachments(change):
            passing = iproute2.passing(attachment["interface"])
            if passing != attachment["interface"] and passing in own:
                found = f"the interface {passing} is there, whose name is needed for a moment"
                yield Conflict(found, "another name for it, by hand")


def _networks(sent: dict[str, str], fresh: list[Change]) -> Iterator[Conflict]:
    """Yield files of somebody else's that describe a CNI network of the same name."""
    names = {
        json.loads(change.wanted["text"]).get("name"): change.name
        for change in fresh
        if change.kind == "file"
    }
    for folder in NET_D:
        for path in sorted(glob.glob(f"{folder}/*")):
            try:
                name = json.loads(files.read(path) or "").get("name")
            except (ValueError, AttributeError, OSError):
                continue
            if name in names and path not in sent:
                yield Conflict(f"{path} names a CNI network {name} as well", ANOTHER_NAME)


def _parents(
    own: dict[str, dict], others: list[tuple[str, list[dict]]], specified: list[dict]
) -> Iterator[Conflict]:
    """Yield parents that children of another kind have taken, in whichever namespace these are."""
    for parent, driver in sorted(
        {(n["parent"], n["driver"]) for one in specified for n in one["networks"].values()}
    ):
        index = own.get(parent, {}).get("ifindex")
        if index is None or driver not in TAKERS:
            continue
        here = [(row["ifname"], row) for row in own.values() if row.get("link") == parent]
        there = [
            (f"{row['ifname']} in {where}", row)
            for where, rows in others
            for row in rows
            if row.get("link_index") == index and "link_netnsid" in row
        ]
        for said, row in [*here, *there]:
            kind = row.get("linkinfo", {}).get("info_kind", "")
            if kind in TAKERS and kind[:3] != driver[:3]:
                yield Conflict(
                    f"{parent} has a child of {kind}, {said}: it can't have one of {driver}",
                    f"driver: {kind}  in the lab file, or another parent",
                )
                break


def _addresses(
    specified: list[dict], own: dict[str, dict], others: list[tuple[str, list[dict]]]
) -> Iterator[Conflict]:
    """Yield addresses of the plan that this host has already, in whichever namespace."""
    having: dict[str, str] = {}
    for where, rows in [("", [*own.values()]), *others]:
        for row in rows:
            inside = f"{row['ifname']} in {where}" if where else row["ifname"]
            having.setdefault(row.get("address", ""), inside)
            for one in row.get("addr_info", ()):
                having.setdefault(str(ipaddress.ip_address(one["local"])), inside)
    for one in specified:
        name = one["container"]["name"]
        for attachment in one["container"]["attachments"]:
            for address in routes.addresses(attachment):
                bare = address.partition("/")[0]
                if bare in having:
                    found = f"the address {bare} of {name} is in use here: {having[bare]} has it"
                    yield Conflict(found, ANOTHER_ADDRESS)
            mac = routes.given_mac(attachment, one["networks"][attachment["network"]])
            if mac and mac in having:
                found = f"the MAC address {mac} of {name} is in use here: {having[mac]} has it"
                yield Conflict(found, ANOTHER_MAC)


def refuse_other_rights() -> None:
    """Raise Failed where this isn't root of the host."""
    if os.geteuid():
        raise Failed(f"a lab is applied by root, and this is user {os.geteuid()}")
