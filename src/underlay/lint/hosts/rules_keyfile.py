"""Rules about NetworkManager's keyfiles: what it refuses, and whom it lets read them."""

from __future__ import annotations

from collections.abc import Iterator

from underlay.errors import did_you_mean, nearest
from underlay.fleet.document import Document
from underlay.fleet.formats.ini import settings
from underlay.fleet.formats.networkmanager import WIRED, address_entries
from underlay.fleet.host import Host, as_address, as_interface, as_subnet
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import KEYFILE, Hosts, number_of, rule, with_prefix
from underlay.lint.hosts.rules_networkd import MODES as NETWORKD_MODES
from underlay.lint.hosts.rules_networkd import is_name_server

METHODS = {
    "ipv4": ("auto", "manual", "disabled", "link-local", "shared"),
    "ipv6": ("auto", "manual", "disabled", "ignore", "link-local", "shared", "dhcp"),
}
TYPES = ("ethernet", "vlan", "bond", "bridge", "macvlan", "wifi", "dummy", "team", "vrf", "veth",
         "tun", "vxlan", "wireguard", "infiniband", "ip-tunnel", "loopback", "ovs-bridge",
         "ovs-interface", "ovs-port", "802-3-ethernet", "802-11-wireless", "ipvlan", "hsr", "gsm",
         "bluetooth", "pppoe", "vpn", "macsec", "6lowpan", "adsl", "cdma", "generic", "wpan",
         "olpc-mesh", "wimax", "wifi-p2p", "dcb")  # fmt: skip
# The keys that people write by hand; what resembles none of them isn't judged.
_IP = """method address addresses gateway dns dns-search dns-options dns-priority routes
    route-metric route-table never-default may-fail ignore-auto-dns ignore-auto-routes
    routing-rules dhcp-client-id dhcp-hostname dhcp-send-hostname dhcp-timeout dad-timeout
    link-local
    required-timeout address-data route-data replace-local-rule dhcp-fqdn dhcp-iaid"""
KEYS = {
    "connection": """id uuid type interface-name autoconnect autoconnect-priority
        autoconnect-retries autoconnect-slaves autoconnect-ports master slave-type controller
        port-type permissions timestamp zone metered lldp llmnr mdns dns-over-tls mptcp-flags
        stable-id secondaries multi-connect mud-url read-only gateway-ping-timeout
        wait-device-timeout wait-activation-delay auth-retries down-on-poweroff""",
    "ipv4": _IP,
    "ipv6": f"{_IP} addr-gen-mode ip6-privacy token ra-timeout mtu dhcp-duid dhcp-pd-hint",
    "ethernet": """mac-address cloned-mac-address mtu auto-negotiate duplex speed port wake-on-lan
        mac-address-blacklist mac-address-denylist generate-mac-address-mask
        accept-all-mac-addresses wake-on-lan-password s390-subchannels s390-nettype""",
    "vlan": "id parent flags egress-priority-map ingress-priority-map interface-name protocol",
    "macvlan": "mode parent promiscuous tap",
}


def _keyfiles(hosts: Hosts) -> Iterator[tuple[Host, Document]]:
    for host in hosts:
        yield from ((host, d) for d in host.documents if d.kind == "keyfile" and d.data)


@rule("keyfile-mode", "error", "NetworkManager: `File permissions (…) are insecure`; " + KEYFILE)
def keyfile_mode(hosts: Hosts) -> Iterator[Hit]:
    """A keyfile that others may read or write isn't loaded: it may hold secrets. It needs 0600."""
    found = list(_keyfiles(hosts))
    # A copy that has lost all modes, such as a checkout of git, says nothing about them.
    kept = any(d.mode is not None and not d.mode & 0o077 for _, d in found if not d.target)
    for _, document in found:
        known = kept or document.target
        if known and document.mode is not None and document.mode & 0o077:
            message = f"{document.name} has mode {document.mode:04o}"
            yield Hit(document.mode_spot, message, "mode 0600, owned by root")


@rule("keyfile-key-unknown", "warning", KEYFILE)
def keyfile_key_unknown(hosts: Hosts) -> Iterator[Hit]:
    """NetworkManager passes over a key that it doesn't know; the setting keeps its default."""
    for _, document in _keyfiles(hosts):
        for entry in settings(document).entries:
            section = "ethernet" if entry.section in WIRED else entry.section
            known = KEYS.get(section, "").split()
            plain = entry.key.rstrip("0123456789")
            if not known or plain in (*known, "route", "routing-rule") or "_" in plain:
                continue
            if entry.key.startswith(("route", "address")) and "_options" in entry.key:
                continue
            meant = nearest(plain, known)
            if meant:
                message = f"[{entry.section}] has no key {entry.key!r}"
                yield Hit(document.at(entry.line), message, did_you_mean(meant))


@rule("keyfile-type", "error", KEYFILE)
def keyfile_type(hosts: Hosts) -> Iterator[Hit]:
    """A profile without a type, or with one that isn't there, isn't loaded."""
    for _, document in _keyfiles(hosts):
        said = settings(document)
        entry = said.last("connection", "type")
        if entry is None and not any(name in (*TYPES, *WIRED) for name, _ in said.sections):
            yield Hit(document.spot(("connection",)), "found no type", "type=ethernet, say")
        if entry is not None and entry.value not in TYPES:
            cure = did_you_mean(nearest(entry.value, TYPES)) or "type=ethernet, say"
            yield Hit(document.at(entry.line), f"there is no type {entry.value!r}", cure)


@rule("keyfile-method", "error", KEYFILE)
def keyfile_method(hosts: Hosts) -> Iterator[Hit]:
    """A method that NetworkManager doesn't know makes the profile invalid, and it isn't loaded."""
    for _, document in _keyfiles(hosts):
        for section, methods in METHODS.items():
            entry = settings(document).last(section, "method")
            if entry is not None and entry.value not in methods:
                cure = did_you_mean(nearest(entry.value, methods)) or f"one of {', '.join(methods)}"
                message = f"[{section}] has no method {entry.value!r}"
                yield Hit(document.at(entry.line), message, cure)


@rule("keyfile-address", "error", KEYFILE)
def keyfile_address(hosts: Hosts) -> Iterator[Hit]:
    """An address has a prefix length and is of its section's family; any other is passed over."""
    for _, document in _keyfiles(hosts):
        for text, entry in address_entries(settings(document)):
            interface = as_interface(text)
            version = 4 if entry.section == "ipv4" else 6
            if interface is None or interface.version != version:
                message = f"{text[:60]!r} is no IPv{version} address with a prefix length"
                cure = f"address1={with_prefix(text, version)}"
                yield Hit(document.at(entry.line), message, cure)


@rule("keyfile-no-address", "error", KEYFILE + ": `method 'manual' requires at least an address`")
def keyfile_no_address(hosts: Hosts) -> Iterator[Hit]:
    """A profile of method manual without an address is invalid, and isn't loaded."""
    for _, document in _keyfiles(hosts):
        said = settings(document)
        having = {entry.section for _, entry in address_entries(said)}
        for section in METHODS:
            entry = said.last(section, "method")
            if entry is not None and entry.value == "manual" and section not in having:
                message = f"[{section}] is manual and has no address"
                yield Hit(document.at(entry.line), message, f"address1={with_prefix()}")


@rule("keyfile-gateway", "error", KEYFILE)
def keyfile_gateway(hosts: Hosts) -> Iterator[Hit]:
    """A gateway is a plain address of its section's family."""
    for _, document in _keyfiles(hosts):
        for section, version in (("ipv4", 4), ("ipv6", 6)):
            for entry in settings(document).every(section, "gateway"):
                address = as_address(entry.value)
                if address is None or address.version != version:
                    message = f"{entry.value[:60]!r} is no IPv{version} address"
                    yield Hit(document.at(entry.line), message, "write the router's address alone")


@rule("keyfile-dns", "error", KEYFILE)
def keyfile_dns(hosts: Hosts) -> Iterator[Hit]:
    """A name server is an address of its section's family; any other word is passed over."""
    for _, document in _keyfiles(hosts):
        for section in METHODS:
            for entry in settings(document).every(section, "dns"):
                for word in filter(None, (part.strip() for part in entry.value.split(";"))):
                    # NetworkManager 1.46 and later take URIs, too.
                    if not is_name_server(word) and "://" not in word:
                        message = f"{word[:60]!r} is no name server's address"
                        yield Hit(document.at(entry.line), message, "dns=ADDRESS;")


@rule("keyfile-route", "error", KEYFILE)
def keyfile_route(hosts: Hosts) -> Iterator[Hit]:
    """A route is a destination with its prefix length, then the next hop and the metric."""
    for _, document in _keyfiles(hosts):
        for entry in settings(document).entries:
            numbered = entry.key.removeprefix("route").isdigit()
            if entry.section not in METHODS or not numbered:
                continue
            to, _, rest = entry.value.partition(",")
            via = rest.partition(",")[0].strip()
            bad = to if as_subnet(to.strip()) is None else ""
            bad = bad or (via if via and as_address(via) is None else "")
            if bad:
                cure = "route1=SUBNET/24,ROUTER"
                yield Hit(document.at(entry.line), f"{bad[:60]!r} can't be used", cure)


@rule("keyfile-vlan", "error", KEYFILE)
def keyfile_vlan(hosts: Hosts) -> Iterator[Hit]:
    """A VLAN has an id from 1 to 4094 and names its parent."""
    for _, document in _keyfiles(hosts):
        said = settings(document)
        if said.value("connection", "type") != "vlan":
            continue
        tag = said.last("vlan", "id")
        if tag is None or not 1 <= (number_of(tag.value) or 0) <= 4094:
            message = f"id={tag.value} is no VLAN" if tag else "found no id"
            spot = document.at(tag.line) if tag else document.spot(("vlan",))
            yield Hit(spot, message, "id=70, say")
        if not said.value("vlan", "parent"):
            yield Hit(document.spot(("vlan",)), "found no parent", "parent=eth1, say")


@rule("keyfile-mtu", "error", KEYFILE)
def keyfile_mtu(hosts: Hosts) -> Iterator[Hit]:
    """An MTU is a whole number; 0 leaves the device's own."""
    for _, document in _keyfiles(hosts):
        for entry in settings(document).entries:
            value = number_of(entry.value)
            fits = value is not None and (value == 0 or 68 <= value <= 65536)
            if entry.key == "mtu" and not fits:
                yield Hit(document.at(entry.line), f"{entry.value!r} is no MTU", "mtu=1500")


@rule("keyfile-bond", "error", KEYFILE)
def keyfile_bond(hosts: Hosts) -> Iterator[Hit]:
    """A bond's mode is one of the kernel's, by its name or its number."""
    modes = NETWORKD_MODES["bond"]
    for _, document in _keyfiles(hosts):
        entry = settings(document).last("bond", "mode")
        if entry is not None and entry.value not in (*modes, *"0123456"):
            cure = did_you_mean(nearest(entry.value, modes)) or f"one of {', '.join(modes)}"
            yield Hit(document.at(entry.line), f"a bond has no mode {entry.value!r}", cure)


@rule("keyfile-id-twice", "warning", KEYFILE)
def keyfile_id_twice(hosts: Hosts) -> Iterator[Hit]:
    """Of two profiles with one UUID the later counts; with one interface the order decides."""
    for host in hosts:
        for key in ("uuid", "interface-name"):
            seen: dict[str, Document] = {}
            for _, document in _keyfiles((host,)):
                entry = settings(document).last("connection", key)
                if entry is None:
                    continue
                other = seen.setdefault(entry.value, document)
                if other is not document and other.text.strip() != document.text.strip():
                    message = f"{document.name} has the {key} {entry.value} of {other.name}"
                    yield Hit(document.at(entry.line), message, "one profile each", (other.spot(),))
