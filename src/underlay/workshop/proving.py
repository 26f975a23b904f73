"""Exercises prove themselves: red as they say, no better after a wrong solution, green once solved.

Those of a course whose labs need the same nodes are proven on the same ones, which become each
exercise's lab anew in between. That takes away less than a boot does. So whatever fails on nodes
that have been another lab's is tried once more on freshly booted ones, as a seat has them, and
only that counts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from underlay.cluster.providers import DEFAULT, provider
from underlay.cluster.state.lab import remove
from underlay.cluster.state.separate import separate_state
from underlay.cluster.suite import Suite
from underlay.cluster.switching import become
from underlay.errors import (
    EXIT_DIFFERS,
    EXIT_INFRASTRUCTURE,
    EXIT_OK,
    Infrastructure,
    UnderlayError,
    listed,
)
from underlay.lint import load
from underlay.report.cell_words import asked
from underlay.workshop.booting import rendered
from underlay.workshop.cells import Named
from underlay.workshop.checking import StageResult, is_red, judged, measured, noticing
from underlay.workshop.deeds import attempt, do, take_steps
from underlay.workshop.stage import right_answers, scene_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from underlay.cluster.state.lab import LabState
    from underlay.cluster.suite import Brought
    from underlay.lint import Loaded
    from underlay.verdict import Cell, Verdict
    from underlay.workshop.course import Exercise, Stage

    Tell = Callable[[str], None]


@dataclass(frozen=True)
class Proven:
    """What became of an exercise: ``problems`` are all that it says of itself and isn't so.

    ``fresh`` says that it was proven on nodes of its own, as it failed on shared ones. With
    ``down`` its nodes didn't come up, and nothing is known of it.
    """

    exercise: str
    problems: tuple[str, ...]
    stages: int
    cells: int = 0
    seconds: float = 0.0
    fresh: bool = False
    down: bool = False

    @property
    def exit_code(self) -> int:
        """0 where all is as the exercise says, 1 where it isn't, 3 where nobody knows."""
        if self.down:
            return EXIT_INFRASTRUCTURE
        return EXIT_DIFFERS if self.problems else EXIT_OK


@dataclass
class Proofs:
    """What became of each exercise, in the order of their proof, and on how many boots."""

    proven: list[Proven] = field(default_factory=list)
    boots: int = 0

    @property
    def exit_code(self) -> int:
        """0 where each is as it says; else 1 where one isn't, and 3 where one isn't known."""
        codes = {one.exit_code for one in self.proven}
        worst = [code for code in (EXIT_DIFFERS, EXIT_INFRASTRUCTURE) if code in codes]
        return worst[0] if worst else EXIT_OK


def prove(exercises: Sequence[Exercise], tell: Tell, show: Callable[[Proven], None]) -> Proofs:
    """Prove ``exercises`` of one course with packets, in sandboxes of their own.

    ``show`` is handed each as soon as it is known. Nothing is left up. Raises LabError for a lab
    that can't be read, and Infrastructure where files can't be rendered.
    """
    labs = [load(exercise.lab_file) for exercise in exercises]
    by_lab = {one.plan.lab: each for one, each in zip(labs, exercises, strict=True)}
    proofs = Proofs()
    with separate_state():
        tell("rendering the nodes' files")
        entries = rendered(labs)

        def visit(brought: Brought) -> None:
            exercise = by_lab[brought.loaded.plan.lab]
            tell(f"proving {exercise.name}")
            one = _Proof(exercise, brought, tell)
            one.walk()
            sure = "boot" in brought.timings and bool(one.problems)
            for number in one.astray_at():
                one.begin_anew(entries[brought.loaded.plan.lab])
                one.go_astray(number)
            if one.problems:
                # What it has left there is none of the next one's business.
                one.end()
            if one.problems and not sure:
                failed.append(brought.loaded)
            else:
                proofs.proven.append(one.proven())
                show(proofs.proven[-1])

        failed: list[Loaded] = []
        suite = Suite(DEFAULT, visit, tell)
        suite.render(labs)
        for group in suite.groups(labs):
            suite.prove(group)
        proofs.boots = suite.boots
        for loaded in failed:
            exercise = by_lab[loaded.plan.lab]
            one, boots = _on_own_nodes(exercise, loaded, tell)
            proofs.boots += boots
            proofs.proven.append(one)
            show(one)
    return proofs


def _on_own_nodes(exercise: Exercise, loaded: Loaded, tell: Tell) -> tuple[Proven, int]:
    """Prove one exercise on nodes that are booted for each of its parts; return how many boots."""
    tell(f"proving {exercise.name} on nodes of its own")
    problems: list[str] = []
    cells, began, boots = 0, time.monotonic(), 0
    down: list[bool] = []
    parts: list[int | None] = [None, *_Proof.wrong_stages(exercise)]
    for part in parts:

        def visit(brought: Brought, part: int | None = part) -> None:
            nonlocal cells
            one = _Proof(exercise, brought, tell)
            if part is None:
                one.walk()
            else:
                one.go_astray(part)
            problems.extend(one.problems)
            cells = max(cells, one.cells)
            down.append(one.down)

        suite = Suite(DEFAULT, visit, tell)
        suite.render([loaded])
        suite.prove([loaded])
        boots += suite.boots
    seconds = round(time.monotonic() - began, 3)
    found = tuple(dict.fromkeys(problems))
    stages = len(exercise.stages)
    return Proven(exercise.name, found, stages, cells, seconds, True, any(down)), boots


class _Proof:
    """An exercise on the nodes that it was brought: what isn't so is added to ``problems``."""

    def __init__(self, exercise: Exercise, brought: Brought, tell: Tell) -> None:
        self.exercise, self.brought, self._tell = exercise, brought, tell
        self.problems: list[str] = []
        self.cells = 0
        self._began = time.monotonic() - sum(brought.timings.values())
        if brought.error is not None:
            self._against("its lab", brought.error)

    @staticmethod
    def wrong_stages(exercise: Exercise) -> list[int]:
        """Return the stages that have a wrong solution."""
        return [number for number, stage in enumerate(exercise.stages) if stage.wrong]

    def astray_at(self) -> list[int]:
        """Return the stages whose wrong solution is still to be tried; none after a problem."""
        return [] if self.problems else self.wrong_stages(self.exercise)

    def begin_anew(self, entry: Path) -> None:
        """Have the nodes become its lab anew, whose files are rendered in ``entry``."""
        state, loaded = self.brought.state, self.brought.loaded
        if state is not None:
            again, _ = become(state, loaded.plan, loaded.file, entry, self._tell)
            self.brought.state = again

    def end(self) -> None:
        """End the nodes: whoever comes next gets others."""
        state = self.brought.state
        if state is not None:
            provider(state.provider).destroy(state.folder)
            remove(state.lab)
            self.brought.state = None

    def proven(self) -> Proven:
        """Return what became of it."""
        seconds = round(time.monotonic() - self._began, 3)
        stages = len(self.exercise.stages)
        found = tuple(self.problems)
        return Proven(self.exercise.name, found, stages, self.cells, seconds, down=self.down)

    @property
    def down(self) -> bool:
        """Whether its nodes didn't come up, by no fault of its files."""
        return isinstance(self.brought.error, Infrastructure)

    def walk(self) -> None:
        """Go through all stages: each is red as it says, and done once it is solved."""
        state = self.brought.state
        if state is None:
            return
        what = "its setup"
        try:
            take_steps(state, scene_of(state), self.exercise.setup)
            for number, stage in enumerate(self.exercise.stages):
                what = _named(number, stage)
                self._one_stage(state, number, stage)
                if self.problems:
                    return
            what = "its guards"
            self._breaches(state)
        except UnderlayError as error:
            self._against(what, error)

    def go_astray(self, number: int) -> None:
        """Come to stage ``number`` by the solutions of those before, and try its wrong one."""
        state, stage = self.brought.state, self.exercise.stages[number]
        if state is None:
            return
        what = _named(number, stage)
        try:
            scene = scene_of(state)
            take_steps(state, scene, self.exercise.setup)
            for before in self.exercise.stages[:number]:
                take_steps(state, scene, before.setup)
                do(state, before.solve)
            take_steps(state, scene, stage.setup)
            attempt(state, stage.wrong)
            if noticing(state, self.exercise):
                return
            if judged(state, self.exercise, number, self._tell, answered=True).done:
                self.problems.append(f"{what} is done after its wrong solution, too")
        except UnderlayError as error:
            self._against(what, error)

    def _one_stage(self, state: LabState, number: int, stage: Stage) -> None:
        what = _named(number, stage)
        take_steps(state, scene_of(state), stage.setup)
        verdict = measured(state, stage, self._tell)
        self.cells = len(verdict.cells)
        self.problems += [f"{what} {words}" for words in _not_as_said(state, stage, verdict)]
        if not noticing(state, self.exercise):
            self._answers(state, stage, what)
        else:
            says = "; ".join(guard.forbidden for guard in noticing(state, self.exercise))
            self.problems.append(f"{what} begins with a guard that notices something: {says}")
        if self.problems:
            return
        do(state, stage.solve)
        result = judged(state, self.exercise, number, self._tell, answered=True)
        if not result.done:
            self.problems.append(f"{what} is not done once it is solved: {_left(result)}")

    def _answers(self, state: LabState, stage: Stage, what: str) -> None:
        if stage.answer is None:
            return
        right = right_answers(state, stage.answer)
        if not right:
            self.problems.append(f"{what} has no right answer: its command prints nothing")
        wrong = " ".join((stage.wrong_answer or "").split()).casefold()
        if wrong in right:
            self.problems.append(
                f"{what} takes its wrong answer, {stage.wrong_answer!r}, for right"
            )

    def _breaches(self, state: LabState) -> None:
        for guard in self.exercise.guards:
            attempt(state, guard.breach)
            if guard not in noticing(state, self.exercise):
                self.problems.append(f"no guard notices the breach: {guard.forbidden}")

    def _against(self, what: str, error: UnderlayError) -> None:
        detail = f": {error.detail}" if error.detail else ""
        self.problems.append(f"{what}: {error.message}{detail}")


def _named(number: int, stage: Stage) -> str:
    return f"stage {number + 1} ({stage.title})"


def _not_as_said(state: LabState, stage: Stage, verdict: Verdict) -> Iterator[str]:
    """Yield how a stage begins otherwise than it says."""
    named = Named(state.plan())
    cells: dict[tuple[str, str, str, int], Cell] = {
        (c.source, c.destination, c.protocol, c.family): c for c in verdict.cells
    }
    said = named.chosen(stage.selectors, verdict.cells)
    maybe = named.chosen(stage.perhaps, verdict.cells)
    red = {key for key, cell in cells.items() if is_red(cell)}
    if unsaid := sorted(red - said - maybe):
        yield f"begins with red cells that it doesn't name: {_asked(cells[k] for k in unsaid)}"
    if fine := sorted(said - red - maybe):
        words = f"{_asked(cells[key] for key in fine)}"
        yield f"names red cells that aren't red when it begins: {words}"
    found = bool(verdict.unplanned or verdict.strangers)
    if stage.unplanned and not found:
        yield "says unplanned, and nothing is reachable that nobody planned"
    broken = any(one.word != "kept" for one in verdict.intent)
    if stage.expect and not (broken or found or stage.answer):
        yield "begins with all kept that it expects"


def _asked(cells: Iterable[Cell]) -> str:
    return listed(asked(cell) for cell in cells)


def _left(result: StageResult) -> str:
    """Return what is still said against a stage."""
    words = [*result.broken, *result.red, *result.noticed, *result.unplanned, *result.unsure]
    return listed(words)
