"""Containers of runtime ``cni``: attached by libcni to the networks in /etc/cni/net.d."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from types import ModuleType

from . import crun, files, namespaces, pause, programs, routes, settling
from .commands import DEADLINE, Failed, all_or_each, batch, run, write

PROGRAM = "/usr/libexec/underlay/cni"
LEASES = "/var/lib/cni/networks"
COPIES = "/run/underlay/net.d"
# The plugin dhcp is a client of its own daemon, which keeps the leases.
DHCP = "/usr/lib/cni/dhcp"
DHCP_SOCKET = "/run/cni/dhcp.sock"
DHCP_DEADLINE = 10.0
# Containers attached at a time: plugins wait for the kernel and for each other's locks.
WIDTH = 4
# Seconds more that a program gets for each attachment.
SLOW = 2.0


def holder() -> ModuleType:
    """Return what holds the containers' namespaces: crun, but on lean nodes a process alone.

    A lean node's point is its speed, and crun takes longer than all of a container's plugins.
    Lean is a node without systemd, told as by sd_booted(3).
    """
    return crun if os.path.isdir("/run/systemd/system") else pause


def pid(name: str) -> int:
    """Return the process that holds the container's namespaces, 0 where it doesn't run."""
    return holder().pid(name)


def prepare(networks: list[dict]) -> None:
    """Start what the networks' plugins need on the node: the daemon of the plugin dhcp."""
    if not any(network.get("ipam") == "dhcp" for network in networks) or _listens():
        return
    if os.path.exists(DHCP_SOCKET):
        os.unlink(DHCP_SOCKET)
    nothing = subprocess.DEVNULL
    subprocess.Popen(
        [DHCP, "daemon"], stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )
    end = time.monotonic() + DHCP_DEADLINE
    while not _listens():
        if time.monotonic() > end:
            raise Failed(f"{DHCP} daemon: no {DHCP_SOCKET} after {DHCP_DEADLINE:.0f} s")
        time.sleep(0.05)


def _listens() -> bool:
    with socket.socket(socket.AF_UNIX) as asked:
        return asked.connect_ex(DHCP_SOCKET) == 0


def create(specifications: list[dict], in_order: set[str]) -> dict[str, str]:
    """Attach many containers by one program; return what failed, by container.

    Those called as ``in_order`` says come first, one after the other. Nothing is left of one that
    fails.
    """
    failed: dict[str, str] = {}
    asked: dict[str, list[list[str]]] = {}
    for specified in specifications:
        try:
            asked[specified["container"]["name"]] = _attaching(specified)
        except Failed as error:
            failed[specified["container"]["name"]] = str(error)
    for names, width in (
        ([name for name in asked if name in in_order], 1),
        ([name for name in asked if name not in in_order], WIDTH),
    ):
        try:
            said = _ask([asked[name] for name in names], width)
        except Failed as error:
            failed |= dict.fromkeys(names, str(error))
            continue
        for name, errors in zip(names, said):
            if errors and errors[-1]:
                failed[name] = _refusal(asked[name][len(errors) - 1], errors[-1])
    # Where that fails, too, somebody ends it all by the next change.
    with contextlib.suppress(Failed):
        _give_back([s for s in specifications if s["container"]["name"] in asked.keys() & failed])
        namespaces.remove([name for name in failed if name not in asked])
    return failed


def _refusal(asked: list[str], error: str) -> str:
    """Return in words that an attachment failed."""
    words = " ".join([word for word in asked if "=" not in word][:3])
    return f"{PROGRAM} {words}: {error}"


def start(container: dict, networks: dict[str, dict]) -> None:
    """Start the container, which ``create`` has attached; leave nothing where that fails."""
    name = container["name"]
    try:
        batch(afterwards(container, networks), space=name)
        settling.wait(container, networks)
        if programs.has_one(container):
            crun.start(name, programs.of_crun(container, crun.configuration(name)))
        else:
            holder().start(name)
    except Failed:
        _give_back([{"container": container, "networks": networks}])
        raise


def stop_all(specifications: list[dict]) -> dict[str, str]:
    """End many containers and give their addresses back; return what failed, by container."""
    return all_or_each(_stop, specifications)


def _stop(specifications: list[dict]) -> None:
    """End containers; a plugin that fails to detach is no hindrance, as what it made ends, too."""
    names = [specified["container"]["name"] for specified in specifications]
    for name, words in holder().end_all(names).items():
        raise Failed(f"{name}: {words}")
    for specified in specifications:
        if programs.has_one(specified["container"]):
            programs.forget(specified["container"]["name"])
    # Plugins give no address back where somebody has taken the namespace away.
    namespaces.make(names)
    _give_back(specifications)


def _attaching(specified: dict) -> list[list[str]]:
    """Return what the cni program is asked for so that a container is attached."""
    asked = []
    for attachment in specified["container"]["attachments"]:
        network = specified["networks"][attachment["network"]]
        words = parameters(specified["container"], attachment, network)
        if _noted(specified["container"]["name"], called(network)):
            asked.append([*_folder(network), "del", *words])
        asked.append([*_folder(network), "add", *words])
    return asked


def _give_back(specifications: list[dict]) -> None:
    """Detach containers that nothing runs in any more, and remove their namespaces."""
    attached = [
        (specified["container"], attachment, specified["networks"][attachment["network"]])
        for specified in specifications
        for attachment in specified["container"]["attachments"]
    ]
    asked: dict[str, list[list[str]]] = {}
    for container, attachment, network in attached:
        words = [*_folder(network), "del", *parameters(container, attachment, network)]
        asked.setdefault(container["name"], []).append(words)
    with contextlib.suppress(Failed):
        _ask([*asked.values()], WIDTH)
    for container, attachment, network in attached:
        _release(container["name"], called(network), attachment)
    namespaces.remove([specified["container"]["name"] for specified in specifications])


def _ask(containers: list[list[list[str]]], width: int) -> list[list[str]]:
    """Have one program do what is asked for each container; return the errors of each.

    It has none for what it did, and does no more for a container that it could not attach.
    """
    if not containers:
        return []
    deadline = DEADLINE + SLOW * sum(map(len, containers))
    said = run([PROGRAM, "batch", str(width)], json.dumps(containers), deadline=deadline)
    errors: list[list[str]] = json.loads(said)
    return errors


def _noted(name: str, network: str) -> bool:
    """Whether host-local has an address written down for a container that has yet to start.

    That is on the disk, and a reboot leaves it there: the container would be refused its own
    address. Who starts it again gives the address back first, as kubelet does for the sandboxes
    of before the boot.
    """
    folder = f"{LEASES}/{network}"
    kept = os.listdir(folder) if os.path.isdir(folder) else ()
    texts = [files.read(f"{folder}/{each}") or "" for each in kept]
    return any(text.splitlines()[:1] == [name] for text in texts)


def _release(name: str, network: str, attachment: dict) -> None:
    """Give back what host-local has written down for ``name``, where the plugin would not.

    macvlan refuses to detach where its parent's MTU has become smaller than its own.
    """
    for address in routes.addresses(attachment):
        lease = f"{LEASES}/{network}/{address.partition('/')[0]}"
        if (files.read(lease) or "").startswith(name):
            os.unlink(lease)


def called(network: dict) -> str:
    """Return the network's name in its net.d file: the user's own may have another than the plan.

    Raises Failed where the user's own file can't be read.
    """
    path = network.get("own_file")
    if not path:
        return str(network["name"])
    try:
        return str(json.loads(files.read(path) or "")["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"{path} names no network: {error!r}") from error


def _folder(network: dict) -> list[str]:
    """Return the word that says where the network's file is; none where it is with the others.

    A plugin for one range of all nodes, such as whereabouts, is on no node. What the user's own
    file says of it is put aside then, in a copy: the plugin static gives the planned addresses.
    """
    path = network.get("own_file")
    if not path or network.get("ipam") != "cluster":
        return []
    said = json.loads(files.read(path) or "")
    for plugin in said.get("plugins", [said]):
        if "ipam" in plugin:
            kept = {key: plugin["ipam"][key] for key in ("routes",) if key in plugin["ipam"]}
            plugin["ipam"] = {**kept, "type": "static"}
            plugin["capabilities"] = {**plugin.get("capabilities", {}), "ips": True}
    copy = f"{COPIES}/{os.path.basename(path)}"
    if files.read(copy) != json.dumps(said):
        write(copy, json.dumps(said))
    return [f"NETCONFPATH={COPIES}"]


def parameters(container: dict, attachment: dict, network: dict) -> list[str]:
    """Return the arguments of the cni program: NETWORK CONTAINER NETNS IFNAME KEY=VALUE …."""
    name = container["name"]
    words = [called(network), name, namespaces.path(name), attachment["interface"]]
    own = routes.given(attachment, network)
    # CNI_ARGS ask host-local for one address; several, and those of the plugin static, are
    # given by the capability "ips". A DHCP server decides itself.
    if len(own) > 1 or network.get("ipam") in ("static", "cluster"):
        words.append(f"IPS={','.join(own)}")
    elif own and network.get("ipam") != "dhcp":
        words.append(f"IP={own[0].partition('/')[0]}")
    # An ipvlan child and a VLAN link can't be given a MAC address: they have their parent's.
    if mac := routes.given_mac(attachment, network):
        words.append(f"MAC={mac}")
    return words


def afterwards(container: dict, networks: dict[str, dict]) -> list[str]:
    """IPv6 routes without a gateway, which plugins can't express; see the role's template.

    With leases all routes: no server can name one without a gateway.
    """
    lines = routes.lines(container, networks)
    if any(networks[a["network"]].get("ipam") == "dhcp" for a in container["attachments"]):
        return lines
    return [line for line in lines if ":" in line and " via " not in line]
