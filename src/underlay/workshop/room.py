"""A workshop from its first process to its last: made, and ended without a trace.

Every process that a workshop starts has its token in the environment, a random word that its
record holds. By that and by the identities of sandboxes it is ended: whatever was killed, in
whatever phase, nothing else on this machine can be meant.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.errors import BadInput, Infrastructure, UnderlayError, listed
from underlay.storage import locks, paths
from underlay.workshop import limits, sign_in
from underlay.workshop.booting import end_labs
from underlay.workshop.record import FILE, VARIABLE, Workshop, read_workshop, workshops_folder
from underlay.workshop.seat import Seat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from underlay.workshop.course import Course

LOCK_DEADLINE = 5.0
END_DEADLINE = 30.0
# Longer than it takes who was interrupted to end what has begun.
STARTER_DEADLINE = 120.0


def new(course: Course, seats: int) -> Workshop:
    """Record a new workshop of ``course``, before any process of it runs.

    From now on what this process starts is the workshop's. Raises BadInput where it is up already.
    """
    folder = workshops_folder() / course.name
    with _alone(course.name):
        if (folder / FILE).exists():
            raise BadInput(
                f"a workshop of {course.name} is up already",
                hint=f"underlay workshop down {course.name}",
            )
        token = secrets.token_hex(16)
        made = Workshop(folder, course.folder.resolve(), seats, token, whole=False)
        made.write()
    os.environ[VARIABLE] = made.token
    return made


def down(name: str, tell: Callable[[str], None]) -> None:
    """End all of the workshop called ``name``, and remove all that it has left, its journals, too.

    Raises Infrastructure where something can't be ended.
    """
    folder = workshops_folder() / name
    end_starter(name, tell)
    with _alone(name):
        tell(f"ending the workshop {name}")
        known = _known(folder)
        with suppress(UnderlayError):
            sign_in.stop(folder)
        end_processes(known)
        seats = sorted((folder / "seats").glob("*"))
        for number, seat in enumerate(seats, 1):
            tell(f"ending seat {number} of {len(seats)}")
            # No course is needed for that, and it may be gone.
            end_labs(Seat(None, 0, seat))  # type: ignore[arg-type]
        end_processes(known)
        limits.remove(Path(group) for group in known.groups)
        shutil.rmtree(folder, ignore_errors=True)
    paths.remove_empty(workshops_folder())
    # That of whoever brought it up, if that was killed.
    locks.forget_unheld(paths.locks())
    paths.remove_empty_home()


def end_half(name: str, tell: Callable[[str], None]) -> None:
    """End what a killed ``up`` has left of the workshop ``name``, and never a whole one.

    Called while ``starting`` is held: then nobody else can still be at it.
    """
    folder = workshops_folder() / name
    try:
        known = read_workshop(folder)
    except UnderlayError:
        # There is none, or nobody knows what it is.
        return
    if not known.whole:
        tell(f"{_was_killed(known)}: ending it")
        down(name, tell)


def at_work(name: str) -> bool:
    """Whether a command is just bringing the workshop ``name`` up."""
    return locks.holder(_starter(name)) is not None


def unfinished(room: Workshop) -> str:
    """Return in words that ``room`` isn't whole, and why; nothing where it is."""
    if room.whole:
        return ""
    if at_work(room.name):
        return f"{room.name} is still being brought up"
    return _was_killed(room)


def _was_killed(room: Workshop) -> str:
    # The course may be gone, and journals don't need it.
    folders = [room.folder / "seats" / f"{number:02d}" for number in room.numbers]
    seats = [Seat(None, 0, folder).progress() for folder in folders]  # type: ignore[arg-type]
    begun = sum(bool(at.exercise) and at.whole for at in seats)
    return (
        f"{room.name} was not brought up to its end:"
        f" {begun} of {len(seats)} seats, your own among them"
    )


@contextmanager
def starting(name: str) -> Iterator[None]:
    """Hold, for as long as a workshop is brought up, what tells ``down`` who does so."""
    try:
        with locks.held(_starter(name), f"brings the workshop {name} up", deadline=LOCK_DEADLINE):
            yield
    finally:
        # Where nothing came of it, this was the last file.
        paths.remove_empty_home()


def end_starter(name: str, tell: Callable[[str], None]) -> None:
    """Interrupt the command that still brings the workshop ``name`` up, and wait for its end.

    It cleans up after itself. Raises Infrastructure where it doesn't come to an end.
    """
    found = locks.holder(_starter(name))
    if found is None or found.pid in (0, os.getpid()):
        return
    tell(f"interrupting {found}")
    with suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGTERM)
    limit = time.monotonic() + STARTER_DEADLINE
    while locks.holder(_starter(name)) is not None:
        if time.monotonic() > limit:
            raise Infrastructure(f"{found} doesn't end", hint=f"kill -9 {found.pid}, and once more")
        time.sleep(0.1)


def _starter(name: str) -> Path:
    return paths.locks() / f"workshop-{name}.up"


def end_processes(known: Workshop) -> None:
    """End every process that was started for a workshop; raise Infrastructure where one stays."""
    limit = time.monotonic() + END_DEADLINE
    while pids := list(processes(known.token)):
        if time.monotonic() > limit:
            numbers = listed(map(str, pids))
            raise Infrastructure(f"of the workshop {known.name} these processes stay: {numbers}")
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def processes(token: str) -> Iterator[int]:
    """Yield the processes, but this one, that have a workshop's ``token`` in their environment."""
    wanted = f"{VARIABLE}={token}".encode()
    for path in Path("/proc").glob("[0-9]*") if token else ():
        if int(path.name) == os.getpid():
            continue
        with suppress(OSError):
            if wanted in (path / "environ").read_bytes().split(b"\0"):
                yield int(path.name)


def _known(folder: Path) -> Workshop:
    """Return the record of a workshop; without it, what is in its folder can still be ended."""
    try:
        return read_workshop(folder)
    except UnderlayError:
        return Workshop(folder, folder, 0)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    busy = f"begins or ends the workshop {name}"
    with locks.held(paths.locks() / f"workshop-{name}", busy, deadline=LOCK_DEADLINE):
        yield
