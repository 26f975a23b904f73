"""What the node says of itself when it is asked whether it is ready; nothing is changed.

``up`` believes it, and not that a program ended without an error: the statement names the
files that the node was made from, so that no other boot's, lab's or version's stands for it.
"""

from __future__ import annotations

import hashlib
import json

from . import containers, files, own, podman, programs, remember
from .commands import Failed


def statement() -> dict:
    """Return the node's lab and name, its files' digests, its containers, and what failed."""
    said: dict = {"lab": "", "node": "", "files": {}, "containers": 0, "failed": []}
    try:
        text = files.read(files.NODE)
        if not text:
            raise Failed(f"there is no {files.NODE}")
        node = json.loads(text)
        said["lab"], said["node"] = node["lab"], node["node"]["name"]
        said["containers"] = len(node["containers"])
        said["files"] = {path: digest(files.read(path)) for path in node["files"]}
        said["failed"] = _failed(node)
    except (Failed, OSError) as error:
        said["failed"].append(str(error))
    except (ValueError, KeyError, TypeError) as error:
        said["failed"].append(f"{files.NODE} can't be read: {error!r}")
    return said


def digest(text: str | None) -> str:
    """Return the SHA-256 of a file's text; empty where there is no such file."""
    return "" if text is None else hashlib.sha256(text.encode()).hexdigest()


def _failed(node: dict) -> list[str]:
    """Return what failed when the node was made, then what is missing or has ended since."""
    record = remember.recall()
    if not record.node:
        return record.failed or ["the node program has not run"]
    wanted = containers.wanted(node)
    if record.failed:
        # What had been started may have ended all the same.
        started = {n: one for n, one in record.containers.items() if wanted.get(n) == one}
        own_ones = {n: one for n, one in started.items() if programs.has_one(one["container"])}
        ended = containers.ended(own_ones)
        return record.failed + [f"{name}: {words}" for name, words in ended.items()]
    failed = own.missing(node)
    failed += [
        f"{name}: was not started" for name in wanted if record.containers.get(name) != wanted[name]
    ]
    used = [n for name in wanted for n in wanted[name]["networks"].values()]
    failed += podman.unserved(used)
    started = {name: specified for name, specified in wanted.items() if name in record.containers}
    return failed + [f"{name}: {words}" for name, words in containers.ended(started).items()]
