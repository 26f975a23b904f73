"""Locks between commands: one has it, the others are told who that is and since when, and wait.

A lock is a file that the kernel has locked for a process. The kernel gives it back when that
process ends, however it ends, so no lock outlives its holder, whatever stands in the file.
A symbolic link in a lock's place is refused: it would have another file signed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.1
LONGEST_COMMAND = 80
# Seconds in which a folder that others remove and make must have been there long enough once.
FOLDER_COMES = 10.0


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
def held(
    path: Path,
    busy: str,
    *,
    deadline: float,
    waiting: Callable[[str], None] = lambda _: None,
    kept: bool = False,
) -> Iterator[None]:
    """Hold the lock at ``path`` and have it say who does; waits and raises as ``wait_for``.

    The file goes with the lock, unless it is ``kept``.
    """
    descriptor = wait_for(path, busy, deadline=deadline, waiting=waiting)
    try:
        _sign(descriptor)
        yield
    finally:
        with suppress(OSError):
            if kept:
                os.ftruncate(descriptor, 0)
            else:
                path.unlink()
        os.close(descriptor)


def wait_for(
    path: Path,
    busy: str,
    *,
    deadline: float,
    waiting: Callable[[str], None] = lambda _: None,
    folder: Callable[[], int] | None = None,
) -> int:
    """Return a descriptor that holds the lock at ``path``, which is made with its folder.

    ``folder`` makes and opens that in another way: for each attempt, and the lock is made in what
    it has opened, whatever the folder's name leads to by then. ``busy`` says, as the
    predicate of a sentence, what holders do; ``waiting`` is told who does it meanwhile. Raises
    Infrastructure, which says so too, where that lasts longer than ``deadline`` seconds, and
    where ``path`` is a symbolic link; OSError where its folder can't be made.
    """
    began = time.monotonic()
    told = ""
    pause = FIRST_PAUSE
    while True:
        try:
            if folder is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                return _attempt(path)
            opened = folder()
            try:
                return _attempt(path, opened)
            finally:
                os.close(opened)
        except (FileNotFoundError, FileExistsError):
            # Its last holder has just removed it, or the folder between the two steps by which
            # `mkdir` learns that there is one: the next attempt makes another.
            if _is_another_thing(path.parent) or time.monotonic() - began > deadline + FOLDER_COMES:
                raise
            continue
        except BlockingIOError:
            who = _signed(path)
        words = f"{who or 'another command'} {busy}"
        if time.monotonic() - began > deadline:
            hint = f"wait for it, or end it: kill {who.pid}" if who else "wait for it"
            raise Infrastructure(words, hint=hint)
        # Whose signature can't be read may just have gone: nobody needs to hear of that.
        if words != told and (who or not told):
            waiting(f"{words}, waiting for it")
            told = words
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def take(path: Path, *, made: bool = True, folder: int | None = None) -> int:
    """Return a descriptor that holds the lock at ``path``; the file is ``made`` if missing.

    A relative ``path`` is one in the ``folder`` of that descriptor, where there is one.

    Raises BlockingIOError where somebody has it, FileNotFoundError where its last holder has
    removed it meanwhile, and another OSError where it can't be opened.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if made else 0)
    descriptor = os.open(path, flags, 0o600, dir_fd=folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), os.lstat(path, dir_fd=folder)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def holder(path: Path) -> Holder | None:
    """Return who has the lock at ``path``, None where nobody has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        # Shared: two that ask at once are not in each other's way.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _signed(path) or Holder(0, "another command", "?")
    finally:
        os.close(descriptor)
    return None


def forget_unheld(folder: Path) -> None:
    """Remove the files of locks in ``folder`` that nobody has: of commands that were killed."""
    for path in folder.glob("*"):
        with suppress(OSError):
            descriptor = take(path, made=False)
            try:
                path.unlink()
            finally:
                os.close(descriptor)


def _is_another_thing(folder: Path) -> bool:
    """Whether something else than a folder has the place of ``folder``."""
    try:
        mode = folder.lstat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISDIR(mode) or (stat.S_ISLNK(mode) and folder.is_dir()))


def _attempt(path: Path, folder: int | None = None) -> int:
    try:
        return take(path if folder is None else Path(path.name), folder=folder)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise Infrastructure(
            f"{path} is a symbolic link, where a lock belongs", hint=f"rm {path}"
        ) from error


def _sign(descriptor: int) -> None:
    """Write into a lock that is held who holds it; a full disk must not keep anybody from it."""
    program = Path(sys.argv[0])
    # Where Python was told a package by -m, people know it by the package's name.
    name = program.parent.name if program.name == "__main__.py" else program.name
    words = " ".join([name, *sys.argv[1:]])[:LONGEST_COMMAND]
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    text = json.dumps(asdict(Holder(os.getpid(), words, since)))
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _signed(path: Path) -> Holder | None:
    """Return who has signed the lock at ``path``; None in the moment before that is written."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
