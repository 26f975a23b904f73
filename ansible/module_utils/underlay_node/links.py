"""The node's own interfaces: what the plan says, what the kernel has, and the way between them.

A NIC is there already; its name, MTU, addresses and routes are set. VLAN sub-interfaces and
links (bridge, VXLAN, a child for the host itself …) are made, and made anew where
their definition has changed. eth0, management, is never touched.
"""

from __future__ import annotations

from collections.abc import Collection

from .commands import show

# What isn't handed on to `ip link add … type KIND` as it stands.
OWN = ("fdb", "masquerade", "flag", "dhcp")


class Links:
    """The links of one ``node`` object of a node.json; an empty object has none."""

    def __init__(self, node: dict, without: Collection[str] = ()) -> None:
        """Take a node's links but for those ``without``, which a user's script makes later."""

        def mine(key: str) -> list[dict]:
            return [one for one in node.get(key) or () if one["interface"] not in without]

        self.nics, self.vlans, self.links, self.routes = map(
            mine, ("nics", "vlans", "links", "routes")
        )
        self.forwards: bool = node.get("forwards", False)
        self.ports = dict(pair for link in self.links for pair in joined(link))
        # Interfaces that a unit of the user's own configures: what it gave them stays.
        self.theirs: set[str] = set()

    def made(self) -> dict[str, dict]:
        """Return the definitions of all interfaces but NICs, in the order of their making."""
        return {link["interface"]: link for link in [*self.vlans, *self.links]}

    def addresses(self) -> dict[str, list[str]]:
        """Return every interface's addresses; a bridge's port has none of its own."""
        found = {}
        for link in [*self.nics, *self.vlans]:
            own = [link["address"], link.get("address6", "")]
            found[link["interface"]] = [
                address for address in own if address and link["interface"] not in self.ports
            ]
        for link in self.links:
            found[link["interface"]] = list(link["addresses"])
        return found

    def mtus(self) -> dict[str, int]:
        """Return the MTU of every interface that the plan gives one."""
        return {link["interface"]: link["mtu"] for link in [*self.nics, *self.vlans, *self.links]}


def joined(link: dict) -> list[tuple[str, str]]:
    """Return which interface this link makes a port of which bridge: its uplink, or itself."""
    if link["kind"] == "bridge" and link["parent"]:
        return [(link["parent"], link["interface"])]
    return [(link["interface"], link["master"])] if link["master"] else []


class Work:
    """What is to be done: lines for ``ip -batch`` and ``bridge -batch``, and it all in words."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.ip: list[str] = []
        self.bridge: list[str] = []
        # Interfaces whose address is asked for once they are up, with the planned one.
        self.leases: dict[str, str] = {}
        # Interfaces that are new afterwards: what sat on the old ones is gone.
        self.renewed: set[str] = set()
        self.renaming: list[str] = []
        # How many of ip's lines come before those that rename.
        self.before = 0

    @property
    def batches(self) -> list[list[str]]:
        """All lines for ip, those apart that rename: ip remembers which device a name meant."""
        if not self.renaming:
            return [self.ip]
        return [self.ip[: self.before], self.renaming, self.ip[self.before :]]

    def add(self, words: str, *lines: str) -> None:
        """Note one change and the lines for ip that make it."""
        self.words.append(words)
        self.ip.extend(lines)


def compare(wanted: Links, before: Links, *, another_lab: bool = False) -> Work:
    """Return the work that makes the kernel's interfaces those of ``wanted``.

    ``before`` is what this program made last; other interfaces are left alone. In ``another_lab``
    tunnels are made anew, whatever they are like.
    """
    work = Work()
    present = {row["ifname"]: row for row in show(["-details", "address", "show"])}
    _remove(work, wanted, before, present, another_lab)
    _rename(work, wanted, present)
    _create(work, wanted, present)
    for name, addresses in wanted.addresses().items():
        _configure(work, name, addresses, wanted, present)
    _route(work, wanted, before)
    return work


def renaming(wanted: Links) -> list[list[str]]:
    """Return ip's lines that give NICs the names that ``wanted`` has for them; see ``_rename``."""
    work = Work()
    _rename(work, wanted, {row["ifname"]: row for row in show(["-details", "address", "show"])})
    return [work.renaming] if work.renaming else []


def also(node: dict) -> list[str]:
    """Return ip's lines that give interfaces the other names that the user's own files have.

    ``node`` is a node.json's. Those that aren't there yet get theirs later.
    """
    pairs = [tuple(pair) for pair in node["node"].get("also") or ()]
    if not pairs:
        return []
    present = {row["ifname"]: row for row in show(["-details", "link", "show"])}
    return [
        f"link property add dev {called} altname {name}"
        for name, called in pairs
        if called in present and name not in present[called].get("altnames", ())
    ]


def _remove(
    work: Work, wanted: Links, before: Links, present: dict[str, dict], another_lab: bool
) -> None:
    """Remove what isn't as wanted any more, and what sits on it, from the top down.

    A tunnel that couldn't send tells its node for 30 s, packet by packet, that the other one is out
    of reach, and sends the packets all the same (Linux net/ipv4/ip_tunnel.c, ip_tunnel_xmit,
    err_count). That is no business of the next lab, where it can.
    """
    new, old, gone = wanted.made(), before.made(), set()
    for name, definition in old.items():
        below = definition.get("link") or definition.get("parent")
        # A bridge stays where its uplink goes.
        falls = below in gone and definition.get("kind") != "bridge"
        falls = falls or (another_lab and "remote" in definition.get("options", ()))
        if falls or new.get(name) != definition:
            gone.add(name)
    for name in reversed(list(old)):
        if name in gone and name in present:
            work.add(f"{name}: removed", f"link delete {name}")
            del present[name]
    # The ports of a bridge that went belong to none, also where the next one is called alike.
    for row in present.values():
        if row.get("master") in gone:
            del row["master"]


def _rename(work: Work, wanted: Links, present: dict[str, dict]) -> None:
    """Give NICs their names, told by their MAC addresses, by way of names that nobody has.

    Before Linux 6.2 one that is up can't be renamed. Down, it loses its routes.
    """
    work.before = len(work.ip)
    cards = {row["address"]: name for name, row in present.items() if _is_nic(row)}
    # A bond's members have one address, and were named when it was made.
    names = {
        cards.get(nic.get("mac")): nic["interface"] for nic in wanted.nics if not nic.get("bond")
    }
    moves = {old: new for old, new in names.items() if old and old != new}
    rows = {new: present.pop(old) for old, new in moves.items()}
    for number, old in enumerate(moves):
        work.renaming += [
            f"address flush dev {old} scope global",
            f"link set dev {old} down",
            f"link set dev {old} name underlay-{number}",
        ]
    for number, (old, new) in enumerate(moves.items()):
        work.words.append(f"{new}: named, was {old}")
        work.renaming.append(f"link set dev underlay-{number} name {new}")
        present[new] = {**rows[new], "addr_info": [], "flags": []}
        work.renewed.add(new)


def _is_nic(row: dict) -> bool:
    """Whether an interface is the machine's own: others are of a kind, or upon another one."""
    made = row.get("linkinfo", {}).get("info_kind") or "link" in row
    return "address" in row and not made and "LOOPBACK" not in row.get("flags", ())


def _create(work: Work, wanted: Links, present: dict[str, dict]) -> None:
    for nic in wanted.nics:
        _resize(work, nic["interface"], nic["mtu"], present)
    for vlan in wanted.vlans:
        name = vlan["interface"]
        row = present.get(name, {})
        if row and (row.get("link"), info(row).get("id")) != (vlan["link"], vlan["vlan"]):
            work.add(f"{name}: not the planned VLAN", f"link delete {name}")
            row = {}
        if not row:
            line = f"link add link {vlan['link']} name {name} type vlan id {vlan['vlan']}"
            work.add(f"{name}: made", f"link set {vlan['link']} up", line)
            work.renewed.add(name)
            present.pop(name, None)
    for link in wanted.links:
        row = present.get(link["interface"])
        if row and link["interface"] in wanted.theirs and _lacks_mac(row, link):
            # Of a link that its user's unit gives no address, networkd makes one up.
            line = f"link set dev {link['interface']} address {link['mac']}"
            work.add(f"{link['interface']}: {link['mac']}", line)
        if not row:
            work.add(f"{link['interface']}: made", creation(link))
            work.renewed.add(link["interface"])
            remotes = link["options"].get("fdb") or []
            work.bridge += [
                f"fdb append 00:00:00:00:00:00 dev {link['interface']} dst {remote}"
                for remote in remotes
            ]


def _lacks_mac(row: dict, link: dict) -> bool:
    """Whether a link hasn't the MAC address that the plan has for it; ipvlan has its parent's."""
    return link["kind"] == "macvlan" and link["mac"] not in ("", row["address"])


def creation(link: dict) -> str:
    """Return ip's line that makes a link; each further option is a word of its kind."""
    options, kind = link["options"], link["kind"]
    below = link["parent"] if kind != "bridge" else ""
    # A tunnel names the interface below as an option of its own; the others are links upon it.
    tunnel = "local" in options
    words = ["link", "add", *(["link", below] if below and not tunnel else [])]
    words += ["name", link["interface"]]
    # An ipvlan child has its parent's address, and the kernel refuses any other.
    words += ["address", link["mac"]] if link["mac"] and kind != "ipvlan" else []
    words += ["mtu", str(link["mtu"]), "type", kind]
    for key, value in options.items():
        if key not in OWN and value not in (None, ""):
            words += [key, str(value)]
    words += [options["flag"]] if options.get("flag") else []
    return " ".join([*words, *(["dev", below] if below and tunnel else [])])


def info(row: dict) -> dict:
    """Return what `ip -details` says about an interface's kind."""
    return row.get("linkinfo", {}).get("info_data", {})


def _resize(work: Work, name: str, mtu: int, present: dict[str, dict]) -> None:
    row = present.get(name)
    if row is None or row["mtu"] != mtu:
        work.add(f"{name}: MTU {mtu}", f"link set {name} mtu {mtu}")


def _configure(
    work: Work, name: str, addresses: list[str], wanted: Links, present: dict[str, dict]
) -> None:
    row = present.get(name, {})
    master = wanted.ports.get(name, "")
    if row.get("master", "") != master:
        said = f"master {master}" if master else "nomaster"
        work.add(f"{name}: {said}", f"link set {name} {said}")
        if "remote" in wanted.made().get(name, {}).get("options", {}):
            # Tunnels of one bridge would be a loop: what came in by one never leaves by another.
            work.bridge.append(f"link set dev {name} isolated on")
    mtu = wanted.mtus().get(name)
    if mtu and name not in {nic["interface"] for nic in wanted.nics}:
        _resize(work, name, mtu, present)
    found = sorted(
        f"{entry['local']}/{entry['prefixlen']}"
        for entry in row.get("addr_info", [])
        if entry["scope"] == "global" and not entry.get("dynamic")
    )
    leased = bool(wanted.made().get(name, {}).get("options", {}).get("dhcp"))
    if leased and found != sorted(addresses):
        work.leases[name] = addresses[0]
        work.add(f"{name}: {addresses[0]} by DHCP", f"address flush dev {name} scope global")
    elif name in wanted.theirs:
        for address in sorted({*addresses} - {*found}):
            line = f"address replace {address} {_more(address)}dev {name}"
            work.add(f"{name}: {address}, which no unit of the user's gives it", line)
    elif found != sorted(addresses):
        # One by one would do it, too, but deleting a first address takes its subnet's others along.
        lines = [f"address flush dev {name} scope global"] if found else []
        lines += [f"address replace {address} {_more(address)}dev {name}" for address in addresses]
        work.add(f"{name}: {', '.join(addresses) or 'no address'}", *lines)
        work.renewed.add(f"routes of {name}")
    if "UP" not in row.get("flags", []):
        work.add(f"{name}: up", f"link set {name} up")
        work.renewed.add(f"routes of {name}")


def _more(address: str) -> str:
    """What belongs to an address of its family: no detection of duplicates keeps IPv6 waiting."""
    return "nodad " if ":" in address else "broadcast + "


def _route(work: Work, wanted: Links, before: Links) -> None:
    rows = [*show(["route", "show"]), *show(["-6", "route", "show"])]
    present = {shown(row) for row in rows}
    gone = [r for r in before.routes if r not in wanted.routes and key(r) in present]
    work.words += [f"route {route['to']}: removed" for route in gone]
    # First of all: they go with their addresses and interfaces, and would be missed later.
    work.ip[:0] = [f"route delete {line(route)}" for route in gone]
    work.before += len(gone)
    for route in wanted.routes:
        touched = f"routes of {route['interface']}" in work.renewed
        if touched or route["interface"] in work.renewed or key(route) not in present:
            work.add(f"route {route['to']}", f"route replace {line(route)}")


def shown(row: dict) -> tuple[str, str, str]:
    """Return what tells a route that `ip -json route` shows from others, as ``key`` does."""
    return row["dst"], row.get("dev", ""), row.get("gateway", row.get("via", {}).get("host", ""))


def key(route: dict) -> tuple[str, str, str]:
    """Return the route as `ip -json route` shows it: 0.0.0.0/0 is default, a /32 has no length."""
    to = "default" if route["to"] in ("0.0.0.0/0", "::/0") else route["to"]
    to = to.removesuffix("/128" if ":" in to else "/32")
    return to, route["interface"], route.get("via", "")


def line(route: dict) -> str:
    """Return a route in ip's words, without the verb."""
    via = f"via {route['via']} " if route.get("via") else ""
    source = f" src {route['source']}" if route.get("source") else ""
    onlink = " onlink" if route.get("via") else ""
    return f"{route['to']} {via}dev {route['interface']}{onlink}{source}"
