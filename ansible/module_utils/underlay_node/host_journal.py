"""What is changed on a host of somebody's own, written down before each change.

One file of lines of JSON, each of which is on the disk before what it says is done. Whoever is
killed in between leaves a line too many at worst: undoing what was never done does nothing. What a
line names is known again by its identity: a file by its digest, a link by its index, a namespace by
its cookie. So nothing of somebody else's is taken for ours.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator

from .commands import Failed

# One file, and no folder of its own: that would be a change that nobody has written down. It
# outlives a reboot, as files in /etc do.
PATH = "/var/lib/underlay.journal"
BOOT = "/proc/sys/kernel/random/boot_id"
# s that another command may be at work on this host.
PATIENCE = 60.0
# A line's first word: the lab that is to be, a change, its undoing, and all of it being there.
WANTS, MADE, UNMADE, WHOLE, UNDOING = "wants", "made", "unmade", "whole", "undoing"
Key = tuple[str, str]


class Journal:
    """One host's journal, open and locked: what it says, and ``note`` to say more.

    ``made`` holds the changes that count, in their order, by kind and name. ``whole`` says that all
    of what is wanted was made, ``undoing`` that somebody has begun to undo it. ``names`` are all
    containers that were ever made by it.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self.wants: dict = {}
        self.made: dict[Key, dict] = {}
        self.names: set[str] = set()
        self.whole = self.undoing = False
        self.last = ""
        with open(os.dup(file), "rb") as opened:
            opened.seek(0)
            text = opened.read()
        # The last line is cut where its writer was: nothing was done after it.
        self._end = text.rfind(b"\n") + 1
        try:
            for line in text[: self._end].splitlines():
                self._take(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise Failed(f"{PATH} can't be read, and nothing is done: {error!r}") from error

    @property
    def begun(self) -> bool:
        """Whether anything may have been changed."""
        return bool(self.wants)

    @property
    def lab(self) -> str:
        """The lab's name; empty before anything was begun."""
        return str(self.wants.get("lab", ""))

    @property
    def rebooted(self) -> bool:
        """Whether the host was booted since: what isn't on its disk is gone."""
        return self.begun and self.wants["boot"] != boot()

    def note(self, word: str, **said: object) -> None:
        """Write one line, and return when it is on the disk; raise OSError."""
        line = json.dumps({"word": word, **said}).encode() + b"\n"
        os.ftruncate(self._file, self._end)
        os.lseek(self._file, self._end, os.SEEK_SET)
        written = 0
        while written < len(line):
            written += os.write(self._file, line[written:])
        os.fsync(self._file)
        self._end += len(line)
        self._take(json.loads(line))

    def clear(self) -> None:
        """Begin anew; what was made must have been undone."""
        os.ftruncate(self._file, 0)
        os.fsync(self._file)
        self._end = 0
        self.wants, self.made, self.names = {}, {}, set()
        self.whole = self.undoing = False
        self.last = ""

    def remove(self) -> None:
        """Remove the file: there is nothing left to be undone."""
        os.unlink(PATH)
        _settle()

    def _take(self, entry: dict) -> None:
        word = entry["word"]
        if word == WANTS:
            self.wants, self.whole, self.undoing = entry, False, False
        elif word == MADE:
            self.made[entry["kind"], entry["name"]] = entry
            self.last = entry["said"]
            if entry["kind"] == "container":
                self.names.add(entry["name"])
        elif word == UNMADE:
            self.made.pop((entry["kind"], entry["name"]), None)
        elif word == WHOLE:
            self.whole = True
        elif word == UNDOING:
            self.whole, self.undoing = False, True


def boot() -> str:
    """Return what no other boot of any machine has."""
    with open(BOOT, encoding="ascii") as file:
        return file.read().strip()


@contextlib.contextmanager
def held(*, create: bool = False) -> Iterator[Journal | None]:
    """Yield this host's journal, locked; None where there is none and none is to be made.

    Raises Failed where another command is at work for longer than PATIENCE.
    """
    end = time.monotonic() + PATIENCE
    while True:
        file = _opened(create)
        if file is None:
            yield None
            return
        try:
            if _locked(file):
                yield Journal(file)
                return
        finally:
            os.close(file)
        if time.monotonic() > end:
            raise Failed(f"another command has been at work here for {PATIENCE:.0f} s")
        time.sleep(0.1)


def _opened(create: bool) -> int | None:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    with contextlib.suppress(FileNotFoundError):
        return os.open(PATH, flags)
    if not create:
        return None
    file = os.open(PATH, flags | os.O_CREAT, 0o600)
    _settle()
    return file


def _locked(file: int) -> bool:
    """Take the lock, which goes with its holder; False where another has it or removed the file."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file), os.stat(PATH))
    return False


def _settle() -> None:
    """Have the folder's own entry on the disk."""
    folder = os.open(os.path.dirname(PATH), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
