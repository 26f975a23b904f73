"""A host's own interfaces as ifupdown has them: interfaces(5), as Debian and Proxmox write it."""

from __future__ import annotations

from collections.abc import Iterator

from underlay.errors import Spot
from underlay.fleet.document import Document, number
from underlay.fleet.host import DefaultRoute, Interface, Link, as_address, as_interface

_PLACES = {"mtu": "mtu", "hwaddress": "mac", "vlan-raw-device": "lower"}
KIND = {"bridge-ports": "bridge", "bond-slaves": "bond"}
# An ``iface`` block: its name, its line, and (option, value, line) in order.
Block = tuple[str, int, list[tuple[str, str, int]]]


def blocks(document: Document) -> list[Block]:
    """Return the ``iface`` blocks of an interfaces file."""
    found: list[Block] = []
    open_ = False
    for line, text in enumerate(document.text.splitlines(), 1):
        words = text.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "iface" and len(words) > 1:
            found.append((words[1], line, []))
            open_ = True
        elif words[0] in ("auto", "source", "source-directory", "mapping", "no-auto-down",
                          "no-scripts", "template") or words[0].startswith("allow-"):  # fmt: skip
            open_ = False
        elif open_ and len(words) > 1:
            found[-1][2].append((words[0].replace("_", "-"), " ".join(words[1:]), line))
    return found


def ifupdown_links(host: str, document: Document) -> Iterator[Link]:
    """Yield an interface for each name that the file configures, and for the ports of bridges."""
    told: dict[str, list[Block]] = {}
    for block in blocks(document):
        told.setdefault(block[0], []).append(block)
    for name, parts in told.items():
        entries = [entry for _, _, inside in parts for entry in inside]
        values = {key: value for key, value, _ in entries}
        base, dot, tag = name.rpartition(".")
        if not dot and "vlan-raw-device" in values:
            # vlan-interfaces(5): vlan70, or the option.
            tag = values.get("vlan-id", name.removeprefix("vlan"))
        yield Link(
            host=host,
            name=name,
            spot=document.at(parts[0][1]),
            addresses=tuple(_addresses(document, parts)),
            mtu=number(values.get("mtu")),
            mac=values.get("hwaddress", "").removeprefix("ether ").strip(),
            vlan=number(tag) if dot or "vlan-raw-device" in values else None,
            lower=values.get("vlan-raw-device", base if dot else ""),
            defaults=tuple(
                DefaultRoute(gateway, number(values.get("metric")), document.at(line))
                for key, value, line in entries
                if key == "gateway" and (gateway := as_address(value)) is not None
            ),
            spots={_PLACES[key]: document.at(line) for key, _, line in entries if key in _PLACES},
            kind=next((kind for key, kind in KIND.items() if key in values), ""),
            members=tuple(
                port
                for key in KIND
                for port in values.get(key, "").split()
                if port not in ("none", "all", "regex")
            ),
            bond_mode=values.get("bond-mode", ""),
        )
    ports = {port for _, _, inside in blocks(document) for key, value, _ in inside
             if key in ("bridge-ports", "bond-slaves") for port in value.split()}  # fmt: skip
    for port in sorted(ports - {*told, "none", "all", "regex"}):
        yield Link(host=host, name=port, spot=document.spot())


def _addresses(document: Document, parts: list[Block]) -> Iterator[tuple[Interface, Spot]]:
    for _, _, inside in parts:
        values = {key: value for key, value, _ in inside}
        for key, value, line in inside:
            if key == "address":
                mask = values.get("netmask", "")
                whole = value if "/" in value or not mask else f"{value}/{mask}"
                interface = as_interface(whole)
                if interface is not None:
                    yield interface, document.at(line)
