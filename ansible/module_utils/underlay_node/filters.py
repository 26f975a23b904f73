"""Packet filters of the node and its containers: chains of their own, made and removed whole.

A file NAME.v4 or NAME.v6 holds what iptables-restore or ip6tables-restore reads for the
namespace of the container, or the node, called NAME. Built-in chains jump to the file's own
ones; nobody else's rule is touched. `iptables` is whichever the node has, nft's or the legacy one.
"""

from __future__ import annotations

import re
import subprocess

from . import files
from .commands import DEADLINE, Failed, run

FOLDER = "/etc/underlay/filters/"
# What makes bridges ask the node's forward chain, where a filter wants that.
BRIDGES = f"{FOLDER}bridges.sysctl"
MODULE = "br_netfilter"
PROGRAMS = {"v4": "iptables", "v6": "ip6tables"}
HOOKS = {"UNDERLAY-IN": "INPUT", "UNDERLAY-OUT": "OUTPUT", "UNDERLAY-FORWARD": "FORWARD"}


def wanted(node: dict, sent: dict[str, str] | None) -> dict[str, str]:
    """Return the filters that belong to a node.json, by their files' names.

    They are among what is ``sent``, or lie on the node already.
    """
    found = {}
    for path in node.get("files", []):
        if path.startswith(FOLDER):
            text = files.read(path) if sent is None else sent.get(path)
            found[path[len(FOLDER) :]] = text or ""
    return found


def chains(text: str) -> list[str]:
    """Return the chains that a file for iptables-restore makes."""
    return re.findall(r"^:(\S+) ", text, re.MULTILINE)


def names(*filed: dict[str, str]) -> list[str]:
    """Return the containers, and the node, that ``filed`` hold filters of."""
    found = (file.rpartition(".") for one in filed for file in one)
    return list(dict.fromkeys(name for name, _, version in found if version in PROGRAMS))


def changed(
    name: str, enter: list[str], wanted: dict[str, str], applied: dict[str, str]
) -> dict[str, str]:
    """Return the files of the namespace called ``name`` that aren't in force, with their text.

    ``enter`` are the words that run a command there. The text is empty where a filter is to go.
    """
    found = {}
    for version in PROGRAMS:
        file = f"{name}.{version}"
        text = wanted.get(file, "")
        if text != applied.get(file, "") or (text and not _hooked(enter, version, text)):
            found[file] = text
    return found


def apply(changes: dict[str, str], enter: list[str], applied: dict[str, str]) -> None:
    """Put filters into a namespace, and note them in ``applied``; raise Failed with words."""
    for file, text in changes.items():
        version = file.rpartition(".")[2]
        _unhook(enter, version, chains(applied.pop(file, "")))
        if not text:
            continue
        program = PROGRAMS[version]
        run([*enter, f"{program}-restore", "--wait", "--noflush"], text)
        for chain in chains(text):
            if not _there(enter, version, chain):
                run([*enter, program, "--wait", "-I", HOOKS[chain], "-j", chain])
        applied[file] = text


def forget(name: str, applied: dict[str, str]) -> None:
    """Forget the filters of a namespace that is gone."""
    for version in PROGRAMS:
        applied.pop(f"{name}.{version}", None)


def bridges(wanted: dict[str, str], applied: dict[str, str]) -> list[str]:
    """Return in words what ``set_bridges`` changes."""
    on = BRIDGES[len(FOLDER) :] in wanted
    return (
        [] if on == (BRIDGES[len(FOLDER) :] in applied) else [f"{MODULE}: {'on' if on else 'off'}"]
    )


def set_bridges(wanted: dict[str, str], applied: dict[str, str]) -> None:
    """Have bridges ask the node's filter, or have them stop if this program made them ask."""
    file = BRIDGES[len(FOLDER) :]
    if not bridges(wanted, applied):
        return
    if file in wanted:
        # Where it is part of the kernel, there is nothing to load.
        run(["modprobe", "--quiet", MODULE], check=False)
        applied[file] = text = wanted[file]
    else:
        text = applied.pop(file).replace("= 1", "= 0")
    run(["sysctl", "--quiet", "--load", "-"], text)


def _unhook(enter: list[str], version: str, names: list[str]) -> None:
    """Remove chains, and what jumps to them, as far as they are there."""
    for chain in names:
        program = [*enter, PROGRAMS[version], "--wait"]
        for words in (["-D", HOOKS[chain], "-j", chain], ["-F", chain], ["-X", chain]):
            run([*program, *words], check=False)


def _hooked(enter: list[str], version: str, text: str) -> bool:
    return all(_there(enter, version, chain) for chain in chains(text))


def _there(enter: list[str], version: str, chain: str) -> bool:
    """Whether the built-in chain jumps to ``chain``."""
    words = [*enter, PROGRAMS[version], "--wait", "-C", HOOKS[chain], "-j", chain]
    try:
        done = subprocess.run(words, capture_output=True, timeout=DEADLINE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{PROGRAMS[version]}: {error}") from error
    return done.returncode == 0
