"""Images that stand for those that the user's own files name: nothing can be fetched here.

A stand-in has the name, and whatever command it is given, it does nothing but hold the container's
namespaces. It says so by its label.
"""

from __future__ import annotations

import glob

from . import docker
from .commands import Failed, run
from .podman import PODMAN

# The user's command comes behind it, and is no more than the names of the shell's parameters.
ENTRYPOINT = 'ENTRYPOINT ["/bin/sh", "-c", "exec /bin/sleep 2147483647"]'
LABEL = "LABEL underlay.stand-in=true"
NAME = "underlay/stand-in"
# Archives that the lab file names, put here by the boot (see images.py of the host).
ARCHIVES = "/var/lib/underlay/images"
LOAD_DEADLINE = 300.0


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
    for archive in archives():
        run(["docker", "load", "--quiet", "--input", archive], deadline=LOAD_DEADLINE)
    lacking = [image for image in images if not docker.has_image(usable(image))]
    if lacking and not docker.has_image(NAME):
        docker.take_image(NAME, "latest", ENTRYPOINT, LABEL)
    for image in lacking:
        repository, tag = split(image)
        docker.ask("POST", f"/images/{NAME}/tag?repo={repository}&tag={tag}")
    return lacking


def for_podman(images: list[str]) -> list[str]:
    """Give podman a stand-in for each of ``images`` that it hasn't; return those stood in for."""
    for archive in archives():
        run([*PODMAN, "load", "--quiet", "--input", archive], deadline=LOAD_DEADLINE)
    lacking = [image for image in images if not _podman_has(usable(image))]
    if lacking and not _podman_has(NAME):
        changes = ["--change", ENTRYPOINT, "--change", LABEL]
        run([*PODMAN, "import", "--quiet", *changes, docker.LAYER, NAME])
    for image in lacking:
        run([*PODMAN, "tag", NAME, usable(image)])
    return lacking


def archives() -> list[str]:
    """Return the archives of the user's own images on this node."""
    return sorted(glob.glob(f"{ARCHIVES}/*"))


def _podman_has(image: str) -> bool:
    try:
        run([*PODMAN, "image", "exists", image])
    except Failed:
        return False
    return True
