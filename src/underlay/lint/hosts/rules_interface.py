"""Rules about a host's own interfaces, and about the parents that networks name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from underlay.errors import did_you_mean, nearest
from underlay.fleet.document import Document
from underlay.fleet.formats.interfaces import sections, wanted_vlans
from underlay.fleet.host import Host, Network
from underlay.lint.hosts.rule import NETWORKD, Hit, Hosts, networks, rule

# networkd's own words, which aren't the drivers': systemd.netdev(5), [MACVLAN] and [IPVLAN].
KINDS = ("vlan", "macvlan", "ipvlan", "macvtap")
MODES = {
    "macvlan": ("private", "vepa", "bridge", "passthru", "source"),
    "ipvlan": ("L2", "L3", "L3S"),
}
WIRELESS = re.compile(r"(wlan[0-9]|wl[opsx][0-9a-f])")
# Interfaces that a kernel or a runtime makes by itself.
ALWAYS = re.compile(r"(lo|docker0|cni0|br-[0-9a-f]+|veth.*)")


def _networkd(host: Host, suffix: str) -> list[Document]:
    return [d for d in host.documents if d.kind == "networkd" and d.name.endswith(suffix)]


def _values(document: Document) -> dict[tuple[str, str], tuple[str, int]]:
    return {
        (section, key): (value, line)
        for section, _, entries in sections(document)
        for key, value, line in entries
    }


@rule("networkd-vlan-id", "error", NETWORKD)
def networkd_vlan_id(hosts: Hosts) -> Iterator[Hit]:
    """A VLAN is a number from 1 to 4094; without one networkd makes no interface."""
    for host in hosts:
        for document in _networkd(host, ".netdev"):
            values = _values(document)
            kind, line = values.get(("NetDev", "Kind"), ("", 1))
            text, line = values.get(("VLAN", "Id"), ("", line))
            if kind == "vlan" and not (text.isdigit() and 1 <= int(text[:6]) <= 4094):
                message = f"Id={text} is no VLAN" if text else "found no Id"
                yield Hit(document.at(line), message, "[VLAN] with Id=70, say")


@rule("networkd-name-and-id", "warning", "F-WRONGTAG: a name that lies about its tag")
def networkd_name_and_id(hosts: Hosts) -> Iterator[Hit]:
    """A VLAN interface whose name tells another tag misleads whoever puts a network on it."""
    for host in hosts:
        for link in host.links:
            tag = link.name.rpartition(".")[2] if "." in link.name else ""
            known = link.vlan is not None and 1 <= link.vlan <= 4094
            if known and tag.isdigit() and int(tag[:6]) != link.vlan:
                message = f"{link.name} carries VLAN {link.vlan}"
                base = link.name.rpartition(".")[0]
                yield Hit(link.spot, message, f"name it {base}.{link.vlan}, or mend the tag")


@rule("networkd-not-attached", "error", NETWORKD)
def networkd_not_attached(hosts: Hosts) -> Iterator[Hit]:
    """A VLAN or macvlan is made only where its parent's .network file asks for it."""
    for host in hosts:
        wanted = wanted_vlans(_networkd(host, ".network"))
        for document in _networkd(host, ".netdev"):
            values = _values(document)
            kind, _ = values.get(("NetDev", "Kind"), ("", 1))
            name, line = values.get(("NetDev", "Name"), ("", 1))
            if kind in KINDS and name and name not in wanted:
                cure = f"{kind.upper()}={name} in the [Network] section of its parent"
                yield Hit(document.at(line), f"no .network file asks for {name}", cure)


@rule("networkd-netdev-missing", "error", NETWORKD)
def networkd_netdev_missing(hosts: Hosts) -> Iterator[Hit]:
    """A .network file that asks for an interface waits for a .netdev file that makes it."""
    for host in hosts:
        made = {_values(d).get(("NetDev", "Name"), ("", 1))[0] for d in _networkd(host, ".netdev")}
        for document in _networkd(host, ".network"):
            for _, _, entries in sections(document):
                for key, value, line in entries:
                    if key in ("VLAN", "MACVLAN", "IPVLAN") and value not in made:
                        message = f"nothing makes {value}"
                        cure = f"a .netdev file with Name={value}"
                        yield Hit(document.at(line), message, cure)


@rule("networkd-mode-unknown", "error", NETWORKD)
def networkd_mode_unknown(hosts: Hosts) -> Iterator[Hit]:
    """A mode that networkd doesn't know is passed over, and the kernel's default holds."""
    for host in hosts:
        for document in _networkd(host, ".netdev"):
            values = _values(document)
            kind, _ = values.get(("NetDev", "Kind"), ("", 1))
            modes = MODES.get(kind, ())
            mode, line = values.get((kind.upper(), "Mode"), ("", 1))
            if mode and modes and mode not in modes:
                yield Hit(
                    document.at(line), f"{kind} has no mode {mode!r}", f"one of {', '.join(modes)}"
                )


@rule("parent-missing", "error", "F-PMISSING: `failed to lookup master: Link not found`")
def parent_missing(hosts: Hosts) -> Iterator[Hit]:
    """A parent that the host doesn't have: no container of this network starts."""
    for host, network in networks(hosts, "macvlan", "ipvlan"):
        names = [link.name for link in host.links]
        base = network.parent.partition(".")[0]
        if not names or not base or base in names or network.parent in names:
            continue
        if any(re.search(r"[*?]", d.text) for d in _networkd(host, ".network")):
            continue
        cure = did_you_mean(nearest(base, names)) or f"one of {', '.join(names)}"
        message = f"{network.name} sits on {network.parent}, which {host.name}'s files don't have"
        yield Hit(network.spot("master"), message, cure)


@rule(
    "parent-vlan-missing",
    "error",
    "CNI makes no VLAN interfaces: " + "https://www.cni.dev/plugins/current/main/vlan/",
)
def parent_vlan_missing(hosts: Hosts) -> Iterator[Hit]:
    """Docker makes a missing VLAN interface, CNI doesn't: the parent isn't there."""
    for host, network in networks(hosts, "macvlan", "ipvlan"):
        names = {link.name for link in host.links}
        base, dot, _ = network.parent.partition(".")
        made = any(network.parent in d.text for d in host.documents if d.kind == "cloud_config")
        lacking = dot and base in names and network.parent not in names
        if lacking and network.runtime == "cni" and not made:
            message = f"{host.name} has {base}, and nothing makes {network.parent}"
            cure = f"make the VLAN interface {network.parent} at boot"
            yield Hit(network.spot("master"), message, cure)


@rule(
    "parent-wireless",
    "error",
    "https://www.cni.dev/plugins/current/main/macvlan/; netblue30/firejail#1978",
)
def parent_wireless(hosts: Hosts) -> Iterator[Hit]:
    """An access point takes frames of the one MAC that has joined: macvlan children have others."""
    for _, network in networks(hosts, "macvlan"):
        if WIRELESS.match(network.parent):
            message = f"{network.name} puts macvlan on {network.parent}, a wireless interface"
            yield Hit(network.spot("master"), message, "ipvlan l2, or a wired parent")


@rule("parent-loopback", "error", "Linux, drivers/net/macvlan.c: the loopback device is refused")
def parent_loopback(hosts: Hosts) -> Iterator[Hit]:
    """The loopback interface takes no children."""
    for _, network in networks(hosts, "macvlan", "ipvlan"):
        if network.parent == "lo":
            yield Hit(network.spot("master"), f"{network.name} sits on lo", "take a NIC: eth1")


@rule("parent-name-invalid", "error", "Linux, net/core/dev.c: dev_valid_name")
def parent_name_invalid(hosts: Hosts) -> Iterator[Hit]:
    """The kernel's names of interfaces have 1 to 15 characters, no slash, colon or blank."""
    for _, network in networks(hosts, "macvlan", "ipvlan"):
        name = network.parent
        if name and (len(name.encode()) > 15 or re.search(r"[\s/:]", name) or name in (".", "..")):
            yield Hit(network.spot("master"), f"{name[:40]!r} can't be an interface", "eth1, say")


def mtu_of(host: Host, network: Network) -> int | None:
    """Return the MTU that the network's containers have, None where the files don't tell."""
    parent = host.parent_mtu(network)
    if network.runtime == "docker":
        return parent
    return network.mtu or parent


@rule("mtu-over-parent", "error", "containernetworking/plugins, plugins/main/macvlan/macvlan.go")
def mtu_over_parent(hosts: Hosts) -> Iterator[Hit]:
    """A macvlan child larger than its parent is refused; an ipvlan one loses large packets."""
    for host, network in networks(hosts, "macvlan", "ipvlan"):
        parent = host.parent_mtu(network)
        if network.runtime != "docker" and network.mtu and parent and network.mtu > parent:
            message = f"{network.name} has MTU {network.mtu}, its parent {parent}"
            yield Hit(network.spot("mtu"), message, f"{parent} or less, or raise the parent's")


@rule("mtu-too-small", "error", "RFC 791 (68), RFC 8200 (1280)")
def mtu_too_small(hosts: Hosts) -> Iterator[Hit]:
    """IPv4 needs 68 bytes and IPv6 1280; below that the protocol is switched off."""
    for _, network in networks(hosts):
        six = any(pool.subnet.version == 6 for pool in network.pools)
        least = 1280 if six else 68
        if network.mtu and network.mtu < least:
            message = f"MTU {network.mtu} is below {least}"
            yield Hit(network.spot("mtu"), message, "1500, or leave it out")
