"""The steps that put a fault right as lines for a shell: each can be pasted as it is.

A script that needs no shell is run as plain words; any other one stays a script.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from underlay.faults import Step
    from underlay.proof.explain import Cause, Explanation

QUIETLY = " 2>/dev/null || :"
# What only a shell makes something of.
OF_A_SHELL = set("|&;<>$`\n(){}*~")


def commands(explanation: Explanation, cause: Cause) -> list[str]:
    """Return the lines that put ``cause`` right in the lab that is explained."""
    lab = explanation.lab
    if cause.finding.fault.needs_restart:
        return [
            f"underlay down --lab {shlex.quote(lab)}",
            f"underlay up {shlex.quote(explanation.file or lab)}",
        ]
    return list(dict.fromkeys(pasted(step, lab) for step in cause.finding.steps))


def pasted(step: Step, lab: str) -> str:
    """Return the line that runs ``step`` on the running lab called ``lab``."""
    where = ["underlay", "exec", step.target, "--lab", lab, "--"]
    script = step.script.strip().removesuffix(QUIETLY)
    plain = script.replace('"$@"', shlex.join(step.arguments))
    for number, argument in enumerate(step.arguments, 1):
        plain = plain.replace(f'"${number}"', shlex.quote(argument))
    words = shlex.split(plain) if not OF_A_SHELL & set(plain) else []
    if words:
        return shlex.join([*where, *words])
    return shlex.join([*where, "sh", "-euc", script, "sh", *step.arguments])
