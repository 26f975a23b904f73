"""The way into nodes: one generated ssh_config, used by people, Ansible, testinfra and Underlay."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.process import run
from underlay.errors import BadInput, Infrastructure
from underlay.storage import paths
from underlay.storage.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from underlay.plan import Plan

# sockaddr_un holds 108 bytes; ssh appends 17 while it makes the socket.
LONGEST_SOCKET = 85


def write_config(plan: Plan, state: Path, proxies: Mapping[str, list[str]]) -> Path:
    """Write ``state/ssh_config`` for all nodes of ``plan`` and return its path.

    ``proxies`` maps a node to the argument list that connects to its ssh port; the
    others' management addresses can be reached from here.
    Connections are shared: the first one to a node serves all later ones.
    """
    sockets = socket_folder(state)
    text = ""
    for node in plan.machines:
        text += f"""\
Host {node.name}
    HostName {node.management.address.ip}
    User {plan.user}
    IdentityFile {_path_text(state / "key")}
    ControlPath {_path_text(sockets, "/%n")}
"""
        if node.name in proxies:
            text += f"    ProxyCommand {proxy_text(proxies[node.name])}\n"
    text += """\
Host *
    IdentitiesOnly yes
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    LogLevel ERROR
    BatchMode yes
    ConnectTimeout 30
    ServerAliveInterval 15
    ControlMaster auto
    ControlPersist 300
    Compression no
    GSSAPIAuthentication no
"""
    path = state / "ssh_config"
    write_whole(path, text)
    return path


def _path_text(path: Path, more: str = "") -> str:
    """Return ``path``, with ``more`` that is ssh's own, as a value in an ssh_config.

    Raises BadInput where that has no way to write it.
    """
    text = str(path)
    if "${" in text or not text.isprintable():
        raise BadInput(
            f"ssh_config: found the folder {text!r}, expected one that ssh can be told of:"
            " without ${ and control characters",
            hint=f"set {paths.HOME} to another folder",
        )
    for special, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%")):
        text = text.replace(special, escaped)
    return f'"{text}{more}"'


def proxy_text(arguments: list[str]) -> str:
    """Return ``arguments`` as ssh's ProxyCommand: a shell command in which % is special."""
    return shlex.join(arguments).replace("%", "%%")


def socket_folder(state: Path) -> Path:
    """Return the folder of the lab's shared connections, made if missing.

    It is in the state folder unless the path is too long for a unix socket.
    """
    folder = _socket_path(state)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _socket_path(state: Path) -> Path:
    folder = state / "ssh"
    if len(str(folder)) > LONGEST_SOCKET - 25:
        digest = hashlib.sha256(str(state).encode()).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"underlay-{os.getuid()}-{digest}"
    return folder


def carry_along(old: Path, new: Path) -> None:
    """Keep the shared connections of a lab whose state folder was ``old`` and is ``new`` now."""
    kept, sockets = _socket_path(old), _socket_path(new)
    # Inside the folder they have moved with it, under whatever name they belong now.
    moved = new / kept.relative_to(old) if kept.is_relative_to(old) else kept
    if moved != sockets and moved.is_dir():
        shutil.rmtree(sockets, ignore_errors=True)
        shutil.move(moved, sockets)


def close(state: Path) -> None:
    """End the lab's shared connections and remove their folder."""
    config, sockets = state / "ssh_config", socket_folder(state)
    for shared in sockets.iterdir() if config.exists() else ():
        with suppress(Infrastructure):
            run(["ssh", "-F", str(config), "-O", "exit", shared.name], deadline=5, check=False)
    # It isn't always in the state folder; see socket_folder.
    shutil.rmtree(sockets, ignore_errors=True)


def command(config: Path, node: str, arguments: list[str], *, tty: bool = False) -> list[str]:
    """Return the argument list that runs ``arguments`` on ``node``, each kept as one argument."""
    terminal = ["-t"] if tty else []
    # Whoever tidies up the folder for temporary files may have removed the sockets' one.
    socket_folder(config.parent)
    return ["ssh", "-F", str(config), *terminal, node, "--", shlex.join(arguments)]
