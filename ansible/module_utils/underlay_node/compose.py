"""Compose files of the user's own: ``docker compose`` acts on them, beside a file that overrides.

Networks stay as they are written. What a service is beyond its network is put aside: its volumes,
ports and devices, its command and what is asked of its health, since a stand-in runs it.
"""

from __future__ import annotations

import json
import os
import re

from . import docker, files, own, routes, stand_in
from .commands import Failed, run, write

COMPOSE = ["docker", "compose", "--ansi", "never", "--progress", "plain"]
# s for all of it, and for each container; Docker starts them one after the other.
DEADLINE, EACH = 120.0, 30.0
OVERRIDES = "/run/underlay/compose"
LABEL = "com.docker.compose"
# What of a service is left out: it reaches for what isn't on a node, or a stand-in can't do.
OUTSIDE = (
    "build", "cgroup", "cgroup_parent", "configs", "cpu_count", "cpu_percent", "cpu_period",
    "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares", "cpus", "cpuset",
    "credential_spec", "develop", "device_cgroup_rules", "devices", "env_file",
    "extra_hosts", "gpus", "group_add", "healthcheck", "init", "ipc", "isolation", "links",
    "logging", "mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "pid",
    "pids_limit", "platform", "ports", "privileged", "runtime", "secrets",
    "security_opt", "shm_size", "storage_opt", "tmpfs", "ulimits", "userns_mode", "uts",
    "volumes", "volumes_from",
)  # fmt: skip
# What only the user's own image can be asked for.
OWN_IMAGE = ("command", "entrypoint", "user", "working_dir", "stop_signal")
# The file that docker compose takes of a folder by itself, and what it then lays over it: the
# first of these that is there (compose-go, cli/options.go).
USUAL = re.compile(r"(docker-)?compose\.ya?ml")
LAID_OVER = ("compose.override.yml", "compose.override.yaml",
             "docker-compose.override.yml", "docker-compose.override.yaml")  # fmt: skip
CHOSEN = re.compile(r"^\s*(?:export\s+)?COMPOSE_(FILE|PATH_SEPARATOR)=(.*?)\s*$", re.MULTILINE)
NO_ENV_FILE = re.compile(r"env file (\S+) not found")
# Compose's remarks that no lab is about.
REMARKS = ("IPv4 forwarding is disabled", "the attribute `version` is obsolete")
MISSING_FILES = 20


def start(file: dict, specified: dict[str, dict], notes: list[str]) -> dict[str, str]:
    """Bring the file's services up; return the id of each of the ``specified`` containers, by name.

    What of the services was put aside is added to ``notes``. Raises Failed with Compose's own
    words, and with the user's file and line where these tell it.
    """
    try:
        return _start(file, specified, notes)
    except Failed as error:
        words = _plain(str(error))
        raise Failed(f"{own.where(file, words)}: {words}") from error


def _start(file: dict, specified: dict[str, dict], notes: list[str]) -> dict[str, str]:
    chosen = composed_of(file["path"])
    said = _read(chosen)
    services = said.get("services") or {}
    images = {name: _image(said, name) for name in services}
    stood_in = stand_in.for_docker(sorted({*images.values()}))
    given = pairs(said, specified)
    beside = f"{OVERRIDES}/{said['name']}.yml"
    write(beside, override(said, specified, given, images, stood_in))
    notes += [f"{file['source']}: {words}" for words in put_aside(said, images, stood_in)]
    words = ["up", "--detach", "--no-build", "--pull", "never", "--quiet-pull"]
    given_files = _by_name([*chosen, beside])
    run([*COMPOSE, *given_files, *words], deadline=DEADLINE + EACH * len(services))
    return _named(said["name"], given)


def composed_of(path: str) -> list[str]:
    """Return the files that Compose puts together where it is started in the folder of ``path``.

    Those are what the folder's ``.env`` names, else ``path`` and what is laid over it there.
    """
    folder, name = os.path.split(path)
    said = files.read(f"{folder}/.env") or ""
    named = {key: value.strip("'\"") for key, value in CHOSEN.findall(said)}
    separator = named.get("PATH_SEPARATOR") or ":"
    words = [word for word in named.get("FILE", "").split(separator) if word]
    chosen = [os.path.normpath(os.path.join(folder, word)) for word in words]
    if path in chosen:
        return chosen
    over = [f"{folder}/{word}" for word in LAID_OVER] if USUAL.fullmatch(name) else []
    return [path, *[one for one in over if os.path.exists(one)][:1]]


def _by_name(paths: list[str]) -> list[str]:
    return [word for path in paths for word in ("--file", path)]


def _read(chosen: list[str]) -> dict:
    """Return the files as Compose reads them; an env file that isn't here is an empty one."""
    words = [*COMPOSE, *_by_name(chosen), "config", "--format", "json"]
    for _ in range(MISSING_FILES):
        try:
            return dict(json.loads(run(words, deadline=DEADLINE)))
        except Failed as error:
            lacking = NO_ENV_FILE.search(str(error))
            if not lacking or os.path.lexists(lacking[1].rstrip(":")):
                raise
            write(lacking[1].rstrip(":"), "")
    raise Failed(f"{chosen[0]} names more than {MISSING_FILES} env files that aren't here")


def _image(said: dict, service: str) -> str:
    """Return the name of a service's image; one that is built has the project's before it."""
    return str(said["services"][service].get("image") or f"{said['name']}-{service}")


def pairs(said: dict, specified: dict[str, dict]) -> dict[str, list[str]]:
    """Return the names of the plan's containers by service: its own, or its own with a number."""
    found: dict[str, list[str]] = {}
    for service, body in (said.get("services") or {}).items():
        known = {_word(service), _word(body.get("container_name") or service)}
        found[service] = [
            name
            for name in specified
            if name in known or re.sub(r"-([0-9]+[a-z]*|[a-z])$", "", name) in known
        ]
    return found


def _word(name: str) -> str:
    """Return a name as the plan spells it: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def override(
    said: dict,
    specified: dict[str, dict],
    given: dict[str, list[str]],
    images: dict[str, str],
    stood_in: list[str],
) -> str:
    """Return the Compose file that is laid over the user's, which ``said`` is as Compose reads it.

    ``given`` are the plan's containers by service, ``images`` each service's image, and
    ``stood_in`` those of them that a stand-in is. Source: the merging rules of Compose,
    https://docs.docker.com/reference/compose-file/merge/
    """
    lines = ["services:"]
    for service, body in said["services"].items():
        lines.append(f"  {json.dumps(service)}:")
        lines.append(f"    image: {json.dumps(stand_in.usable(images[service]))}")
        lines += [f"    {key}: !reset null" for key in _away(body, images[service] in stood_in)]
        if (body.get("deploy") or {}).get("resources"):
            lines += ["    deploy:", "      resources: !reset null"]
        # In order, but whoever is waited for is a stand-in, which is never healthy nor done.
        after = {name: {"condition": "service_started"} for name in body.get("depends_on") or ()}
        if after:
            lines.append(f"    depends_on: !override {json.dumps(after)}")
        if len(given[service]) == 1:
            lines += _endpoints(said, body, specified[given[service][0]])
    return "\n".join(lines) + "\n"


def _away(body: dict, stood_in: bool) -> list[str]:
    """Return the keys of a service that are put aside."""
    keys = [*OUTSIDE, *(OWN_IMAGE if stood_in else ())]
    return [key for key in keys if body.get(key) not in (None, [], {}, False)]


def put_aside(said: dict, images: dict[str, str], stood_in: list[str]) -> list[str]:
    """Return in words what of the services was put aside, and which run a stand-in."""
    found = []
    for service, body in said["services"].items():
        stands = images[service] in stood_in
        if stands:
            found.append(f"a stand-in runs as {service}, for its image {images[service]}")
        keys = _away(body, stands)
        if keys:
            found.append(f"of {service} put aside: {', '.join(keys)}")
    return found


def _endpoints(said: dict, body: dict, specified: dict) -> list[str]:
    """Return the lines that give a service's only container what its file leaves open.

    That is an address of the network's range and a MAC address: Docker would take any.
    """
    found: dict[str, dict] = {}
    for attachment in specified["container"]["attachments"]:
        network = specified["networks"][attachment["network"]]
        key = _key(said, body, network)
        if key is None:
            continue
        settings = (body["networks"] or {}).get(key) or {}
        own: dict[str, str] = {}
        entry = said["networks"][key]
        if entry.get("external") or (entry.get("ipam") or {}).get("config"):
            for address in routes.given(attachment, network):
                word = "ipv6_address" if ":" in address else "ipv4_address"
                own[word] = address.partition("/")[0]
        mac = routes.given_mac(attachment, network)
        if mac and not body.get("mac_address"):
            own["mac_address"] = mac
        found[key] = {word: value for word, value in own.items() if word not in settings}
    return [f"    networks: {json.dumps(found)}"] if any(found.values()) else []


def _key(said: dict, body: dict, network: dict) -> str | None:
    """Return the file's key of one of a service's networks, which the plan knows as ``network``."""
    keys = list(body.get("networks") or ())
    entries = {key: said["networks"].get(key) or {} for key in keys}
    shown = {key: _as_shown(entry) for key, entry in entries.items()}
    # One that is there already, the file tells by its name alone.
    outer = {entry["name"]: key for key, entry in entries.items() if entry.get("external")}
    there = docker.networks() if outer else []
    shown |= {outer[entry["Name"]]: entry for entry in there if entry["Name"] in outer}
    found = [key for key in keys if docker.is_one(network, shown[key])]
    return next((key for key in found if key == network["name"]), found[0] if found else None)


def _as_shown(entry: dict) -> dict:
    """Return a network of the file as the Engine would show it."""
    configs = (entry.get("ipam") or {}).get("config") or ()
    return {
        "Driver": entry.get("driver") or "bridge",
        "Options": entry.get("driver_opts") or {},
        "IPAM": {"Config": [{"Subnet": config.get("subnet")} for config in configs]},
    }


def _named(project: str, given: dict[str, list[str]]) -> dict[str, str]:
    """Call the project's containers as the plan does; return the id of each by that name.

    Whoever looks for a container asks Docker for it by the plan's name.
    """
    found: dict[str, str] = {}
    for service, names in given.items():
        entries = [e for e in docker.of_project(project) if _label(e, "service") == service]
        entries.sort(key=lambda e: int(_label(e, "container-number") or 0))
        for number, entry in enumerate(entries[: len(names)]):
            docker.call(entry["Id"], names[number])
            labels = ("project", "service", "container-number")
            told = {f"{LABEL}.{key}": _label(entry, key) for key in labels}
            docker.remember(names[number], told)
            found[names[number]] = entry["Id"]
    return found


def _label(entry: dict, key: str) -> str:
    return str(entry["Labels"].get(f"{LABEL}.{key}", ""))


def _plain(words: str) -> str:
    """Return Compose's words in one line, without those that are about what goes well."""
    lines = [
        line.strip()
        for line in words.splitlines()
        if line.strip()
        and not re.search(r" (Creating|Created|Starting|Started|Running|Recreated?)\s*$", line)
        and not any(remark in line for remark in REMARKS)
    ]
    return " ".join(lines)
