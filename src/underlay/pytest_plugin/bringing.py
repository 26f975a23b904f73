"""A lab brought up for the tests: in a sandbox and a state folder of this process alone.

So the processes among which xdist divides the tests have a lab each, and none meets one that is
up, whatever it is called. What `check FILE` does is done here, without Vagrant where the provider
can do without it. The sandbox ends with this process, whatever ends that, unless it is kept.
"""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from underlay.cluster.providers import DEFAULT
from underlay.cluster.state.separate import separate_state
from underlay.cluster.suite import Suite, hand_over
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from underlay.cluster.state.lab import LabState
    from underlay.cluster.suite import Brought
    from underlay.lint import Loaded


@dataclass
class Up:
    """A lab that is up in a state folder of its own, while ``home`` is that of all others."""

    state: LabState
    home: Path


@contextmanager
def brought_up(loaded: Loaded, tell: Callable[[str], None]) -> Iterator[Up]:
    """Bring the lab up within the block; ``tell`` is handed a line about each step.

    Nothing of it is left after the block, unless ``kept`` was called in it. Raises what says why
    the lab doesn't come up.
    """
    found: list[Brought] = []
    with separate_state() as home:
        suite = Suite(DEFAULT, found.append, tell)
        suite.render([loaded])
        state = suite.prove([loaded], keep=True)
        if state is None:
            assert found[0].error is not None
            raise found[0].error
        yield Up(state, home)


def kept(up: Up, *, shared: bool) -> list[str]:
    """Leave the lab up, and return lines that say how it is reached and ended.

    It becomes one of those that every verb finds. Where one of its name is up already, or several
    processes that share the tests have one each (``shared``), it gets a state folder of its own.
    """
    name = shlex.quote(up.state.lab)
    home = up.home
    if shared or (home / "labs" / up.state.lab).exists():
        home = paths.kept_home(home, str(os.getpid()))
    hand_over(up.state, home)
    with_home = f"{paths.HOME}={shlex.quote(str(home))} " if home != up.home else ""
    return [
        f"underlay: the lab {up.state.lab} stays up",
        f"  {with_home}underlay explain --lab {name}",
        f"  {with_home}underlay down --lab {name}",
    ]
