"""The words of a seat's shell that are about the exercise: what each does, and what it says.

None of them names a cause but `explain`, which the exercise has to allow: what is said of a lab
here is who doesn't reach whom, and what is planned.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from underlay.cli.console import out, progress
from underlay.cli.crash import write_crash
from underlay.cli.error_lines import error_lines
from underlay.cli.interrupt import reset_exit, treat_as_interrupt
from underlay.cli.seat_text import tell, tell_markdown
from underlay.cli.tables import table
from underlay.errors import (
    EXIT_DIFFERS,
    EXIT_INFRASTRUCTURE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    BadInput,
    UnderlayError,
    count,
)
from underlay.workshop import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from underlay.workshop.course import Exercise
    from underlay.workshop.seat import Progress, Seat
    from underlay.workshop.stage import StageResult

# Lines of one kind that a check shows; the others are counted.
MOST = 12
# Who asks, who is asked, and by what and what became of it.
CELL = re.compile(r"(\S+) → (\S+) (\(.*)")


def run_word(seat: Callable[[], Seat], typed: list[str]) -> int:
    """Do the words in ``typed`` in the seat that is called for, and return the exit code.

    0 is well, 1 that the stage isn't done, and else as every verb has it. Nothing is raised.
    """
    try:
        treat_as_interrupt()
        return DOES[words.word_of(typed).name](seat(), typed)
    except UnderlayError as error:
        head = f"error: {error.message}"
        tell("\n".join(error_lines(head, error.detail, error.hint)))
        return error.exit_code
    except KeyboardInterrupt:
        reset_exit()
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 -- a learner has no use for a traceback
        write_crash(error)
        tell(f"this is a defect of Underlay ({type(error).__name__}): tell your trainer")
        return EXIT_INFRASTRUCTURE


def _story(seat: Seat, typed: list[str]) -> int:
    words.alone(typed)
    at = seat.progress()
    if not at.exercise:
        course = seat.course
        tell(f"{course.title}, {course.minutes} minutes. {course.description}\n")
        for number, one in enumerate(course.exercises, start=1):
            tell(f"{number:>3}  {one.title}, {one.minutes} minutes", indent=5)
        tell("\nnext  begins the first exercise; help  shows all words")
        return EXIT_OK
    exercise = seat.course.exercise(at.exercise)
    tell_markdown(exercise.story_text)
    _tell_stage(exercise, at.stage)
    return EXIT_OK


def _tell_stage(exercise: Exercise, number: int) -> None:
    one = exercise.stages[number]
    tell(f"\nStage {number + 1} of {len(exercise.stages)}: {one.title}", style="bold")
    tell_markdown(one.goal)
    if one.answer is not None:
        _tell_question(one.answer.question)
    if one.judges_cells:
        tell(MEND, style="dim")


# What a learner does in a stage, by what it wants.
MEND = "Mend it, then:  check"
ANSWER = "Answer it:  answer TEXT"


def _tell_question(question: str) -> None:
    tell_markdown(f"Question: {question.strip()}")
    tell(ANSWER, style="dim")


def _check(seat: Seat, typed: list[str]) -> int:
    from underlay.workshop import stage

    words.alone(typed)
    with progress("sending packets") as running:
        result = stage.check(seat, running.step)
    return _tell_result(seat, result)


def _tell_result(seat: Seat, result: StageResult) -> int:
    from underlay.workshop.checking import standing

    if result.done:
        out.print("Done.", style="bold green")
        if result.is_last:
            out.print()
            tell_markdown(seat.course.exercise(result.exercise).aha_text)
        tell("\nnext  goes on")
        return EXIT_OK
    against = False
    for title, lines in (
        ("Not as it should be", result.red),
        ("Not kept", result.broken),
        ("Reachable, and nobody planned it", result.unplanned),
        ("Not measured", result.unsure),
        ("Not that way", result.noticed),
    ):
        if lines:
            against = True
            tell(f"{title}:", style="bold")
            told = together(lines)
            for line in told[:MOST]:
                tell(f"  {line}", indent=2)
            if len(told) > MOST:
                tell(f"  and {len(told) - MOST} more")
    if result.question:
        _tell_question(result.question)
    if measured := standing(result):
        tell(f"{measured[0].upper()}{measured[1:]}.", style="" if against else "bold")
    if against:
        tell("Not done yet.", style="bold red")
    return EXIT_DIFFERS


def together(lines: Iterable[str]) -> list[str]:
    """Return lines about cells so that those of one source with the same fate share one."""
    found: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        cell = CELL.fullmatch(line)
        key, whom = ((cell[1], cell[3]), [cell[2]]) if cell else ((line, ""), [])
        found.setdefault(key, []).extend(whom)
    return [
        f"{source} → {', '.join(whom)} {fate}" if whom else source
        for (source, fate), whom in found.items()
    ]


def _answer(seat: Seat, typed: list[str]) -> int:
    from underlay.workshop import stage

    text = words.text_of(typed)
    with progress("looking") as running:
        is_right, result = stage.answer(seat, text, running.step)
    if not is_right:
        tell("That isn't it.")
        return EXIT_DIFFERS
    tell("Right.")
    return _tell_result(seat, result) if result else EXIT_OK


def _hint(seat: Seat, typed: list[str]) -> int:
    from underlay.workshop import stage

    words.alone(typed)
    found = stage.hint(seat)
    again = ", the last one again" if found.again else ""
    tell_markdown(f"Hint {found.number} of {found.of}{again}: {found.text.strip()}")
    return EXIT_OK


def _next(seat: Seat, typed: list[str]) -> int:
    from underlay.workshop import stage

    words.alone(typed)
    with progress("going on") as running:
        place = stage.next_(seat, running.step)
    if place is None:
        tell("That was the last exercise: the course is done.")
        return EXIT_OK
    exercise, number = place
    if number == 0:
        return _story(seat, typed)
    _tell_stage(exercise, number)
    return EXIT_OK


def _reset(seat: Seat, typed: list[str]) -> int:
    from underlay.workshop import stage

    words.alone(typed)
    began = time.monotonic()
    with progress("booting your lab afresh") as running:
        stage.reset(seat, running.step)
    tell(f"The stage is as it began, after {time.monotonic() - began:.0f} s.")
    return EXIT_OK


def _skip(seat: Seat, typed: list[str]) -> int:
    from underlay.workshop import stage

    words.alone(typed)
    with progress("solving it") as running:
        skipped = stage.skip(seat, running.step)
    if skipped.deeds:
        tell("What was run:", style="bold")
        for line in words.typed(skipped.deeds):
            # In one piece, however long: it is copied from here.
            out.print(f"  {line}")
    if skipped.answer:
        tell(f"The answer was: {skipped.answer}")
    return _tell_result(seat, skipped.result)


def _explain(seat: Seat, typed: list[str]) -> int:
    """Say whether it is allowed: the shell then has it done."""
    words.alone(typed)
    at = seat.progress()
    if not at.exercise or not seat.course.exercise(at.exercise).explain:
        raise BadInput(
            "this exercise has no explain: the cause is yours to find", hint="hint  helps"
        )
    return EXIT_OK


def _status(seat: Seat, typed: list[str]) -> int:
    words.alone(typed)
    at = seat.progress()
    tell(f"{seat.name}: {_standing(seat, at)}")
    if at.exercise and at.whole and not (at.finished and seat.course.after(at.exercise) is None):
        _show_lab(seat)
    return EXIT_OK


def _standing(seat: Seat, at: Progress) -> str:
    if not at.exercise:
        return "no exercise has begun; next  begins the first"
    exercise = seat.course.exercise(at.exercise)
    hints = at.hints.get((at.exercise, at.stage), 0)
    done = len(set(at.done))
    return (
        f"{exercise.title}, stage {at.stage + 1} of {len(exercise.stages)},"
        f" {hints} of {count(len(exercise.stages[at.stage].hints), 'hint')};"
        f" {done} of {count(len(seat.course.exercises), 'exercise')} done"
    )


def _show_lab(seat: Seat) -> None:
    """Show who is where by the plan; whether it is so is what the exercise asks."""
    from underlay.cli.which_lab import running_labs, running_state

    with seat.at_home():
        if not running_labs():
            return
        plan = running_state(None).plan()
    nodes = table("node", "parents")
    for node in plan.nodes:
        nodes.add_row(
            node.name, ", ".join(f"{nic.interface} in {nic.segment}" for nic in node.nics)
        )
    ends = table("container", "node", "network", "address", "MAC")
    for container in plan.containers:
        for one in container.attachments:
            addresses = ", ".join(address.ip for address in one.addresses if address)
            ends.add_row(
                container.name, container.node, one.network, addresses or "-", one.mac or "-"
            )
    out.print("\nas it is planned:\n")
    out.print(nodes)
    out.print()
    out.print(ends)
    if plan.hosts:
        tell(f"\nhosts beside the nodes: {', '.join(host.name for host in plan.hosts)}")


DOES: dict[str, Callable[[Seat, list[str]], int]] = {
    "story": _story,
    "status": _status,
    "check": _check,
    "answer": _answer,
    "hint": _hint,
    "next": _next,
    "reset": _reset,
    "skip": _skip,
    "explain": _explain,
}
