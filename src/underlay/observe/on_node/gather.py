"""What a node or the switch looks like from inside: links, addresses, routes, rules, counters.

Runs on the node, where probe.py does: standard library only, Python 3.9 or newer. The main
thread enters one network namespace after the other, and what it starts there sees that one.
Nothing is judged here; a program that isn't there is named under ``lacking``.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

from underlay.observe.on_node.namespaces import Missing, enter, opened
from underlay.observe.on_node.sysctls import sysctls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEADLINE = 20
SHOW = """\
address show
route show table all
rule show
neighbour show
"""
PARTS = ("links", "routes", "rules", "neighbours")
SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/ipv4/icmp_echo_ignore_all",
    "net/ipv4/ip_default_ttl",
    "net/ipv4/neigh/default/gc_thresh3",
    "net/ipv6/conf/all/disable_ipv6",
    "net/ipv6/conf/all/forwarding",
    "net/bridge/bridge-nf-call-iptables",
    "net/netfilter/nf_conntrack_max",
)
# For each interface, as net.ipv4.conf.NAME.KEY.
PER_LINK = ("arp_ignore", "arp_filter", "rp_filter", "forwarding", "accept_local", "proxy_arp")
PER_LINK6 = ("disable_ipv6", "accept_ra", "accept_dad", "forwarding")
SERVICES = ("docker", "containerd", "systemd-networkd", "ssh", "netavark-dhcp-proxy.socket")
MASKED = ["systemctl", "list-unit-files", "--state=masked,masked-runtime", "--plain", "--no-legend"]
NET_D = ("/etc/cni/net.d", "/etc/rkt/net.d")


def refused(_: dict[str, Any]) -> str:
    """Return what of a task isn't allowed: nothing, but in the pinned program (pinned.py)."""
    return ""


REFUSED = refused


class Gatherer:
    """Collects one document; ``lacking`` are the programs that this machine hasn't.

    A ``brief`` one looks at interfaces and nothing else.
    """

    def __init__(self, *, brief: bool = False) -> None:
        self.lacking: set[str] = set()
        self.brief = brief

    def text(self, *arguments: str, given: str | None = None) -> str:
        """Return what a program prints, whatever its exit code; empty where it isn't there."""
        if not shutil.which(arguments[0]):
            self.lacking.add(arguments[0])
            return ""
        try:
            return subprocess.run(
                arguments,
                input=given,
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
            ).stdout
        except subprocess.TimeoutExpired:
            return ""

    def space(self) -> dict[str, Any]:
        """Return what is seen in the namespace that this thread is in."""
        if self.brief:
            links = documents(self.text("ip", "-json", "-details", "address", "show"))
            return {"links": links[0] if links else []}
        said = self.text(
            "ip", "-json", "-details", "-statistics", "-force", "-batch", "-", given=SHOW
        )
        parts = documents(said)
        parts += [[]] * (len(PARTS) - len(parts))
        found: dict[str, Any] = {part: parts[number] for number, part in enumerate(PARTS)}
        names = [link["ifname"] for link in found["links"] if "ifname" in link]
        found["sysctl"] = sysctls(SYSCTLS, names, PER_LINK, PER_LINK6)
        found["iptables"] = self.rules("iptables", "/proc/thread-self/net/ip_tables_names")
        found["ip6tables"] = self.rules("ip6tables", "/proc/thread-self/net/ip6_tables_names")
        found["nft"] = self.text("nft", "list", "ruleset").splitlines()
        found["qdiscs"] = self.text("tc", "-s", "qdisc", "show").splitlines()
        found["filters"] = self.filters(found["qdiscs"])
        found["counters"] = counters()
        found["xfrm"] = self.policies(found["counters"])
        return found

    def policies(self, counted: dict[str, int]) -> list[str]:
        """Return xfrm's policies, where its counters say that one has lost a packet.

        Asking would load its module otherwise, on nodes that have nothing to do with it.
        """
        if not any(name.startswith("Xfrm") for name in counted):
            return []
        return self.text("ip", "xfrm", "policy", "show").splitlines()

    def rules(self, program: str, tables: str) -> list[str]:
        """Return the saved rules with their counters; only of tables that are loaded."""
        try:
            with open(tables) as names:
                if not names.read().strip():
                    return []
        except OSError:
            return []
        for name in (f"{program}-legacy-save", f"{program}-save"):
            if shutil.which(name):
                return self.text(name, "-c").splitlines()
        self.lacking.add(f"{program}-save")
        return []

    def filters(self, qdiscs: list[str]) -> dict[str, list[str]]:
        """Return tc's filters, by "DEVICE ingress" or "DEVICE egress", where there can be any."""
        found = {}
        for line in qdiscs:
            words = line.split()
            if words[:1] != ["qdisc"] or "dev" not in words:
                continue
            device = words[words.index("dev") + 1]
            sides = {"clsact": ("ingress", "egress"), "ingress": ("ingress",)}.get(words[1], ())
            for side in sides:
                said = self.text("tc", "-s", "filter", "show", "dev", device, side)
                if said.strip():
                    found[f"{device} {side}"] = said.splitlines()
        return found

    def bridges(self) -> dict[str, Any]:
        """Return what ``bridge`` says about ports, addresses learned, VLANs and groups."""
        found: dict[str, Any] = {}
        for part, words in (
            {}
            if self.brief
            else {
                "ports": ("-details", "link", "show"),
                "fdb": ("fdb", "show"),
                "vlans": ("vlan", "show"),
            }.items()
        ):
            parts = documents(self.text("bridge", "-json", *words))
            found[part] = parts[0] if parts else []
        return found

    def runtime(self) -> dict[str, Any]:
        """Return the state of services, the net.d files, and what Docker says of itself.

        No unit that is ``masked`` starts: each has the word that says until when.
        """
        states = self.text("systemctl", "is-active", *SERVICES).split()
        found: dict[str, Any] = {"services": dict(pairs(SERVICES, states)), "net_d": {}}
        units = self.text(*MASKED).splitlines()
        found["masked"] = dict(unit.split()[:2] for unit in units if len(unit.split()) > 1)
        for folder in NET_D:
            for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
                with open(os.path.join(folder, name), errors="replace") as file:
                    found["net_d"][os.path.join(folder, name)] = file.read(4096)
        found["docker"] = []
        if found["services"].get("docker") == "active":
            form = '{"name":{{json .Names}},"state":{{json .State}},"status":{{json .Status}}}'
            lines = self.text("docker", "ps", "--all", "--no-trunc", "--format", form).splitlines()
            found["docker"] = [json.loads(line) for line in lines if line.startswith("{")]
        found["log"] = self.text("dmesg").splitlines()[-40:]
        return found


def documents(text: str) -> list[Any]:
    """Return the JSON values that stand in ``text`` one after the other."""
    found: list[Any] = []
    decoder, position = json.JSONDecoder(), 0
    while True:
        rest = re.compile(r"[\[{]").search(text, position)
        if rest is None:
            return found
        try:
            value, position = decoder.raw_decode(text, rest.start())
        except ValueError:
            return found
        found.append(value)


def pairs(left: Sequence[Any], right: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield what stands side by side; Python 3.9's zip takes no ``strict``."""
    for number in range(min(len(left), len(right))):
        yield left[number], right[number]


def counters() -> dict[str, int]:
    """Return the namespace's protocol counters that aren't zero, such as IpOutNoRoutes."""
    found = {}
    for file in ("snmp", "netstat"):
        try:
            with open(f"/proc/thread-self/net/{file}") as lines:
                rows = [line.split() for line in lines]
        except OSError:
            continue
        for names, values in pairs(rows[::2], rows[1::2]):
            for name, value in pairs(names[1:], values[1:]):
                if value not in ("0", "-1"):
                    found[names[0].rstrip(":") + name] = int(value)
    with contextlib.suppress(OSError), open("/proc/thread-self/net/xfrm_stat") as lines:
        found.update((name, int(value)) for name, value in map(str.split, lines) if value != "0")
    return found


def main(argument: str) -> int:
    """Gather what the packed ``argument`` asks for, and print it as one JSON document."""
    task = json.loads(zlib.decompress(base64.b64decode(argument)))
    if why := REFUSED(task):
        sys.exit(f"its task asks for {why}")
    # sudo and a sandbox's first process may leave the administrator's programs out.
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    gatherer = Gatherer(brief=task.get("brief", False))
    document: dict[str, Any] = {"node": task["node"], "spaces": {}, "missing": {}}
    document["spaces"][task["node"]] = {**gatherer.space(), **gatherer.bridges()}
    if task["services"]:
        document["runtime"] = gatherer.runtime()
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    for name, kind, *path in task["spaces"]:
        try:
            own = opened(name, kind, *(path or [""]))
        except (Missing, OSError) as error:
            document["missing"][name] = str(error)
            continue
        enter(own)
        try:
            document["spaces"][name] = gatherer.space()
        finally:
            enter(home)
            os.close(own)
    document["lacking"] = sorted(gatherer.lacking)
    sys.stdout.write(json.dumps(document, separators=(",", ":")) + "\n")
    sys.stdout.flush()
    return 0
