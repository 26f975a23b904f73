"""Documents of workshops: courses, seats, how far they are, and what they have done."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

How = Literal["not begun", "open", "done", "skipped"]


class CourseExercise(TypedDict):
    """An exercise, and how long it takes."""

    exercise: str
    title: str
    minutes: int
    stages: int


class ListedCourse(TypedDict):
    """A course that is here."""

    course: str
    folder: str
    title: str
    description: str
    minutes: int
    exercises: list[CourseExercise]


class Courses(TypedDict):
    """The courses that ``workshop list`` shows."""

    courses: list[ListedCourse]


class Entry(TypedDict):
    """How the learner of a seat comes in; ``keys`` are how many public keys it takes."""

    seat: str
    command: str
    password: str
    keys: int


class Entries(TypedDict):
    """How the seats are entered; ``listening`` is whether the ssh server runs."""

    workshop: str
    listening: bool
    address: str | None
    port: int | None
    fingerprint: str
    may_skip: bool
    entries: list[Entry]


class EntryServer(TypedDict):
    """A seat server that was asked how its seats are entered; the rest is empty if it isn't ok."""

    server: str
    ok: bool
    error: str
    listening: bool
    fingerprint: str
    may_skip: bool


class EntriesOnServers(TypedDict):
    """How the seats on several machines are entered; ``seat`` is server/seat."""

    workshop: str
    servers: list[EntryServer]
    entries: list[Entry]


class LastCheck(TypedDict):
    """What a seat's last check came to, and what it had against the stage.

    ``at`` is UTC as ISO 8601 has it, and ``cells`` names the first of the red ones.
    """

    at: str
    result: str
    red: int
    cells: list[str]
    broken: list[str]
    noticed: list[str]
    unplanned: int
    unsure: int


class WatchedSeat(TypedDict):
    """Where a seat is: ``stage`` counts from 1, and is 0 before the first exercise.

    ``whole`` is false while its lab boots, and after that was cut short.
    """

    seat: str
    exercise: str
    title: str
    stage: int
    stages: int
    how: How
    whole: bool
    finished: bool
    minutes: float
    hints: int
    of_hints: int
    done: int
    skipped: int
    of: int
    last_check: LastCheck | None


class WatchedSeats(TypedDict):
    """All seats at one moment; ``listening`` is whether the ssh server runs."""

    workshop: str
    title: str
    at: str
    listening: bool
    seats: list[WatchedSeat]


class WatchedServer(TypedDict):
    """A seat server that was asked where its seats are; ``at`` is by its clock, if it is ok."""

    server: str
    ok: bool
    error: str
    at: str
    listening: bool


class WatchedOnServers(TypedDict):
    """All seats on several machines; ``seat`` is server/seat."""

    workshop: str
    title: str
    servers: list[WatchedServer]
    seats: list[WatchedSeat]


class GradedStage(TypedDict):
    """What became of a stage; ``reasons`` says why it isn't the seat's own, in words."""

    exercise: str
    stage: int
    title: str
    how: How
    hints: int
    of_hints: int
    checks: int
    resets: int
    wrong_answers: int
    minutes: float
    noticed: list[str]
    reasons: list[str]
    last_check: LastCheck | None


class GradedSeat(TypedDict):
    """What a seat has done: ``done`` are its own stages, of ``of``."""

    seat: str
    done: int
    skipped: int
    of: int
    hints: int
    resets: int
    minutes: float
    stages: list[GradedStage]


class Grades(TypedDict):
    """What all learners' seats have done."""

    workshop: str
    title: str
    grades: list[GradedSeat]


class AskedServer(TypedDict):
    """A seat server that was asked; ``error`` is empty where it is ``ok``."""

    server: str
    ok: bool
    error: str


class GradesOnServers(TypedDict):
    """What all learners' seats on several machines have done; ``seat`` is server/seat."""

    workshop: str
    title: str
    servers: list[AskedServer]
    grades: list[GradedSeat]


class ProvenExercise(TypedDict):
    """What became of an exercise: ``problems`` are all that it says of itself and isn't so.

    ``fresh`` says that it was proven on nodes of its own, after it had failed on shared ones. It is
    ``not known`` where its nodes didn't come up, and ``read`` where its files alone were judged.
    """

    exercise: str
    result: Literal["proven", "not so", "not known", "read"]
    problems: list[str]
    stages: int
    cells: int
    seconds: float
    fresh: bool


class ProvenCourse(TypedDict):
    """What became of the proof of a course's exercises, on so many boots."""

    course: str
    boots: int
    seconds: float
    exercises: list[ProvenExercise]


class BootedSeat(TypedDict):
    """A seat of a workshop that is brought up; ``error`` is empty where it is ``up``."""

    seat: str
    up: bool
    seconds: float
    error: str


class WorkshopUp(TypedDict):
    """A workshop that was brought up; ``unlimited`` says which limits of a seat don't hold."""

    course: str
    folder: str
    unlimited: list[str]
    seats: list[BootedSeat]
    seconds: float


class Door(TypedDict):
    """How a seat on a server is entered."""

    seat: str
    command: str
    password: str


class SeatServer(TypedDict):
    """What became of a seat server; ``error`` is empty where it is ``ok``."""

    server: str
    ok: bool
    error: str
    entries: list[Door]


class WorkshopOnServers(TypedDict):
    """A workshop that was brought up or ended on several machines."""

    course: str
    servers: list[SeatServer]
    seconds: float


class WorkshopDown(TypedDict):
    """A workshop that was ended."""

    course: str
    seconds: float
