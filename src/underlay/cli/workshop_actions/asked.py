"""What was asked of the verb ``workshop``: its arguments and options, read by each action."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from underlay.errors import BadInput

HELP = "underlay workshop --help"


@dataclass(frozen=True)
class Asked:
    """The arguments and options of ``underlay workshop``; those not given are None or False."""

    course: str | None = None
    exercise: str | None = None
    seats: int | None = None
    listen: str | None = None
    port: int | None = None
    inventory: Path | None = None
    as_json: bool = False
    as_csv: bool = False
    no_nodes: bool = False
    keys: Path | None = None
    new_password: int | None = None
    serve: bool = False
    skip: str | None = None

    def needed_course(self, action: str) -> str:
        """Return the course; raise BadInput where ``action`` needs one and none was named."""
        if self.course is None:
            raise BadInput(
                f"`underlay workshop {action}` needs a COURSE", hint="underlay workshop list"
            )
        return self.course


def not_built(action: str) -> BadInput:
    """Return the error of an action that this version doesn't have yet."""
    return BadInput(f"`underlay workshop {action}` is not built yet", hint=HELP)
