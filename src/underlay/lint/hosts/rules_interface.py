"""Rules about a host's own interfaces, and about the parents that networks name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from underlay.errors import Spot, did_you_mean, nearest
from underlay.fleet.host import Host, Network
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import INTERFACES, Hosts, networks, repeated, rule, unknown

WIRELESS = re.compile(r"(wlan[0-9]|wl[opsx][0-9a-f])")


@rule(
    "parent-missing",
    "error",
    "containernetworking/plugins, plugins/main/macvlan/macvlan.go: `failed to lookup master`",
    needs=INTERFACES,
)
def parent_missing(hosts: Hosts) -> Iterator[Hit]:
    """A parent that the host doesn't have: no container of this network starts."""
    for host, network in networks(hosts, "macvlan", "ipvlan"):
        # Several files may name one interface.
        names = list(dict.fromkeys(link.name for link in host.links))
        base = network.parent.rpartition(".")[0] if network.vlan else network.parent
        if not names or not base or unknown(network.parent):
            continue
        # Docker's own dummy, the parent of an internal network: macvlan_setup.go, getDummyName.
        if network.runtime == "docker" and base.startswith("dm-"):
            continue
        if any(link.fits(base) or link.fits(network.parent) for link in host.links):
            continue
        cure = did_you_mean(nearest(base, names)) or f"one of {', '.join(names)}"
        message = f"{network.name} sits on {network.parent}, which {host.name}'s files don't have"
        yield Hit(network.spot("master"), message, cure)


@rule(
    "parent-vlan-missing",
    "error",
    "CNI makes no VLAN interfaces: " + "https://www.cni.dev/plugins/current/main/vlan/",
    needs=INTERFACES,
)
def parent_vlan_missing(hosts: Hosts) -> Iterator[Hit]:
    """Docker makes a missing VLAN interface, CNI and podman don't: the parent isn't there."""
    for host, network in networks(hosts, "macvlan", "ipvlan"):
        names = {link.name for link in host.links}
        base, dot, _ = network.parent.rpartition(".")
        made = any(network.parent in d.text for d in host.documents if d.kind == "cloud_config")
        lacking = dot and base in names and network.parent not in names
        if _other_names(host, network):
            continue
        if lacking and network.runtime != "docker" and not made:
            message = f"{host.name} has {base}, and nothing makes {network.parent}"
            cure = f"make the VLAN interface {network.parent} at boot"
            yield Hit(network.spot("master"), message, cure)


@rule(
    "parent-vlan-name",
    "error",
    "Linux, net/8021q/vlan.c: vlan_check_real_dev gives EEXIST; moby, macvlan_setup.go",
    needs=INTERFACES,
)
def parent_vlan_name(hosts: Hosts) -> Iterator[Hit]:
    """A VLAN of a NIC is one interface: where it has another name, the parent is never made."""
    for host, network in networks(hosts, "macvlan", "ipvlan"):
        for name, spot in _other_names(host, network):
            base = network.parent.rpartition(".")[0]
            does = "Docker would make" if network.runtime == "docker" else "nothing makes"
            message = (
                f"{network.name} sits on {network.parent}, which {does}: {host.name} has VLAN"
                f" {network.vlan} of {base} as {name}"
            )
            cure = f"the parent {name}, or {network.parent} as the name of that interface"
            yield Hit(network.spot("master"), message, cure, (spot,))


@rule(
    "host-vlan-twice",
    "error",
    "Linux, net/8021q/vlan.c: vlan_check_real_dev gives EEXIST",
    needs=INTERFACES,
)
def host_vlan_twice(hosts: Hosts) -> Iterator[Hit]:
    """Of two interfaces for one VLAN of a NIC the kernel makes whichever is asked for first."""
    for host in hosts:
        found = (((nic, tag), (name, spot)) for name, (nic, tag, spot) in host.vlans().items())
        for (first, before), (second, spot) in repeated(found):
            nic, tag, _ = host.vlans()[second]
            message = (
                f"{host.name} has VLAN {tag} of {nic} as {first}, and {second} is to be it, too"
            )
            yield Hit(spot, message, f"another id, or {first} in the place of {second}", (before,))


def _other_names(host: Host, network: Network) -> list[tuple[str, Spot]]:
    """Return what the host's files call the VLAN that ``network`` names, if none has that name."""
    if network.vlan is None or any(link.name == network.parent for link in host.links):
        return []
    wanted = (network.parent.rpartition(".")[0], network.vlan)
    return [
        (name, spot) for name, (nic, tag, spot) in host.vlans().items() if (nic, tag) == wanted
    ][:1]


@rule("host-parent-missing", "warning", "the device below a VLAN: nm-settings(5), interfaces(5)")
def host_parent_missing(hosts: Hosts) -> Iterator[Hit]:
    """A VLAN whose parent is misspelt is never made; the host's other files have the right name."""
    for host in hosts:
        names = sorted({link.name for link in host.links})
        for link in host.links:
            # netplan's own rule names the rest; networkd's parents are what they ask for.
            if "lower" not in link.spots or any(o.fits(link.lower) for o in host.links):
                continue
            # eth2 isn't eth1 misspelt: only letters are mistaken, never the number.
            digits = re.sub(r"[^0-9]", "", link.lower)
            alike = [name for name in names if re.sub(r"[^0-9]", "", name) == digits]
            meant = nearest(link.lower, tuple(alike))
            if meant and meant != link.name:
                message = f"{link.name} sits on {link.lower}, which {host.name}'s files don't have"
                yield Hit(link.at("lower"), message, f"did you mean {meant}?")


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
        if (
            name
            and not unknown(name)
            and (len(name.encode()) > 15 or re.search(r"[\s/:]", name) or name in (".", ".."))
        ):
            yield Hit(network.spot("master"), f"{name[:40]!r} can't be an interface", "eth1, say")


def mtu_of(host: Host, network: Network) -> int | None:
    """Return the MTU that the network's containers have, None where the files don't tell."""
    parent = host.parent_mtu(network)
    if network.runtime == "docker":
        return parent
    return network.mtu or parent


@rule(
    "mtu-over-parent",
    "error",
    "containernetworking/plugins, plugins/main/macvlan/macvlan.go",
    needs=INTERFACES,
)
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
