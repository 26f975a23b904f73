"""Containers that run on the node and that no plan knows, of Docker and of podman."""

from __future__ import annotations

import json
import os

from . import docker, files, podman
from .commands import Failed, run

# Where podman keeps its containers: without it nobody has used podman here.
STORAGE = "/var/lib/containers/storage"
COMPOSE_PROJECT = "com.docker.compose.project"


def unplanned() -> list[dict]:
    """Return what runs and isn't planned: its runtime, name, image, and who started it, in words.

    Raises Failed where a runtime that was used doesn't answer.
    """
    node = json.loads(files.read(files.NODE) or "{}")
    planned = {c["name"]: c["runtime"] for c in node.get("containers", [])}
    return [*_of_docker(planned), *_of_podman(planned)]


def _of_docker(planned: dict[str, str]) -> list[dict]:
    # The socket alone is systemd's: asking there would start an engine that nobody uses.
    if not os.path.exists("/run/docker.pid"):
        return []
    found = []
    ours: set[str] | None = None
    for entry in docker.ask("GET", "/containers/json") or ():
        names = [name.lstrip("/") for name in entry["Names"]]
        if not any(planned.get(name) == "docker" for name in names):
            if ours is None:
                # Somebody may have made it anew from its own file, by its name there.
                ours = docker.identities([n for n, kind in planned.items() if kind == "docker"])
            if entry["Id"] in ours:
                continue
            project = entry["Labels"].get(COMPOSE_PROJECT)
            by = f"docker compose, project {project}" if project else "docker"
            found.append(_one("docker", names[0], entry["Image"], by))
    return found


def _of_podman(planned: dict[str, str]) -> list[dict]:
    if not os.path.isdir(STORAGE):
        return []
    podman.settle()
    ours = {podman.pid(name) for name, runtime in planned.items() if runtime == "podman"}
    try:
        entries = json.loads(run([*podman.PODMAN, "ps", "--format", "json"]) or "[]")
    except ValueError as error:
        raise Failed(f"podman ps: {error}") from error
    # What is in a planned pod has that one's network, and none of its own.
    pods = {entry.get("Pod") for entry in entries or () if entry["Pid"] in ours} - {"", None}
    return [
        _one("podman", entry["Names"][0], entry["Image"], _starter(entry))
        for entry in entries or ()
        if entry["Pid"] not in ours and entry.get("Pod") not in pods
    ]


def _starter(entry: dict) -> str:
    unit = (entry.get("Labels") or {}).get("PODMAN_SYSTEMD_UNIT")
    return f"podman, unit {unit}" if unit else "podman"


def _one(runtime: str, name: str, image: str, by: str) -> dict:
    return {"runtime": runtime, "name": name, "image": image, "by": by}
