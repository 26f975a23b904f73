"""CNI's plugins, called as its specification says, where no runtime is that would do so.

The protocol is that of version 1.0 (github.com/containernetworking/cni/blob/spec-v1.0.0/SPEC.md,
sections 2 and 4): parameters in the environment, configuration on standard input. A plugin leaves
nothing outside of the namespace that it was given but what its IPAM plugin writes down. Plugins
that are older than a file, as those of Debian 11 are, are spoken to in what they know.
"""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache

from . import cni
from .commands import DEADLINE, WORDS, Failed

FOLDERS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")


def chain(text: str, version: str = "") -> list[dict]:
    """Return the configuration of each plugin of a net.d file, as the plugin is to read it.

    ``version`` is CNI's, where that is another than the file's.
    """
    said = json.loads(text)
    common = {"cniVersion": version or said["cniVersion"], "name": said["name"]}
    return [{**plugin, **common} for plugin in said.get("plugins", [said])]


def needed(text: str) -> list[str]:
    """Return the programs that a net.d file names."""
    found = []
    for plugin in chain(text):
        found += [plugin["type"], plugin.get("ipam", {}).get("type", "")]
    return [name for name in found if name]


def lacking(names: list[str]) -> list[str]:
    """Return those of the plugins ``names`` that are in none of the usual folders."""
    return [name for name in dict.fromkeys(names) if not _found(name)]


def version(text: str) -> str:
    """Return the latest version of CNI's up to a net.d file's own that all its plugins know.

    Raises Failed, with what each of them knows, where they have none in common.
    """
    own, programs = json.loads(text)["cniVersion"], dict.fromkeys(needed(text))
    known = {name: _known(_found(name)) for name in programs}
    common = set.intersection(*(set(each) for each in known.values()))
    fit = [each for each in common if _ordered(each) <= _ordered(own)]
    if not fit:
        said = [f"{name} knows {', '.join(each) or 'none'}" for name, each in known.items()]
        raise Failed(f"no version of CNI up to {own} is known to all plugins: {'; '.join(said)}")
    return max(fit, key=_ordered)


@cache
def _known(program: str) -> tuple[str, ...]:
    """Return the versions of CNI that a plugin says it knows; of one that says nothing, none."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "CNI_COMMAND": "VERSION"}
    try:
        found = _called(program, {"cniVersion": "1.0.0"}, environment)
    except (Failed, ValueError):
        return ()
    return tuple(each for each in found.get("supportedVersions", ()) if _ordered(each))


def _ordered(said: str) -> tuple[int, ...]:
    """Return a version as numbers, which have an order; nothing where it isn't made of them."""
    parts = said.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()


def add(container: dict, attachment: dict, network: dict, text: str) -> None:
    """Attach a container by the plugins of the net.d file ``text``; raise Failed with their words.

    What the runtime asks them for is what it asks for on a node of a lab.
    """
    _, name, space, interface, *pairs = cni.parameters(container, attachment, network)
    asked = dict(pair.split("=", 1) for pair in pairs)
    addresses = asked.pop("IPS", "")
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": name,
        "CNI_NETNS": space,
        "CNI_IFNAME": interface,
        "CNI_PATH": ":".join(folder for folder in FOLDERS if os.path.isdir(folder)),
        "CNI_ARGS": ";".join(f"{k}={v}" for k, v in {"IgnoreUnknown": "1", **asked}.items()),
    }
    result: dict = {}
    for plugin in chain(text, version(text)):
        given = {**plugin, **({"prevResult": result} if result else {})}
        if addresses and plugin.get("capabilities", {}).get("ips"):
            given["runtimeConfig"] = {"ips": addresses.split(",")}
        given.pop("capabilities", None)
        result = _run(plugin["type"], given, environment)


def _run(name: str, given: dict, environment: dict[str, str]) -> dict:
    program = _found(name)
    if not program:
        raise Failed(f"the CNI plugin {name} is not in {', '.join(FOLDERS)}")
    return _called(program, given, environment)


def _called(program: str, given: dict, environment: dict[str, str]) -> dict:
    try:
        done = subprocess.run(
            [program],
            input=json.dumps(given),
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{program}: {error}") from error
    if done.returncode:
        said = (done.stdout.strip() or done.stderr.strip())[-WORDS:]
        raise Failed(f"{program}: exit {done.returncode}: {said}")
    found: dict = json.loads(done.stdout or "{}")
    return found


def _found(name: str) -> str:
    paths = [f"{folder}/{name}" for folder in FOLDERS]
    return next((path for path in paths if os.access(path, os.X_OK)), "")
