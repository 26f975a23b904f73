"""Driving the repository's Vagrantfile with python-vagrant, under a deadline, on any lab."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vagrant

from underlay.cluster.engine import AWAIT, ERROR, FORCE, HINT, LAB, PROVIDER
from underlay.cluster.process import headline, how_it_failed, run, tail
from underlay.cluster.providers import provider
from underlay.cluster.ready import for_containers
from underlay.errors import Infrastructure
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.cluster.state.lab import LabState

UP_DEADLINE = 900.0
OTHER_DEADLINE = 120.0
# Some of its plugins let their own stack traces through, which bury what went wrong.
OF_A_NODE = re.compile(r"[A-Za-z0-9.-]+: ")
RUBY_FRAME = re.compile(r"\s*(from )?/.*\.rb:\d+:in ")
# Asking the makers' server for a newer version, and loading the plugins of other providers.
NOT_ASKED = {"VAGRANT_CHECKPOINT_DISABLE": "1"}
AWAITED = {AWAIT: "1"}
NO_PLUGINS = {"VAGRANT_NO_PLUGINS": "1"}
DOTFILE = "VAGRANT_DOTFILE_PATH"
PYTHON = "UNDERLAY_PYTHON"


class Vagrant(vagrant.Vagrant):
    """python-vagrant on one lab. Unlike its parent it has deadlines and keeps what Vagrant says."""

    def __init__(self, state: LabState, *, force: bool = False) -> None:
        super().__init__(root=str(paths.root()))  # type: ignore[no-untyped-call]
        self._environment = {
            **variables(state),
            **NOT_ASKED,
            **({} if provider(state.provider).loads_plugins else NO_PLUGINS),
            **({FORCE: "1"} if force else {}),
        }
        self._state = state
        self._meanwhile: Callable[[], None] = lambda: None

    def start(self, provider: str, meanwhile: Callable[[], None] | None = None) -> None:
        """Bring up every node of the lab, all at once.

        ``meanwhile`` makes the lab ready while Vagrant starts: its engine waits for the mark
        that says so before it does anything to a node.
        """
        if meanwhile is not None:
            self._environment |= AWAITED
            self._meanwhile = meanwhile
        self.up(provider=provider)  # type: ignore[no-untyped-call]

    def end(self) -> None:
        """Destroy every node of the lab."""
        self.destroy()  # type: ignore[no-untyped-call]

    def _call_vagrant_command(self, args: list[str | None]) -> None:
        self._run_vagrant_command(args)

    def _run_vagrant_command(self, args: list[str | None]) -> Any:
        deadline = OTHER_DEADLINE
        if "up" in args:
            deadline = UP_DEADLINE + for_containers(self._state.plan())
        # It would go on to start nodes for a command that was killed: it dies with it.
        together = ["setpriv", "--pdeathsig", "KILL"]
        program = shutil.which("vagrant")
        if program is None:
            raise Infrastructure("there is no vagrant on PATH", hint="underlay doctor")
        arguments = [*together, program, *(word for word in args if word is not None)]
        done = run(
            arguments,
            name="vagrant",
            deadline=deadline,
            environment=self._environment,
            folder=paths.root(),
            meanwhile=self._meanwhile,
            check=False,
        )
        if done.returncode:
            _refuse_old(program)
            words = [line for line in done.stderr.splitlines() if not RUBY_FRAME.match(line)]
            # The engine's own, one a node that failed; they belong below all that was said.
            hints = [line.removeprefix(HINT) for line in words if line.startswith(HINT)]
            words = [line for line in words if not line.startswith(HINT)]
            raise Infrastructure(
                cause(words) or how_it_failed("vagrant", done.returncode),
                detail=tail("\n".join(words) or done.stdout),
                hint="\n".join(dict.fromkeys(hints)),
            )
        return done.stdout


def cause(words: list[str]) -> str:
    """Return what the engine said of the nodes that failed, of all the ``words`` of Vagrant.

    A node's own failure comes before what followed from it; empty where the engine said nothing.
    """
    said = [line.removeprefix(ERROR) for line in words if line.startswith(ERROR)]
    said = list(dict.fromkeys(said))
    said.sort(key=lambda line: not OF_A_NODE.match(line))
    return headline(said) if said else ""


def _refuse_old(program: str) -> None:
    """Say of a Vagrant that failed that it is too old; asking it beforehand would cost a second."""
    from underlay.cluster.requirements.machine import OLDEST_VAGRANT, vagrant_version

    done = run([program, "--version"], deadline=OTHER_DEADLINE, check=False)
    said = done.stdout.strip().partition("\n")[0]
    version = vagrant_version(said)
    if version is not None and version < OLDEST_VAGRANT:
        needed = ".".join(map(str, OLDEST_VAGRANT))
        raise Infrastructure(
            f"{said} is too old: {needed} or newer is needed", hint="underlay doctor"
        )


def variables(state: LabState) -> dict[str, str]:
    """Return the environment with which Vagrant, run beside the Vagrantfile, works on this lab.

    Vagrant reads VAGRANT_DOTFILE_PATH before the Vagrantfile, so it can't be set there.
    The default lab of a checkout uses Vagrant's own default, so that plain ``vagrant``
    works on it. The shim over the engine needs to know with which Python to start it.
    """
    values = {LAB: state.file, PROVIDER: state.provider, PYTHON: sys.executable}
    values |= provider(state.provider).environment(state.folder)
    if not is_default(state):
        values[DOTFILE] = str(state.folder / "vagrant")
    return values


def is_default(state: LabState) -> bool:
    """Whether ``state`` is of the lab that plain ``vagrant up`` starts in a checkout."""
    own = paths.home() == paths.root() / ".underlay"
    return paths.is_checkout() and own and Path(state.file) == paths.root() / "labs" / "coreos.yml"


def forget(state: LabState) -> None:
    """Remove what Vagrant keeps about the lab's machines."""
    shutil.rmtree(_dotfile(state), ignore_errors=True)


def carry_along(old: LabState, new: LabState) -> None:
    """Put what Vagrant keeps about the machines of ``old`` where those of ``new`` look for it.

    The state folder is ``new``'s already.
    """
    kept = _dotfile(old) if is_default(old) else new.folder / "vagrant"
    wanted = _dotfile(new)
    if kept != wanted and kept.is_dir():
        shutil.rmtree(wanted, ignore_errors=True)
        shutil.move(kept, wanted)


def _dotfile(state: LabState) -> Path:
    return paths.root() / ".vagrant" if is_default(state) else state.folder / "vagrant"
