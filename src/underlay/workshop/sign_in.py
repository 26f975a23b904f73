"""How learners get into their seats: a password or a key per seat, and the server that takes it.

The server is a process of its own, which lives on when `workshop up` has ended. As a sandbox it
is found again by identity: boot id, process id and start time. All that it keeps lies in one
folder of the workshop's state, which is the trainer's alone.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.providers.uml.sandbox import boot_id, start_time
from underlay.cluster.ssh import cached_key
from underlay.errors import BadInput, Infrastructure, Spot, did_you_mean, nearest
from underlay.storage import paths, private
from underlay.storage.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOPBACK = "127.0.0.1"
# Where nobody says otherwise; `--port 0` is any that is free.
PORT = 2222
EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 they are named, not listened at
# The same for all workshops of this machine: a laptop that has seen one trusts the next.
HOST_KEY = "workshop-host"
# No letter or digit that looks like another; twelve of them are 59 bits.
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
GROUPS, GROUP = 3, 4
FOLDER = "sign-in"
START_DEADLINE = 30.0
# The server ends its sessions first, and these their commands.
STOP_DEADLINE = 30.0
USER = re.compile(r"seat-(\d{2,4})")


@dataclass(frozen=True)
class Server:
    """The ssh server of a workshop: the identity of its process, and where it listens."""

    boot: str
    pid: int
    started: int
    address: str
    port: int

    @property
    def alive(self) -> bool:
        """Whether that very process still runs on this very boot."""
        return self.boot == boot_id() and start_time(self.pid) == self.started

    @property
    def host(self) -> str:
        """What learners call this machine: its name where the server listens everywhere."""
        return socket.gethostname() if self.address in EVERY_ADDRESS else self.address

    def entry(self, number: int) -> str:
        """Return the command line by which the learner of seat ``number`` comes in."""
        return f"ssh {user(number)}@{self.host} -p {self.port}"


def user(number: int) -> str:
    """Return the name by which a learner signs in to the seat ``number``."""
    return f"seat-{number:02d}"


def seat_of(name: str) -> int | None:
    """Return the number of the seat that ``name`` signs in to; None for any other name."""
    found = USER.fullmatch(name)
    number = int(found[1]) if found else -1
    return number if number >= 0 and user(number) == name else None


def prepare(workshop: Path, numbers: Iterable[int]) -> None:
    """Make a password for each seat in ``numbers`` that has none, and the server's key.

    ``workshop`` is the workshop's state folder. Raises Infrastructure where it isn't this user's
    alone, and OSError where nothing can be written there.
    """
    folder = workshop / FOLDER
    private.make(folder)
    known = _passwords(workshop)
    made = {f"{number:02d}": known.get(f"{number:02d}") or _password() for number in numbers}
    _write_passwords(workshop, known | made)
    cached_key(HOST_KEY)
    key = (paths.cache() / "keys" / HOST_KEY).read_bytes()
    write_whole(folder / "host_key", key, mode=0o600)


def password(workshop: Path, number: int) -> str:
    """Return the password of seat ``number``; nothing where it has none."""
    return _passwords(workshop).get(f"{number:02d}", "")


def is_password(workshop: Path, number: int, word: str) -> bool:
    """Whether ``word`` opens seat ``number``; as long whatever it is, and no seat has none."""
    known = password(workshop, number)
    same = secrets.compare_digest(word.encode(), (known or _password()).encode())
    return same and bool(known)


def change_password(workshop: Path, number: int) -> str:
    """Give seat ``number`` another password, which is returned; sessions that are open stay."""
    fresh = _password()
    _write_passwords(workshop, _passwords(workshop) | {f"{number:02d}": fresh})
    return fresh


def keys(workshop: Path, number: int) -> list[str]:
    """Return the public keys that seat ``number`` takes, a line each."""
    try:
        text = _key_file(workshop, number).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return text.splitlines()


def take_keys(workshop: Path, file: Path, numbers: Iterable[int]) -> dict[int, int]:
    """Let the seats be opened by the public keys in ``file``; return how many each has then.

    Each line is a seat and its key as ssh-keygen writes it: ``seat-07 ssh-ed25519 AAAA… name``.
    Empty lines and those that begin with # say nothing. A seat's keys are those of this file
    alone, and its password stays. Raises BadInput, with its line, for what can't be used; then
    nothing has changed.
    """
    _need_asyncssh()
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} can't be read: {error}") from error
    seats = set(numbers)
    found: dict[int, list[str]] = {}
    for at, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            number, key = _key_line(line, Spot(str(file), at, 1), seats)
            found.setdefault(number, []).append(key)
    for number, its in found.items():
        private.make(_key_file(workshop, number).parent)
        write_whole(_key_file(workshop, number), "".join(f"{key}\n" for key in its), mode=0o600)
    return {number: len(its) for number, its in found.items()}


def start(workshop: Path, numbers: Iterable[int], *, listen: str = "", port: int = PORT) -> Server:
    """Start the server for the seats ``numbers`` of ``workshop``; it outlives this process.

    It listens at the address ``listen``, on loopback by default, and at ``port``, where 0 is any
    that is free. One that runs already is returned as it is. Raises BadInput where the port or the
    address can't be had, and Infrastructure where the server doesn't start.
    """
    running = find(workshop)
    if running is not None:
        return running
    prepare(workshop, numbers)
    _need_asyncssh()
    folder = workshop / FOLDER
    address = listen or LOOPBACK
    # -P: a folder called `rich` in the current directory must not stand in for the library.
    command = [sys.executable, "-P", "-m", "underlay.workshop.ssh_server"]
    with (folder / "server.err").open("wb") as complaints:
        process = subprocess.Popen(
            [*command, str(workshop), address, str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,
            cwd="/",
            env=os.environ | {"PYTHONPATH": str(paths.PACKAGE.parent)},
        )
    try:
        server = _started(process, address, folder)
        write_whole(folder / "server.json", json.dumps(asdict(server)) + "\n", mode=0o600)
    except BaseException:
        process.kill()
        process.communicate(timeout=STOP_DEADLINE)
        raise
    return server


def start_again(workshop: Path, numbers: Iterable[int]) -> Server | None:
    """Start the server of ``workshop`` where it listened before, unless it runs, and return it.

    None where none has ever been started. Raises what ``start`` raises.
    """
    before = _recorded(workshop)
    if before is None or before.alive:
        return before
    return start(workshop, numbers, listen=before.address, port=before.port)


def find(workshop: Path) -> Server | None:
    """Return the living server of ``workshop``, or None."""
    server = _recorded(workshop)
    return server if server is not None and server.alive else None


def _recorded(workshop: Path) -> Server | None:
    try:
        return Server(**json.loads((workshop / FOLDER / "server.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def stop(workshop: Path) -> None:
    """End the server of ``workshop``, if there is one, and all who are signed in.

    Raises Infrastructure where it doesn't end.
    """
    server = find(workshop)
    if server is None:
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(server.pid, sign)
        limit = time.monotonic() + STOP_DEADLINE
        while time.monotonic() < limit:
            if not server.alive:
                (workshop / FOLDER / "server.json").unlink(missing_ok=True)
                return
            time.sleep(0.02)
    raise Infrastructure(f"process {server.pid}, the workshop's ssh server, does not end")


def fingerprint() -> str:
    """Return what ssh shows of the server's key when a learner comes for the first time."""
    import hashlib
    from base64 import b64decode, b64encode

    _, body, *_ = cached_key(HOST_KEY).split()
    digest = b64encode(hashlib.sha256(b64decode(body)).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


def _started(process: subprocess.Popen[bytes], address: str, folder: Path) -> Server:
    """Wait for the word of the server that it listens, and return what it is."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    limit, said = time.monotonic() + START_DEADLINE, b""
    while not said.endswith(b"\n"):
        said += process.stdout.read() or b""
        if process.poll() is not None or time.monotonic() > limit:
            said += process.stdout.read() or b""
            break
        time.sleep(0.02)
    try:
        word = json.loads(said)
    except ValueError:
        detail = (folder / "server.err").read_text(errors="replace").strip()
        raise Infrastructure("the workshop's ssh server did not start", detail=detail) from None
    if "error" in word:
        raise BadInput(word["error"], hint=word["hint"])
    process.stdout.close()
    return Server(boot_id(), process.pid, start_time(process.pid) or 0, address, word["port"])


def _need_asyncssh() -> None:
    from importlib.util import find_spec

    if find_spec("asyncssh") is None:
        raise Infrastructure(
            "asyncssh is not installed, by which learners come into their seats",
            hint="pip install asyncssh  (the launcher of a checkout installs it)",
        )


def _key_line(line: str, spot: Spot, seats: set[int]) -> tuple[int, str]:
    """Return the seat and the key of a line; raise BadInput for a line that has none."""
    import asyncssh

    name, _, key = line.strip().partition(" ")
    number = seat_of(name)
    if number not in seats or number is None:
        names = [user(each) for each in sorted(seats)]
        raise BadInput(
            f"{spot}: found {name!r}, expected a seat, {names[0]} to {names[-1]}",
            hint=did_you_mean(nearest(name, names)) or "seat-07 ssh-ed25519 AAAA… name",
        )
    try:
        made = asyncssh.import_public_key(key.strip())
    except (asyncssh.KeyImportError, ValueError) as error:
        raise BadInput(
            f"{spot}: this is no public key: {str(error).lower()}",
            hint="a line of ~/.ssh/id_ed25519.pub: ssh-ed25519 AAAA… name",
        ) from error
    # Without the comment, which is the learner's own, and without options.
    return number, made.export_public_key().decode().partition("\n")[0].strip()


def _key_file(workshop: Path, number: int) -> Path:
    return workshop / FOLDER / "keys" / f"{number:02d}"


def _password() -> str:
    letters = [secrets.choice(LETTERS) for _ in range(GROUPS * GROUP)]
    return "-".join("".join(letters[at : at + GROUP]) for at in range(0, len(letters), GROUP))


def _passwords(workshop: Path) -> dict[str, str]:
    try:
        text = (workshop / FOLDER / "passwords.json").read_text(encoding="utf-8")
        found: dict[str, str] = json.loads(text)
    except (OSError, ValueError):
        return {}
    return found


def _write_passwords(workshop: Path, known: dict[str, str]) -> None:
    text = json.dumps(known, indent=1) + "\n"
    write_whole(workshop / FOLDER / "passwords.json", text, mode=0o600)
