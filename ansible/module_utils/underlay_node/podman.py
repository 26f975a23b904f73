"""Containers of runtime ``podman``: its networks are files that netavark reads."""

from __future__ import annotations

import os

from . import routes
from .commands import batch, run, write
from .crun import SLEEP

IMAGE = "localhost/underlay/busybox"
LAYER = "/usr/share/underlay/busybox.tar"
PODMAN = ["podman", "--events-backend=none", "--cgroup-manager=cgroupfs", "--log-level=error"]
# netavark sets a firewall up even for drivers that need none, by nft if it isn't told
# otherwise; User Mode Linux's nf_tables has the bridge family only.
SETTINGS = "/run/underlay/containers.conf"
SETTING = '[network]\nfirewall_driver = "iptables"\n'
RUN = ["--detach", "--pull=never", "--no-hosts", "--no-hostname", "--cgroups=disabled",
       "--log-driver=none", "--cap-add=NET_ADMIN,NET_RAW", "--security-opt=seccomp=unconfined",
       "--replace"]  # fmt: skip


def prepare() -> None:
    """Import the containers' image, where podman hasn't it yet."""
    write(SETTINGS, SETTING)
    os.environ["CONTAINERS_CONF_OVERRIDE"] = SETTINGS
    if not run([*PODMAN, "images", "--quiet", IMAGE]).strip():
        run([*PODMAN, "import", "--quiet", LAYER, IMAGE])


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


def start(container: dict, networks: dict[str, dict]) -> None:
    """Run the container with its planned addresses, and say what netavark can't."""
    name = container["name"]
    words = [*PODMAN, "run", *RUN, f"--name={name}", f"--pidfile={pid_file(name)}"]
    for attachment in container["attachments"]:
        words += ["--network", endpoint(attachment, networks[attachment["network"]])]
    run([*words, IMAGE, *SLEEP])
    batch(routes.lines(container, networks), enter(name))


def stop(container: dict, networks: dict[str, dict]) -> None:
    """Remove the container; what is left of it ends with its namespace."""
    os.environ["CONTAINERS_CONF_OVERRIDE"] = SETTINGS
    run([*PODMAN, "rm", "--force", "--time=0", "--ignore", container["name"]])
    if os.path.exists(pid_file(container["name"])):
        os.unlink(pid_file(container["name"]))


def endpoint(attachment: dict, network: dict) -> str:
    """Return podman's --network: the network with this container's addresses in it."""
    words = [f"ip={own.partition('/')[0]}" for own in routes.given(attachment, network)]
    if network["own_mac"] and network["mode"] != "passthru":
        words.append(f"mac={attachment['mac']}")
    words.append(f"interface_name={attachment['interface']}")
    return f"{network['name']}:{','.join(words)}"
