"""OpenSSH's own client at a seat of a workshop: for one word, or on a terminal."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from underlay.proof.bench.command_line import PseudoTerminal
from underlay.workshop import sign_in

# s; it ends what hangs, and proves nothing about speed.
LONG = 90.0
ASKED = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")


@dataclass(frozen=True)
class Room:
    """A workshop's state folder, whose server runs, and a folder for what clients need."""

    folder: Path
    server: sign_in.Server
    around: Path

    def client(self, *words: str, seat: int = 1, options: tuple[str, ...] = ()) -> list[str]:
        """Return OpenSSH's command line for ``words`` at a seat."""
        port = ("-p", str(self.server.port))
        known = ("-F", "/dev/null", "-o", "LogLevel=INFO", *ASKED, *port, *options)
        return ["ssh", *known, f"{sign_in.user(seat)}@{self.server.address}", *words]

    def run(
        self,
        *words: str,
        seat: int = 1,
        password: str | None = None,
        options: tuple[str, ...] = (),
        text: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run OpenSSH's client to its end; the password is the seat's own, where none is given."""
        said = sign_in.password(self.folder, seat) if password is None else password
        return subprocess.run(
            self.client(*words, seat=seat, options=("-o", "NumberOfPasswordPrompts=1", *options)),
            input=text,
            capture_output=True,
            text=True,
            timeout=LONG,
            env=self.asking(said),
        )

    def asking(self, password: str) -> dict[str, str]:
        """Return an environment in which ssh is told ``password`` where it asks for one."""
        ask = self.around / "ask"
        ask.write_text('#!/bin/sh\nprintf "%s\\n" "$SAID"\n')
        ask.chmod(0o700)
        own = {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force", "SAID": password}
        return {name: os.environ[name] for name in ("PATH", "HOME")} | own

    def terminal(self, *, seat: int = 1, options: tuple[str, ...] = ()) -> Terminal:
        """Return a client on a terminal that has come to its prompt."""
        command = self.client(seat=seat, options=options)
        opened = Terminal(command, {"PATH": os.environ["PATH"], "TERM": "vt100"})
        opened.expect("assword:")
        opened.type(f"{sign_in.password(self.folder, seat)}\n".encode())
        opened.expect(f"{sign_in.user(seat)}> ")
        return opened


class Terminal(PseudoTerminal):
    """A client on a terminal, and how far what it shows has been read."""

    read = 0

    def expect(self, text: str) -> None:
        """Wait until ``text`` is shown behind all that was expected before."""
        end = time.monotonic() + LONG
        while (at := self.text.find(text.encode(), self.read)) < 0:
            assert time.monotonic() < end, self.text.decode()
            assert self.process.poll() is None, self.text.decode()
            self.watch(0.2)
        self.read = at + len(text)

    def leave(self) -> int:
        """Wait until the client has ended by itself; return its exit code."""
        end = time.monotonic() + LONG
        while self.process.poll() is None and time.monotonic() < end:
            self.watch(0.2)
        self.close()
        return self.process.wait(5)

    def tear(self) -> None:
        """End the client as a lost connection does."""
        self.process.kill()
        self.process.wait()
        self.close()
