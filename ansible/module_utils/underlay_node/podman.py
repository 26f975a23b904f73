"""Containers of runtime ``podman``: its networks are files that netavark reads."""

from __future__ import annotations

import contextlib
import glob
import json
import os
from collections.abc import Iterable

from . import files, leases, routes
from .commands import Ended, Failed, all_or_each, batch, run, write
from .crun import SLEEP

IMAGE = "localhost/underlay/busybox"
LAYER = "/usr/share/underlay/busybox.tar"
PODMAN = ["podman", "--events-backend=none", "--cgroup-manager=cgroupfs", "--log-level=error"]
# netavark sets a firewall up even for drivers that need none, by nft if it isn't told
# otherwise; User Mode Linux's nf_tables has the bridge family only.
SETTINGS = "/run/underlay/containers.conf"
NETWORKS = "/etc/containers/networks"
SETTING = '[network]\nfirewall_driver = "iptables"\n'
# Netavark is no DHCP client: the proxy is, and keeps the leases (netavark, commands/dhcp_proxy.rs).
PROXY = "/run/podman/nv-proxy.sock"
UNITS = ["netavark-dhcp-proxy.socket", "netavark-dhcp-proxy.service"]
# Netavark's words when 8 s have passed without an offer.
NO_ANSWER = 'unable to obtain lease: dhcp proxy error: status: Aborted, message: "Timeout'
UNIX_SOCKETS = "/proc/net/unix"
ACCEPTS = 0x10000  # __SO_ACCEPTCON, linux/net.h
# Half of what podman takes on User Mode Linux is its page faults, which these libraries of a node's
# image make fewer (image/preload/go.c and relocations.c).
PIECES = {
    "LD_PRELOAD": "/usr/libexec/underlay/go.so",
    "LD_AUDIT": "/usr/libexec/underlay/relocations.so",
}
RUN = ["--detach", "--pull=never", "--no-hosts", "--no-hostname", "--cgroups=disabled",
       "--log-driver=none", "--cap-add=NET_ADMIN,NET_RAW", "--security-opt=seccomp=unconfined",
       "--replace"]  # fmt: skip


def prepare(networks: list[dict]) -> None:
    """Import the containers' image, where podman hasn't it yet, and start the proxy for leases."""
    serve(networks)
    settle()
    if not ask("images", "--quiet", IMAGE).strip():
        ask("import", "--quiet", LAYER, IMAGE)


def ask(*words: str) -> str:
    """Run podman with ``words``, with its memory in pieces where the image can; return its output.

    Raises Failed with its own words. What it starts inherits the libraries, but no container does.
    """
    pieces = PIECES if all(map(os.path.exists, PIECES.values())) else {}
    return run([*PODMAN, *words], environment={**os.environ, **pieces})


def settle() -> None:
    """Have every podman that this program starts use the node's settings."""
    if files.read(SETTINGS) != SETTING:
        write(SETTINGS, SETTING)
    os.environ["CONTAINERS_CONF_OVERRIDE"] = SETTINGS


def serve(networks: Iterable[dict]) -> None:
    """Have systemd listen for the proxy, where any of ``networks`` needs it."""
    if any(leased(network) for network in networks) and not listens():
        # The image masks what no boot needs.
        run(["systemctl", "unmask", "--quiet", *UNITS])
        run(["systemctl", "start", UNITS[0]])


def leased(network: dict) -> bool:
    """Whether podman is to ask a DHCP server for the network's addresses."""
    return network.get("runtime") == "podman" and network.get("ipam") == "dhcp"


def listens() -> bool:
    """Whether somebody listens where netavark asks for leases.

    Not asked by connecting: systemd would start the proxy that is looked for.
    """
    with open(UNIX_SOCKETS, encoding="ascii", errors="replace") as file:
        rows = [row.split() for row in file]
    return any(row[-1] == PROXY and int(row[3], 16) & ACCEPTS for row in rows[1:])


def unserved(networks: Iterable[dict]) -> list[str]:
    """Return in words what keeps containers of ``networks`` from a lease when they start again."""
    if not any(leased(network) for network in networks) or listens():
        return []
    return [f"podman: nobody listens at {PROXY}: systemctl start {UNITS[0]}"]


def pid_file(name: str) -> str:
    """Return the file that the container's process id stands in."""
    return f"/run/underlay/{name}.pid"


def pid(name: str) -> int:
    """Return the process id of a running container, 0 where it doesn't run."""
    try:
        with open(pid_file(name), encoding="ascii") as file:
            process = int(file.read())
    except (OSError, ValueError):
        return 0
    return process if os.path.exists(f"/proc/{process}/ns/net") else 0


def enter(name: str) -> list[str]:
    """Return the words that run a command in the container's namespace; none if it doesn't run."""
    process = pid(name)
    return ["nsenter", "--target", str(process), "--net", "--"] if process else []


def start(container: dict, networks: dict[str, dict], own: dict | None = None) -> None:
    """Run the container with its planned addresses, and say what netavark can't.

    ``own`` says what runs in it by the words of Docker's API, where that is a program of the user's
    own; what this says is kept.
    """
    name = container["name"]
    words = ["run", *RUN, f"--name={name}", f"--pidfile={pid_file(name)}"]
    for attachment in container["attachments"]:
        words += ["--network", endpoint(attachment, networks[attachment["network"]])]
    if own:
        words += [f"--env={each}" for each in own["Env"]] + ["--log-driver=k8s-file"]
    with contextlib.suppress(FileNotFoundError):
        os.unlink(pid_file(name))
    held = [own["Image"], *own.get("Cmd", ())] if own else [IMAGE, *SLEEP]
    try:
        ask(*words, *held)
        afterwards(container, networks)
    except Failed as error:
        # One that has ended meanwhile keeps what it has said last.
        if os.path.exists(pid_file(name)) and not enter(name):
            raise Ended("its process has ended") from error
        # A container that was made and not started keeps its name.
        with contextlib.suppress(Failed):
            _remove([{"container": container, "networks": networks}])
        if NO_ANSWER in str(error):
            asked = {network["parent"] for network in networks.values() if leased(network)}
            said = f"no DHCP server answers on {' or '.join(sorted(asked))}"
            raise Failed(f"{said}: {error}") from error
        raise


def afterwards(container: dict, networks: dict[str, dict]) -> None:
    """Say to a running container's kernel what can't be said to netavark."""
    inside = enter(container["name"])
    if not inside:
        raise Ended("its process has ended")
    for attachment in container["attachments"]:
        if leased(networks[attachment["network"]]):
            _take_lease(attachment, inside)
    batch(routes.lines(container, networks), inside)


def _take_lease(attachment: dict, enter: list[str]) -> None:
    """Raise Failed where the lease is not the planned one; let routes be the plan's.

    A lease's router becomes a default route with a metric of its own: another that is put beside
    it would not take its place.
    """
    leases.compare(attachment["interface"], attachment["address"], enter)
    run([*enter, "ip", "-4", "route", "flush", "exact", "default"])


def stop_all(specifications: list[dict]) -> dict[str, str]:
    """Remove containers together, as podman's own start takes longer than to remove one.

    Returns the words of what failed, by container.
    """
    return all_or_each(_remove, specifications)


def _remove(specifications: list[dict]) -> None:
    """Remove containers; what is left of them ends with their namespaces.

    Netavark gives leases back to the proxy, and fails where there is none.
    """
    names = [specified["container"]["name"] for specified in specifications]
    serve([network for specified in specifications for network in specified["networks"].values()])
    settle()
    ask("rm", "--force", "--time=0", "--ignore", *names)
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(pid_file(name))


def called(network: dict) -> str:
    """Return what podman calls a network: the user's own file may have named it otherwise.

    It is told by the interface below and its subnets. Raises Failed where there is no such one.
    """
    if not network.get("own_file"):
        return str(network["name"])
    wanted = {pool["subnet"] for pool in network["pools"]}
    found = []
    for path in sorted(glob.glob(f"{NETWORKS}/*.json")):
        entry = json.loads(files.read(path) or "{}")
        subnets = {subnet.get("subnet") for subnet in entry.get("subnets") or ()}
        below = entry.get("network_interface", "")
        told = not subnets or not wanted or bool(subnets & wanted)
        known = ("", network["parent"], *network.get("below", ()))
        if entry.get("driver") == network["driver"] and told and below in known:
            found.append(str(entry["name"]))
    if not found:
        raise Failed(f"{network['own_file']} has made no network {network['name']} in podman")
    return next((name for name in found if name.endswith(network["name"])), found[0])


def forget_unused() -> None:
    """Remove the networks that no container is in: what the user's own files had made."""
    settle()
    ask("network", "prune", "--force")


def note(name: str, process: int) -> None:
    """Note the process of a container that the user's own file has started."""
    write(pid_file(name), f"{process}\n")


def endpoint(attachment: dict, network: dict) -> str:
    """Return podman's --network: the network with this container's addresses in it.

    What a server is to lease, podman refuses to be told.
    """
    given = [] if leased(network) else routes.given(attachment, network)
    words = [f"ip={own.partition('/')[0]}" for own in given]
    mac = routes.given_mac(attachment, network)
    if mac and network["mode"] != "passthru":
        words.append(f"mac={mac}")
    words.append(f"interface_name={attachment['interface']}")
    return f"{called(network)}:{','.join(words)}"
