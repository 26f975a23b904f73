"""A course: what its folder says, checked key by key.

``course.yml`` names the exercises, and each has a folder with its lab, its story and
``exercise.yml``. These models hold only what the files may say; ``reading.py`` has the places
of mistakes. In the schema ``expected`` says in words what a key takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    StrictStr,
)

from underlay.errors import BadInput, did_you_mean, listed, nearest
from underlay.lab.statement import said_in
from underlay.lab.text import LabText
from underlay.workshop.cells import Selector, selector_in

NAME = r"^[a-z][a-z0-9-]{0,39}$"
FEWEST_HINTS = 2


def _words(expected: str) -> Any:
    return Field(json_schema_extra={"expected": expected})


def _statement(text: str) -> str:
    return str(said_in(text))


def _selector(text: str) -> str:
    selector_in(text)
    return text


Text = Annotated[StrictStr, Field(min_length=1, json_schema_extra={"expected": "text"})]
Minutes = Annotated[int, Field(strict=True, ge=1, le=600)]
Name = Annotated[
    StrictStr,
    Field(pattern=NAME, json_schema_extra={"expected": "small letters, digits and hyphens"}),
]
FileName = Annotated[
    StrictStr,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        json_schema_extra={"expected": "the name of a file in the exercise's folder"},
    ),
]
Cells = Annotated[
    StrictStr, AfterValidator(_selector), _words("cells such as 'web-1* -> web-2* icmp'")
]
Statement = Annotated[
    StrictStr, AfterValidator(_statement), _words("a statement such as 'web -> db tcp:5432'")
]


class _Written(BaseModel):
    """What is written in a file: nothing that isn't known, and nobody changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Step(_Written):
    """One thing that is done to a seat's lab: a fault of the catalogue, a command, or mending.

    ``break`` is a fault's id, at the first fitting place, or at that of ``node`` or
    ``container``. ``run`` is for sh, as root, in ``on``: a node, a container, an external host
    or ``switch``. ``mend: all`` undoes all that ``break`` has done.
    """

    fault: Annotated[Text | None, _words("the id of a fault of the catalogue")] = Field(
        None, alias="break"
    )
    node: Text | None = None
    container: Text | None = None
    on: Text | None = None
    run: Text | None = None
    mend: Literal["all"] | None = None

    @property
    def kind(self) -> Literal["break", "run", "mend"]:
        """What is done."""
        return "break" if self.fault else "run" if self.run else "mend"

    def __str__(self) -> str:
        """Return the step in one line, for those who write courses."""
        if self.fault:
            where = self.node or self.container
            return f"break {self.fault}{f' at {where}' if where else ''}"
        return f"on {self.on}: {self.run}" if self.run else "mend all"


class Deed(_Written):
    """What a learner can do, too: ``run`` for sh, as root, ``on`` a node or in a container."""

    on: Text
    run: Text

    def __str__(self) -> str:
        """Return the deed in one line."""
        return f"on {self.on}: {self.run}"


class Answer(_Written):
    """A value that the learner sees in the lab and types.

    The right one is what ``run`` prints ``on`` a target at the time of the answer, or one of
    ``accept``. Letters' case and the number of spaces don't matter.
    """

    question: Text
    on: Text | None = None
    run: Text | None = None
    accept: Annotated[tuple[Text, ...], _words("a list of right answers")] = ()


class Stage(_Written):
    """A part of an exercise: what is wrong at its beginning, and when it is done.

    ``red`` are exactly the cells that aren't as predicted when it begins, and ``maybe`` those
    that may be so, too. ``unplanned`` says that something nobody planned is reachable then.
    ``expect`` are statements as in a lab file; without any, all cells must be as predicted. With
    an ``answer``, it is done when that was given, and what ``expect`` says is kept. ``setup`` is
    done when the stage begins. ``solve`` is the solution, and ``wrong`` a plausible wrong one.
    """

    title: Text
    goal: Text
    setup: tuple[Step, ...] = ()
    red: tuple[Cells, ...] = ()
    maybe: tuple[Cells, ...] = ()
    unplanned: StrictBool = False
    expect: tuple[Statement, ...] = ()
    answer: Answer | None = None
    hints: tuple[Text, ...]
    solve: tuple[Deed, ...] = ()
    wrong: tuple[Deed, ...] = ()
    wrong_answer: Text | None = None

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """The cells of ``red``, as they are looked up."""
        return tuple(selector_in(one) for one in self.red)

    @property
    def perhaps(self) -> tuple[Selector, ...]:
        """The cells of ``maybe``, as they are looked up."""
        return tuple(selector_in(one) for one in self.maybe)

    @property
    def judges_cells(self) -> bool:
        """Whether cells have a say in when it is done: where there is only a question, none has."""
        return self.answer is None or bool(self.expect)


class Guard(_Written):
    """What must not be done: ``run`` ``on`` a target exits with 0 while it isn't.

    ``breach`` are deeds after which it does not, by which the exercise proves that it is noticed.
    """

    forbidden: Text = Field(alias="not")
    on: Text
    run: Text
    says: Text
    breach: tuple[Deed, ...]


class Exercise(_Written):
    """An exercise of a course, in a folder of its own: paths count from ``folder``."""

    title: Text
    minutes: Minutes
    lab: FileName = "lab.yml"
    explain: StrictBool = False
    story: FileName = "story.md"
    aha: FileName = "aha.md"
    setup: tuple[Step, ...] = ()
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=12)]
    guards: tuple[Guard, ...] = ()
    _folder: Path = PrivateAttr(default=Path())
    _written: LabText = PrivateAttr(default_factory=lambda: LabText(""))

    @property
    def folder(self) -> Path:
        """The folder that it was read from."""
        return self._folder

    @property
    def written(self) -> LabText:
        """Its file as text, which knows where everything stands."""
        return self._written

    @property
    def name(self) -> str:
        """Its name: that of its folder."""
        return self._folder.name

    @property
    def lab_file(self) -> Path:
        """The file of its lab."""
        return self._folder / self.lab

    @property
    def story_text(self) -> str:
        """What the learner is told at the beginning, as Markdown."""
        return (self._folder / self.story).read_text(encoding="utf-8")

    @property
    def aha_text(self) -> str:
        """What the learner is told when it is done, as Markdown."""
        return (self._folder / self.aha).read_text(encoding="utf-8")

    def within(self, folder: Path, written: LabText) -> Exercise:
        """Return the exercise as that of ``folder``, which was ``written`` there."""
        self._folder, self._written = folder, written
        return self


class CourseFile(_Written):
    """What ``course.yml`` says."""

    title: Text
    description: Text
    minutes: Minutes
    exercises: Annotated[tuple[Name, ...], Field(min_length=1, max_length=60)]


@dataclass(frozen=True)
class Course:
    """A course that was read from ``folder``, with its exercises in their order."""

    folder: Path
    title: str
    description: str
    minutes: int
    exercises: tuple[Exercise, ...]

    @property
    def name(self) -> str:
        """Its name: that of its folder."""
        return self.folder.name

    def exercise(self, name: str) -> Exercise:
        """Return the exercise called ``name``; raise BadInput, with the nearest one, for none."""
        names = {one.name: one for one in self.exercises}
        if name not in names:
            hint = did_you_mean(nearest(name, names)) or f"exercises: {listed(names)}"
            raise BadInput(f"the course {self.name} has no exercise {name!r}", hint=hint)
        return names[name]

    def after(self, name: str) -> Exercise | None:
        """Return the exercise that follows the one called ``name``, None behind the last."""
        order = [one.name for one in self.exercises]
        place = order.index(self.exercise(name).name) + 1
        return self.exercises[place] if place < len(order) else None
