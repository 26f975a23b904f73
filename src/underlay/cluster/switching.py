"""Running nodes become another lab's without a reboot.

The lab's record changes its name with the lab: the state folder is renamed, and the sandbox,
the open connections and the key go along. From the first step to the last a mark in the
folder says that nodes and record may disagree. Whoever ends in between, by whatever cause,
leaves a lab that ``down`` ends, and that another ``switch`` to any lab makes whole.
"""

from __future__ import annotations

import shlex
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.cluster import ssh
from underlay.cluster.access import refuse_stopped
from underlay.cluster.node_files import apply
from underlay.cluster.providers import provider
from underlay.cluster.quiet_tunnels import quieten
from underlay.cluster.state.lab import LabState, read_state, remove, unfinished
from underlay.cluster.state.lock import lock, turn
from underlay.cluster.state.run_folder import keep_failure
from underlay.cluster.vagrant import carry_along
from underlay.errors import BadInput, Infrastructure
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from underlay.lint import Loaded
    from underlay.plan import Plan, PlannedNode


def switch(
    state: LabState, loaded: Loaded, progress: Callable[[str], None], *, force: bool = False
) -> tuple[LabState, dict[str, float]]:
    """Make the running lab ``state`` the one that was ``loaded``.

    Returns the new one's record, and the seconds of each phase.

    Raises BadInput where the lab has errors (without ``force``), needs other nodes than run,
    or is up already; Infrastructure where a node can't become what it should, of which
    another try, another lab or ``down`` are the cures.
    """
    from underlay.lint import refuse_errors

    plan = loaded.plan
    if not force:
        refuse_errors(loaded)
    provider(state.provider).refuse_to_switch()
    with ExitStack() as turns:
        # In the order of their names, so that two who switch don't wait for each other.
        for name in sorted({state.lab, plan.lab}):
            turns.enter_context(turn(name, progress))
        known = still_up(state.lab)
        _refuse(known, plan, loaded.file)
        return _switch(known, plan, loaded.file, progress)


def _switch(
    state: LabState, plan: Plan, file: Path, progress: Callable[[str], None]
) -> tuple[LabState, dict[str, float]]:
    timings = {}
    began = time.monotonic()
    progress(f"rendering the files of {plan.lab}")
    entry = rendered(state, plan)
    timings["render"] = time.monotonic() - began
    renamed, phases = become(state, plan, file, entry, progress)
    return renamed, {name: round(seconds, 3) for name, seconds in {**timings, **phases}.items()}


def still_up(lab: str) -> LabState:
    """Return what is recorded about ``lab`` now that its turn has come; BadInput where it ended."""
    known = read_state(lab)
    if known is None:
        raise BadInput(f"the lab {lab!r} is not up any more")
    return known


def rendered(state: LabState, plan: Plan) -> Path:
    """Return the cache's folder of ``plan``'s files, rendered with the running lab's own key."""
    from underlay.render import render_all

    key = (state.folder / "key.pub").read_text().strip()
    (entry,) = render_all([plan], key, paths.cache() / "files")
    return entry


def become(
    state: LabState,
    plan: Plan,
    file: Path,
    entry: Path,
    progress: Callable[[str], None],
    *,
    given_up: Callable[[], bool] = lambda: False,
) -> tuple[LabState, dict[str, float]]:
    """Do as ``switch``, with ``plan`` read and its files rendered in ``entry`` already.

    Of a failure nothing is kept where ``given_up`` says that somebody has ended the nodes: that
    is why it failed.
    """
    from underlay.render import copy_rendered

    by = provider(state.provider)
    timings = {}
    began = time.monotonic()
    progress(f"switching the nodes of {state.lab} to {plan.lab}")
    try:
        with lock(state.lab, progress):
            new = _record(state, plan, file)
            copy_rendered(entry, new.folder / "files")
            by.change_segments(plan, new.folder)
        timings["switch"] = time.monotonic() - began
        began = time.monotonic()
        apply(plan, new.folder, new.folder / "files")
        quieten(plan, new.folder)
    except Infrastructure as error:
        if not given_up():
            now = read_state(plan.lab) or state
            keep_failure(now.lab, "switch", error, alive=now)
        raise
    unfinished(new.folder).unlink()
    timings["nodes"] = time.monotonic() - began
    return new, timings


def _record(state: LabState, plan: Plan, file: Path) -> LabState:
    """Record the lab ``state`` as the one of ``plan``, with the mark that it isn't that yet."""
    unfinished(state.folder).touch()
    new = replace(state, lab=plan.lab, file=str(file.resolve()))
    if new.lab != state.lab:
        # What is left of a lab of that name may be a link to its sockets, which are elsewhere.
        ssh.close(new.folder)
        remove(new.lab)
        state.folder.rename(new.folder)
        ssh.carry_along(state.folder, new.folder)
    carry_along(state, new)
    new.write(plan)
    return new


def _refuse(state: LabState, plan: Plan, file: Path) -> None:
    """Raise BadInput where the running nodes of ``state`` can't become those of ``plan``."""
    if plan.lab != state.lab and (other := read_state(plan.lab)) is not None:
        raise BadInput(
            f"the lab {plan.lab} is up already, from {other.file}",
            hint=f"underlay down --lab {plan.lab}",
        )
    if plan.lab != state.lab and provider(state.provider).stands(paths.state(plan.lab)):
        raise BadInput(
            f"what runs of the lab {plan.lab} is recorded nowhere",
            hint=f"underlay down --lab {plan.lab}",
        )
    refuse_other_nodes(state, plan, file)


def refuse_other_nodes(state: LabState, plan: Plan, file: Path) -> None:
    """Raise BadInput where ``plan`` needs other nodes, Infrastructure where one doesn't run."""
    old = state.plan()
    found = differences(old, plan)
    if found:
        raise BadInput(
            f"{plan.lab} needs other nodes than those of {state.lab} that run",
            detail="\n".join(found),
            hint=f"underlay down --lab {state.lab}\nunderlay up {shlex.quote(str(file))}",
        )
    refuse_stopped(state, [node.name for node in old.machines])


def differences(old: Plan, new: Plan) -> list[str]:
    """Return in words what keeps the nodes of ``old`` from becoming those of ``new``."""
    found = []
    for what, has, wants in (
        ("user", old.user, new.user),
        ("image", old.image and old.image.path, new.image and new.image.path),
        ("images", ", ".join(old.images) or None, ", ".join(new.images) or None),
        ("nodes", _names(old), _names(new)),
    ):
        if has != wants:
            found.append(f"{what}: {has or 'the own one'} run, {new.lab} needs {wants}")
    for node in old.machines if _names(old) == _names(new) else ():
        other = needs(new.node(node.name))
        found += [
            f"{node.name}: {key}: it has {value}, {new.lab} needs {other[key]}"
            for key, value in needs(node).items()
            if value != other[key]
        ]
    return found


def needs(node: PlannedNode) -> dict[str, object]:
    """Return what of a node is settled when it boots."""
    bonds = [
        f"{nic.interface} ({nic.bond}) of {', '.join(one.interface for one in nic.members)}"
        for nic in node.nics
        if nic.bond
    ]
    return {
        "NICs": len(node.cards),
        "bonds": "; ".join(bonds) or "none",
        "MiB of memory": node.memory,
        "profile": node.profile,
        "configuration": node.config + " in an initrd" * (node.ignition_in == "initrd"),
    }


def _names(plan: Plan) -> str:
    return ", ".join(node.name for node in plan.machines)
