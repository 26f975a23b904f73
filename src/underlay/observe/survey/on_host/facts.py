"""What a machine's network looks like, as an ordinary user sees it: nothing is changed or sent.

Runs on the machine: standard library only, Python 3.9 or newer. It prints one JSON document.
No module is loaded by asking: whether a kernel has one is read from its lists.
"""

from __future__ import annotations

import glob
import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
from typing import Any

from underlay.observe.on_node.sysctls import sysctls

DEADLINE = 10
MODULES = {
    "macvlan": "CONFIG_MACVLAN",
    "ipvlan": "CONFIG_IPVLAN",
    "8021q": "CONFIG_VLAN_8021Q",
    "bridge": "CONFIG_BRIDGE",
    "vxlan": "CONFIG_VXLAN",
}
RUNTIMES = ("docker", "podman", "containerd", "nerdctl", "crun", "runc", "systemd-nspawn")
PLUGIN_FOLDERS = ("/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni")
SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/bridge/bridge-nf-call-iptables",
)
# For each NIC, as net.ipv4.conf.NAME.KEY.
PER_NIC = ("rp_filter", "arp_ignore", "arp_announce", "arp_filter", "proxy_arp", "forwarding")
PER_NIC6 = ("disable_ipv6", "accept_ra", "forwarding", "accept_dad")


class Reader:
    """Collects one document; ``lacking`` names the programs that this machine hasn't."""

    def __init__(self) -> None:
        self.lacking: set[str] = set()

    def text(self, *arguments: str) -> str:
        """Return what a program prints, whatever its exit code; empty where it isn't there."""
        if not shutil.which(arguments[0]):
            self.lacking.add(arguments[0])
            return ""
        try:
            done = subprocess.run(
                arguments, capture_output=True, text=True, timeout=DEADLINE, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the JSON rows that a program of iproute2 prints; none where it isn't there."""
        try:
            found = json.loads(self.text(*arguments) or "[]")
        except ValueError:
            return []
        # iproute2 prints an empty object for a family that the kernel hasn't.
        return [row for row in found if row]

    def routes(self) -> list[dict[str, str]]:
        """Return the routes of the main table that somebody set, not those of addresses alone."""
        found = []
        for row in [*self.rows("ip", "-json", "route"), *self.rows("ip", "-json", "-6", "route")]:
            if not str(row.get("dst", "")).startswith(("fe80:", "ff00:", "multicast")):
                keys = ("dst", "gateway", "dev", "protocol")
                found.append({key: str(row[key]) for key in keys if key in row})
        return found


def file_text(path: str) -> str:
    """Return a file's text without white space around it; empty where it can't be read."""
    try:
        with open(path, errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def link(row: dict[str, Any]) -> dict[str, Any]:
    """Return one interface of ``ip -details address``, with what sysfs and its owner say of it."""
    name = str(row["ifname"])
    info = row.get("linkinfo", {})
    data = info.get("info_data", {})
    device = os.path.realpath(f"/sys/class/net/{name}/device")
    return {
        "name": name,
        "index": row["ifindex"],
        "mac": row.get("address", ""),
        "kind": kind_of(name, row, info),
        "driver": os.path.basename(os.path.realpath(f"{device}/driver"))
        if os.path.exists(f"{device}/driver")
        else "",
        "up": "UP" in row.get("flags", []),
        "carrier": "LOWER_UP" in row.get("flags", []),
        "mtu": row["mtu"],
        "parent": str(row.get("link", "")),
        "elsewhere": "link_netnsid" in row,
        "master": row.get("master", ""),
        "vlan": data.get("id") if info.get("info_kind") == "vlan" else None,
        "mode": str(data.get("mode", "")),
        "speed": speed(name),
        "promiscuity": row.get("promiscuity", 0),
        "addresses": [
            f"{one['local']}/{one['prefixlen']}"
            for one in row.get("addr_info", [])
            if "local" in one and one.get("scope") != "host"
        ],
        "owner": owner(int(row["ifindex"])),
    }


def kind_of(name: str, row: dict[str, Any], info: dict[str, Any]) -> str:
    """Return what an interface is: its kind as ``ip`` calls it, loopback, or ``nic``."""
    if row.get("link_type") == "loopback":
        return "loopback"
    if info.get("info_kind"):
        return str(info["info_kind"])
    virtual = "/devices/virtual/" in os.path.realpath(f"/sys/class/net/{name}")
    # User Mode Linux has its NICs as platform devices of no bus.
    return "virtual" if virtual and not name.startswith(("eth", "vec", "en")) else "nic"


def speed(name: str) -> int:
    """Return the Mbit/s that a link says it has; 0 where it says none."""
    said = file_text(f"/sys/class/net/{name}/speed")
    return int(said) if said.isdigit() else 0


def owner(index: int) -> str:
    """Return the service that configures an interface: its own note in /run says so."""
    if "managed=true" in file_text(f"/run/NetworkManager/devices/{index}").split():
        return "NetworkManager"
    note = file_text(f"/run/systemd/netif/links/{index}").splitlines()
    if any(line in ("ADMIN_STATE=configured", "ADMIN_STATE=configuring") for line in note):
        return "systemd-networkd"
    return ""


def modules() -> dict[str, str]:
    """Return how the kernel has each module: loaded, built in, to be loaded, or absent.

    ``unknown`` stands for a kernel whose lists aren't there.
    """
    folder = f"/lib/modules/{platform.release()}"
    built = file_text(f"{folder}/modules.builtin")
    listed = file_text(f"{folder}/modules.dep")
    config = kernel_config()
    found = {}
    for name, key in MODULES.items():
        loaded = {line.split()[0] for line in file_text("/proc/modules").splitlines()}
        if name in loaded:
            found[name] = "loaded"
        elif f"/{name}.ko" in built or f"{key}=y" in config:
            found[name] = "built in"
        elif f"/{name}.ko" in listed:
            found[name] = "to be loaded"
        else:
            found[name] = "absent" if listed or built or config else "unknown"
    return found


def kernel_config() -> list[str]:
    """Return the lines of the kernel's configuration, from where kernels keep it."""
    try:
        with gzip.open("/proc/config.gz", "rt") as file:
            return file.read().splitlines()
    except (OSError, EOFError):
        return file_text(f"/boot/config-{platform.release()}").splitlines()


def runtimes() -> dict[str, str]:
    """Return which container runtimes are there, with their paths."""
    found = {}
    for name in RUNTIMES:
        path = shutil.which(name)
        if path:
            found[name] = path
    return found


def way_in() -> str:
    """Return the address here that the ssh connection came to; empty where none did."""
    words = os.environ.get("SSH_CONNECTION", "").split()
    return words[2] if len(words) == 4 else ""


def main(argument: str) -> int:
    """Print what there is to see as one JSON document."""
    del argument
    # sudo and ssh may leave the administrator's programs out.
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin"
    reader = Reader()
    links = [link(row) for row in reader.rows("ip", "-json", "-details", "address") if row]
    plugins = {
        folder: sorted(os.path.basename(path) for path in glob.glob(f"{folder}/*"))
        for folder in PLUGIN_FOLDERS
    }
    names = [one["name"] for one in links if one["kind"] != "loopback"]
    document = {
        "kernel": platform.release(),
        "way_in": way_in(),
        "links": links,
        "routes": reader.routes(),
        "modules": modules(),
        "runtimes": runtimes(),
        "plugins": {folder: names for folder, names in plugins.items() if names},
        "sysctls": sysctls(SYSCTLS, names, PER_NIC, PER_NIC6),
        "lacking": sorted(reader.lacking),
    }
    sys.stdout.write(json.dumps(document, separators=(",", ":")) + "\n")
    sys.stdout.flush()
    return 0
