"""Whether a stage is done: cells by packets, statements by intent, guards by their commands.

What is said of it names who doesn't reach whom, as ``check`` does, and never why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.errors import count
from underlay.expect.intent import broken_words
from underlay.lint import load
from underlay.plan.statements import with_statements
from underlay.proof.lab import RunningLab, measure_and_judge
from underlay.report.cell_words import asked, became
from underlay.report.unplanned import KINDS
from underlay.verdict import with_intent
from underlay.workshop.deeds import done

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.cluster.state.lab import LabState
    from underlay.plan import Plan
    from underlay.verdict import Cell, Verdict
    from underlay.workshop.course import Exercise, Guard, Stage


@dataclass(frozen=True)
class StageResult:
    """How it stands with a stage: ``number`` counts from 0.

    ``red`` are the cells that aren't as predicted, ``broken`` the statements that aren't kept,
    ``noticed`` what guards say, ``unplanned`` what is reachable without being planned, and
    ``unsure`` what couldn't be measured: all in words. ``question`` is one that is still to be
    answered. ``wants`` says that the stage has statements of its own. ``verdict`` is the whole
    measurement, None where nothing was measured.
    """

    exercise: str
    number: int
    title: str
    is_last: bool
    red: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    unplanned: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    question: str = ""
    wants: bool = False
    verdict: Verdict | None = None

    @property
    def done(self) -> bool:
        """Whether the stage is done: nothing is said against it."""
        return not any(
            (self.red, self.broken, self.noticed, self.unplanned, self.unsure, self.question)
        )


def measured(state: LabState, stage: Stage, tell: Callable[[str], None]) -> Verdict:
    """Measure every cell of a running lab, and judge what ``stage`` wants of it.

    A stage that says nothing of its own has the statements of the lab. Raises what
    ``measure_and_judge`` raises.
    """
    lab = RunningLab(state)
    verdict = measure_and_judge(lab, tell)
    if not stage.expect:
        return verdict
    return with_intent(verdict, _planned(state, stage))


def _planned(state: LabState, stage: Stage) -> Plan:
    """Return the plan of a running lab with the statements of ``stage`` in the place of its own."""
    lab = load(Path(state.file)).lab
    plan = replace(state.plan(), intent=())
    return with_statements(lab.model_copy(update={"expect": list(stage.expect)}), plan)


def judged(
    state: LabState,
    exercise: Exercise,
    number: int,
    tell: Callable[[str], None],
    *,
    answered: bool = False,
) -> StageResult:
    """Return how it stands with stage ``number``, whose question is ``answered`` or not.

    While that is open, cells are measured also where they don't count: who asks is told of them.
    """
    stage = exercise.stages[number]
    measures = stage.judges_cells or not answered
    verdict = measured(state, stage, tell) if measures else None
    noticed = tuple(guard.says for guard in noticing(state, exercise))
    open_question = stage.answer.question if stage.answer and not answered else ""
    return StageResult(
        exercise=exercise.name,
        number=number,
        title=stage.title,
        is_last=number == len(exercise.stages) - 1,
        noticed=noticed,
        question=open_question,
        wants=bool(stage.expect),
        verdict=verdict,
        **(_of_cells(verdict, stage) if verdict and stage.judges_cells else {}),
    )


def noticing(state: LabState, exercise: Exercise) -> list[Guard]:
    """Return the guards that notice something: their command doesn't exit with 0, or not at all."""
    return [guard for guard in exercise.guards if done(state, guard.on, guard.run).returncode != 0]


def standing(result: StageResult) -> str:
    """Say in a line what was measured for ``result``, and what is left to be done."""
    told = []
    if result.verdict is not None and result.wants:
        intent = result.verdict.intent
        kept = sum(one.word == "kept" for one in intent)
        told.append(f"{kept} of {count(len(intent), 'statement')} kept")
    elif result.verdict is not None:
        cells = result.verdict.cells
        well = sum(cell.measured and not cell.differs for cell in cells)
        of = "" if well == len(cells) else f" of {len(cells)}"
        told.append(f"{well}{of} {'cell' if len(cells) == 1 else 'cells'} as expected")
    against = (*result.red, *result.broken, *result.unplanned, *result.unsure, *result.noticed)
    if result.question:
        told.append("the question is open, too" if against else "the question is still open")
    return "; ".join(told)


def is_red(cell: Cell) -> bool:
    """Whether a cell isn't as predicted, or isn't measured for a reason of its own."""
    return cell.differs or (not cell.measured and not cell.follows)


def _of_cells(verdict: Verdict, stage: Stage) -> dict[str, tuple[str, ...]]:
    """Return in words what a verdict has against the stage."""
    broken = tuple(
        f"{one.statement.text}: {broken_words(one.statement.never, one.broken) or one.word}"
        for one in verdict.intent
        if one.word == "broken"
    )
    untold = tuple(one.statement.text for one in verdict.intent if one.word == "not measured")
    unplanned = tuple(
        f"{one.end} {one.address}: {KINDS[one.kind].one}" for one in verdict.unplanned
    )
    unplanned += tuple(
        f"{one.name} on {one.node}: a container that isn't planned"
        for one in verdict.strangers or ()
    )
    found = {"broken": broken, "unplanned": unplanned}
    if stage.expect:
        return found | {"unsure": untold}
    red = tuple(f"{asked(cell)}: {became(cell)}" for cell in verdict.cells if is_red(cell))
    blind = verdict.looked.blind if verdict.looked else ()
    # Silence that follows from others' is told by those others: alone it can't be green either.
    followed = [cell for cell in verdict.cells if cell.follows]
    unsure = untold + tuple(f"{end} could not look around: {why}" for end, why in blind)
    if followed and not red:
        unsure += (f"{count(len(followed), 'cell')} could not be measured",)
    return found | {"red": red, "unsure": () if red else unsure}
