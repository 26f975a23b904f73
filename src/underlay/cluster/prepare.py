"""From a lab file to a cluster that can start: plan, key, files, image, switch.

Everything is idempotent and made under the lab's lock, because Vagrant starts
all nodes at once and each of them asks for it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from underlay.cluster.providers import provider
from underlay.cluster.spans import span
from underlay.cluster.ssh import key_file, lab_key
from underlay.cluster.state.lab import LabState, read_state, state_of_file
from underlay.cluster.state.lock import lock
from underlay.errors import BadInput
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from underlay.lint import Loaded
    from underlay.plan import Plan


PREPARED = "prepared"


def load_plan(file: Path) -> Plan:
    """Return the plan that the lab ``file`` leads to now; raise LabError where it can't be read."""
    from underlay.lint import load

    return load(file).plan


def plan_of(file: Path) -> Plan:
    """Return the plan of the lab that was started from ``file``, or what ``file`` leads to now."""
    state = state_of_file(file)
    return state.plan() if state is not None else load_plan(file)


def prepare(
    loaded: Loaded, provider_name: str, progress: Callable[[str], None], *, force: bool = False
) -> tuple[LabState, dict[str, float]]:
    """Make all that the nodes of the ``loaded`` lab need before they start.

    It is ``begin`` and ``finish``, one after the other; they say the rest.
    """
    state, timings = begin(loaded, provider_name, progress, force=force)
    timings["image_and_switch"] += finish(state, progress)
    return state, timings


def begin(
    loaded: Loaded, provider_name: str, progress: Callable[[str], None], *, force: bool = False
) -> tuple[LabState, dict[str, float]]:
    """Make what is there before Vagrant is called: the lab's record, its files, the image.

    ``progress`` is handed a line per step. Returns the lab's state and the seconds
    of each phase. Raises BadInput where the lab has errors (without ``force``), or
    is up already from another file, with another plan or another provider.
    """
    from underlay.lint import refuse_errors

    by = provider(provider_name)
    plan = loaded.plan
    if not force:
        refuse_errors(loaded)
    by.refuse_lacking(plan)
    timings: dict[str, float] = {}
    with lock(plan.lab, progress):
        state = _agree(plan, loaded.file, provider_name)
        state.write(plan)
        if not loaded.hosts:
            state.note_text(loaded.text.content)
        began = time.monotonic()
        # Files without a key are those of `render`, perhaps of the lab as it once was.
        if not (state.folder / "files").is_dir() or not key_file(plan.lab).exists():
            from underlay.render import render_cached

            progress("rendering the nodes' files")
            with span(state.folder, "host", "render"):
                key = lab_key(plan.lab)
                render_cached(plan, key, state.folder / "files", paths.cache() / "files")
        timings["render"] = time.monotonic() - began
        began = time.monotonic()
        with span(state.folder, "host", "image"):
            by.build(plan, progress)
        timings["image_and_switch"] = time.monotonic() - began
        # What is made from here on, Vagrant's nodes wait for.
        (state.folder / PREPARED).unlink(missing_ok=True)
    return state, timings


def finish(state: LabState, progress: Callable[[str], None]) -> float:
    """Make the rest, which takes no longer than Vagrant's own start; return the seconds.

    It is the sandbox with its switch and the nodes' seeds, or what another provider has in
    their place. The mark at its end tells the engine under Vagrant that nodes may start.
    """
    began = time.monotonic()
    with lock(state.lab, progress):
        with span(state.folder, "host", "sandbox and seeds"):
            provider(state.provider).prepare(state.plan(), state.folder, progress)
        (state.folder / PREPARED).touch()
    return time.monotonic() - began


def _agree(plan: Plan, file: Path, provider_name: str) -> LabState:
    """Return the state to go on with; refuse to change a lab that is up."""
    wanted = LabState(plan.lab, str(file.resolve()), provider_name)
    known = read_state(plan.lab)
    if known is None:
        return wanted
    stop = f"underlay down --lab {plan.lab}"
    if known != wanted:
        raise BadInput(
            f"the lab {plan.lab} is up from {known.file} by provider {known.provider}", hint=stop
        )
    if known.plan() != plan:
        raise BadInput(
            f"the lab {plan.lab} is up, and {file} has changed since it was started", hint=stop
        )
    return known
