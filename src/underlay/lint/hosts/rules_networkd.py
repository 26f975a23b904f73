"""Rules about systemd-networkd's files: what it skips without stopping, and what it never makes."""

from __future__ import annotations

from collections.abc import Iterator

from underlay.errors import did_you_mean, nearest
from underlay.fleet.document import Document
from underlay.fleet.formats.ini import Settings, settings
from underlay.fleet.formats.networkd import STACKED, wanted_vlans
from underlay.fleet.host import Host, as_address, as_subnet
from underlay.lint.finding import Hit
from underlay.lint.hosts.networkd_keys import known_keys
from underlay.lint.hosts.rule import NETWORKD, Hosts, number_of, rule

# networkd's own words, which aren't the drivers': systemd.netdev(5), [MACVLAN] and [IPVLAN].
KINDS = ("vlan", "macvlan", "ipvlan", "macvtap")
MODES = {
    "macvlan": ("private", "vepa", "bridge", "passthru", "source"),
    "macvtap": ("private", "vepa", "bridge", "passthru", "source"),
    "ipvlan": ("L2", "L3", "L3S"),
    "bond": ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb",
             "balance-alb"),
}  # fmt: skip
SECTION = {"bond": "Bond"}
# What people write for .network.
SLIPS = ("", "conf", "cfg", "net", "ini")
EVERY_KIND = (*KINDS, "bond", "bridge", "dummy", "geneve", "gre", "gretap", "erspan", "ip6gre",
              "ip6tnl", "ip6gretap", "ipip", "ipvtap", "macsec", "sit", "tap", "tun", "vcan",
              "veth", "vti", "vti6", "vxlan", "vxcan", "wireguard", "nlmon", "fou", "xfrm", "ifb",
              "batadv", "ipoib", "wlan", "l2tp", "vrf", "bareudp", "hsr")  # fmt: skip


def _networkd(host: Host, *suffixes: str) -> list[Document]:
    return [d for d in host.documents if d.kind == "networkd" and d.name.endswith(suffixes)]


def _netdevs(host: Host) -> Iterator[tuple[Document, str, Settings]]:
    """Yield a host's .netdev files with the kind and the settings of each."""
    for document in _networkd(host, ".netdev"):
        said = settings(document)
        yield document, said.value("NetDev", "Kind"), said


def _line(said: Settings, section: str, key: str) -> int:
    found = said.last(section, key) or said.last("NetDev", "Kind")
    return found.line if found else 1


@rule("networkd-vlan-id", "error", NETWORKD)
def networkd_vlan_id(hosts: Hosts) -> Iterator[Hit]:
    """A VLAN is a number from 1 to 4094; without one networkd makes no interface."""
    for host in hosts:
        for document, kind, said in _netdevs(host):
            text = said.value("VLAN", "Id")
            if kind == "vlan" and not 1 <= (number_of(text) or 0) <= 4094:
                message = f"Id={text} is no VLAN" if text else "found no Id"
                spot = document.at(_line(said, "VLAN", "Id"))
                yield Hit(spot, message, "[VLAN] with Id=70, say")


@rule(
    "networkd-name-and-id",
    "warning",
    "systemd.netdev(5), [VLAN] Id=: the tag, whatever the name says",
)
def networkd_name_and_id(hosts: Hosts) -> Iterator[Hit]:
    """A VLAN interface whose name tells another tag misleads whoever puts a network on it."""
    for host in hosts:
        for link in host.links:
            tag = number_of(link.name.rpartition(".")[2]) if "." in link.name else None
            known = link.vlan is not None and 1 <= link.vlan <= 4094
            if known and tag is not None and tag != link.vlan:
                message = f"{link.name} carries VLAN {link.vlan}"
                base = link.name.rpartition(".")[0]
                yield Hit(link.spot, message, f"name it {base}.{link.vlan}, or mend the tag")


@rule("networkd-not-attached", "error", NETWORKD)
def networkd_not_attached(hosts: Hosts) -> Iterator[Hit]:
    """A VLAN or macvlan is made only where its parent's .network file asks for it."""
    for host in hosts:
        drop_ins = [d for d in host.documents if d.kind == "networkd_dropin"]
        wanted = set(wanted_vlans(_networkd(host, ".network")))
        for document in drop_ins:
            for entry in settings(document).every("Network", *STACKED):
                wanted.update(entry.value.split())
        for document, kind, said in _netdevs(host):
            name = said.value("NetDev", "Name")
            if kind in KINDS and name and name not in wanted:
                cure = f"{kind.upper()}={name} in the [Network] section of its parent"
                spot = document.at(_line(said, "NetDev", "Name"))
                yield Hit(spot, f"no .network file asks for {name}", cure)


@rule("networkd-netdev-missing", "error", NETWORKD)
def networkd_netdev_missing(hosts: Hosts) -> Iterator[Hit]:
    """A .network file that asks for an interface waits for a .netdev file that makes it."""
    for host in hosts:
        made = {said.value("NetDev", "Name") for _, _, said in _netdevs(host)}
        for document in _networkd(host, ".network"):
            for entry in settings(document).every("Network", *STACKED, "Bond", "Bridge", "VRF"):
                for name in entry.value.split():
                    if name not in made:
                        meant = nearest(name, made)
                        cure = did_you_mean(meant) or f"a .netdev file with Name={name}"
                        yield Hit(document.at(entry.line), f"nothing makes {name}", cure)


@rule("networkd-mode-unknown", "error", NETWORKD)
def networkd_mode_unknown(hosts: Hosts) -> Iterator[Hit]:
    """A mode that networkd doesn't know is passed over, and the kernel's default holds."""
    for host in hosts:
        for document, kind, said in _netdevs(host):
            modes = MODES.get(kind, ())
            entry = said.last(SECTION.get(kind, kind.upper()), "Mode")
            if entry is not None and entry.value and modes and entry.value not in modes:
                cure = did_you_mean(nearest(entry.value, modes)) or f"one of {', '.join(modes)}"
                yield Hit(document.at(entry.line), f"{kind} has no mode {entry.value!r}", cure)


@rule("networkd-kind-unknown", "error", NETWORKD)
def networkd_kind_unknown(hosts: Hosts) -> Iterator[Hit]:
    """A kind that networkd doesn't know makes no interface."""
    for host in hosts:
        for document, kind, said in _netdevs(host):
            if kind not in EVERY_KIND:
                cure = did_you_mean(nearest(kind, EVERY_KIND)) or "Kind=vlan, say"
                message = f"there is no kind {kind!r}" if kind else "found no Kind"
                yield Hit(document.at(_line(said, "NetDev", "Kind")), message, cure)


@rule("networkd-match-twice", "warning", "systemd.network(5): the first file that matches counts")
def networkd_match_twice(hosts: Hosts) -> Iterator[Hit]:
    """The first file that matches an interface counts: a second one for it is passed over."""
    for host in hosts:
        first: dict[str, Document] = {}
        for document in sorted(_networkd(host, ".network"), key=lambda d: d.name):
            said = settings(document)
            match = [e for e in said.entries if e.section == "Match"]
            if [e.key for e in match] != ["Name"] or set(match[0].value) & set("*?[!"):
                continue
            for name in match[0].value.split():
                other = first.setdefault(name, document)
                if other is not document and other.name != document.name:
                    message = f"{other.name} comes first for {name}: {document.name} is passed over"
                    spot = document.at(match[0].line)
                    yield Hit(spot, message, "one file an interface, or a drop-in", (other.spot(),))


@rule("networkd-dhcp", "error", NETWORKD)
def networkd_dhcp(hosts: Hosts) -> Iterator[Hit]:
    """DHCP is yes, no, ipv4 or ipv6; networkd skips any other word, and asks no server."""
    words = ("yes", "no", "ipv4", "ipv6", "true", "false", "on", "off", "1", "0", "y", "n", "t",
             "f", "both", "none", "v4", "v6")  # fmt: skip
    for host in hosts:
        for document in _networkd(host, ".network"):
            for entry in settings(document).every("Network", "DHCP"):
                if entry.value.lower() not in words:
                    cure = did_you_mean(nearest(entry.value, words[:6]))
                    message = f"DHCP is {entry.value!r}"
                    yield Hit(document.at(entry.line), message, cure or "DHCP=yes")


@rule("networkd-dns", "error", NETWORKD)
def networkd_dns(hosts: Hosts) -> Iterator[Hit]:
    """A name server is an address, perhaps with port and name; networkd skips any other word."""
    for host in hosts:
        for document in _networkd(host, ".network"):
            for entry in settings(document).every("Network", "DNS"):
                for word in entry.value.split():
                    if not is_name_server(word):
                        message = f"{word!r} is no name server's address"
                        yield Hit(document.at(entry.line), message, "write DNS=ADDRESS")


def is_name_server(word: str) -> bool:
    """Whether ``word`` is an address, perhaps with a port, an interface and a name behind it."""
    plain = word.partition("#")[0].partition("%")[0]
    if plain.startswith("["):
        plain = plain[1:].partition("]")[0]
    elif plain.count(":") == 1:
        plain = plain.partition(":")[0]
    return as_address(plain) is not None or plain.startswith("_")


@rule("networkd-key-unknown", "warning", NETWORKD)
def networkd_key_unknown(hosts: Hosts) -> Iterator[Hit]:
    """A setting that networkd doesn't know is skipped, with a line in its log and no other sign."""
    for host in hosts:
        for document in _networkd(host, ".network", ".netdev"):
            tables = known_keys(f".{document.name.rpartition('.')[2]}")
            for entry in settings(document).entries:
                keys = tables.get(entry.section)
                if keys is None or entry.key in keys or entry.key.startswith("X-"):
                    continue
                elsewhere = [name for name, found in tables.items() if entry.key in found]
                meant = nearest(entry.key.lower(), tuple(k.lower() for k in keys))
                spelt = next((key for key in keys if key.lower() == meant), "")
                if not spelt and not elsewhere:
                    continue  # a setting of a later version, perhaps
                cure = f"it belongs into [{elsewhere[0]}]" if elsewhere else did_you_mean(spelt)
                message = f"[{entry.section}] has no setting {entry.key!r}"
                yield Hit(document.at(entry.line), message, cure)


@rule("networkd-section-unknown", "warning", NETWORKD)
def networkd_section_unknown(hosts: Hosts) -> Iterator[Hit]:
    """A section that networkd doesn't know is skipped, with everything in it."""
    for host in hosts:
        for document in _networkd(host, ".network", ".netdev"):
            known = known_keys(f".{document.name.rpartition('.')[2]}")
            for name, line in settings(document).sections:
                if name in known or name in ("IPv6SendRA", "DHCPServer"):
                    continue
                meant = nearest(name.lower(), tuple(k.lower() for k in known))
                spelt = next((key for key in known if key.lower() == meant), "")
                if spelt:
                    message = f"there is no section [{name}]"
                    yield Hit(document.at(line), message, f"did you mean [{spelt}]?")


@rule("networkd-not-read", "error", "systemd.network(5): files end in .network, .netdev or .link")
def networkd_not_read(hosts: Hosts) -> Iterator[Hit]:
    """A file of its folder that ends otherwise is passed over: nothing of it comes true."""
    for host in hosts:
        for name, spot in host.unread("systemd/network"):
            # What ends in .example or .disabled is meant to be passed over.
            suffix = name.rpartition(".")[2].lower() if "." in name else ""
            if name != "README" and (suffix in SLIPS or nearest(suffix, ("network", "netdev"))):
                yield Hit(
                    spot,
                    f"networkd doesn't read {name}",
                    f"name it {name.partition('.')[0]}.network, say",
                )
        for document in _networkd(host, ".network", ".netdev"):
            # Where a file stands on the host is known for those that another file writes.
            if document.target and not document.folder.endswith("systemd/network"):
                message = f"networkd doesn't read {document.folder}"
                yield Hit(document.at(1), message, "write it to /etc/systemd/network")


@rule("networkd-match-missing", "error", "systemd.network(5): a file without [Match] is refused")
def networkd_match_missing(hosts: Hosts) -> Iterator[Hit]:
    """A .network file says which interface it is for: networkd passes over one that doesn't."""
    for host in hosts:
        for document in _networkd(host, ".network"):
            said = settings(document)
            if said.sections and not any(e.section == "Match" for e in said.entries):
                yield Hit(document.at(said.sections[0][1]), "found no [Match]", "[Match] Name=eth1")


@rule("networkd-gateway", "error", NETWORKD)
def networkd_gateway(hosts: Hosts) -> Iterator[Hit]:
    """A gateway is a plain address; networkd skips any other word."""
    for host in hosts:
        for document in _networkd(host, ".network"):
            said = settings(document)
            for entry in (*said.every("Network", "Gateway"), *said.every("Route", "Gateway")):
                if as_address(entry.value) is None and entry.value not in ("_dhcp4", "_ipv6ra"):
                    cure = "write Gateway=ADDRESS"
                    yield Hit(document.at(entry.line), f"{entry.value!r} is no gateway", cure)


@rule("networkd-destination", "error", NETWORKD)
def networkd_destination(hosts: Hosts) -> Iterator[Hit]:
    """A route whose destination can't be read is skipped as a whole."""
    for host in hosts:
        for document in _networkd(host, ".network"):
            for entry in settings(document).every("Route", "Destination"):
                if as_subnet(entry.value) is None and as_address(entry.value) is None:
                    message = f"{entry.value!r} is no destination"
                    yield Hit(document.at(entry.line), message, "write Destination=10.1.0.0/24")


@rule("networkd-mtu", "error", NETWORKD)
def networkd_mtu(hosts: Hosts) -> Iterator[Hit]:
    """An MTU that can't be read is skipped, and the interface keeps 1500."""
    for host in hosts:
        for document in _networkd(host, ".network", ".netdev"):
            said = settings(document)
            for section in ("Link", "NetDev"):
                for entry in said.every(section, "MTUBytes"):
                    # Sizes may be written with a unit: systemd.syntax(7).
                    text = entry.value.rstrip("BKM")
                    value = number_of(text)
                    if value is None or (text == entry.value and not 68 <= value <= 65536):
                        message = f"{entry.value!r} is no MTU"
                        yield Hit(document.at(entry.line), message, "write MTUBytes=9000")
