"""A lab's life: up to proven readiness, and down to nothing."""

from __future__ import annotations

import shlex
import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from underlay.cluster.prepare import begin, finish
from underlay.cluster.process import tail
from underlay.cluster.providers import NAMES, provider
from underlay.cluster.quiet_tunnels import quieten
from underlay.cluster.ready import prove
from underlay.cluster.spans import span
from underlay.cluster.state.lab import LabState, read_state, remove
from underlay.cluster.state.lock import lock, turn
from underlay.cluster.state.run_folder import keep_failure
from underlay.cluster.statement import verify
from underlay.cluster.vagrant import Vagrant, forget
from underlay.cluster.watching import watching
from underlay.errors import Infrastructure, Interrupted, UnderlayError, count, listed
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.cluster.providers.base import Provider
    from underlay.lint import Loaded
    from underlay.plan import Plan


def up(
    loaded: Loaded, provider_name: str, progress: Callable[[str], None], *, force: bool = False
) -> tuple[LabState, dict[str, float]]:
    """Start the lab that was ``loaded`` and return its state and the seconds of each phase.

    Nodes that run are left alone, so a second call changes nothing. If this call
    made the lab and fails or is interrupted, nothing of the lab is left. Raises
    what ``prepare`` raises, and Infrastructure with its own words when a node isn't ready.
    """
    with turn(loaded.plan.lab, progress):
        return _up(loaded, provider_name, progress, force=force)


def _up(
    loaded: Loaded, provider_name: str, progress: Callable[[str], None], *, force: bool
) -> tuple[LabState, dict[str, float]]:
    name = loaded.plan.lab
    was_there = read_state(name) is not None
    asked = False
    try:
        state, timings = begin(loaded, provider_name, progress, force=force)
        timings |= _boot(state, progress, timings, force=force)
        began = time.monotonic()
        progress("asking the nodes whether they are ready")
        asked = True
        with span(state.folder, "host", "nodes' statements"):
            _have_them_say(state)
            quieten(state.plan(), state.folder)
        provider(provider_name).keep(state.folder)
        timings["boot"] += time.monotonic() - began
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None and error.strerror:
            # A file that can't grow: the system doesn't say which, but all of them are here.
            error.filename = str(paths.state(name))
        if isinstance(error, Infrastructure) and (paths.state(name) / "nodes").is_dir():
            keep_failure(name, "up", error)
        if was_there and isinstance(error, Infrastructure) and not error.hint:
            # Converge starts what is missing on nodes that run, and no node.
            again = f"converge --lab {name}" if asked else f"up {shlex.quote(str(loaded.file))}"
            error.hint = f"underlay {again}  starts what is missing"
        if not was_there:
            _clean_up(name, error, progress)
        raise
    return state, {phase: round(seconds, 3) for phase, seconds in timings.items()}


def _boot(
    state: LabState, progress: Callable[[str], None], timings: dict[str, float], *, force: bool
) -> dict[str, float]:
    """Have Vagrant start what doesn't run, and make the lab ready for it; return the seconds.

    Vagrant takes a second to get as far as its provider's action. Where the provider allows it,
    the lab is made ready in that second; no node is started by anybody but that action.
    """
    by, plan = provider(state.provider), state.plan()
    made = 0.0
    idle = _idle(by, plan, state) if by.prepares_beside_vagrant else []
    beside = bool(idle)

    def make_ready() -> None:
        nonlocal made
        made = finish(state, progress)
        if beside:
            tell_of_boot()

    def tell_of_boot() -> None:
        progress(f"booting {count(len(idle), 'node')} through Vagrant")

    began = time.monotonic()
    if not beside:
        make_ready()
        idle = _idle(by, plan, state)
    if idle:
        if not beside:
            tell_of_boot()
        with span(state.folder, "host", "vagrant up"), watching(state.folder, progress):
            Vagrant(state, force=force).start(by.name, make_ready if beside else None)
        if idle := _idle(by, plan, state):
            raise Infrastructure(
                f"vagrant ended without an error, but has not started {listed(idle)}",
                detail=f"the program called was {shutil.which('vagrant')}",
                hint="underlay doctor",
            )
    spent = time.monotonic() - began - made
    return {"image_and_switch": timings["image_and_switch"] + made, "boot": spent}


def _have_them_say(state: LabState) -> None:
    """Return when every node has said that it is ready.

    One that runs may still boot: the command that has started it, or its Vagrant, was killed
    before it had waited for it.
    """
    by, plan = provider(state.provider), state.plan()
    try:
        verify(plan, state.folder)
    except Infrastructure:
        left = {node.name: by.boots_for(plan, node.name, state.folder) for node in plan.nodes}
        if not any(left.values()):
            raise
        for name, seconds in left.items():
            if seconds:
                prove(state.folder / "ssh_config", name, seconds)
        verify(plan, state.folder)


def _idle(by: Provider, plan: Plan, state: LabState) -> list[str]:
    """Return the nodes that don't run; a switch that is a machine is none of Vagrant's."""
    words = by.states(plan, state.folder)
    return [node.name for node in plan.nodes if words[node.name] != "running"]


def _clean_up(name: str, cause: BaseException, progress: Callable[[str], None]) -> None:
    """End what a start that ``cause`` has cut short left of a lab.

    Who interrupts again wants an end at once and gets it. Its processes end with this one; but
    what is left all the same, a second interrupt or a failure of this says.
    """
    try:
        down(name, progress)
    except (KeyboardInterrupt, UnderlayError) as error:
        interrupted = any(isinstance(each, KeyboardInterrupt) for each in (error, cause))
        if interrupted and paths.state(name).exists():
            raise Interrupted(
                f"interrupted before all of the lab {name} was removed",
                hint=f"underlay down --lab {name}",
            ) from error
        if isinstance(error, KeyboardInterrupt):
            raise


def down(name: str, progress: Callable[[str], None]) -> None:
    """End the lab called ``name`` and remove all it left but caches.

    Vagrant is asked first; whatever it couldn't do is done by the identity in the
    lab's state. Raises Infrastructure when something of the lab can't be ended.
    """
    with turn(name, progress):
        _down(name, progress)


def _down(name: str, progress: Callable[[str], None]) -> None:
    state = read_state(name)
    if state is None:
        # A start that was cut short may have made the folder and a sandbox, but no record;
        # and a record may be lost. What runs is found by its identity all the same.
        with lock(name, progress):
            _end_unrecorded(name)
            remove(name)
        return
    by = provider(state.provider)
    failure: UnderlayError | None = None
    words = _states(state).values()
    if any(word != "not_created" for word in words):
        progress(f"ending {count(len(words), 'node')} through Vagrant")
        try:
            Vagrant(state).end()
            left = [name for name, word in _states(state).items() if word == "running"]
            if left:
                progress(f"vagrant destroy has not ended {listed(left)}; ended without it")
        except Infrastructure as error:
            failure = error
    with lock(name, progress):
        if state.folder.exists():
            by.destroy(state.folder)
        forget(state)
        remove(name)
    if failure is not None:
        why = tail(failure.detail, 3) or failure.message
        progress(f"vagrant destroy failed; the lab was ended without it: {why}")


def _end_unrecorded(name: str) -> None:
    """End what runs of a lab of which nobody knows any more by which provider it was started."""
    folder = paths.state(name)
    for each in NAMES if folder.is_dir() else ():
        with suppress(UnderlayError):
            provider(each).destroy(folder)


def _states(state: LabState) -> dict[str, str]:
    """Which nodes run; none where the sandbox doesn't answer, since it is ended anyway."""
    try:
        return provider(state.provider).states(state.plan(), state.folder)
    except Infrastructure:
        return {}
