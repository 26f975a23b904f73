"""The ssh server of a workshop: it knows seats and their words, and nothing else that ssh can do.

``python -m underlay.workshop.ssh_server WORKSHOP ADDRESS PORT``. It says on standard output, as one
line of JSON, at which port it listens or why it doesn't, and ends by SIGTERM with all sessions, or
when nothing of its workshop lives any more.
There is no forwarding of ports, sockets, agents or displays, no sftp and no scp; the client's
environment is dropped, and the one program that it starts is the seat's shell.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import asyncssh

from underlay.errors import listed, reason
from underlay.workshop import sign_in
from underlay.workshop.outlived import LOOK, Outlived
from underlay.workshop.seat import Seat
from underlay.workshop.ssh_session import PATIENCE, Session

# Wrong passwords, and keys of an agent, that one connection may offer; seconds that a wrong one
# costs, and in which somebody must be in.
PASSWORDS, KEYS = 3, 20
PENALTY = 1.0
TO_SIGN_IN = 60.0
# Sessions of one seat: two people with two windows each, and one to spare.
SESSIONS = 5
# Connections of one seat: some wait for a session, and each takes memory of this machine.
CONNECTIONS = 2 * SESSIONS
# Connections of people who aren't in yet.
STRANGERS = 64
# Seconds in which this machine has to say which addresses it has.
ASKED = 5.0
# A client that is gone without a word is noticed after two minutes.
ALIVE, MISSED = 30.0, 4
LOG, LOG_BYTES = "server.log", 1 << 20

log = logging.getLogger("underlay.workshop")


class Seats:
    """What all connections share: the workshop, and who is in."""

    def __init__(self, workshop: Path) -> None:
        self.workshop = workshop
        self.strangers = 0
        self.connected: Counter[int] = Counter()
        self.sessions: dict[Session, int] = {}

    def session(self, number: int) -> Session | None:
        """Return a new session of seat ``number``; None where it has as many as it may."""
        if Counter(self.sessions.values())[number] >= SESSIONS:
            return None
        made = Session(self.workshop, number, self._over)
        self.sessions[made] = number
        return made

    def note(self, number: int) -> None:
        """Have the journal of seat ``number`` say that somebody has come in."""
        # How far it has come is in its journal alone, which needs no course.
        seat = Seat(None, number, self.workshop / "seats" / f"{number:02d}")  # type: ignore[arg-type]
        try:
            seat.enter()
        except OSError as error:
            log.info("seat %02d: its journal can't be written: %s", number, reason(error))

    def _over(self, session: Session) -> None:
        self.sessions.pop(session, None)

    async def end(self) -> None:
        """Hang up on everybody, and wait until nothing runs any more."""
        for session in list(self.sessions):
            session.hang_up()
        for _ in range(int((PATIENCE + 5) / 0.05)):
            if not any(session.lives for session in self.sessions):
                return
            await asyncio.sleep(0.05)


class Connection(asyncssh.SSHServer):
    """Somebody who connects: who that is, what they may try, and what they may ask for."""

    def __init__(self, seats: Seats) -> None:
        self._seats = seats
        self._connection: asyncssh.SSHServerConnection | None = None
        self._peer = "?"
        self._number: int | None = None
        self._passwords = self._keys = 0
        self._is_stranger = self._is_in = False

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Let somebody try, unless too many do."""
        self._connection = conn
        self._peer = str(conn.get_extra_info("peername", ["?"])[0])
        self._is_stranger = True
        self._seats.strangers += 1
        if self._seats.strangers > STRANGERS:
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count nobody any more who is gone."""
        self._known()
        if self._is_in and self._number is not None:
            self._seats.connected[self._number] -= 1

    def begin_auth(self, username: str) -> bool:
        """Ask everybody for a password or a key, also whom no seat is called as."""
        self._number = sign_in.seat_of(username)
        return True

    def auth_completed(self) -> None:
        """Note who is in, and turn away who has too many connections already."""
        self._known()
        if self._number is None:
            return
        self._is_in = True
        self._seats.connected[self._number] += 1
        log.info("%s: seat %02d signed in", self._peer, self._number)
        if self._seats.connected[self._number] > CONNECTIONS:
            self._refuse(f"{sign_in.user(self._number)} has {CONNECTIONS} connections already")
        elif self._seats.connected[self._number] == 1:
            self._seats.note(self._number)

    def password_auth_supported(self) -> bool:
        """Take passwords."""
        return True

    def public_key_auth_supported(self) -> bool:
        """Take keys."""
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        """Whether it is the seat's; a wrong one costs time, and three the connection."""
        number = sign_in.seat_of(username)
        if number is not None and sign_in.is_password(self._seats.workshop, number, password):
            return True
        self._passwords += 1
        log.info("%s: wrong password for %.40r", self._peer, username)
        await asyncio.sleep(PENALTY)
        if self._passwords >= PASSWORDS:
            self._refuse("too many wrong passwords")
        return False

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether the trainer has given this key to the seat."""
        self._keys += 1
        if self._keys > KEYS:
            self._refuse("too many keys")
            return False
        number = sign_in.seat_of(username)
        given = sign_in.keys(self._seats.workshop, number) if number is not None else []
        return any(asyncssh.import_public_key(line) == key for line in given)

    def session_requested(self) -> Any:
        """Give a session of the seat that has signed in, and no other's."""
        if self._number is None:
            return False
        session = self._seats.session(self._number)
        if session is None:
            log.info("%s: seat %02d has %d sessions already", self._peer, self._number, SESSIONS)
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_RESOURCE_SHORTAGE,
                f"{sign_in.user(self._number)} has {SESSIONS} sessions already: leave one",
            )
        return session

    def _known(self) -> None:
        if self._is_stranger:
            self._is_stranger = False
            self._seats.strangers -= 1

    def _refuse(self, why: str) -> None:
        if self._connection is not None:
            self._connection.disconnect(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, why)


def options(seats: Seats, key: Path) -> asyncssh.SSHServerConnectionOptions:
    """Return what the server takes part in; what isn't said here asyncssh refuses by itself."""
    return asyncssh.SSHServerConnectionOptions(
        server_factory=lambda: Connection(seats),
        server_host_keys=[str(key)],
        server_version="Underlay",
        login_timeout=TO_SIGN_IN,
        keepalive_interval=ALIVE,
        keepalive_count_max=MISSED,
        agent_forwarding=False,
        x11_forwarding=False,
        gss_host=None,
        kbdint_auth=False,
        host_based_auth=False,
        line_editor=False,
        encoding=None,
        compression_algs=None,
    )


def bound(address: str, port: int) -> socket.socket:
    """Return a socket that listens at ``address`` and ``port``; raise OSError where it can't."""
    family, kind, _, _, place = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        # A bound socket that doesn't listen keeps nobody else away.
        made.listen(STRANGERS)
    except OSError:
        made.close()
        raise
    return made


async def serve(workshop: Path, listening: socket.socket) -> None:
    """Serve at a socket that listens until SIGTERM comes, or nothing is left to serve."""
    seats, over = Seats(workshop), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    key = workshop / sign_in.FOLDER / "host_key"
    async with await asyncssh.listen(sock=listening, options=options(seats, key)) as acceptor:
        _tell({"port": listening.getsockname()[1]})
        await _end(over, seats)
        acceptor.close()
        await seats.end()


async def _end(over: asyncio.Event, seats: Seats) -> None:
    """Wait until it is ``over``, or the server has outlived its workshop."""
    outlived = Outlived(seats.workshop)
    while not over.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), LOOK)
        if why := outlived.why(busy=bool(seats.sessions)):
            log.info("ended: %s", why)
            return


def main(workshop: Path, address: str, port: int) -> int:
    """Run the server; return its exit code."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o077)
    _keep_log(workshop / sign_in.FOLDER / LOG)
    try:
        listening = bound(address, port)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            _tell({"error": f"no interface of this machine has {address}", "hint": _addresses()})
            return 2
        hint = "--port takes another one, and 0 is any that is free" if port else ""
        said = f"{address}, port {port}, can't be listened at: {reason(error).lower()}"
        _tell({"error": said, "hint": hint})
        return 2
    asyncio.run(serve(workshop, listening))
    return 0


def _addresses() -> str:
    """Return a hint of which addresses this machine has; nothing where it can't be asked."""
    command = ["ip", "-json", "address", "show", "up"]
    try:
        shown = subprocess.run(command, capture_output=True, check=True, timeout=ASKED)
        links = json.loads(shown.stdout)
        found = [
            told["local"]
            for link in links
            for told in link.get("addr_info", ())
            if told.get("scope") != "link"
        ]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return ""
    return f"it has {listed(found)}; 0.0.0.0 is all of them" if found else ""


def _tell(word: dict[str, object]) -> None:
    """Say the one thing that whoever starts the server waits for, and nothing there any more."""
    os.write(1, json.dumps(word).encode() + b"\n")
    with suppress(OSError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.close(nothing)


def _keep_log(file: Path) -> None:
    """Keep who signed in and who didn't; never a password, and never more than two files."""
    handler = RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    asyncssh.set_log_level(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
