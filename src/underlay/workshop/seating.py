"""Several seats at once: each is begun by a process of its own, which ends with its starter.

``python -m underlay.workshop.seating`` is that process. Its standard input carries what it is to
do, as JSON, and then nothing: when that ends, the starter has. Each line of its standard output is
a step; the last one is ``{"ok": true}`` or ``{"error", "hint", "detail"}``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.cluster.interrupts import interrupts_wait
from underlay.cluster.providers import DEFAULT, provider
from underlay.cluster.providers.uml.sandbox import SHOWN
from underlay.errors import BadInput, Infrastructure, UnderlayError, count
from underlay.lint import load, refuse_errors
from underlay.storage import paths
from underlay.workshop import capacity, limits, sign_in
from underlay.workshop.booting import rendered
from underlay.workshop.reading import load_course
from underlay.workshop.room import down, end_half, new, starting
from underlay.workshop.seat import Seat

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.workshop.course import Course, Exercise
    from underlay.workshop.record import Workshop

    Tell = Callable[[str], None]

# s that a seat gets to begin; the nodes themselves have a deadline, which is shorter.
SEAT_DEADLINE = 900.0
# s in which a process that was told to end has to clean up its seat.
CLEAN_UP = 30.0
TRIES = 2


@dataclass(frozen=True)
class Seated:
    """What became of a seat: the seconds that it took, and why it failed, if it did."""

    seat: Seat
    seconds: float
    error: Infrastructure | None = None


def up(
    course: Course, seats: int, tell: Tell, *, listen: str = "", port: int = sign_in.PORT
) -> tuple[Workshop, list[Seated]]:
    """Bring up the trainer's seat and ``seats`` more, each in the first exercise of ``course``.

    The ssh server comes first: a port that is taken is known before anything boots. A seat that
    can't be booted is tried once more; then it is returned with its error, and the others are up.
    Raises BadInput where they don't fit on this machine, or the workshop is up already. What an
    ``up`` that was killed has left of it is ended first. Where this is interrupted, nothing is
    left.
    """
    refuse_shown(course)
    needed = capacity.need(course)
    capacity.refuse_too_many(needed, seats)
    with starting(course.name):
        end_half(course.name, tell)
        return _up(new(course, seats), course, needed, tell, listen, port)


def _up(
    room: Workshop, course: Course, needed: capacity.Need, tell: Tell, listen: str, port: int
) -> tuple[Workshop, list[Seated]]:
    try:
        sign_in.start(room.folder, room.numbers, listen=listen, port=port)
        make_ready(course, tell)
        room = with_limits(room, course, needed)
        seated = _seat_all(room, course, course.exercises[0], tell)
        room = replace(room, whole=True)
        room.write()
        return room, seated
    except BaseException:
        down(room.name, tell)
        raise


def refuse_shown(course: Course) -> None:
    """Raise BadInput where sandboxes show the folder of ``course``: solutions stand in there.

    Of the system's programs they show all but Underlay itself.
    """
    folder, own = course.folder.resolve(), paths.root().resolve()
    shown = [Path(tree).resolve() for tree in (*SHOWN, sys.base_prefix)]
    if any(folder.is_relative_to(tree) for tree in shown) and not folder.is_relative_to(own):
        raise BadInput(
            f"{folder} lies where seats see this machine's programs, and so its solutions",
            hint="move the course elsewhere, such as to your home",
        )


def make_ready(course: Course, tell: Tell) -> None:
    """Make what all seats share, before any of them asks for it: the image, and all labs' files."""
    labs = [load(exercise.lab_file) for exercise in course.exercises]
    for loaded in labs:
        refuse_errors(loaded)
        provider(DEFAULT).build(loaded.plan, tell)
    tell(f"rendering the files of {count(len(labs), 'lab')}")
    rendered(labs)


def with_limits(room: Workshop, course: Course, needed: capacity.Need) -> Workshop:
    """Make the seats' control groups where this user may, and record them; return the room.

    What nodes write to their disks counts as their seat's memory, up to this.
    """
    places = limits.trees()
    known = replace(room, unlimited=tuple(limits.lacking(places)))
    # Recorded before they are made: `down` has to find them whenever this is killed.
    groups = [
        str(place.folder / group_name(room) / seat.name)
        for place in places
        for seat in seats_of(room, course)
    ]
    known = replace(known, groups=tuple(groups))
    known.write()
    for seat in seats_of(room, course):
        limits.make(places, group_name(room), seat.name, needed.mib + needed.nodes * DISK)
    return known


def seats_of(room: Workshop, course: Course) -> list[Seat]:
    """Return all seats of ``room``, of the ``course`` that was read already."""
    return [room.seat(number, course) for number in room.numbers]


# MiB that each node may have written to its disk beyond what a seat is counted for.
DISK = 256


def group_name(room: Workshop) -> str:
    """Return what the control group of a workshop is called."""
    return f"underlay-{room.token[:12]}"


def _seat_all(room: Workshop, course: Course, exercise: Exercise, tell: Tell) -> list[Seated]:
    """Begin ``exercise`` at every seat, as many at once as there are processors."""
    every = seats_of(room, course)
    at_once = max(1, min(len(every), len(os.sched_getaffinity(0))))
    starting = Starting(room)
    done = 0

    def one(seat: Seat) -> Seated:
        nonlocal done
        result = starting.begin(seat, exercise, tell)
        done += 1
        became = "is up" if result.error is None else "could not be booted"
        tell(f"{seat.name} {became}: {done} of {len(every)}, your own among them")
        return result

    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(one, seat) for seat in every]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            starting.end()
            raise


class Starting:
    """The processes that begin a workshop's seats."""

    def __init__(self, room: Workshop) -> None:
        self._room = room
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._over = False

    def begin(self, seat: Seat, exercise: Exercise, tell: Tell) -> Seated:
        """Begin ``exercise`` at ``seat``, and once more where that fails."""
        seat.make()
        began = time.monotonic()
        error = None
        for _ in range(TRIES):
            error = self._try(seat, exercise, tell)
            if error is None or self._over:
                break
        return Seated(seat, round(time.monotonic() - began, 3), error)

    def _try(self, seat: Seat, exercise: Exercise, tell: Tell) -> Infrastructure | None:
        process = self._start(seat)
        if process is None:
            return Infrastructure(f"{seat.name}: interrupted")
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(SEAT_DEADLINE, process.kill)
        last: dict[str, Any] = {}
        try:
            timer.start()
            task = {
                "course": str(self._room.course_folder),
                "folder": str(seat.folder),
                "number": seat.number,
                "exercise": exercise.name,
                "groups": list(map(str, self._room.groups_of(seat.number))),
            }
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps(task) + "\n")
                process.stdin.flush()
            for line in process.stdout:
                last = json.loads(line)
                if "step" in last:
                    tell(f"{seat.name}: {last['step']}")
            process.wait()
        finally:
            timer.cancel()
            with self._lock:
                self._running.discard(process)
            with suppress(OSError):
                process.stdin.close()
            process.stdout.close()
        if last.get("ok"):
            return None
        words = last.get("error") or "the process that began it was ended"
        return Infrastructure(
            f"{seat.name}: {words}", hint=last.get("hint", ""), detail=last.get("detail", "")
        )

    def _start(self, seat: Seat) -> subprocess.Popen[str] | None:
        # Two threads at once would hand one the other's end of a pipe, and no end be noticed.
        with self._lock, interrupts_wait():
            if self._over:
                return None
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "underlay.workshop.seating"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
                cwd="/",
                env={
                    **os.environ,
                    "PYTHONPATH": str(paths.PACKAGE.parent),
                    paths.HOME: str(seat.home),
                },
            )
            self._running.add(process)
            return process

    def end(self) -> None:
        """Tell all to end, wait until they have cleaned up, and kill those that don't."""
        with self._lock:
            self._over = True
            running = list(self._running)
        for process in running:
            process.terminate()
        limit = time.monotonic() + CLEAN_UP
        for process in running:
            try:
                process.wait(max(0.1, limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> None:
    """Begin an exercise at one seat, as standard input says, and tell how that goes."""
    # What it says goes where nothing else is printed.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(document: dict[str, Any]) -> None:
        with suppress(BrokenPipeError):
            answers.write(json.dumps(document) + "\n")

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _interrupt)
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_starter, daemon=True).start()
    try:
        from underlay.workshop.stage import begin

        limits.enter(map(Path, task["groups"]))
        course = load_course(Path(task["course"]))
        seat = Seat(course, task["number"], Path(task["folder"]))
        begin(seat, course.exercise(task["exercise"]), lambda step: say({"step": step}))
    except UnderlayError as error:
        say({"error": error.message, "hint": error.hint, "detail": error.detail})
    except OSError as error:
        say({"error": str(error)})
    except KeyboardInterrupt:
        say({"error": "interrupted"})
    else:
        say({"ok": True})


def _interrupt(number: int, frame: object) -> None:
    # A second one would cut the cleaning up short.
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with_starter() -> None:
    if not sys.stdin.read(1):
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
