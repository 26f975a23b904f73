"""The lab that is named, read: a file that leads to a plan, or a lab that is up by its name."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cli.which_lab import SUFFIXES, resolve_lab, running_labs, running_state
from underlay.cluster.state.lab import state_of_file
from underlay.errors import BadInput
from underlay.expect import Prediction

if TYPE_CHECKING:
    from underlay.cluster.state.lab import LabState
    from underlay.lint import Loaded
    from underlay.plan import Plan


@dataclass(frozen=True)
class Read:
    """A lab that is to be brought up, ``loaded`` from its file; or ``running``, which is up."""

    loaded: Loaded | None = None
    running: LabState | None = None

    @cached_property
    def plan(self) -> Plan:
        """The lab's plan; of a running lab the one that it was started with."""
        if self.running is not None:
            return self.running.plan()
        assert self.loaded is not None
        return self.loaded.plan

    @cached_property
    def prediction(self) -> Prediction:
        """What should happen in the lab; nothing is up for that."""
        return Prediction(self.plan)

    @property
    def described(self) -> str:
        """The lab in a line."""
        if self.loaded is not None:
            return f"lab {self.plan.lab} ({self.loaded.file}), in a sandbox of its own"
        return f"lab {self.plan.lab}, which is up"


def read_lab(word: str, *, running: bool = False) -> Read:
    """Return the lab that ``word`` names: one that is up by that name, or else a file.

    With ``running`` a file means the lab that is up from it, where there is one.
    Raises BadInput where there is none, or lint finds errors in it, with file and line of each;
    Infrastructure where what is recorded of a lab that is up can't be read.
    """
    from underlay.lint import load

    is_name = Path(word).suffix not in SUFFIXES and "/" not in word
    if is_name and word in running_labs():
        return Read(running=running_state(word))
    file = resolve_lab(word)
    if running and (state := state_of_file(file)) is not None:
        return Read(running=state)
    loaded = load(file)
    if loaded.errors:
        lines = [f"{f.file}:{f.line}:{f.column}: {f.id}: {f.message}" for f in loaded.errors]
        hint = f"underlay lint {shlex.quote(str(loaded.file))}"
        raise BadInput("\n".join(lines), hint=hint)
    return Read(loaded=loaded)
