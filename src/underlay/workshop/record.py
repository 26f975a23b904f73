"""What is recorded of a workshop that is up: its course, and how many seats it has.

It lies in ``workshop.json``, in the workshop's own folder of Underlay's state, with a folder for
each seat and what signing in needs. All of it is the trainer's alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.errors import BadInput, Infrastructure, did_you_mean, listed, nearest
from underlay.storage import paths, private
from underlay.storage.writing import write_whole
from underlay.workshop.seat import TRAINER, Seat

if TYPE_CHECKING:
    from underlay.workshop.course import Course

FILE = "workshop.json"
# Where it lies in a workshop's folder, learners can't skip. It comes and goes while they play.
NO_SKIP = "no-skip"
# In the environment of each process that works for a workshop: its token.
VARIABLE = "UNDERLAY_WORKSHOP"
LISTS = ("groups", "unlimited")


@dataclass(frozen=True)
class Workshop:
    """A workshop: the folder of its state, that of its course, and the number of its seats.

    The trainer's seat, which has the number 0, is beside them. ``token`` is a random word, which
    each process that works for the workshop has in its environment. ``groups`` are the control
    groups of its seats, and ``unlimited`` says which limits don't hold. ``whole`` is false until
    all of its seats have been begun, and so where that was killed.
    """

    folder: Path
    course_folder: Path
    seats: int
    token: str = ""
    groups: tuple[str, ...] = ()
    unlimited: tuple[str, ...] = ()
    whole: bool = True

    @property
    def name(self) -> str:
        """What it is called: as its course is."""
        return self.folder.name

    @property
    def numbers(self) -> range:
        """The numbers of all its seats, the trainer's first."""
        return range(TRAINER, self.seats + 1)

    def course(self) -> Course:
        """Return the course as it is on the disk now; raise CourseError where it can't be used."""
        # Who only asks what is up, as a seat's shell does, needs nothing that reads courses.
        from underlay.workshop.reading import load_course

        return load_course(self.course_folder)

    def seat(self, number: int, course: Course | None = None) -> Seat:
        """Return the seat ``number``, of the ``course`` that was read already where it is given."""
        return Seat(course or self.course(), number, self.folder / "seats" / f"{number:02d}")

    @property
    def may_skip(self) -> bool:
        """Whether learners may have a stage solved for them; the trainer always may."""
        return not (self.folder / NO_SKIP).exists()

    def let_skip(self, may: bool) -> None:
        """Let learners have stages solved for them, or not, from now on."""
        if may:
            (self.folder / NO_SKIP).unlink(missing_ok=True)
        else:
            write_whole(self.folder / NO_SKIP, "", mode=0o600)

    def groups_of(self, number: int) -> list[Path]:
        """Return the control groups in which all of the seat ``number`` runs."""
        return [path for path in map(Path, self.groups) if path.name == f"seat-{number:02d}"]

    def all_seats(self) -> list[Seat]:
        """Return all seats, the trainer's first; the course is read once."""
        course = self.course()
        return [self.seat(number, course) for number in self.numbers]

    def write(self) -> None:
        """Write this record, in folders that are closed to everybody else."""
        private.make(workshops_folder())
        private.make(self.folder)
        told = {
            "course": str(self.course_folder),
            "seats": self.seats,
            "token": self.token,
            "groups": self.groups,
            "unlimited": self.unlimited,
            "whole": self.whole,
        }
        write_whole(self.folder / FILE, json.dumps(told, indent=2) + "\n", mode=0o600)


def workshops_folder() -> Path:
    """Return the folder of all workshops' state; it need not exist."""
    return paths.home() / "workshops"


def read_workshop(folder: Path) -> Workshop:
    """Return the workshop whose state is in ``folder``.

    Raises Infrastructure where its record can't be read.
    """
    try:
        told = json.loads((folder / FILE).read_text(encoding="utf-8"))
        groups, unlimited = (tuple(map(str, told.get(name, ()))) for name in LISTS)
        token, whole = str(told.get("token", "")), bool(told.get("whole", True))
        course, seats = Path(told["course"]), int(told["seats"])
        return Workshop(folder, course, seats, token, groups, unlimited, whole)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Infrastructure(
            f"what is recorded of the workshop {folder.name} can't be read",
            detail=f"{folder / FILE}: {error}",
            hint=f"underlay workshop down {folder.name}",
        ) from error


def running_workshops() -> list[str]:
    """Return the names of all workshops that are up, sorted."""
    return sorted(file.parent.name for file in workshops_folder().glob(f"*/{FILE}"))


def running_workshop(name: str | None) -> Workshop:
    """Return the workshop of the course ``name``, a path or a name; None means the only one.

    Raises BadInput where it isn't up, or where it is None and not exactly one is.
    """
    return read_workshop(workshops_folder() / named_workshop(name))


def named_workshop(name: str | None) -> str:
    """Return what the workshop is called that ``name`` means, whatever its record says.

    ``name`` and what is raised are as for ``running_workshop``.
    """
    up = running_workshops()
    if name is not None:
        called = Path(name).expanduser().resolve().name if "/" in name else name
        if called in up:
            return called
        hint = did_you_mean(nearest(called, up)) or f"underlay workshop up {name} --seats N"
        raise BadInput(f"no workshop of the course {called!r} is up", hint=hint)
    if len(up) == 1:
        return up[0]
    if not up:
        raise BadInput("no workshop is up", hint="underlay workshop up COURSE --seats N")
    raise BadInput(f"{len(up)} workshops are up: {listed(up)}", hint="name one of them")
