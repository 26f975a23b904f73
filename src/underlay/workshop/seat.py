"""A seat: one learner's own labs and the journal of what became of the exercises.

Whatever a seat's labs are called, they meet nobody else's: their state is in the seat's own home.
The journal is only ever appended to, before something is done and after it; how far a seat has
come is made from it alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from underlay.storage import paths, private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from underlay.workshop.course import Course, Exercise, Stage

# The words of the journal. Each of what takes its time stands there twice: without a result when
# it begins, and with one when it has ended.
BEGIN, CHECK, HINT, ANSWER = "begin", "check", "hint", "answer"
SKIP, RESET, STAGE, DONE = "skip", "reset", "stage", "done"
# Somebody has come in, where nobody was: until then nobody's time passes.
ENTER = "enter"
TRAINER = 0


@dataclass(frozen=True)
class Entry:
    """One line of the journal.

    ``time`` is in seconds since 1970, ``stage`` counts from 0. ``result`` is how it ended, empty
    where it has only begun; ``detail`` what the word has to say beside it.
    """

    time: float
    word: str
    exercise: str
    stage: int = 0
    result: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """How far a seat has come, by its journal.

    ``exercise`` is the one that was begun last, and ``stage`` where it stands in it. ``whole``
    says that its lab is as the engine has left it: what began has ended. ``done`` are the
    exercises that were solved, ``skipped`` the stages of which the solution was run, ``hints`` how
    many hints of each stage were shown, and ``answered`` where the question was answered.
    """

    exercise: str = ""
    stage: int = 0
    whole: bool = True
    finished: bool = False
    done: tuple[str, ...] = ()
    skipped: tuple[tuple[str, int], ...] = ()
    hints: dict[tuple[str, int], int] = field(default_factory=dict)
    answered: frozenset[tuple[str, int]] = frozenset()
    last_check: Entry | None = None


@dataclass(frozen=True)
class Seat:
    """A seat of a course: its number, 0 for the trainer's, and the folder of all that it has.

    With ``stays`` its lab lives on when the process ends that has booted it. Its labs' state is
    ``elsewhere`` where that isn't in its own folder.
    """

    course: Course
    number: int
    folder: Path
    stays: bool = True
    elsewhere: Path | None = None

    @property
    def name(self) -> str:
        """What it is called: seat-07."""
        return f"seat-{self.number:02d}"

    @property
    def home(self) -> Path:
        """The folder that is ``paths.home()`` for its labs."""
        return self.elsewhere or self.folder / "home"

    @property
    def journal(self) -> Path:
        """The file of its journal, which may not be there yet."""
        return self.folder / "journal.jsonl"

    def make(self) -> Seat:
        """Make its folders, closed to other users; return the seat."""
        private.make(self.folder)
        private.make(self.home)
        return self

    @contextmanager
    def at_home(self) -> Iterator[None]:
        """Let ``paths.home()`` be the seat's home within the block, for this whole process."""
        before = os.environ.get(paths.HOME)
        os.environ[paths.HOME] = str(self.home)
        try:
            yield
        finally:
            if before is None:
                del os.environ[paths.HOME]
            else:
                os.environ[paths.HOME] = before

    def write(
        self, word: str, exercise: str, stage: int = 0, result: str = "", **detail: Any
    ) -> Entry:
        """Append a line to the journal, on the disk before this returns; return it."""
        entry = Entry(round(time.time(), 3), word, exercise, stage, result, detail)
        line = json.dumps(entry.__dict__, ensure_ascii=False) + "\n"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.journal, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            # A line that a crash has cut off must not take this one along.
            is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, b"\n" * is_cut + line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return entry

    def entries(self) -> list[Entry]:
        """Return the journal's lines; one that a crash has cut off is left out."""
        try:
            lines = self.journal.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [entry for line in lines if (entry := _entry(line))]

    def progress(self) -> Progress:
        """Return how far it has come."""
        return progress_of(self.entries())

    def enter(self) -> None:
        """Note that somebody comes in; once, however often that is without a word between."""
        entries = self.entries()
        if entries and entries[-1].word == ENTER:
            return
        at = progress_of(entries)
        self.write(ENTER, at.exercise, at.stage, "ok")

    def exercise(self) -> Exercise | None:
        """Return the exercise that it is in, None before the first."""
        name = self.progress().exercise
        return self.course.exercise(name) if name else None

    def stage(self) -> Stage | None:
        """Return the stage that it is in, None before the first exercise."""
        at = self.progress()
        return self.course.exercise(at.exercise).stages[at.stage] if at.exercise else None


def progress_of(entries: list[Entry]) -> Progress:
    """Return how far a seat has come whose journal says ``entries``."""
    exercise, stage, open_word, finished = "", 0, "", False
    done: dict[str, None] = {}
    skipped: dict[tuple[str, int], None] = {}
    hints: dict[tuple[str, int], int] = {}
    answered: set[tuple[str, int]] = set()
    last_check = None
    for entry in entries:
        place = (entry.exercise, entry.stage)
        if entry.word in _CHANGES:
            # Until a lab is whole again, every other attempt at it leaves it as it is.
            open_word = "" if entry.result == "ok" else entry.word
        if entry.word == BEGIN:
            exercise, stage, finished = entry.exercise, 0, False
            answered = {one for one in answered if one[0] != exercise}
        elif entry.word == STAGE:
            exercise, stage = entry.exercise, entry.stage
        elif entry.word == DONE:
            done[entry.exercise] = None
            finished = True
        elif entry.word == SKIP and entry.result == "ok":
            skipped[place] = None
        elif entry.word == HINT:
            hints[place] = hints.get(place, 0) + 1
        elif entry.word == ANSWER and entry.result == "right":
            answered.add(place)
        elif entry.word == CHECK and entry.result:
            last_check = entry
    return Progress(
        *(exercise, stage, not open_word, finished, tuple(done), tuple(skipped), hints),
        frozenset(answered),
        last_check,
    )


_CHANGES = (BEGIN, RESET, SKIP, STAGE)


def _entry(line: str) -> Entry | None:
    try:
        data = json.loads(line)
        return Entry(**data) if isinstance(data.get("word"), str) else None
    except (ValueError, TypeError, AttributeError):
        return None
