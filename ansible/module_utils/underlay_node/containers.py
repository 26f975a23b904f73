"""All containers of a node, whatever their runtime: which differ, and how to start and end them."""

from __future__ import annotations

from types import ModuleType

from . import addressing, cni, docker, iproute2, namespaces, own, podman, programs, routes, taps
from .commands import Ended, Failed, show

RUNTIMES: dict[str, ModuleType] = {
    "cni": cni,
    "docker": docker,
    "podman": podman,
    "iproute2": iproute2,
}
NAMED = ("cni", "iproute2")
TOGETHER = {"cni": cni, "iproute2": iproute2, "podman": podman}


def wanted(node: dict) -> dict[str, dict]:
    """Return by name what each container of a node.json's document is made from."""
    networks = {network["name"]: own.network(network, node) for network in node["networks"]}
    made = [own.container(container, node) for container in node["containers"]]
    return {container["name"]: specification(container, networks) for container in made}


def specification(container: dict, networks: dict[str, dict]) -> dict:
    """Return all that a container is made from: itself, and the networks it is attached to."""
    used = {a["network"]: networks[a["network"]] for a in container["attachments"]}
    return {"container": container, "networks": used}


def stale(known: dict[str, dict], wanted: dict[str, dict], renewed: set[str]) -> list[str]:
    """Return the names of ``known`` containers that can't stay as they are.

    Both map names to specifications. A container on one of the ``renewed`` interfaces
    has lost its own one.
    """
    return [
        name
        for name, specified in known.items()
        if wanted.get(name) != specified or renewed & parents(specified) or not healthy(specified)
    ]


def numbered(specified: dict) -> set[str]:
    """Return the container's networks whose children make their addresses of their number.

    A parent numbers its ipvlan children in the order in which they are made (Linux
    drivers/net/ipvlan/ipvlan_main.c, ipvlan_link_new), and from 1 again only when all are gone.
    """
    return {
        name
        for name, network in specified["networks"].items()
        if network.get("slaac") and not network["own_mac"]
    }


def with_numbered(stale: list[str], known: dict[str, dict], wanted: dict[str, dict]) -> list[str]:
    """Return ``stale`` and all ``known`` containers that have to be made anew together with them.

    Where one of a numbered network is to be made or goes, all of that network's are.
    """
    changing = {n for name in stale for n in numbered(known[name])}
    changing |= {n for name, one in wanted.items() if name not in known for n in numbered(one)}
    return [name for name, one in known.items() if name in stale or changing & numbered(one)]


def parents(specified: dict) -> set[str]:
    """Return the interfaces of the node that a container sits on."""
    return {network["parent"] for network in specified["networks"].values()}


def healthy(specified: dict) -> bool:
    """Whether the container runs, and its interfaces are as they were made."""
    container = specified["container"]
    runtime = RUNTIMES[container["runtime"]]
    if container["runtime"] in NAMED and not runtime.holder().runs(container["name"]):
        return False
    enter = inside(container)
    if not enter:
        return False
    if not taps.up(container["name"], iproute2.attached_by_tap(specified)):
        return False
    present = {row["ifname"]: row for row in show(["address", "show"], enter)}
    return all(_as_made(a, present.get(a["interface"])) for a in container["attachments"])


def ended(specifications: dict[str, dict]) -> dict[str, str]:
    """Return, by name, what became of those started containers that don't run any more.

    Only their processes are looked at: ``healthy`` would enter each of them.
    """
    kinds = {name: s["container"]["runtime"] for name, s in specifications.items()}
    living = {name for name, kind in kinds.items() if kind != "docker" and RUNTIMES[kind].pid(name)}
    words = dict.fromkeys(kinds, "its process has ended")
    if "docker" in kinds.values():
        try:
            living |= docker.running()
        except Failed as error:
            words |= {name: str(error) for name, kind in kinds.items() if kind == "docker"}
    for name, specified in specifications.items():
        container = specified["container"]
        if name not in living and programs.has_one(container) and "process" in words[name]:
            words[name] = programs.ended(container)
    return {name: said for name, said in words.items() if name not in living}


def inside(container: dict) -> list[str]:
    """Return the words that run a command in the container's namespace; none if it's gone."""
    named = container["runtime"] in NAMED
    enter = namespaces.enter if named else RUNTIMES[container["runtime"]].enter
    return enter(container["name"])


def prove(specified: dict) -> None:
    """Raise Failed, with what was found, where a container isn't what the plan has of it."""
    container = specified["container"]
    enter = inside(container)
    if not enter:
        raise Failed("its process has ended")
    present = {row["ifname"]: row for row in show(["address", "show"], enter)}
    for attachment in container["attachments"]:
        row = present.get(attachment["interface"])
        if not _as_made(attachment, row):
            found = ", ".join(
                f"{entry['local']}/{entry['prefixlen']}"
                for entry in (row or {}).get("addr_info", [])
            )
            wanted = ", ".join(routes.addresses(attachment))
            raise Failed(
                f"{attachment['interface']} has {found or 'no address'},"
                f" and {wanted} is the planned one"
            )


def _as_made(attachment: dict, row: dict | None) -> bool:
    if row is None or "UP" not in row["flags"]:
        return False
    if attachment.get("open_address"):
        return True
    found = {f"{entry['local']}/{entry['prefixlen']}" for entry in row["addr_info"]}
    return set(routes.addresses(attachment)) <= found


def start(specified: dict) -> None:
    """Start one container by its runtime; raise Failed with the runtime's words."""
    container = specified["container"]
    said = []
    if container["runtime"] in programs.ENGINES and programs.has_one(container):
        said = [programs.for_engine(container)]
    try:
        RUNTIMES[container["runtime"]].start(container, specified["networks"], *said)
    except Ended as error:
        if not said:
            raise
        raise Failed(programs.ended(container)) from error
    _refuse_addresses(container, specified["networks"])
    if container.get("forwards"):
        addressing.make_router(inside(container))


def _refuse_addresses(container: dict, networks: dict[str, dict]) -> None:
    """Raise Failed where an interface that is to have no address has one of more than its link."""
    for attachment in container["attachments"]:
        if networks[attachment["network"]].get("ipam") != "none":
            continue
        rows = show(["address", "show", "dev", attachment["interface"]], inside(container))
        own = [e["local"] for r in rows for e in r["addr_info"] if e["scope"] == "global"]
        if own:
            name = f"{attachment['interface']} in {attachment['network']}"
            raise Failed(f"{name} has {', '.join(own)}, and nobody is to give it an address")


def create(specifications: list[dict], in_order: set[str]) -> dict[str, str]:
    """Make what is made for many containers at once; return what failed, by container.

    What is made of those called as ``in_order`` says is made in their order.
    """
    of: dict[str, list[dict]] = {}
    for specified in specifications:
        of.setdefault(specified["container"]["runtime"], []).append(specified)
    failed = iproute2.create(of.get("iproute2", []))
    return failed | cni.create(of.get("cni", []), in_order)


def stop_all(specifications: list[dict]) -> dict[str, str]:
    """End those containers that can be ended together; return what failed, by container."""
    failed: dict[str, str] = {}
    for name, runtime in TOGETHER.items():
        these = [one for one in specifications if one["container"]["runtime"] == name]
        if these:
            failed |= runtime.stop_all(these)
    return failed


def together(specified: dict) -> bool:
    """Whether the container is ended with others of its kind, instead of by itself."""
    return specified["container"]["runtime"] in TOGETHER


def stop(specified: dict) -> None:
    """End one container by its runtime, and what is left of it."""
    RUNTIMES[specified["container"]["runtime"]].stop(specified["container"], specified["networks"])
