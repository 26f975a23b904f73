"""A lab's life: up to proven readiness, and down to nothing."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from underlay.cluster.prepare import prepare
from underlay.cluster.process import tail
from underlay.cluster.providers import NAMES, provider
from underlay.cluster.spans import span
from underlay.cluster.state.lab import LabState, read_state, remove
from underlay.cluster.state.lock import lock, turn
from underlay.cluster.state.run_folder import keep_failure
from underlay.cluster.statement import verify
from underlay.cluster.vagrant import Vagrant, forget
from underlay.cluster.watching import watching
from underlay.errors import Infrastructure, Interrupted, UnderlayError
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from underlay.lint import Loaded


def up(
    file: Path, provider_name: str, progress: Callable[[str], None], *, force: bool = False
) -> tuple[LabState, dict[str, float]]:
    """Start the lab of ``file`` and return its state and the seconds of each phase.

    Nodes that run are left alone, so a second call changes nothing. If this call
    made the lab and fails or is interrupted, nothing of the lab is left. Raises
    what ``prepare`` raises, and Infrastructure with its own words when a node isn't ready.
    """
    from underlay.lint import load

    loaded = load(file)
    with turn(loaded.plan.lab, progress):
        return _up(loaded, provider_name, progress, force=force)


def _up(
    loaded: Loaded, provider_name: str, progress: Callable[[str], None], *, force: bool
) -> tuple[LabState, dict[str, float]]:
    name = loaded.plan.lab
    was_there = read_state(name) is not None
    try:
        state, timings = prepare(loaded, provider_name, progress, force=force)
        plan = state.plan()
        began = time.monotonic()
        words = provider(provider_name).states(plan, state.folder).values()
        if any(word != "running" for word in words):
            progress(f"booting {len(plan.nodes)} nodes through Vagrant")
            provider(provider_name).boot(plan, state.folder)
            with span(state.folder, "host", "vagrant up"), watching(state.folder, progress):
                Vagrant(state, force=force).start(provider_name)
        progress("asking the nodes whether they are ready")
        with span(state.folder, "host", "nodes' statements"):
            verify(plan, state.folder)
        provider(provider_name).keep(state.folder)
        timings["boot"] = time.monotonic() - began
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None and error.strerror:
            # A file that can't grow: the system doesn't say which, but all of them are here.
            error.filename = str(paths.state(name))
        if isinstance(error, Infrastructure) and (paths.state(name) / "nodes").is_dir():
            keep_failure(name, "up", error)
        if was_there and isinstance(error, Infrastructure) and not error.hint:
            error.hint = f"underlay converge --lab {name}  starts what is missing"
        if not was_there:
            _clean_up(name, error, progress)
        raise
    return state, {phase: round(seconds, 3) for phase, seconds in timings.items()}


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
        progress(f"ending {len(words)} nodes through Vagrant")
        try:
            Vagrant(state).end()
        except Infrastructure as error:
            failure = error
    with lock(name, progress):
        if state.folder.exists():
            by.destroy(state.folder)
        forget(state)
        remove(name)
    if failure is not None:
        progress(f"vagrant destroy failed; the lab was ended without it: {tail(failure.detail, 3)}")


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
