"""The way into nodes: a lab's key, and one generated ssh_config for people and programs.

The key is made on first use, kept in the user's cache and copied into the lab's state. The
rendered files hold its public half: a new key at every start would make every render a new
one, and let the cache of rendered files grow with each of them.
"""

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
from underlay.storage import locks, paths
from underlay.storage.writing import whole, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from underlay.plan import Plan

# sockaddr_un holds 108 bytes; ssh appends 17 while it makes the socket.
LONGEST_SOCKET = 85
# The key of all labs that `check DIR` proves on the same nodes; no lab is called so.
SUITE_KEY = "_check"
KEY_DEADLINE = 120.0


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


def key_file(lab: str) -> Path:
    """Return where the lab's private key is, or will be, while the lab is up."""
    return paths.state(lab) / "key"


def cached_key(name: str) -> str:
    """Return the public key that the cache has as ``name``, making the pair if it is missing."""
    return _make_cached(name).with_suffix(".pub").read_text().strip()


def lab_key(lab: str, cached_as: str = "") -> str:
    """Return the lab's public key as one line, making the key pair where there is none.

    The cache has it under the name ``cached_as``, by default the lab's own. Both files of
    the pair are readable for their owner alone. Raises Infrastructure where ssh-keygen fails.
    """
    private = key_file(lab)
    public = private.with_suffix(".pub")
    if not public.exists():
        source_key = _make_cached(cached_as or lab)
        private.parent.mkdir(parents=True, exist_ok=True)
        # The public half last: it says that both are there.
        write_whole(private, source_key.read_bytes(), mode=0o600)
        write_whole(public, source_key.with_suffix(".pub").read_bytes(), mode=0o600)
    return public.read_text().strip()


def _make_cached(lab: str) -> Path:
    """Return the private key in the cache; make the pair where a half of it is missing."""
    private = paths.cache() / "keys" / lab
    public = private.with_suffix(".pub")
    private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Two checkouts would make a pair out of halves of two.
    with locks.held(private.parent / ".lock", "makes a key", deadline=KEY_DEADLINE):
        if not (public.exists() and private.exists()):
            # No half of an older pair may be there when a new half comes in.
            public.unlink(missing_ok=True)
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"underlay-{lab}"]
            with whole(public) as fresh_public, whole(private) as fresh:
                run([*words, "-f", str(fresh)], deadline=30)
                fresh.with_name(f"{fresh.name}.pub").rename(fresh_public)
    return private
