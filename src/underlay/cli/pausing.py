"""A lab that isn't as it should be is left as it is until somebody has looked at it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from underlay.cli.console import err
from underlay.errors import BadInput
from underlay.storage import paths

if TYPE_CHECKING:
    from underlay.cli.console import Progress
    from underlay.plan import Plan


def refuse_without_terminal() -> None:
    """Raise BadInput where nobody can press Enter: the lab would stay for ever, or not at all."""
    if not sys.stdin.isatty():
        raise BadInput(
            "--pause-on-fail waits for Enter, and standard input is no terminal",
            hint="--keep leaves the last lab up instead",
        )


def wait_for_enter(plan: Plan, running: Progress) -> None:
    """Say how to look at the lab of ``plan``, which is up, and return when Enter was pressed.

    An interrupt goes its way: the lab is ended then, as at any other time.
    """
    node = plan.nodes[0].name
    lines = (
        f"{plan.lab} stays as it is until you press Enter here. In another terminal:",
        f"  export {paths.HOME}={paths.home()}",
        f"  underlay explain --lab {plan.lab}",
        f"  underlay exec --lab {plan.lab} {node} -- ip -brief address",
    )
    with running.aside():
        for line in lines:
            err.print(line)
        sys.stdin.readline()
