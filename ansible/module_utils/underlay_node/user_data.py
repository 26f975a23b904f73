"""user-data of the user's own: cloud-init acts on it beside Underlay's own, once, at first boot.

What a node is made of by Underlay stays. What would reach outside is taken out, since nodes reach
nothing: packages, downloads, clocks and keys of others; and of commands those that fetch something,
or that start containers, which the programs of these files do here.
"""

from __future__ import annotations

import json
import os
import re

from . import files, own, quadlet
from .commands import Failed, run, write

FOLDER = "/run/underlay/user-data"
# What cloud-init carries out of it, in this order.
MODULES = {"bootcmd": "cc_bootcmd", "groups": "cc_users_groups", "users": "cc_users_groups",
           "timezone": "cc_timezone", "write_files": "cc_write_files"}  # fmt: skip
KEPT = ("bootcmd", "groups", "users", "timezone", "write_files", "runcmd")
# Of a user what reaches outside, and the one that the image's makers chose.
OF_USERS_OUTSIDE = ("ssh_import_id", "snapuser")
# Where the commands of runcmd are as a script: at cloud-init's own path are those of the node's
# own user-data. Such as make networks, containers or interfaces wait until networkd has acted, as
# they do on a host.
RUNCMD = "/var/lib/cloud/own/runcmd"
MAKES = re.compile(
    r"\b(docker|podman)\s+(network\s+create|container\s+run|run|create)\b"
    r"|\bip\b.*\bl(ink)?\s+add\b"
)
STARTS = r"\bsystemctl\b.*\b(re)?(start|enable)\b.*(?<![\w-]){unit}(?![\w-])"
# A node's name is its folder's in the fleet.
NAMES = ("hostname", "fqdn", "preserve_hostname", "manage_etc_hosts", "prefer_fqdn_over_hostname")
# cloud-init's own reader of YAML, and its own way from a list of commands to a script.
READ = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin.read()), default=str))"
SHELL = (
    "import json, sys; from cloudinit import util;"
    " sys.stdout.write(util.shellify(json.load(sys.stdin)))"
)
# Programs that fetch, or whose containers the files of the lab start with stand-ins.
AWAY = re.compile(
    r"(^|[\s;&|(/])(apt|apt-get|apk|dnf|yum|zypper|pacman|snap|curl|wget|git|pip3?|npm|docker|podman"
    r"|docker-compose|cloud-init|netplan|reboot|poweroff|shutdown)(\s|$)"
)
DEADLINE = 120.0
# By its path, which program a file is for that user-data writes.
PROGRAMS = {
    "cni": re.compile(r"/net\.d/[^/]+$"),
    "networkd": re.compile(r"^/etc/systemd/network/"),
    "quadlet": re.compile(r"^/etc/containers/systemd/"),
    "compose": re.compile(r"/(docker-)?compose[^/]*\.ya?ml$"),
    "script": re.compile(r"\.sh$"),
}


def act_on(file: dict, notes: list[str]) -> None:
    """Have cloud-init act on a user-data file; what of it is taken out is added to ``notes``.

    Raises Failed with cloud-init's words, or those of a command.
    """
    if not file["text"].startswith(("#cloud-config\n", "#cloud-config\r\n")):
        notes.append(f"{file['source']}: not acted on: it is no #cloud-config")
        return
    said = json.loads(run(["python3", "-c", READ], file["text"]))
    kept, away = without_outside(said or {})
    notes += [f"{file['source']}: taken out: {words}" for words in away]
    try:
        for key, module in MODULES.items():
            if kept.get(key):
                path = f"{FOLDER}/{key}.cfg"
                write(path, f"#cloud-config\n{json.dumps({key: kept[key]})}\n")
                words = ["single", "--name", module, "--frequency", "always", "--file", path]
                run(["cloud-init", *words], deadline=DEADLINE)
        written = _written(file, kept["write_files"])
        if kept.get("runcmd"):
            text = run(["python3", "-c", SHELL], json.dumps(kept["runcmd"]))
            if makes(kept["runcmd"]):
                one = {"path": RUNCMD, "program": "script", "text": text, "mode": 0o700}
                written.append({**one, "source": file["source"], "said": file["text"]})
            else:
                path = f"{FOLDER}/runcmd"
                write(path, text)
                run(["sh", path], deadline=DEADLINE)
        write(own.WRITTEN, json.dumps(written))
    except Failed as error:
        raise Failed(f"{own.where(file, str(error))}: {error}") from error


def _written(file: dict, entries: list[dict]) -> list[dict]:
    """Return what a user-data file has written as own files of the node, for their programs."""
    found = []
    for entry in entries:
        path = str(entry["path"])
        text = files.read(path)
        program = next((name for name, form in PROGRAMS.items() if form.search(path)), "")
        if program and text is not None:
            mode = os.stat(path).st_mode & 0o777
            source = f"{file['source']}: {path}"
            one = {"path": path, "program": program, "text": text, "mode": mode, "source": source}
            found.append(one)
    return found


def makes(commands: list) -> bool:
    """Whether commands of runcmd make networks, containers or interfaces."""
    texts = (one if isinstance(one, str) else " ".join(map(str, one)) for one in commands)
    return any(MAKES.search(text) for text in texts)


def _users(said: object) -> tuple[list, list[str]]:
    """Return the users that are made, and in words what of them is taken out."""
    kept, away = [], []
    for one in said if isinstance(said, list) else [said]:
        if isinstance(one, dict):
            out = [key for key in OF_USERS_OUTSIDE if key in one]
            away += [f"users: {one.get('name', '?')}: {key}" for key in out]
            kept.append({key: value for key, value in one.items() if key not in out})
        elif one and one != "default":
            kept.append(one)
    return kept, away


def _units(entries: list) -> list[str]:
    """Return the units that podman makes of the Quadlets that are written: these start later."""
    paths = [os.path.normpath(str(entry.get("path", ""))) for entry in entries]
    return [
        quadlet.unit(path).removesuffix(".service")
        for path in paths
        if PROGRAMS["quadlet"].search(path)
    ]


def without_outside(said: dict) -> tuple[dict, list[str]]:
    """Return what cloud-init is to act on, and in words what was taken out."""
    away = [key for key in said if key not in (*KEPT, *NAMES)]
    kept: dict = {key: [] for key in KEPT}
    kept |= {key: said[key] for key in ("groups", "timezone") if said.get(key)}
    kept["users"], without = _users(said.get("users") or ())
    away += without
    makers = makes(said.get("runcmd") or ())
    units = _units(said.get("write_files") or ())
    for key in ("bootcmd", "runcmd"):
        for command in said.get(key) or ():
            text = command if isinstance(command, str) else " ".join(map(str, command))
            # In a script that makes something programs that fetch are stood in for one by one.
            fetches = AWAY.search(text) and not (key == "runcmd" and makers)
            if fetches or any(re.search(STARTS.format(unit=re.escape(u)), text) for u in units):
                away.append(f"{key}: {text}")
            else:
                kept[key].append(command)
    for entry in said.get("write_files") or ():
        path = os.path.normpath(str(entry.get("path", "")))
        if "source" in entry or path.startswith(own.OURS):
            away.append(f"write_files: {path}")
        else:
            # Its owner may be one of the users that nobody makes here.
            kept["write_files"].append({k: v for k, v in entry.items() if k != "owner"})
    return kept, away
