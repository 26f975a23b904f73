"""One session of a seat's: the restricted shell as a process, and the bytes to it and from it.

With a terminal the shell is the first process of a session of its own on a pseudoterminal, so
that Ctrl-C and the window's size are the kernel's business, and a lost connection is what a closed
terminal is: the kernel tells all that runs there. Without one it has a socket for standard streams.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh

from underlay.cluster.providers.uml.sandbox import start_time
from underlay.storage import paths
from underlay.workshop.record import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SHELL = "underlay.cli.seat_shell"
# What the shell takes over from the trainer's own environment; nothing comes from the client.
KEPT = (
    "HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "TMPDIR", "USER", "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR", VARIABLE,
)  # fmt: skip
TERMINAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,39}")
PIECE = 1 << 16
# Bytes of what a learner types, or pastes, that wait for the shell.
MOST_WAITING = 1 << 16
LARGEST_WINDOW = 1000
# Seconds in which what ran is given the time to tidy up, before it is killed.
PATIENCE = 15.0
# Characters that would stop or dump a process: there is no shell that could go on with it.
WITHOUT = (termios.VQUIT, termios.VSUSP)
# Attributes of a terminal, by their places: see termios.tcgetattr.
CHARACTERS = 6
# A process: its id and when it started.
Member = tuple[int, int]


def environment(term: str = "", of: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the shell's whole environment, with ``term`` where it looks like a terminal's name."""
    kept = {name: of[name] for name in KEPT if of.get(name)}
    fitting = term if TERMINAL.fullmatch(term) else "dumb"
    # No file of the trainer's may say what keys do, nor may any program be started by a key.
    quiet = {"INPUTRC": os.devnull, "EDITRC": os.devnull, "EDITOR": "false", "VISUAL": "false"}
    own = {"PYTHONPATH": str(paths.PACKAGE.parent), "TERM": fitting}
    return {"LANG": "C.UTF-8", **kept, **quiet, **own}


class Session(asyncssh.SSHServerSession[bytes]):
    """A shell for the seat ``number`` of ``workshop``; ``over`` is called when it has ended."""

    def __init__(self, workshop: Path, number: int, over: Callable[[Session], None]) -> None:
        self._workshop, self._number, self._over = workshop, number, over
        self._loop = asyncio.get_running_loop()
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._terminal: str | None = None
        self._size = (80, 24)
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._end = -1
        self._watched = -1
        self._waiting = b""
        self._closing = False

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Take the channel."""
        self._channel = chan

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        """Note the terminal, whose modes are ours."""
        self._terminal, self._size = term_type, _fitting(term_size[0], term_size[1])
        return True

    def shell_requested(self) -> bool:
        """Start the shell for somebody who types."""
        return self._start([])

    def exec_requested(self, command: str) -> bool:
        """Have the shell run one line, as ``ssh seat-07@HOST check`` asks for; it reads it."""
        return self._start(["--line", command])

    def subsystem_requested(self, subsystem: str) -> bool:
        """Refuse: sftp is one."""
        return False

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        """Tell the terminal, and by it whoever runs there."""
        self._size = _fitting(width, height)
        if self._terminal is not None and self._end >= 0:
            _resize(self._end, self._size)

    def signal_received(self, signal: str) -> None:
        """Ignore it: an interrupt is typed, and a hang-up is a lost connection."""

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Pass on what is typed; whoever types faster than it is read has to wait."""
        self._waiting += data
        self._type()

    def eof_received(self) -> bool:
        """Pass on the end of what is typed; what runs goes on to its own end."""
        if self._terminal is not None:
            self._waiting += b"\x04"
            self._type()
        elif self._socket is not None:
            self._closing = True
            self._type()
        return True

    def pause_writing(self) -> None:
        """Read nothing more of the shell until the client has taken what there is."""
        if self._end >= 0:
            self._loop.remove_reader(self._end)

    def resume_writing(self) -> None:
        """Read on."""
        if self._end >= 0:
            self._loop.add_reader(self._end, self._read)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hang up: the kernel tells all on the terminal, and what doesn't end is killed."""
        self.hang_up()
        if self._process is None:
            self._over(self)

    def hang_up(self) -> None:
        """Close the session's end of the terminal or the socket, and see to it that all ends."""
        self._close_end()
        if self._process is not None and self._watched >= 0:
            there = _members(self._process.pid)
            _tell(there, signal.SIGHUP)
            self._loop.call_later(PATIENCE, self._kill, there)

    def _kill(self, there: Iterable[Member]) -> None:
        """Kill who was there and is, and who has come since, while the shell holds its number."""
        assert self._process is not None
        _tell({*there, *(_members(self._process.pid) if self.lives else ())}, signal.SIGKILL)

    @property
    def lives(self) -> bool:
        """Whether the shell's process still runs."""
        return self._watched >= 0

    def _start(self, words: list[str]) -> bool:
        if self._process is not None:
            return False
        # -P: as in the launcher. The seat is the one of the password, whatever the client says.
        command = [sys.executable, "-P", "-m", SHELL, str(self._workshop), str(self._number)]
        if self._terminal is None:
            self._socket, far = socket.socketpair()
            self._end, streams = self._socket.fileno(), far.detach()
        else:
            self._end, streams = os.openpty()
            _resize(self._end, self._size)
            _without_stopping(streams)
            # It is a new session's first process by then, and the terminal becomes its own.
            command = ["setsid", "--ctty", *command]
        try:
            self._process = subprocess.Popen(
                [*command, *words],
                stdin=streams,
                stdout=streams,
                stderr=streams,
                cwd="/",
                env=environment(self._terminal or ""),
                # With a terminal setsid(1) does it, which must not lead a session already.
                start_new_session=self._terminal is None,
            )
        except (OSError, ValueError):
            self._close_end()
            return False
        finally:
            os.close(streams)
        os.set_blocking(self._end, False)
        self._watched = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._watched, self._ended)
        self._loop.add_reader(self._end, self._read)
        return True

    def _type(self) -> None:
        """Write what waits as far as it is taken."""
        if self._end < 0 or self._channel is None:
            self._waiting = b""
            return
        try:
            while self._waiting:
                self._waiting = self._waiting[os.write(self._end, self._waiting) :]
        except BlockingIOError:
            pass
        except OSError:
            self._waiting = b""
        if self._waiting:
            self._loop.add_writer(self._end, self._type)
        else:
            self._loop.remove_writer(self._end)
            if self._closing and self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_WR)
        if len(self._waiting) > MOST_WAITING:
            self._channel.pause_reading()
        else:
            self._channel.resume_reading()

    def _read(self) -> bool:
        """Show what the shell says; whether there may be more of it."""
        try:
            data = os.read(self._end, PIECE)
        except BlockingIOError:
            return False
        except OSError:
            # EIO: nobody holds the terminal any more.
            data = b""
        if not data:
            self._loop.remove_reader(self._end)
            return False
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(data)
        return True

    def _ended(self) -> None:
        """Show what is left to be shown, tell the exit code, and let the channel go."""
        assert self._process is not None
        code = self._process.wait()
        self._loop.remove_reader(self._watched)
        os.close(self._watched)
        self._watched = -1
        while self._end >= 0 and self._read():
            pass
        # What it has left on the terminal hears that this is closed.
        _tell(_members(self._process.pid), signal.SIGHUP)
        self._close_end()
        if self._channel is not None and not self._channel.is_closing():
            self._channel.exit(code if code >= 0 else 128 - code)
        self._over(self)

    def _close_end(self) -> None:
        if self._end < 0:
            return
        self._loop.remove_reader(self._end)
        self._loop.remove_writer(self._end)
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self._end)
        self._end = -1


def _fitting(width: int, height: int) -> tuple[int, int]:
    """Return a window's size as far as one can be; clients without a window say 0."""
    return min(width or 80, LARGEST_WINDOW), min(height or 24, LARGEST_WINDOW)


def _resize(terminal: int, size: tuple[int, int]) -> None:
    with suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))


def _without_stopping(terminal: int) -> None:
    attributes = termios.tcgetattr(terminal)
    for place in WITHOUT:
        attributes[CHARACTERS][place] = b"\0"
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)


def _members(session: int) -> list[Member]:
    """Return who is in the ``session`` that our own child was the first of.

    The kernel gives its number to no other as long as any of them lives.
    """
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError, ValueError, IndexError):
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    found.append((int(entry), int(fields[19])))
    return found


def _tell(members: Iterable[Member], sign: signal.Signals) -> None:
    """Send ``sign`` to those of ``members`` that are still who they were."""
    for pid, started in members:
        if start_time(pid) == started:
            with suppress(OSError):
                os.kill(pid, sign)
