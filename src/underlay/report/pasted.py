"""The steps that put a fault right as lines for a shell: each can be pasted as it is.

A script that needs no shell is run as plain words; any other one stays a script. A learner in a
seat gets them in the words of the seat's shell, and none for the switch, where nobody but the
trainer may run anything.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from underlay.plan import SWITCH
from underlay.storage.seated import in_seat, typed

if TYPE_CHECKING:
    from underlay.faults import Step
    from underlay.proof.explanation import Cause, Explanation

QUIETLY = " 2>/dev/null || :"
# What only a shell makes something of.
OF_A_SHELL = set("|&;<>$`\n(){}*~")


def commands(explanation: Explanation, cause: Cause) -> list[str]:
    """Return the lines that put ``cause`` right in the lab that is explained.

    Of machines that exist the explanation names no lab: lines are what root runs there.
    One that was ended has to be brought up first, and needs no end.
    """
    if in_seat():
        return _in_seat(cause)
    if not explanation.lab:
        return [] if cause.finding.fault.needs_restart else _in_place(cause)
    lab, up = explanation.lab, _up(explanation)
    if cause.finding.fault.needs_restart:
        return [up] if explanation.keep_by else [f"underlay down --lab {shlex.quote(lab)}", up]
    lines = list(dict.fromkeys(pasted(step, lab) for step in cause.finding.steps))
    return [up, *lines] if explanation.keep_by and lines else lines


def _in_seat(cause: Cause) -> list[str]:
    """Return what a learner types; nothing where it would be something at the switch."""
    if cause.finding.fault.needs_restart:
        return ["reset"]
    steps = cause.finding.steps
    if any(step.target == SWITCH for step in steps):
        return []
    return list(dict.fromkeys(pasted(step, "") for step in steps))


def _in_place(cause: Cause) -> list[str]:
    """Return what root runs on machines that exist, which no command of Underlay's changes."""
    return list(
        dict.fromkeys(f"{_words(step)}  # in {step.target}" for step in cause.finding.steps)
    )


def ended_words(explanation: Explanation) -> str:
    """Return what to run first where the lab has ended by now; empty where it is up."""
    if not explanation.keep_by:
        return ""
    return (
        f"The lab {explanation.lab} has been ended. Commands that look into it or mend it need it"
        f" up: `{_up(explanation)}` makes it anew, and `{explanation.keep_by}` would have left it"
        " as it was measured."
    )


def _up(explanation: Explanation) -> str:
    return f"underlay up {shlex.quote(explanation.file or explanation.lab)}"


def pasted(step: Step, lab: str) -> str:
    """Return the line that runs ``step`` on the running lab called ``lab``; a seat has only one."""
    named = [] if in_seat() else ["--lab", lab]
    where = [*typed("exec").split(), step.target, *named, "--"]
    return f"{shlex.join(where)} {_words(step)}"


def _words(step: Step) -> str:
    """Return the words that do ``step`` where it is to be done: plain ones, or a script's."""
    script = step.script.strip().removesuffix(QUIETLY)
    plain = script.replace('"$@"', shlex.join(step.arguments))
    for number, argument in enumerate(step.arguments, 1):
        plain = plain.replace(f'"${number}"', shlex.quote(argument))
    words = shlex.split(plain) if not OF_A_SHELL & set(plain) else []
    if words:
        return shlex.join(words)
    return shlex.join(["sh", "-euc", script, "sh", *step.arguments])
