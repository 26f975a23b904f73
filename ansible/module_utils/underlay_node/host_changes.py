"""The changes by which a host of somebody's own becomes one of a lab: what each is, made, undone.

    folder      what a file needs above it
    file        a file of net.d, which none was at that place
    link        a VLAN sub-interface of the host
    route       the host's way to a network of containers
    store       the folder in which host-local writes down whose addresses it gave
    container   a network namespace with its interfaces; no process runs in it

Nothing that is there already is changed: its place being taken is a conflict.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from . import (
    addressing,
    cni,
    containers,
    files,
    host_plugins,
    host_spaces,
    iproute2,
    links,
    namespaces,
    routes,
)
from .commands import batch, batch_all, show
from .host_journal import MADE, UNMADE, Journal, Key

FRESH = ".underlay-new"
# What host-local keeps in a network's folder beside a file for each address.
BOOKKEEPING = ("lock", "last_reserved_ip.")
# Who has added a route: the kernel takes any number, and tells it (rtnetlink(7)). It is none of
# those in iproute2's rt_protos.
PROTOCOL = 117
# Far above what the kernel gives by itself, so that nobody else has it.
INDICES = (1 << 20, 1 << 30)


@dataclass(frozen=True)
class Change:
    """One change: its ``kind`` and ``name``, in words, and by which ``of`` it is known to differ.

    ``on`` are the links of the plan that it sits on.
    """

    kind: str
    name: str
    said: str
    of: str
    wanted: dict = field(compare=False)
    on: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """What tells it from others."""
        return self.kind, self.name


def changes(node: dict, sent: dict[str, str]) -> list[Change]:
    """Return what ``node``, a node.json's document, and the files ``sent`` need, in order."""
    found = []
    for path, text in sorted(sent.items()):
        if path != files.NODE:
            found.append(_change("file", path, f"{path}: written", {"text": text}))
    for vlan in node["node"]["vlans"]:
        found.append(_change("link", vlan["interface"], _of_vlan(vlan), vlan))
    for route in node["node"]["routes"]:
        said = f"route {links.line(route)}: added"
        found.append(_change("route", links.line(route), said, route, (route["interface"],)))
    wanted = containers.wanted(node)
    used = {n["name"]: n for one in wanted.values() for n in one["networks"].values()}
    for name, network in used.items():
        if network["runtime"] == "cni" and network.get("ipam", "") in ("", "host-local"):
            said = f"{cni.LEASES}/{name}: made, for whose addresses host-local gives"
            found.append(_change("store", name, said, {}))
    for name, specified in wanted.items():
        on = tuple(sorted(containers.parents(specified)))
        of = {**specified, "texts": _texts(specified, sent)}
        found.append(_change("container", name, _of_container(specified), of, on))
    return found


def missing_folders(path: str) -> list[str]:
    """Return the folders above a path that aren't there, the uppermost first."""
    found: list[str] = []
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        found.insert(0, above)
        above = os.path.dirname(above)
    return found


def place(change: Change) -> str:
    """Return the path that a change needs a folder for; empty for a link."""
    return {
        "file": change.name,
        "store": f"{cni.LEASES}/{change.name}",
        "container": namespaces.path(change.name),
    }.get(change.kind, "")


def make(change: Change, journal: Journal) -> list[str]:
    """Make one change and the folders above it, each written down before; say what was made.

    Raises Failed or OSError.
    """
    said = []
    for folder in missing_folders(place(change)) if place(change) else ():
        said.append(f"{folder}: made")
        journal.note(MADE, kind="folder", name=folder, said=said[-1])
        os.mkdir(folder, 0o755)
    _MAKE[change.kind](change, journal)
    return [*said, change.said]


def is_ours(entry: dict) -> bool:
    """Whether what an entry of the journal says was made is there, and nobody else's by now."""
    name = entry["name"]
    if entry["kind"] == "file":
        return _digest(name) == entry["digest"]
    if entry["kind"] == "link":
        return _named(entry["index"]) == name
    if entry["kind"] == "route":
        return any(routes_there(entry["route"], mine=True))
    if entry["kind"] == "container":
        return host_spaces.identity(name) == entry["identity"]
    return os.path.isdir(f"{cni.LEASES}/{name}" if entry["kind"] == "store" else name)


def stands(entry: dict) -> bool:
    """Whether it is ours, and as it was made."""
    return is_ours(entry) and (entry["kind"] != "container" or not _amiss(entry))


def routes_there(route: dict, *, mine: bool = False) -> list[dict]:
    """Return the host's routes to where ``route`` leads; those that were added here if ``mine``."""
    family = ["-6"] if ":" in route["to"] else []
    rows = show([*family, "route", "show", "exact", route["to"]])
    return [row for row in rows if not mine or _is_mine(row, route)]


def _is_mine(row: dict, route: dict) -> bool:
    return links.shown(row) == links.key(route) and row.get("protocol") == str(PROTOCOL)


def addresses(entry: dict) -> list[str]:
    """Return the addresses that an entry's container was made with, without their lengths."""
    every = [one for each in entry.get("addresses", {}).values() for one in each]
    return [one.partition("/")[0] for one in every]


def unmake(entry: dict, journal: Journal) -> str:
    """Undo one change, and write that down; return what was left there and why, mostly nothing.

    Raises Failed or OSError where it can't be undone; what was never made, or is gone, can.
    """
    left = str(_UNMAKE[entry["kind"]](entry, journal))
    journal.note(UNMADE, kind=entry["kind"], name=entry["name"])
    return left


def _change(kind: str, name: str, said: str, wanted: dict, on: tuple[str, ...] = ()) -> Change:
    of = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    return Change(kind, name, said, of, wanted, on)


def _note(change: Change, journal: Journal, **more: object) -> None:
    said = {"kind": change.kind, "name": change.name, "said": change.said, "of": change.of}
    journal.note(MADE, **said, **more)


def _of_vlan(vlan: dict) -> str:
    own = [one for one in (vlan["address"], vlan.get("address6", "")) if one]
    said = f"{vlan['interface']}: made, VLAN {vlan['vlan']} of {vlan['link']}"
    return f"{said}, {', '.join(own) or 'no address'}"


def _of_container(specified: dict) -> str:
    container, networks = specified["container"], specified["networks"]
    each = (
        f"{a['interface']} {', '.join(routes.addresses(a)) or 'without an address'}"
        f" in {a['network']} on {networks[a['network']]['parent']}"
        for a in container["attachments"]
    )
    return f"container {container['name']}: made, {'; '.join(each)}"


def _texts(specified: dict, sent: dict[str, str]) -> dict[str, str]:
    """Return the net.d file of each CNI network of a container, by the network's name."""
    return {
        name: next(text for path, text in sent.items() if path.endswith(f"/{network['file']}"))
        for name, network in specified["networks"].items()
        if network["runtime"] == "cni"
    }


# Making, each after its entry.


def _make_file(change: Change, journal: Journal) -> None:
    text = change.wanted["text"].encode()
    _note(change, journal, digest=hashlib.sha256(text).hexdigest())
    fresh = change.name + FRESH
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(fresh, flags, 0o644), "wb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    # Never over a file that came there meanwhile, as a renaming would.
    os.link(fresh, change.name)
    os.unlink(fresh)


def _make_link(change: Change, journal: Journal) -> None:
    vlan, name = change.wanted, change.name
    index = random.SystemRandom().randrange(*INDICES)
    _note(change, journal, index=index)
    own = [one for one in (vlan["address"], vlan.get("address6", "")) if one]
    kind = f"type vlan id {vlan['vlan']}"
    batch(
        [
            f"link add link {vlan['link']} name {name} index {index} mtu {vlan['mtu']} {kind}",
            *(f"address add {one} {'nodad' if ':' in one else 'broadcast +'} dev {name}"
              for one in own),
            f"link set {name} up",
        ]
    )  # fmt: skip


def _make_route(change: Change, journal: Journal) -> None:
    _note(change, journal, route=change.wanted)
    batch([f"route add {change.name} proto {PROTOCOL}"])


def _make_store(change: Change, journal: Journal) -> None:
    _note(change, journal)
    os.mkdir(place(change), 0o755)


def _make_container(change: Change, journal: Journal) -> None:
    container, networks = change.wanted["container"], change.wanted["networks"]
    name = change.name
    own_links = [a["interface"] for a in container["attachments"]]
    own = {a["interface"]: routes.addresses(a) for a in container["attachments"]}

    def note(identity: str) -> None:
        used = list(change.wanted["texts"])
        _note(change, journal, identity=identity, links=own_links, addresses=own, stores=used)

    host_spaces.make(name, note)
    batch(["link set lo up"], space=name)
    by_ip = [a for a in container["attachments"] if networks[a["network"]]["runtime"] != "cni"]
    for attachment in container["attachments"]:
        network = networks[attachment["network"]]
        if attachment not in by_ip:
            text = change.wanted["texts"][network["name"]]
            host_plugins.add(container, attachment, network, text)
        else:
            batch(iproute2.creation(name, attachment, network))
            batch(iproute2.configuration(attachment, network), space=name)
    batch(cni.afterwards(container, networks) if not by_ip else routes.lines(container, networks),
          space=name)  # fmt: skip
    if container.get("forwards"):
        addressing.make_router(namespaces.enter(name))


# Undoing: what is somebody else's by now, or was changed since, is left.


def _unmake_folder(entry: dict, journal: Journal) -> str:
    try:
        os.rmdir(entry["name"])
    except FileNotFoundError:
        return ""
    except OSError:
        return f"{entry['name']}: left, as something of somebody else's is in it"
    return ""


def _unmake_file(entry: dict, journal: Journal) -> str:
    path = entry["name"]
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path + FRESH)
    found = _digest(path)
    if not found:
        return ""
    if found != entry["digest"]:
        return f"{path}: left, as it was changed since"
    os.unlink(path)
    return ""


def _unmake_link(entry: dict, journal: Journal) -> str:
    name = _named(entry["index"])
    if name:
        batch([f"link delete dev {name}"])
    elif show(["link", "show", "dev", entry["name"]]):
        return f"{entry['name']}: left, as it is another interface by now"
    return ""


def _unmake_route(entry: dict, journal: Journal) -> str:
    if routes_there(entry["route"], mine=True):
        batch([f"route delete {entry['name']} proto {PROTOCOL}"])
    return ""


def _unmake_store(entry: dict, journal: Journal) -> str:
    folder = f"{cni.LEASES}/{entry['name']}"
    if not os.path.isdir(folder):
        return ""
    for each in os.listdir(folder):
        path = f"{folder}/{each}"
        text = files.read(path) or ""
        if each.startswith(BOOKKEEPING) or text.splitlines()[:1] in [[n] for n in journal.names]:
            os.unlink(path)
    return _unmake_folder({"name": folder}, journal)


def _unmake_container(entry: dict, journal: Journal) -> str:
    name = entry["name"]
    for network in entry["stores"]:
        _release(f"{cni.LEASES}/{network}", name)
    if not os.path.lexists(namespaces.path(name)):
        return ""
    found = host_spaces.identity(name)
    if found and found != entry["identity"]:
        return f"container {name}: left, as the namespace is another one by now"
    if found:
        # By name, and before the namespace, which whoever is inside keeps: the parent is free then.
        every = [*entry["links"], *(iproute2.passing(link) for link in entry["links"])]
        there = {row["ifname"] for row in show(["-netns", name, "link", "show"])}
        batch_all([f"link delete dev {link}" for link in every if link in there], space=name)
    host_spaces.remove(name)
    return ""


def _release(folder: str, name: str) -> None:
    """Give back the addresses that host-local has written down for a container."""
    for each in os.listdir(folder) if os.path.isdir(folder) else ():
        if (files.read(f"{folder}/{each}") or "").splitlines()[:1] == [name]:
            os.unlink(f"{folder}/{each}")


def _amiss(entry: dict) -> str:
    """Return what a container's interfaces lack of what they were made with; nothing mostly."""
    rows = {row["ifname"]: row for row in show(["-netns", entry["name"], "address", "show"])}
    for link, wanted in entry["addresses"].items():
        row = rows.get(link)
        if row is None or "UP" not in row["flags"]:
            return f"{link} is {'down' if row else 'gone'}"
        found = {f"{one['local']}/{one['prefixlen']}" for one in row["addr_info"]}
        if lost := set(wanted) - found:
            return f"{link} lacks {', '.join(sorted(lost))}"
    return ""


def _named(index: int) -> str:
    """Return what the link of an index is called now; empty where there is none."""
    rows = [row for row in show(["link", "show"]) if row["ifindex"] == index]
    return str(rows[0]["ifname"]) if rows else ""


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except FileNotFoundError:
        return ""


_MAKE: dict[str, Callable[[Change, Journal], None]] = {
    "file": _make_file,
    "link": _make_link,
    "route": _make_route,
    "store": _make_store,
    "container": _make_container,
}
_UNMAKE: dict[str, Callable[[dict, Journal], str]] = {
    "folder": _unmake_folder,
    "file": _unmake_file,
    "link": _unmake_link,
    "route": _unmake_route,
    "store": _unmake_store,
    "container": _unmake_container,
}
