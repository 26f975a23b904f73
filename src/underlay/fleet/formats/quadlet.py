"""Quadlet's units, from which podman makes services: podman-systemd.unit(5).

``.network`` is also the ending of systemd-networkd's files. The folder tells which one a file
is, and where that isn't known its sections and keys do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from underlay.fleet.document import Document, number
from underlay.fleet.formats.ini import Setting, Settings, settings
from underlay.fleet.host import (
    Address,
    Claim,
    Container,
    Fixed,
    Network,
    Pool,
    as_address,
    as_subnet,
    pool_of,
)

SUFFIXES = (".network", ".container", ".pod", ".volume", ".kube", ".build", ".image", ".artifact")
TRUE = ("true", "yes", "1", "on")
# What starts a unit by hand, up to the end of the command.
_STARTED = re.compile(
    r"\bsystemctl\b[^;&|\n]*?\b(?:re)?start\b([^;&|\n]*)|"
    r"\bsystemctl\b[^;&|\n]*\benable\b([^;&|\n]*--now[^;&|\n]*)"
)
_WORDS = re.compile(r"\.service\b|[\[\],\"']")
# [Network] keys of Quadlet that networkd doesn't have.
OWN = frozenset(
    {"Driver", "Subnet", "IPRange", "IPv6", "IPAMDriver", "Internal", "NetworkName", "Options",
     "DisableDNS", "NetworkDeleteOnStop", "PodmanArgs", "GlobalArgs", "Label", "ServiceName",
     "ContainersConfModule", "InterfaceName"}
)  # fmt: skip


def is_quadlet(document: Document) -> bool:
    """Whether a file whose folder isn't known is Quadlet's, told by its sections and keys."""
    section, found = "", False
    for text in document.text.splitlines():
        stripped = text.strip()
        if stripped.startswith("["):
            section = stripped
            # Every .network file of networkd says which interface it is for.
            if section in ("[Match]", "[NetDev]", "[Link]"):
                return False
            found |= section in ("[Container]", "[Pod]", "[Volume]", "[Kube]")
        elif section == "[Network]":
            found |= stripped.partition("=")[0].strip() in OWN
    return found


def options(document: Document) -> dict[str, tuple[str, Setting]]:
    """Return what a network's Options= say, each with its line; a line may hold several."""
    found = {}
    for entry in settings(document).every("Network", "Options"):
        for part in entry.value.replace('"', "").split():
            for each in part.split(","):
                key, _, value = each.partition("=")
                found[key] = (value, entry)
    return found


def quadlet_network(host: str, document: Document) -> Network:
    """Return the network that a ``.network`` unit makes."""
    said = settings(document)
    chosen = options(document)

    def option(key: str) -> str:
        return chosen[key][0] if key in chosen else ""

    named = said.value("Network", "NetworkName")
    marks = document.marks
    for key, (_, entry) in chosen.items():
        marks.keys[("Network", "Options", key)] = marks.keys[("Network", "Options")]._replace(
            line=entry.line
        )
    driver = said.value("Network", "Driver") or "bridge"
    return Network(
        host=host,
        runtime="podman",
        # Without a name of its own it is called after its unit.
        name=named or f"systemd-{document.name.removesuffix('.network')}",
        driver=driver,
        parent=option("parent") if driver != "bridge" else "",
        mode=option("mode"),
        flag="",
        mtu=number(option("mtu")),
        pools=tuple(_pools(document, said)),
        ipam=said.value("Network", "IPAMDriver"),
        document=document,
        keys={
            "name": ("Network", "NetworkName"),
            "type": ("Network", "Driver"),
            "master": ("Network", "Options", "parent"),
            "mode": ("Network", "Options", "mode"),
            "mtu": ("Network", "Options", "mtu"),
            "ipam": ("Network", "IPAMDriver"),
        },
        claims=tuple(
            Claim(
                subnet.value,
                document.at(subnet.line),
                (gateway.value, document.at(gateway.line)) if gateway else (None, document.spot()),
                ((part.value, document.at(part.line)),) if part else (),
            )
            for subnet, gateway, part in triples(said)
        ),
        alias=document.name,
        # podman takes the subnet's first address for a gateway where none is named.
        routes_by_gateway=option("no_default_route") not in ("true", "1"),
        internal=said.value("Network", "Internal").lower() in TRUE,
    )


def bounds_of(text: str) -> tuple[Address | None, Address | None]:
    """Return the first and last address of an IPRange=, which is a CIDR or FIRST-LAST."""
    part = as_subnet(text)
    if part is not None:
        return part.network_address, part.broadcast_address
    first, _, last = text.partition("-")
    return as_address(first.strip()), as_address(last.strip())


def triples(said: Settings) -> list[tuple[Setting, Setting | None, Setting | None]]:
    """Return each Subnet= with its Gateway= and IPRange=: Quadlet pairs them by their order."""
    gateways = list(said.every("Network", "Gateway"))
    ranges = list(said.every("Network", "IPRange"))
    return [
        (
            subnet,
            gateways[i] if i < len(gateways) else None,
            ranges[i] if i < len(ranges) else None,
        )
        for i, subnet in enumerate(said.every("Network", "Subnet"))
    ]


def _pools(document: Document, said: Settings) -> Iterator[Pool]:
    for subnet, gateway, part in triples(said):
        bounds = bounds_of(part.value) if part else (None, None)
        key = "IPRange" if part else "Subnet"
        told = (gateway.value if gateway else None, ("Network", "Gateway"))
        pool = pool_of(document, ("Network", key), as_subnet(subnet.value), bounds, told)
        if pool is not None:
            yield pool


# What makes a unit start with another one: systemd.unit(5), [Install].
STARTERS = ("WantedBy", "RequiredBy", "UpheldBy")
# By these a unit has another one started with it: systemd.unit(5), [Unit].
ASKING = ("Wants", "Requires", "BindsTo", "Upholds")


def service_of(document: Document) -> str:
    """Return the service that podman's generator makes of a unit."""
    said = settings(document).value("Quadlet", "ServiceName") or settings(document).value(
        document.name.rpartition(".")[2].capitalize(), "ServiceName"
    )
    stem, _, kind = document.name.rpartition(".")
    usual = stem if kind in ("container", "kube") else f"{stem}-{kind}"
    return f"{said.removesuffix('.service') or usual}.service"


def idle(document: Document) -> str:
    """Say why nothing starts a unit."""
    service = service_of(document)
    return f"nothing starts {service} at boot: no [Install] with WantedBy=, and no unit that is up"


def unstarted(documents: Sequence[Document]) -> list[Document]:
    """Return the ``.container`` and ``.pod`` units of a host that nothing starts at its boot.

    A unit is started by its [Install], by another one that is started and wants it, by the pod
    that it is in, or by a ``systemctl start`` in a file of the host. Sources: systemd.unit(5);
    podman-systemd.unit(5), StartWithPod=.
    """
    units = [
        d for d in documents if d.kind == "quadlet" and d.name.endswith((".container", ".pod"))
    ]
    by_service = {service_of(unit): unit for unit in units}
    told = " ".join(
        found[1] or found[2]
        for d in documents
        if d.kind != "quadlet"
        for found in _STARTED.finditer(d.text)
    )
    waiting = [
        unit
        for unit in units
        if any(settings(unit).value("Install", key) for key in STARTERS)
        or service_of(unit).removesuffix(".service") in _WORDS.sub(" ", told).split()
    ]
    started: list[Document] = []
    while waiting:
        unit = waiting.pop()
        if any(unit is one for one in started):
            continue
        started.append(unit)
        names = [
            w for key in ASKING for e in settings(unit).every("Unit", key) for w in e.value.split()
        ]
        # Quadlet takes the names of its own units there as well.
        known = {**by_service, **{one.name: one for one in units}}
        waiting += [known[name] for name in names if name in known]
        for other in units:
            inside = settings(other).value("Container", "Pod") == unit.name
            with_it = settings(other).value("Container", "StartWithPod").lower()
            if inside and with_it in ("", *TRUE):
                waiting.append(other)
        pod = settings(unit).value("Container", "Pod")
        waiting += [known[pod]] if pod in known else []
    return [unit for unit in units if all(unit is not one for one in started)]


def quadlet_container(host: str, document: Document) -> Container | None:
    """Return what a ``.container`` or ``.pod`` unit starts; None for one that is inside of a pod.

    A network of Quadlet's own is called as its unit, another one by its name.
    """
    said = settings(document)
    pod = document.name.endswith(".pod")
    section = "Pod" if pod else "Container"
    if not (pod or document.name.endswith(".container")) or said.value("Container", "Pod"):
        return None
    unit = document.name.rpartition(".")[0]
    found: list[tuple[str, tuple[Address, ...], str]] = []
    fixed = [as_address(said.value(section, key)) for key in ("IP", "IP6")]
    for entry in said.every(section, "Network"):
        network, _, rest = entry.value.partition(":")
        pairs = [part.partition("=")[::2] for part in rest.split(",")]
        given = [as_address(value) for key, value in pairs if key in ("ip", "ip6")]
        given += [] if found else fixed
        mac = next((value for key, value in pairs if key == "mac"), "")
        found.append((network, tuple(a for a in given if a is not None), mac))
    return Container(
        host=host,
        name=said.value(section, f"{section}Name") or f"systemd-{unit}",
        runtime="podman",
        networks=tuple(found) or (("podman", (), ""),),
        spot=document.spot((section,)),
        document=document,
    )


def quadlet_fixed(host: str, document: Document) -> Iterator[Fixed]:
    """Yield the addresses and MACs that a ``.container`` or ``.pod`` unit asks for."""
    said = settings(document)
    section = "Pod" if document.name.endswith(".pod") else "Container"
    owner = said.value(section, f"{section}Name") or document.name.rpartition(".")[0]
    for key in ("IP", "IP6"):
        entry = said.last(section, key)
        address = as_address(entry.value) if entry else None
        if entry is not None and address is not None:
            network = (said.value(section, "Network")).partition(":")[0]
            yield Fixed(host, owner, network, address, "", document.at(entry.line))
    for entry in said.every(section, "Network"):
        network, _, rest = entry.value.partition(":")
        for part in rest.split(","):
            key, _, value = part.partition("=")
            address = as_address(value) if key in ("ip", "ip6") else None
            if address is not None:
                yield Fixed(host, owner, network, address, "", document.at(entry.line))
            if key == "mac":
                yield Fixed(host, owner, network, None, value, document.at(entry.line))
