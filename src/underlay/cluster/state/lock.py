"""Who is at work on a lab: one command at a time changes or measures it, and says so.

There are two locks. A command holds the lab's *turn* from its first step to its last;
whoever comes second is told who has it, since when and under which pid, and waits.
The processes that a command starts on its way hold the *lock* for the moments in which
they change files: Vagrant starts all nodes at once, and each of them asks for it.
The kernel gives both back when their holder ends, however it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.errors import Infrastructure
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Longer than any `up` takes; who still waits then waits for something that hangs.
PATIENCE = 900.0
PAUSE = 0.1
LONGEST_COMMAND = 80

# Turns that this process has: `up` calls `down` when it fails.
_mine: set[str] = set()


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock: its pid, its command line, and since when it has it."""

    pid: int
    command: str
    since: str

    def __str__(self) -> str:
        """Return it as the subject of a sentence."""
        return f"`{self.command}` (pid {self.pid}, since {self.since})"


@contextmanager
def turn(
    lab: str, waiting: Callable[[str], None] = lambda _: None, *, patience: float | None = None
) -> Iterator[None]:
    """Have the lab to oneself while a command is at work on it, and within it once more.

    ``waiting`` is told who is at work. Raises Infrastructure, which says so too,
    where that lasts longer than ``patience`` (by default ``PATIENCE``) seconds.
    """
    if lab in _mine:
        yield
        return
    longest = PATIENCE if patience is None else patience
    with _held(paths.locks() / f"{lab}.turn", lab, waiting, longest):
        _mine.add(lab)
        try:
            yield
        finally:
            _mine.discard(lab)


@contextmanager
def lock(lab: str, waiting: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Hold the lab's lock: one process at a time makes, changes or removes its files.

    ``waiting`` is told when somebody else holds it. Raises Infrastructure as ``turn`` does.
    """
    with _held(paths.locks() / lab, lab, waiting, PATIENCE):
        yield


def holder(lab: str) -> Holder | None:
    """Return who has the lab's turn, None where nobody has it."""
    path = paths.locks() / f"{lab}.turn"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _written(path) or Holder(0, "another command", "?")
    finally:
        os.close(descriptor)
    return None


def forget_unheld() -> None:
    """Remove the files of locks that nobody has: of commands that were killed."""
    for path in paths.locks().glob("*"):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                if _taken(path, descriptor):
                    path.unlink()
            finally:
                os.close(descriptor)
    _forget_empty(paths.locks())


@contextmanager
def _held(path: Path, lab: str, waiting: Callable[[str], None], patience: float) -> Iterator[None]:
    descriptor = _acquired(path, lab, waiting, patience)
    try:
        _sign(descriptor)
        yield
    finally:
        # The lock's file goes with it, and so do the folders above it that are empty then.
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)
        _forget_empty(path.parent)


def _forget_empty(folder: Path) -> None:
    for empty in (folder, folder.parent):
        with suppress(OSError):
            empty.rmdir()


def _acquired(path: Path, lab: str, waiting: Callable[[str], None], patience: float) -> int:
    """Return a descriptor that holds the lock on the file that is at ``path`` now."""
    began = time.monotonic()
    told = ""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue
        try:
            if _taken(path, descriptor):
                return descriptor
        except BlockingIOError:
            who = _written(path)
            words = f"{who or 'another command'} is at work on the lab {lab}"
            if time.monotonic() - began > patience:
                os.close(descriptor)
                hint = f"wait for it, or end it: kill {who.pid}" if who else "wait for it"
                raise Infrastructure(words, hint=hint) from None
            if words != told:
                waiting(f"{words}, waiting for it")
                told = words
            time.sleep(PAUSE)
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _taken(path: Path, descriptor: int) -> bool:
    """Take the lock; return whether its file is still at ``path``, not removed by its last holder.

    Raises BlockingIOError where somebody has it, and FileNotFoundError.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return os.fstat(descriptor).st_ino == path.stat().st_ino


def _sign(descriptor: int) -> None:
    """Write into a lock that is held who holds it; a full disk must not keep anybody from it."""
    words = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:LONGEST_COMMAND]
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    text = json.dumps(asdict(Holder(os.getpid(), words, since)))
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _written(path: Path) -> Holder | None:
    """Return who has signed the lock at ``path``; None in the moment before that is written."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
