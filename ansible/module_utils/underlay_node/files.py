"""The files that are sent to a node: those of the runtimes, and node.json itself."""

from __future__ import annotations

import os

from .commands import write

NODE = "/etc/underlay/node.json"
# What is sent is written nowhere else; cloud-init, which has no such bounds, isn't asked twice.
FOLDERS = ("/etc/underlay/", "/etc/rkt/net.d/", "/etc/containers/networks/")


def differing(files: dict[str, str], known: list[str]) -> tuple[list[str], list[str]]:
    """Return which of ``files`` (path → content) must be written, and what must be removed.

    ``known`` are the files that were sent before. Raises ValueError for a path elsewhere.
    """
    for path in files:
        if not path.startswith(FOLDERS) or ".." in path.split("/"):
            raise ValueError(f"{path}: nothing that is sent may be written there")
    changed = [path for path, content in files.items() if read(path) != content]
    gone = [path for path in known if path not in files and os.path.lexists(path)]
    return sorted(changed), sorted(gone)


def read(path: str) -> str | None:
    """Return the file's text; None where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def install(files: dict[str, str], changed: list[str], gone: list[str]) -> None:
    """Write and remove what ``differing`` returned."""
    for path in gone:
        os.unlink(path)
    for path in changed:
        write(path, files[path])
