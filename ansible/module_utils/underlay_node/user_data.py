"""user-data of the user's own: cloud-init acts on it beside Underlay's own, once, at first boot.

What a node is made of by Underlay stays. What would reach outside is taken out, since nodes reach
nothing: packages, downloads, clocks and keys of others; and of commands those that fetch something,
or that start containers, which the programs of these files do here.
"""

from __future__ import annotations

import json
import os
import re

from . import files, own
from .commands import Failed, run, write

FOLDER = "/run/underlay/user-data"
# What cloud-init carries out of it, in this order.
MODULES = {"bootcmd": "cc_bootcmd", "write_files": "cc_write_files"}
KEPT = ("bootcmd", "write_files", "runcmd")
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
        write(own.WRITTEN, json.dumps(_written(file, kept["write_files"])))
        if kept.get("runcmd"):
            path = f"{FOLDER}/runcmd"
            write(path, run(["python3", "-c", SHELL], json.dumps(kept["runcmd"])))
            run(["sh", path], deadline=DEADLINE)
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


def without_outside(said: dict) -> tuple[dict, list[str]]:
    """Return what cloud-init is to act on, and in words what was taken out."""
    away = [key for key in said if key not in (*KEPT, *NAMES)]
    kept: dict = {key: [] for key in KEPT}
    for key in ("bootcmd", "runcmd"):
        for command in said.get(key) or ():
            text = command if isinstance(command, str) else " ".join(map(str, command))
            if AWAY.search(text):
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
