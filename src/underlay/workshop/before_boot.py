"""What is wrong with a course before anything boots, once its labs are planned.

Who is named is there, faults fit, statements and cells mean somebody, and no story gives a cause
away. Whether an exercise is red, and green once it is solved, only packets tell: ``proving.py``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from underlay.errors import BadInput, UnderlayError, did_you_mean, listed, nearest
from underlay.expect import Prediction
from underlay.faults import Scene, running_fault
from underlay.faults.choosing import choose_place
from underlay.lab.statement import NOTHING_UNPLANNED, said_in
from underlay.lab.text import LabError, Problem, shown
from underlay.lint import load
from underlay.lint.statements import name_hint
from underlay.plan import SWITCH
from underlay.plan.statements import named_in
from underlay.workshop.cells import Named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.lab.text import Place
    from underlay.lint import Loaded
    from underlay.workshop.course import Course, Exercise, Stage, Step


def course_problems(course: Course) -> list[Problem]:
    """Return what is wrong with a course that was read, file by file."""
    found: list[Problem] = []
    labs: dict[str, str] = {}
    for exercise in course.exercises:
        try:
            loaded = load(exercise.lab_file)
        except LabError as error:
            found += error.problems
            continue
        name = loaded.plan.lab
        if name in labs:
            where = f"{name!r}, the name of the lab of {labs[name]} as well"
            found.append(loaded.text.problem(("name",), where, "a name of its own"))
        labs[name] = exercise.name
        found += _Judge(exercise, loaded).problems()
    return found


class _Judge:
    """An exercise beside the plan of its lab."""

    def __init__(self, exercise: Exercise, loaded: Loaded) -> None:
        self._exercise, self._loaded, self._text = exercise, loaded, exercise.written
        self._scene = Scene(Prediction(loaded.plan))
        plan = loaded.plan
        self._inside = [node.name for node in plan.nodes] + [one.name for one in plan.containers]
        self._outside = [SWITCH, *(host.name for host in plan.hosts)]

    def problems(self) -> list[Problem]:
        """Return all that is wrong, in the order of the file."""
        exercise = self._exercise
        found = [
            Problem(f.file, f.line, f.column, "", f.message, "", f.cure, f.id)
            for f in self._loaded.errors
        ]
        found += self._steps(("setup",), exercise.setup)
        for number, stage in enumerate(exercise.stages):
            found += self._stage(("stages", number), stage)
        for number, guard in enumerate(exercise.guards):
            place: Place = ("guards", number)
            found += self._target((*place, "on"), guard.on, outside=True)
            for deed, one in enumerate(guard.breach):
                found += self._target((*place, "breach", deed, "on"), one.on)
        return [*found, *self._given_away()]

    def _stage(self, place: Place, stage: Stage) -> Iterator[Problem]:
        yield from self._steps((*place, "setup"), stage.setup)
        yield from self._cells((*place, "red"), stage)
        for number, text in enumerate(stage.expect):
            yield from self._statement((*place, "expect", number), text)
        if stage.answer and stage.answer.on:
            yield from self._target((*place, "answer", "on"), stage.answer.on, outside=True)
        for key in ("solve", "wrong"):
            for number, deed in enumerate(getattr(stage, key)):
                yield from self._target((*place, key, number, "on"), deed.on)

    def _steps(self, place: Place, steps: Iterable[Step]) -> Iterator[Problem]:
        for number, step in enumerate(steps):
            where = (*place, number)
            if step.on:
                yield from self._target((*where, "on"), step.on, outside=True)
            if step.fault:
                try:
                    fault = running_fault(step.fault)
                    choose_place(self._scene, fault, step.node, step.container)
                except BadInput as error:
                    expected = "a fault that fits the lab there"
                    yield self._text.problem((*where, "break"), error.message, expected, error.hint)

    def _target(self, place: Place, name: str, *, outside: bool = False) -> Iterator[Problem]:
        there = [*self._inside, *(self._outside if outside else ())]
        if name in there or name.partition("@")[0] in there:
            return
        hint = did_you_mean(nearest(name, there)) or f"they are {listed(there)}"
        if name in self._outside:
            hint = "a learner has no more than nodes and containers: ask for it by an answer"
        expected = "a node, a container, a host or switch" if outside else "a node or a container"
        yield self._text.problem(place, repr(name), expected, hint)

    def _cells(self, place: Place, stage: Stage) -> Iterator[Problem]:
        named = Named(self._loaded.plan)
        every = self._scene.prediction.cells
        for key, selectors in (("red", stage.selectors), ("maybe", stage.perhaps)):
            for number, one in enumerate(selectors):
                try:
                    named.chosen([one], every)
                except BadInput as error:
                    where = (*place[:-1], key, number)
                    hint = error.hint or "`underlay predict LAB` shows the matrix"
                    yield self._text.problem(where, error.message, "cells of the lab", hint)

    def _statement(self, place: Place, text: str) -> Iterator[Problem]:
        if text == NOTHING_UNPLANNED:
            return
        said = said_in(text)
        named = named_in(self._loaded.lab, self._loaded.plan)
        for pattern in (*_all(said.sources), *_all(said.destinations)):
            if not named.matching(pattern):
                hint = name_hint(pattern, named)
                expected = "the name of somebody in the lab, or a pattern of such"
                yield self._text.problem(place, repr(pattern), expected, hint)
        measured = (*self._loaded.lab.protocols, *self._loaded.lab.checks)
        for word in (*said.protocols, *(check for check, _ in said.seen)):
            if word not in measured:
                expected = f"what the lab is measured by: {', '.join(measured)}"
                hint = "the lab's `protocols` or `checks` name what is measured"
                yield self._text.problem(place, f"{word!r}", expected, hint)

    def _given_away(self) -> Iterator[Problem]:
        """Yield each place where a learner reads the name of what was broken."""
        exercise = self._exercise
        steps = [*exercise.setup, *(step for stage in exercise.stages for step in stage.setup)]
        names: dict[str, str] = {}
        for step in steps:
            if step.fault:
                try:
                    fault = running_fault(step.fault)
                except UnderlayError:
                    continue
                names |= {fault.id: fault.id, fault.title: fault.id}
        story = exercise.story_text
        told: list[tuple[str, str, Place]] = [("its title", exercise.title, ("title",))]
        for number, stage in enumerate(exercise.stages):
            told += [
                (f"a stage's {key}", getattr(stage, key), ("stages", number, key))
                for key in ("title", "goal")
            ]
        for name, fault_id in names.items():
            expected = f"symptoms, and nothing of the cause ({fault_id})"
            for line, text in enumerate(story.splitlines(), 1):
                if _says(text, name):
                    file = shown(exercise.folder / exercise.story)
                    yield Problem(file, line, 1, "", f"{name!r} in the story", expected)
            for what, text, place in told:
                if _says(text, name):
                    yield self._text.problem(place, f"{name!r} in {what}", expected)


def _says(text: str, name: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE))


def _all(ends: object) -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(ends, "names", ())
    without: tuple[str, ...] = getattr(ends, "without", ())
    return (*names, *without)
