"""Containers of runtime ``docker``, by the Engine's API: its command line would cost more."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import urllib.parse

from . import routes
from .commands import DEADLINE, Failed, batch, run
from .crun import SLEEP

SOCKET = "/run/docker.sock"
IMAGE = "underlay/busybox"
LAYER = "/usr/share/underlay/busybox.tar"
DEFINITIONS = "/etc/underlay/docker"
# s for one answer: on an emulated processor the Engine takes minutes to start its first containers.
PATIENCE = 3 * DEADLINE


class Engine(http.client.HTTPConnection):
    """A connection to the Engine's unix socket."""

    def __init__(self) -> None:
        super().__init__("docker", timeout=PATIENCE)

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(SOCKET)


def ask(method: str, path: str, body: object = None, *, missing: bool = False) -> dict | None:
    """Call the API and return its JSON; None for what is not there, where ``missing`` allows it.

    Raises Failed with the Engine's message.
    """
    connection = Engine()
    try:
        headers = {"Content-Type": "application/json"}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/x-tar"
        elif body is not None:
            body = json.dumps(body)
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except OSError as error:
        raise Failed(f"docker: {error} ({method} {path})") from error
    finally:
        connection.close()
    if answer.status == 404 and missing:
        return None
    if answer.status >= 400:
        raise Failed(f"docker: {_words(text)} ({method} {path})")
    return json.loads(text) if text.startswith(("{", "[")) else {}


def _words(text: str) -> str:
    """Return the Engine's own words of an answer that says what failed."""
    try:
        # In one line, for the first line is what is shown first.
        return " ".join(str(json.loads(text)["message"]).split())
    except (ValueError, KeyError, TypeError):
        return text.strip()


def running() -> set[str]:
    """Return the names of the containers that run."""
    found = ask("GET", "/containers/json") or ()
    return {name.lstrip("/") for entry in found for name in entry["Names"]}


def prepare(names: list[str]) -> None:
    """Import the containers' image and create those of the networks that Docker doesn't know."""
    if ask("GET", f"/images/{IMAGE}/json", missing=True) is None:
        with open(LAYER, "rb") as layer:
            ask("POST", f"/images/create?fromSrc=-&repo={IMAGE}&tag=latest", body=layer.read())
    known = _networks()
    for name in names:
        if name not in known:
            with open(f"{DEFINITIONS}/{name}.json", encoding="utf-8") as file:
                ask("POST", "/networks/create", body=json.load(file))


def forget(name: str) -> None:
    """Remove the network ``name``, if Docker knows it."""
    if name in _networks():
        ask("DELETE", f"/networks/{name}", missing=True)


def _networks() -> set[str]:
    """Return the names of Docker's networks.

    Asked for one that isn't there, Docker takes its name to begin an id: "a" may be any network.
    """
    return {entry["Name"] for entry in ask("GET", "/networks") or ()}


def _known(name: str) -> str:
    """Return the id of the container ``name``; empty where there is none.

    As with networks, one that isn't there must not be asked for by its name: a plain
    hexadecimal one like "db" would be any container whose id begins so.
    """
    wanted = urllib.parse.quote(json.dumps({"name": [f"^/{re.escape(name)}$"]}))
    found = ask("GET", f"/containers/json?all=1&filters={wanted}")
    return found[0]["Id"] if found else ""


def _remove(name: str) -> None:
    identity = _known(name)
    if identity:
        ask("DELETE", f"/containers/{identity}?force=1", missing=True)


def pid(name: str) -> int:
    """Return the process id of a running container, 0 where it doesn't run."""
    identity = _known(name) if os.path.exists(SOCKET) else ""
    known = ask("GET", f"/containers/{identity}/json", missing=True) if identity else None
    return known["State"]["Pid"] if known and known["State"]["Running"] else 0


def enter(name: str) -> list[str]:
    """Return the words that run a command in the container's namespace; none if it doesn't run."""
    process = pid(name)
    return ["nsenter", "--target", str(process), "--net", "--"] if process else []


def start(container: dict, networks: dict[str, dict]) -> None:
    """Create the container with its planned addresses, start it, and say what Docker can't."""
    name = container["name"]
    _remove(name)
    endpoints = {
        attachment["network"]: _endpoint(attachment, networks[attachment["network"]])
        for attachment in container["attachments"]
    }
    first, *others = endpoints
    body = {
        "Image": IMAGE,
        "Cmd": SLEEP,
        "Hostname": name,
        "HostConfig": {"NetworkMode": first, "CapAdd": ["NET_ADMIN"]},
        "NetworkingConfig": {"EndpointsConfig": {first: endpoints[first]}},
    }
    ask("POST", f"/containers/create?name={name}", body=body)
    ask("POST", f"/containers/{name}/start")
    # Once it runs: what was joined before is numbered eth0, eth1 by the networks' names instead
    # (moby/moby#46036).
    for network in others:
        connection = {"Container": name, "EndpointConfig": endpoints[network]}
        ask("POST", f"/networks/{network}/connect", body=connection)
    # It ignores the MAC address of what is joined later (moby/moby#48192).
    links = [
        f"link set dev {attachment['interface']} address {attachment['mac']}"
        for attachment in container["attachments"][1:]
        if networks[attachment["network"]]["own_mac"]
    ]
    # Docker gives each container a default route by some gateway, whoever has that address,
    # and knows neither routes without one nor further ones.
    for family in ("-4", "-6"):
        run([*enter(name), "ip", family, "route", "flush", "exact", "default"])
    batch([*links, *routes.lines(container, networks)], enter(name))


def stop(container: dict, networks: dict[str, dict]) -> None:
    """Remove the container."""
    if os.path.exists(SOCKET):
        _remove(container["name"])


def _endpoint(attachment: dict, network: dict) -> dict:
    own = {
        "IPv6Address" if ":" in address else "IPv4Address": address.partition("/")[0]
        for address in routes.given(attachment, network)
    }
    settings: dict = {"IPAMConfig": own}
    # A passthru child is told its parent's MAC: Docker would make one up, and setting that fails.
    if network["own_mac"]:
        settings["MacAddress"] = attachment["mac"]
    return settings
