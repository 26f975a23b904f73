"""Looking into containers from their node, through testinfra."""

from __future__ import annotations

import json
from typing import Any

from testinfra.host import Host

from underlay.plan import PlannedContainer

# Docker's Engine API by hand: its command line isn't on the nodes.
ENGINE = """\
import http.client, json, socket, sys
def ask(path):
    engine = http.client.HTTPConnection("docker")
    engine.sock = socket.socket(socket.AF_UNIX)
    engine.sock.connect("/run/docker.sock")
    engine.request("GET", path)
    return json.load(engine.getresponse())
print(json.dumps([ask("/containers/" + c["Id"] + "/json") for c in ask("/containers/json")]))
"""


def docker_containers(host: Host) -> dict[str, dict[str, Any]]:
    """Return what Docker says about its running containers, by name."""
    rows = json.loads(host.check_output("python3 -c %s", ENGINE))
    return {row["Name"].lstrip("/"): row for row in rows}


def entering(host: Host, containers: list[PlannedContainer]) -> dict[str, str]:
    """Return, by container, the words that run a command in its network namespace on ``host``."""
    words = {c.name: f"ip netns exec {c.name}" for c in containers if c.runtime == "cni"}
    if len(words) < len(containers):
        for name, container in docker_containers(host).items():
            words[name] = f"nsenter --target {container['State']['Pid']} --net --"
    return words


def links(host: Host, *prefixes: str) -> list[dict[str, dict[str, Any]]]:
    """Return the interfaces that ``ip`` shows behind each of ``prefixes``, by name.

    A prefix is what enters a container; an empty one stays on the node.
    """
    commands = [f"{prefix} ip -json -details address show" for prefix in prefixes]
    found = host.check_output(" && ".join(commands).lstrip())
    return [{row["ifname"]: row for row in json.loads(line)} for line in found.splitlines()]


def addresses(link: dict[str, Any]) -> list[str]:
    """Return an interface's IPv4 addresses with their prefix lengths."""
    return [
        f"{info['local']}/{info['prefixlen']}"
        for info in link["addr_info"]
        if info["family"] == "inet"
    ]
