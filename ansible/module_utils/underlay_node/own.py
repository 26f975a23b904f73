"""Files that the node's user wrote: at their real paths word for word, and who acts on them.

They stand in node.json with all of their text, ``own`` of the node: path, program, text, mode and
source. Nothing is rendered for what they make: the program that owns a file's format reads it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re

from . import files
from .commands import Failed, write

# Where Underlay's own files are: there no user's file belongs.
OURS = (
    "/etc/underlay/", "/opt/underlay/", "/run/underlay/", "/usr/libexec/underlay/",
    "/usr/share/underlay/",
)  # fmt: skip
# The files that user-data of the user's own has written, once cloud-init has acted on it.
WRITTEN = "/run/underlay/user-data/written.json"
SYSTEMD = "/run/systemd/system"
SCRIPTS = ("script", "docker-script", "podman-script")
# What a script makes by ip, the words behind `ip link add` to the end of the command.
MADE = re.compile(r"\bl(?:ink)?\s+add\b([^\n;&|]*)")
ASSIGNED = re.compile(
    r"^\s*(?:export\s+|readonly\s+)?(\w+)=[\"']?([\w.:/-]*)[\"']?\s*(?:#.*)?$", re.M
)
VARIABLE = re.compile(r"\$\{?(\w+)\}?")
# What systemd-networkd reads.
UNITS = ("networkd",)
# A word that is long enough to be told from others in a program's message.
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]{2,}")


def of_node(node: dict, *programs: str) -> list[dict]:
    """Return the own files of a node.json's document, those of ``programs`` where any are named."""
    found = list(node.get("node", {}).get("own") or [])
    if any(file["program"] == "user-data" for file in found):
        found += json.loads(files.read(WRITTEN) or "[]")
    return [file for file in found if not programs or file["program"] in programs]


def units(node: dict) -> list[dict]:
    """Return the units that networkd is to act on; a lean node has no systemd (sd_booted(3))."""
    return of_node(node, *UNITS) if os.path.isdir(SYSTEMD) else []


def by_path(node: dict) -> dict[str, dict]:
    """Return the own files by their path on the node."""
    return {file["path"]: file for file in of_node(node)}


def differing(node: dict, before: dict) -> tuple[list[dict], list[str]]:
    """Return the own files that must be written, and the paths of those that are none any more.

    Raises Failed for a path where no user's file belongs.
    """
    wanted = by_path(node)
    for path in wanted:
        if path.startswith(OURS) or not path.startswith("/") or ".." in path.split("/"):
            raise Failed(f"{path}: no file of a user's own belongs there")
    changed = [file for path, file in wanted.items() if files.read(path) != file["text"]]
    gone = [path for path in by_path(before) if path not in wanted and os.path.lexists(path)]
    return changed, gone


def install(changed: list[dict], gone: list[str]) -> None:
    """Write and remove what ``differing`` returned."""
    for path in gone:
        os.unlink(path)
    for file in changed:
        write(file["path"], file["text"])
        os.chmod(file["path"], file["mode"])


def missing(node: dict) -> list[str]:
    """Return in words which own files aren't on the node as the user wrote them."""
    return [
        f"{file['path']} is not {file['source']} word for word"
        for file in of_node(node)
        if files.read(file["path"]) != file["text"]
    ]


def made_by_scripts(node: dict) -> dict[str, list[str]]:
    """Return by the path of each script which of the node's planned interfaces it makes by ip."""
    here = node.get("node", {})
    names = [one["interface"] for key in ("vlans", "links") for one in here.get(key) or ()]
    found = {}
    for file in of_node(node, *SCRIPTS):
        forms = _names_made(re.sub(r"\\\n", " ", file["text"]))
        made = [one for one in names if any(form.fullmatch(one) for form in forms)]
        if made:
            found[file["path"]] = made
    return found


def _names_made(text: str) -> list[re.Pattern[str]]:
    """Return what the interfaces are called that a script makes by ip.

    A variable that a loop sets may be anything; one that the script gives a value is that.
    """
    known = dict(ASSIGNED.findall(text))
    found = []
    for behind in MADE.findall(text):
        words = iter(behind.replace('"', "").replace("'", "").split())
        name = ""
        for word in words:
            if word == "type":
                break
            if word == "link":
                next(words, "")
            elif word in ("name", "dev"):
                name = next(words, "")
            else:
                name = name or word
        told = VARIABLE.sub(lambda one: known.get(one[1], one[0]), name)
        if VARIABLE.sub("", told):
            parts = VARIABLE.split(told)[::2]
            found.append(re.compile(r"[\w.-]+".join(re.escape(part) for part in parts)))
    return found


def to_run(node: dict, before: dict) -> dict[str, list[str]]:
    """Return those scripts that are to make interfaces: changed ones, and what isn't there."""
    known = by_path(before)
    return {
        path: names
        for path, names in made_by_scripts(node).items()
        if known.get(path, {}).get("text") != by_path(node)[path]["text"]
        or not all(os.path.exists(f"/sys/class/net/{name}") for name in names)
    }


def digest(node: dict, path: str) -> str:
    """Return a hash of the own file at ``path`` and of those beside it, which it may include."""
    folder = os.path.dirname(path)
    texts = sorted(
        (file["path"], file["text"])
        for file in of_node(node)
        if os.path.dirname(file["path"]).startswith(folder)
    )
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]


def network(one: dict, node: dict) -> dict:
    """Return a network with what the user's own file on this node says of it, if one makes it.

    ``own_file`` is that file's path and ``own_digest`` its hash, by which a change is seen.
    """
    path = dict(one.get("made_by") or ()).get(node["node"]["name"], "")
    if not path:
        return one
    names = [name for name, called in node["node"].get("also") or () if called == one["parent"]]
    below = {"below": names} if names else {}
    return {**one, "own_file": path, "own_digest": digest(node, path), **below}


def container(one: dict, node: dict) -> dict:
    """Return a container with the hash of the user's own file that starts it, if one does."""
    path = one.get("started_by") or ""
    return {**one, "own_digest": digest(node, path)} if path else one


def where(file: dict, words: str) -> str:
    """Return the file as its user sees it, with the first line that has the longest of ``words``.

    A program that fails names what it failed at, seldom where that stands.
    """
    # What a program made of the user's file says the same words on other lines.
    lines = file.get("said", file["text"]).splitlines()
    for word in sorted(set(WORD.findall(words)), key=len, reverse=True):
        stem = word.rstrip(".:")
        found = [
            n
            for n, line in enumerate(lines, 1)
            if re.search(rf"(?<!\w){re.escape(stem)}(?!\w)", line)
        ]
        if 0 < len(found) <= 3:
            return f"{file['source']}:{found[0]}"
    return str(file["source"])
