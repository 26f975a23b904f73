"""Images that stand for those that the user's own files name: nothing can be fetched here.

A stand-in has the name, and whatever command it is given, it does nothing but hold the container's
namespaces. It says so by its label.
"""

from __future__ import annotations

import glob
import os

from . import docker
from .commands import run, write
from .podman import PODMAN

# The user's command comes behind it, and is no more than the names of the shell's parameters.
ENTRYPOINT = 'ENTRYPOINT ["/bin/sh", "-c", "exec /bin/sleep 2147483647"]'
MARK = "underlay.stand-in"
LABEL = f"LABEL {MARK}=true"
NAME = "underlay/stand-in"
# Archives that the lab file names, put here by the boot.
ARCHIVES = "/var/lib/underlay/images"
# Which of them an engine has by now.
LOADED = "/run/underlay/loaded"
LOAD_DEADLINE = 300.0
# Where an archive is written anew for an engine that doesn't take it as it is.
CONVERTED = "/var/lib/underlay/converted"


def split(image: str) -> tuple[str, str]:
    """Return an image's repository and tag; a digest is no tag, and can be given to nothing."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "latest")


def usable(image: str) -> str:
    """Return the name to run ``image`` by: without a digest, which only its own content has."""
    repository, tag = split(image)
    return f"{repository}:{tag}" if "@" in image else image


def for_docker(images: list[str]) -> list[str]:
    """Give Docker a stand-in for each of ``images`` that it hasn't; return those stood in for."""
    load("docker", ["docker"])
    stood_in = []
    for image in images:
        known = docker.ask("GET", f"/images/{usable(image)}/json", missing=True)
        if known is None:
            if not docker.has_image(NAME):
                docker.take_image(NAME, "latest", ENTRYPOINT, LABEL)
            repository, tag = split(image)
            docker.ask("POST", f"/images/{NAME}/tag?repo={repository}&tag={tag}")
        if known is None or MARK in ((known.get("Config") or {}).get("Labels") or {}):
            stood_in.append(image)
    return stood_in


def for_podman(images: list[str]) -> list[str]:
    """Give podman a stand-in for each of ``images`` that it hasn't; return those stood in for."""
    load("podman", PODMAN)
    stood_in = []
    for image in images:
        known = _in_podman(usable(image))
        if known is None:
            if _in_podman(NAME) is None:
                changes = ["--change", ENTRYPOINT, "--change", LABEL]
                run([*PODMAN, "import", "--quiet", *changes, docker.LAYER, NAME])
            run([*PODMAN, "tag", NAME, usable(image)])
        if known is None or known == "true":
            stood_in.append(image)
    return stood_in


def _in_podman(image: str) -> str | None:
    """Return what podman's image says of being a stand-in; None where there is no such image."""
    form = f'{{{{index .Labels "{MARK}"}}}}.'
    said = run([*PODMAN, "image", "inspect", "--format", form, image], check=False).strip()
    return said.rstrip(".") if said.endswith(".") else None


def load(engine: str, words: list[str]) -> None:
    """Have an engine load the archives of the user's own images, once."""
    for archive in sorted(glob.glob(f"{ARCHIVES}/*")):
        mark = f"{LOADED}-{engine}/{os.path.basename(archive)}"
        if not os.path.exists(mark):
            from . import archives

            path = archive
            if engine == "docker" and archives.is_oci(archive):
                path = f"{CONVERTED}/{os.path.basename(archive)}"
                os.makedirs(CONVERTED, exist_ok=True)
                archives.for_docker(archive, path)
            run([*words, "load", "--quiet", "--input", path], deadline=LOAD_DEADLINE)
            if path != archive:
                os.unlink(path)
            write(mark, "")
