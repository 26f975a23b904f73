"""Quadlets of the user's own: podman's generator makes units of them, and systemd starts these.

A drop-in beside each ``.container`` puts aside what is beyond its network, as for Compose files.
"""

from __future__ import annotations

import os
import re
import shlex

from . import own, podman, routes, script, stand_in
from .commands import Failed, run, write

# The image masks it: no boot without such files needs it.
MASK = "/etc/systemd/system-generators/podman-system-generator"
DROP_IN = "50-underlay-stand-in.conf"
SETTINGS = "/etc/containers/containers.conf.d/50-underlay.conf"
DEADLINE = 180.0
# Keys of a [Container] that are put aside, and those that only the user's own image can do.
OUTSIDE = (
    "AddDevice", "AutoUpdate", "EnvironmentFile", "GroupAdd", "Mount", "PublishPort",
    "Secret", "ShmSize", "Tmpfs", "Ulimit", "UserNS", "Volume", "HealthCmd", "HealthInterval",
    "HealthOnFailure", "HealthRetries", "HealthStartPeriod", "HealthStartupCmd",
    "HealthStartupInterval", "HealthStartupRetries", "HealthStartupSuccess",
    "HealthStartupTimeout", "HealthTimeout", "LogDriver", "Notify",
)  # fmt: skip
# podman's options that have no key of their own, and what of a [Service] needs other files.
ARGUMENTS = "PodmanArgs"
OF_SERVICE = ("EnvironmentFile", "ExecStartPre", "ExecStartPost")
OWN_IMAGE = ("Exec", "Entrypoint", "User", "Group", "WorkingDir", "StopSignal")


def begin(node: dict, specified: dict[str, dict], notes: list[str]) -> None:
    """Have podman's generator make units of the node's Quadlets; none of them is started yet.

    What of them was put aside is added to ``notes``. Raises Failed with podman's own words.
    """
    podman.settle()
    files = own.of_node(node, "quadlet")
    write(
        SETTINGS, f'{podman.SETTING}[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
    )
    containers = [file for file in files if file["path"].endswith(".container")]
    images = {_image(file) for file in containers}
    stood_in = stand_in.for_podman(sorted(filter(None, images)))
    for file in containers:
        mine = [s for s in specified.values() if s["container"].get("started_by") == file["path"]]
        write(f"{file['path']}.d/{DROP_IN}", drop_in(file, mine[0] if mine else None, stood_in))
        if _image(file) in stood_in:
            notes.append(f"{file['source']}: a stand-in runs for {value(file, 'Image')}")
        if away := _away(file, stood_in):
            notes.append(f"{file['source']}: put aside: {', '.join(away)}")
    for file in files:
        if file["path"].endswith(".pod"):
            stand_in.for_podman([f"localhost/{stand_in.NAME}:latest"])
            mine = [
                s for s in specified.values() if s["container"].get("started_by") == file["path"]
            ]
            write(f"{file['path']}.d/{DROP_IN}", pod_drop_in(file, mine[0] if mine else None))
            if away := _away(file, []):
                notes.append(f"{file['source']}: put aside: {', '.join(away)}")
    if os.path.lexists(MASK):
        os.unlink(MASK)
    run(["systemctl", "daemon-reload"])


def start(file: dict) -> dict[str, int]:
    """Start the unit of one Quadlet; return its container's process by ``pid``, if it has one.

    Raises Failed with the words of podman or of the generator, and the user's file and line.
    """
    name = unit(file["path"])
    try:
        run(["systemctl", "start", name], deadline=DEADLINE)
        if file["path"].endswith(".pod"):
            return {"pid": _of_pod(file)}
        if not file["path"].endswith(".container"):
            return {}
        with open(f"/run/{name.removesuffix('.service')}.cid", encoding="ascii") as noted:
            identity = noted.read().strip()
        words = [*podman.PODMAN, "inspect", "--format", "{{.State.Pid}}", identity]
        return {"pid": int(run(words))}
    except (Failed, OSError, ValueError) as error:
        said = _why(file, name) or str(error)
        raise Failed(f"{own.where(file, said)}: {said}") from error


def _of_pod(file: dict) -> int:
    """Return the process that holds a pod's namespaces."""
    stem = os.path.basename(file["path"]).rpartition(".")[0]
    name = value(file, "PodName") or f"systemd-{stem}"
    words = [*podman.PODMAN, "pod", "inspect", "--format", "{{.InfraContainerID}}", name]
    identity = run(words).strip()
    return int(run([*podman.PODMAN, "inspect", "--format", "{{.State.Pid}}", identity]))


def stop(path: str) -> None:
    """Stop the unit that was made of the Quadlet at ``path``, and forget its network."""
    run(["systemctl", "stop", unit(path)], check=False, deadline=DEADLINE)


def unit(path: str) -> str:
    """Return the service that podman's generator makes of a Quadlet (podman-systemd.unit(5))."""
    stem, _, kind = os.path.basename(path).rpartition(".")
    return f"{stem}.service" if kind in ("container", "kube") else f"{stem}-{kind}.service"


def drop_in(file: dict, specified: dict | None, stood_in: list[str]) -> str:
    """Return the drop-in for a ``.container``; an empty value resets what its key had before."""
    lines = ["[Container]", "Pull=never"]
    image = _image(file)
    lines.append(f"Image={stand_in.usable(image)}")
    away = _away(file, stood_in)
    lines += [f"{key}=" for key in away if key not in OF_SERVICE]
    if ARGUMENTS in away:
        lines += [f"{ARGUMENTS}={shlex.join(kept)}" for kept in [_arguments(file)[0]] if kept]
    service = [f"{key}=" for key in away if key in OF_SERVICE]
    if specified:
        lines += _networks(file, specified)
        # Noted by podman itself, so that it is right when systemd starts the unit once more.
        noted = podman.pid_file(specified["container"]["name"])
        lines.append(f"{ARGUMENTS}=--pidfile={noted}")
        service.append(f"ExecStartPre=/usr/bin/mkdir -p {os.path.dirname(noted)}")
    return "\n".join([*lines, "[Service]", *service, "Restart=no", ""])


def pod_drop_in(file: dict, specified: dict | None) -> str:
    """Return the drop-in for a ``.pod``: its networks' addresses, without what is beyond them."""
    lines = ["[Pod]", *(f"{key}=" for key in _away(file, []) if key not in OF_SERVICE)]
    # podman would make one of catatonit, which isn't in the image.
    lines.append(f"{ARGUMENTS}=--infra-image=localhost/{stand_in.NAME}:latest")
    if specified:
        lines += _networks(file, specified)
    return "\n".join([*lines, "[Service]", "Restart=no", ""])


def _away(file: dict, stood_in: list[str]) -> list[str]:
    """Return the keys of a ``.container`` that are put aside."""
    keys = [*OUTSIDE, *(OWN_IMAGE if _image(file) in stood_in else ())]
    found = [key for key in keys if values(file, key)]
    found += [ARGUMENTS] if _arguments(file)[1] else []
    return [*found, *(key for key in OF_SERVICE if values(file, key, "[Service]"))]


def _image(file: dict) -> str:
    """Return the name of a container's image; one that another Quadlet fetches has that one's."""
    said = value(file, "Image")
    stem, _, kind = said.rpartition(".")
    return f"localhost/{stem}:latest" if kind in ("image", "build") else said


def _arguments(file: dict) -> tuple[list[str], list[str]]:
    """Return which of podman's own options a file adds go on, and which are put aside."""
    words = [word for text in values(file, ARGUMENTS) for word in shlex.split(text)]
    kept, _, away = script.taken_apart(words)
    return [word for key, said in kept.items() for one in said for word in (key, one)], away


def _networks(file: dict, specified: dict) -> list[str]:
    """Return the container's networks, each with the addresses that the file leaves open."""
    told = values(file, "Network")
    attachments = specified["container"]["attachments"]
    if len(told) != len(attachments):
        return []
    lines = ["Network="]
    asked = _arguments(file)[0]
    for number, text in enumerate(told):
        attachment = attachments[number]
        network = specified["networks"][attachment["network"]]
        name, _, options = text.partition(":")
        words = [word for word in options.split(",") if word]
        if not podman.leased(network):
            for address in routes.given(attachment, network):
                key, own_key = ("ip6", "IP6") if ":" in address else ("ip", "IP")
                told_else = value(file, own_key) or f"--{key}" in asked
                if not told_else and not any(w.startswith(f"{key}=") for w in words):
                    words.append(f"{key}={address.partition('/')[0]}")
        mac = "" if network["mode"] == "passthru" else routes.given_mac(attachment, network)
        told_mac = "--mac-address" in asked or any(word.startswith("mac=") for word in words)
        if mac and not told_mac:
            words.append(f"mac={mac}")
        lines.append(f"Network={name}:{','.join(words)}" if words else f"Network={name}")
    return lines


def values(file: dict, key: str, *sections: str) -> list[str]:
    """Return all values of a key in its ``sections``, an empty one resetting those before.

    Without any it is looked for in those that are podman's.
    """
    found: list[str] = []
    section = ""
    text = re.sub(r"\\\n\s*", " ", file["text"])
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line
        elif section in (sections or ("[Container]", "[Network]", "[Pod]")):
            name, equals, said = line.partition("=")
            if equals and name.strip() == key:
                found = [*found, said.strip()] if said.strip() else []
    return found


def value(file: dict, key: str) -> str:
    """Return the last value of a key in the file's own section; nothing where it has none."""
    return (values(file, key) or [""])[-1]


def _why(file: dict, name: str) -> str:
    """Return why a unit could not start: the generator's words, or podman's in the journal."""
    known = run(["systemctl", "show", "--property=LoadState", "--value", name], check=False)
    if known.strip() != "loaded":
        said = run(
            ["sh", "-c", "/usr/libexec/podman/quadlet --dryrun 2>&1 >/dev/null"], check=False
        )
        stem = os.path.basename(file["path"])
        lines = [line for line in said.splitlines() if stem in line and "Loading" not in line]
        return lines[-1].partition(": ")[2] if lines else ""
    words = ["journalctl", "--output=cat", "--no-pager", "--lines=30", "--boot"]
    needed = run(["systemctl", "show", "--property=Requires", "--value", name], check=False)
    units = [name, *(each for each in needed.split() if each.endswith("-network.service"))]
    said = run([*words, *(f"--unit={each}" for each in units)], check=False)
    errors = [line for line in said.splitlines() if line.startswith("Error")]
    return errors[-1] if errors else ""
