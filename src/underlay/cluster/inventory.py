"""Machines that exist already, as an inventory of Ansible's names them, and how ssh reaches each.

Ansible itself reads the inventory: whatever plugins, groups and variables its user has, count here
as they do there. What is read of a machine are Ansible's own variables for its ssh connection.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from underlay.cluster.process import run, tail
from underlay.errors import BadInput, listed
from underlay.storage import temporary

DEADLINE = 60.0
SSH_PORT = 22
HINT = "an Ansible inventory of machines, as  ansible-inventory -i FILE --list  reads it"
# Ansible's names of one thing, of which the first that is set counts; see `ansible-doc -t
# connection ssh`.
_ADDRESS = ("ansible_ssh_host", "ansible_host")
_PORT = ("ansible_ssh_port", "ansible_port")
_USER = ("ansible_ssh_user", "ansible_user")
_KEY = ("ansible_private_key_file", "ansible_ssh_private_key_file")
# In the order in which Ansible hands them to ssh.
_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
_BY_SSH = ("ssh", "smart", "ansible.builtin.ssh")
_TRUE = ("yes", "on", "true", "1", "y", "t")
# What ssh takes for a host and its user; a hyphen at the beginning would be an option.
_HOST = re.compile(r"[A-Za-z0-9_\[:][A-Za-z0-9._:%\[\]-]*")


@dataclass(frozen=True)
class Machine:
    """A machine of an inventory.

    ``port`` is 0, and ``user`` and ``key`` are empty, where the inventory leaves them to ssh.
    ``ssh_arguments`` are those that the inventory adds. ``become`` is the method by which Ansible
    would become root, empty where it wouldn't. ``variables`` are all of the machine's, as Ansible
    lists them.
    """

    name: str
    address: str
    port: int = 0
    user: str = ""
    key: str = ""
    ssh_arguments: tuple[str, ...] = ()
    become: str = ""
    python: str = "python3"
    variables: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


def machines_of(inventory: Path, limit: str = "") -> list[Machine]:
    """Return the machines of ``inventory``, or those that Ansible's pattern ``limit`` leaves.

    They come in the inventory's order. Raises BadInput, with what Ansible said, where it can't
    read the inventory, there is none, or one of them isn't reached by ssh.
    """
    found = variables_of(inventory, limit)
    faults: list[str] = []
    machines = []
    for name, variables in found.items():
        try:
            machines.append(_machine(name, variables))
        except ValueError as error:
            faults.append(f"{inventory}: {name}: {error}")
    if faults:
        raise BadInput(
            faults[0],
            detail="\n".join(faults[1:]),
            hint=f"ansible-inventory -i {shlex.quote(str(inventory))} --host {_first(faults)}",
        )
    return machines


def variables_of(inventory: Path, limit: str = "", *, what: str = "machine") -> dict[str, Any]:
    """Return the variables of each machine of ``inventory``, by its name, as Ansible lists them.

    ``what`` is what errors call one. Raises BadInput as ``machines_of`` does.
    """
    if not inventory.exists():
        raise BadInput(f"{inventory} is not there", hint=HINT)
    found = _listed(inventory, limit)
    variables = found.get("_meta", {}).get("hostvars", {})
    names = _in_order(found)
    if not names and limit:
        known = listed(variables_of(inventory, what=what))
        raise BadInput(
            f"{inventory} names no {what} that --limit {shlex.quote(limit)} leaves",
            hint=f"it names {known}",
        )
    if not names:
        raise BadInput(f"{inventory} names no {what}", hint=HINT)
    return {name: variables.get(name, {}) for name in names}


def _in_order(found: Mapping[str, Any]) -> list[str]:
    """Return the names of all machines of what Ansible listed, group by group as in the file."""
    names: dict[str, None] = {}
    groups = ["all"]
    for group in groups:
        content = found.get(group, {})
        names.update(dict.fromkeys(content.get("hosts", ())))
        groups += [child for child in content.get("children", ()) if child not in groups]
    return list(names)


def _listed(inventory: Path, limit: str) -> dict[str, Any]:
    """Return what ``ansible-inventory --list`` prints; BadInput where it refuses."""
    command = [sys.executable, "-P", "-m", "ansible.cli.inventory", "--list"]
    command += ["-i", str(inventory.resolve()), *([f"--limit={limit}"] if limit else [])]
    with temporary.folder("inventory") as work:
        done = run(
            command,
            deadline=DEADLINE,
            # The user's own settings count, and their folder of plugins; no trace is left there.
            environment={
                "ANSIBLE_LOCAL_TEMP": str(work),
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
                "ANSIBLE_INVENTORY_EXPORT": "0",
                # Ansible refuses to start in a locale that isn't UTF-8.
                "LC_ALL": "C.UTF-8",
            },
            check=False,
            name="ansible-inventory",
        )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise BadInput(
            f"Ansible can't read {inventory}", hint=HINT, detail=_own_words(done.stderr)
        ) from None
    return found


def _own_words(said: str) -> str:
    """Return what Ansible said is wrong with the inventory, once, and where that is."""
    kept: dict[str, None] = {}
    for line in said.splitlines():
        text = re.sub(r"^\[(WARNING|ERROR)\]: ", "", line.strip())
        if text and not text.startswith(("<<<", "(source", "Failed to parse inventory with")):
            kept.setdefault(text)
    return tail("\n".join(kept))


def _first(faults: list[str]) -> str:
    return shlex.quote(faults[0].split(": ")[1])


def _machine(name: str, variables: Mapping[str, Any]) -> Machine:
    """Return the machine that ``variables`` say; ValueError with what is wrong with them."""
    way = _text(variables, ("ansible_connection",)) or "ssh"
    if way not in _BY_SSH:
        raise ValueError(f"ansible_connection is {way!r}, expected ssh: there is no other way")
    address = _text(variables, _ADDRESS) or name
    user = _text(variables, _USER)
    for what, text in (("ansible_host", address), ("ansible_user", user)):
        if text and not _HOST.fullmatch(text):
            raise ValueError(f"{what} is {text!r}, which ssh would not take for one")
    arguments: list[str] = []
    for key in _ARGUMENTS:
        try:
            arguments += shlex.split(_text(variables, (key,)))
        except ValueError as error:
            raise ValueError(f"{key} can't be split into words: {error}") from None
    key = _text(variables, _KEY)
    asked = _text(variables, ("ansible_become",)).lower() in _TRUE
    return Machine(
        name,
        address,
        port=_port(variables),
        user=user,
        key=str(Path(key).expanduser()) if key else "",
        ssh_arguments=tuple(arguments),
        become=(_text(variables, ("ansible_become_method",)) or "sudo") if asked else "",
        python=_python(variables),
        variables=dict(variables),
    )


def _port(variables: Mapping[str, Any]) -> int:
    text = _text(variables, _PORT) or "0"
    if not text.isdecimal() or not 0 <= int(text) < 1 << 16:
        raise ValueError(f"ansible_port is {text!r}, expected a number of 1 to 65535")
    return int(text)


def _python(variables: Mapping[str, Any]) -> str:
    """Return the machine's Python; ``auto`` and its kin are Ansible's own way to look for one."""
    text = _text(variables, ("ansible_python_interpreter",))
    return text if text and not text.startswith("auto") else "python3"


def _text(variables: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Return the first of ``names`` that is set, as text.

    A value that only a play of Ansible's would know is refused: nobody would see what it became.
    """
    for name in names:
        value = variables.get(name)
        if isinstance(value, Mapping):
            if "__ansible_unsafe" not in value:
                raise ValueError(f"{name} is encrypted, expected plain text")
            value = value["__ansible_unsafe"]
        elif isinstance(value, str) and ("{{" in value or "{%" in value):
            raise ValueError(f"{name} is the template {value!r}, expected plain text")
        if value is not None and value != "":
            return str(value)
    return ""
