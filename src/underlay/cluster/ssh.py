"""The way into nodes: a lab's key, and one generated ssh_config for people and programs.

The key is made on first use, kept in the user's cache and copied into the lab's state. The
rendered files hold its public half: a new key at every start would make every render a new
one, and let the cache of rendered files grow with each of them.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.process import run
from underlay.errors import BadInput, Infrastructure
from underlay.storage import locks, paths, private
from underlay.storage.writing import whole, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from underlay.plan import Plan

# sockaddr_un holds 108 bytes; ssh appends 17 while it makes the socket, which is called as its
# node.
LONGEST_FOLDER = 60
# Folder, or link to one, of the sockets in a lab's state folder.
SOCKETS = "ssh"
# Where TMPDIR has a long path, too.
SHORT = ("/tmp", "/dev/shm")
# The key of all labs that `check DIR` proves on the same nodes; no lab is called so.
SUITE_KEY = "_check"
KEY_DEADLINE = 120.0


def write_config(plan: Plan, state: Path, proxies: Mapping[str, list[str]]) -> Path:
    """Write ``state/ssh_config`` for all nodes of ``plan`` and return its path.

    ``proxies`` maps a node to the argument list that connects to its ssh port; the
    others' management addresses can be reached from here.
    Connections are shared: the first one to a node serves all later ones.
    """
    # Before the sockets' folder is made: one that can't be written is refused, and leaves nothing.
    key = _path_text(state / "key")
    sockets = socket_folder(state)
    text = ""
    for node in plan.machines:
        text += f"""\
Host {node.name}
    HostName {node.management.address.ip}
    User {plan.user}
    IdentityFile {key}
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
    """Return the folder of the lab's shared connections, made if missing; this user's alone.

    It is in the state folder unless the path is too long for a unix socket. A link there leads
    to it then: whoever asks later may have another runtime folder, or none. Raises
    Infrastructure where somebody else has a folder in its place: who owns the socket, has the
    connection.
    """
    noted = state / SOCKETS
    if len(str(noted)) > LONGEST_FOLDER and not noted.is_symlink():
        noted.parent.mkdir(parents=True, exist_ok=True)
        # Whoever asks at the same time uses the same.
        with suppress(FileExistsError):
            noted.symlink_to(_short_folder())
    folder = _socket_path(state)
    private.make(folder)
    return folder


def _socket_path(state: Path) -> Path:
    noted = state / SOCKETS
    return Path(os.readlink(noted)) if noted.is_symlink() else noted


def _short_folder() -> Path:
    """Return a new name that nobody can guess, where nobody else can rename what is called so."""
    name = f"underlay-ssh-{secrets.token_hex(8)}"
    above = (private.runtime(), Path(tempfile.gettempdir()), *map(Path, SHORT))
    for path in (each / name for each in above if each and private.keeps_names(each)):
        if len(str(path)) <= LONGEST_FOLDER:
            return path
    raise Infrastructure(
        "found no folder for the sockets of shared ssh connections: the lab's state folder has"
        f" too long a path (more than {LONGEST_FOLDER} bytes), and there is no runtime folder",
        hint=f"set {private.RUNTIME} to a folder of your own (mode 700), or {paths.HOME} to one"
        " with a short path",
    )


def carry_along(old: Path, new: Path) -> None:
    """Keep the shared connections of a lab whose state folder was ``old`` and is ``new`` now."""
    # A link leads to where they still are; the folder itself has moved, but its path may be
    # too long now.
    moved = new / SOCKETS
    if moved.is_symlink() or not moved.is_dir() or len(str(moved)) <= LONGEST_FOLDER:
        return
    kept = moved.rename(new / f"{SOCKETS}.moved")
    fresh = socket_folder(new)
    with suppress(OSError):
        # Sockets can't be moved to another file system: those connections end by themselves.
        kept.rename(fresh)
    shutil.rmtree(kept, ignore_errors=True)


def close(state: Path) -> None:
    """End the lab's shared connections and remove their folder."""
    config, sockets = state / "ssh_config", _socket_path(state)
    try:
        os.close(private.opened(sockets))
    except OSError:
        # There is none, or it is somebody else's.
        return
    for shared in sockets.iterdir() if config.exists() else ():
        with suppress(Infrastructure):
            run(["ssh", "-F", str(config), "-O", "exit", shared.name], deadline=5, check=False)
    # It isn't always in the state folder; see socket_folder.
    shutil.rmtree(sockets, ignore_errors=True)


def command(config: Path, node: str, arguments: list[str], *, tty: bool = False) -> list[str]:
    """Return the argument list that runs ``arguments`` on ``node``, each kept as one argument.

    With ``tty`` they have a terminal, and every key that is typed is theirs.
    """
    # ssh's own ~ would open ports on this machine for whoever types there, a learner at a seat too.
    terminal = ["-t", "-e", "none"] if tty else []
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
