"""Containers of runtime ``docker``, by the Engine's API: its command line would cost more."""

from __future__ import annotations

import json
import os
import re

from . import files, routes
from .commands import DEADLINE, Ended, Failed, batch, run, write
from .crun import SLEEP

SOCKET = "/run/docker.sock"
IMAGE = "underlay/busybox"
LAYER = "/usr/share/underlay/busybox.tar"
DEFINITIONS = "/etc/underlay/docker"
# What users' own files know containers by, whatever the plan calls them.
NAMES = "/run/underlay/docker-names.json"
# s for one answer: on an emulated processor the Engine takes minutes to start its first containers.
PATIENCE = 3 * DEADLINE


def ask(method: str, path: str, body: object = None, *, missing: bool = False) -> dict | None:
    """Call the API and return its JSON; None for what is not there, where ``missing`` allows it.

    Raises Failed with the Engine's message.
    """
    from .engine import Engine

    connection = Engine(SOCKET, PATIENCE)
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


def quoted(text: str) -> str:
    """Return ``text`` as it stands in a query of the API."""
    from urllib.parse import quote

    return quote(text)


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
    names = {name.lstrip("/") for entry in found for name in entry["Names"]}
    living = {entry["Id"] for entry in found}
    return names | {name for name in _remembered() if name not in names and _known(name) in living}


def has_image(name: str) -> bool:
    """Whether Docker has an image of that name."""
    return ask("GET", f"/images/{name}/json", missing=True) is not None


def take_image(repository: str, tag: str = "latest", *changes: str) -> None:
    """Import the containers' file system as an image; ``changes`` are lines of a Dockerfile."""
    said = "".join(f"&changes={quoted(line)}" for line in changes)
    with open(LAYER, "rb") as layer:
        path = f"/images/create?fromSrc=-&repo={repository}&tag={tag}{said}"
        ask("POST", path, body=layer.read())


def prepare(names: list[str]) -> None:
    """Import the containers' image and create those of the networks that Docker doesn't know."""
    if not has_image(IMAGE):
        take_image(IMAGE)
    known = _networks()
    for name in names:
        if name not in known:
            with open(f"{DEFINITIONS}/{name}.json", encoding="utf-8") as file:
                ask("POST", "/networks/create", body=json.load(file))


def make(text: str) -> None:
    """Create the networks of an Engine API document that Docker doesn't know by their names."""
    said = json.loads(text)
    known = _networks()
    for body in said if isinstance(said, list) else [said]:
        if body["Name"] not in known:
            ask("POST", "/networks/create", body=body)


def forget(name: str) -> None:
    """Remove the network ``name``, if Docker knows it."""
    if name in _networks():
        ask("DELETE", f"/networks/{name}", missing=True)


def called(network: dict) -> str:
    """Return what Docker calls a network: the user's own file may have named it otherwise.

    Compose puts the project's name before it. It is told by the interface below and its subnets.
    Raises Failed where Docker has no such network.
    """
    if not network.get("own_file"):
        return str(network["name"])
    entries = ask("GET", "/networks") or ()
    found = [entry for entry in entries if is_one(network, entry)]
    named = [entry for entry in found if entry["Name"].endswith(network["name"])]
    if not found:
        raise Failed(f"{network['own_file']} has made no network {network['name']} in Docker")
    return str((named or found)[0]["Name"])


def is_one(network: dict, entry: dict) -> bool:
    """Whether the plan's ``network`` is what Docker shows as ``entry``."""
    below = (entry.get("Options") or {}).get("parent", "")
    subnets = {config.get("Subnet") for config in (entry.get("IPAM") or {}).get("Config") or ()}
    wanted = {pool["subnet"] for pool in network["pools"]}
    told = not subnets or not wanted or bool(subnets & wanted)
    known = ("", network["parent"], *network.get("below", ()))
    return entry["Driver"] == network["driver"] and told and below in known


def forget_unused() -> None:
    """Remove the networks that no container is in: what the user's own files had made."""
    ask("POST", "/networks/prune")


def of_project(project: str) -> list[dict]:
    """Return the containers of a Compose project, as ``docker ps --all`` has them."""
    label = f"com.docker.compose.project={project}"
    wanted = quoted(json.dumps({"label": [label]}))
    return list(ask("GET", f"/containers/json?all=1&filters={wanted}") or ())


def call(identity: str, name: str) -> str:
    """Call a container ``name``, if it isn't called so; return what it was called."""
    known = ask("GET", f"/containers/{identity}/json") or {}
    if known.get("Name") != f"/{name}":
        ask("POST", f"/containers/{identity}/rename?name={quoted(name)}")
    return str(known.get("Name", "")).lstrip("/")


def networks() -> list[dict]:
    """Return Docker's networks as ``docker network inspect`` shows them."""
    return list(ask("GET", "/networks") or ())


def _networks() -> set[str]:
    """Return the names of Docker's networks.

    Asked for one that isn't there, Docker takes its name to begin an id: "a" may be any network.
    """
    return {entry["Name"] for entry in networks()}


def remember(name: str, labels: dict[str, str], called: str = "") -> None:
    """Note by what the user's own file knows a container that the plan calls ``name``.

    Those are the labels that Compose gives it, or what the file calls it. Whoever has it made
    anew gives it that name, and not the plan's.
    """
    known = _remembered()
    known[name] = {"labels": [f"{key}={value}" for key, value in labels.items()], "name": called}
    write(NAMES, json.dumps(known))


def _remembered() -> dict[str, dict]:
    return dict(json.loads(files.read(NAMES) or "{}"))


def _by_own_file(name: str) -> str:
    """Return the id of a container by what the user's own file knows it by; nothing for none."""
    said = _remembered().get(name)
    if not said:
        return ""
    wanted: dict[str, list[str]] = {"label": said["labels"]} if said["labels"] else {}
    if not wanted:
        wanted = {"name": [f"^/{re.escape(said['name'])}$"]}
    filters = quoted(json.dumps(wanted))
    found = ask("GET", f"/containers/json?all=1&filters={filters}") or ()
    living = [entry for entry in found if entry.get("State") == "running"]
    return str((living or list(found))[0]["Id"]) if found else ""


def identities(names: list[str]) -> set[str]:
    """Return the ids of the containers that the plan calls so, whatever they are called now.

    They are called as the plan does again: whoever looks for one asks for it by that name.
    """
    found = {name: _known(name) for name in names}
    for name, identity in found.items():
        if identity:
            call(identity, name)
    return {identity for identity in found.values() if identity}


def _known(name: str) -> str:
    """Return the id of the container ``name``; empty where there is none.

    As with networks, one that isn't there must not be asked for by its name: a plain
    hexadecimal one like "db" would be any container whose id begins so.
    """
    wanted = quoted(json.dumps({"name": [f"^/{re.escape(name)}$"]}))
    found = ask("GET", f"/containers/json?all=1&filters={wanted}")
    return found[0]["Id"] if found else _by_own_file(name)


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


def start(container: dict, networks: dict[str, dict], own: dict | None = None) -> None:
    """Create the container with its planned addresses, start it, and say what Docker can't.

    ``own`` says what runs in it by the API's words, where that is a program of the user's own;
    what this says is kept.
    """
    name = container["name"]
    kept = {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}} if own else {}
    _remove(name)
    endpoints = {
        called(networks[attachment["network"]]): _endpoint(
            attachment, networks[attachment["network"]]
        )
        for attachment in container["attachments"]
    }
    first, *others = endpoints
    body = {
        **(own or {"Image": IMAGE, "Cmd": SLEEP}),
        "Hostname": name,
        "HostConfig": {"NetworkMode": first, "CapAdd": ["NET_ADMIN"], **kept},
        "NetworkingConfig": {"EndpointsConfig": {first: endpoints[first]}},
    }
    ask("POST", f"/containers/create?name={name}", body=body)
    ask("POST", f"/containers/{name}/start")
    # Once it runs: what was joined before is numbered eth0, eth1 by the networks' names instead
    # (moby/moby#46036).
    for network in others:
        connection = {"Container": name, "EndpointConfig": endpoints[network]}
        ask("POST", f"/networks/{network}/connect", body=connection)
    try:
        afterwards(container, networks)
    except Failed as error:
        # It may have ended meanwhile.
        if enter(name):
            raise
        raise Ended("its process has ended") from error


def afterwards(container: dict, networks: dict[str, dict]) -> None:
    """Say to a running container's kernel what can't be said to Docker.

    It ignores the MAC address of what is joined later (moby/moby#48192).
    """
    links = [
        f"link set dev {attachment['interface']} address {mac}"
        for attachment in container["attachments"][1:]
        if (mac := routes.given_mac(attachment, networks[attachment["network"]]))
    ]
    # Docker gives each container a default route by some gateway, whoever has that address,
    # and knows neither routes without one nor further ones.
    inside = enter(container["name"])
    if not inside:
        raise Ended("its process has ended")
    pools = [p for a in container["attachments"] for p in networks[a["network"]]["pools"]]
    if any(":" in pool["subnet"] for pool in pools):
        run([*inside, "ip", "-6", "route", "flush", "exact", "default"])
    # In a batch ip flushes routes of IPv4 alone (iproute2, ip/iproute.c,
    # iproute_list_flush_or_save).
    batch(["route flush exact default", *links, *routes.lines(container, networks)], inside)


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
    if mac := routes.given_mac(attachment, network):
        settings["MacAddress"] = mac
    return settings
