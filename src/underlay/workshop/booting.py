"""A seat's lab: booted afresh in the seat's own home, and ended without a trace.

Its nodes begin from the shared read-only disk, each with a copy-on-write disk of its own. Vagrant
isn't asked: nobody works on these nodes by its commands.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from underlay.cluster.providers import DEFAULT, NAMES, provider
from underlay.cluster.ssh import SUITE_KEY, cached_key
from underlay.cluster.state.lab import read_state, remove
from underlay.cluster.suite import boot
from underlay.errors import Infrastructure, UnderlayError
from underlay.lint import load, refuse_errors
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from underlay.cluster.state.lab import LabState
    from underlay.lint import Loaded
    from underlay.workshop.course import Exercise
    from underlay.workshop.seat import Seat


def rendered(labs: Sequence[Loaded]) -> dict[str, Path]:
    """Have Ansible render the files of ``labs`` where they aren't cached; return where each is.

    All seats have the same ones: nothing in them tells one seat from another.
    """
    from underlay.render import render_all

    plans = [loaded.plan for loaded in labs]
    found = render_all(plans, cached_key(SUITE_KEY), paths.cache() / "files")
    return {plan.lab: entry for plan, entry in zip(plans, found, strict=True)}


def boot_lab(seat: Seat, exercise: Exercise, tell: Callable[[str], None]) -> LabState:
    """End whatever runs in ``seat``, and boot the lab of ``exercise`` there.

    To be called at the seat's home. Raises BadInput where lint refuses the lab, and what starting
    it raises; then nothing is left.
    """
    end_labs(seat)
    loaded = load(exercise.lab_file)
    refuse_errors(loaded)
    by = provider(DEFAULT)
    entry = rendered([loaded])[loaded.plan.lab]
    try:
        state = boot(by, loaded, entry, tell)
        if seat.stays:
            by.keep(state.folder)
    except BaseException:
        end_labs(seat)
        raise
    return state


def end_labs(seat: Seat) -> None:
    """End all that runs in ``seat``, by identity, also what a killed process has left half made."""
    with seat.at_home():
        for folder in sorted(paths.states().glob("*")):
            for name in NAMES:
                with suppress(UnderlayError):
                    provider(name).destroy(folder)
            remove(folder.name)


def running(seat: Seat) -> LabState:
    """Return the lab that is up in ``seat``; raise Infrastructure where none is, or not whole.

    To be called at the seat's home.
    """
    found = [read_state(folder.name) for folder in sorted(paths.states().glob("*"))]
    up = [state for state in found if state is not None]
    if len(up) != 1 or not provider(up[0].provider).stands(up[0].folder):
        raise Infrastructure(f"the lab of {seat.name} is not up", hint="reset")
    return up[0]
