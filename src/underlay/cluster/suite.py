"""Many labs on few boots: those that need the same nodes are brought up on the same ones.

Sandboxes and state are the suite's own (``separate_state``). Vagrant isn't asked where the
provider can do without it: nobody works by hand on these nodes.
"""

from __future__ import annotations

import copy
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from underlay.cluster import ssh
from underlay.cluster.lifecycle import down
from underlay.cluster.prepare import prepare
from underlay.cluster.providers import provider
from underlay.cluster.quiet_tunnels import quieten
from underlay.cluster.ssh import SUITE_KEY, cached_key, lab_key
from underlay.cluster.state.lab import LabState, plan_in, remove
from underlay.cluster.statement import verify
from underlay.cluster.switching import become, needs
from underlay.cluster.vagrant import Vagrant
from underlay.cluster.watching import watching
from underlay.errors import BadInput, Infrastructure, UnderlayError, count
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from underlay.cluster.providers.base import Provider
    from underlay.lint import Loaded
    from underlay.plan import Plan


@dataclass
class Brought:
    """A lab that is up; or ``error`` says why it isn't. ``timings`` are in seconds by phase."""

    loaded: Loaded
    state: LabState | None = None
    error: UnderlayError | None = None
    timings: dict[str, float] = field(default_factory=dict)


class Suite:
    """Brings labs up one after the other, in ``separate_state``, and hands each to ``visit``.

    ``given_up`` is set where the run is to end early. Who does that ends the nodes as well
    (``end_all``): whatever waits for them fails then, and no further lab is begun.
    """

    def __init__(
        self,
        provider_name: str,
        visit: Callable[[Brought], None],
        tell: Callable[[str], None],
        *,
        force: bool = False,
    ) -> None:
        self.boots = 0
        self._by = provider(provider_name)
        self._visit = visit
        self._tell: Callable[[str, str], None] = lambda _, words: tell(words)
        self._force = force
        self._entries: dict[str, Path] = {}
        self._boot_turn: Callable[[Plan], AbstractContextManager[None]] = lambda _: nullcontext()
        self.given_up = threading.Event()

    def beside(
        self,
        visit: Callable[[Brought], None],
        tell: Callable[[str, str], None],
        boot_turn: Callable[[Plan], AbstractContextManager[None]],
    ) -> Suite:
        """Return another one for the same labs, which counts its own boots.

        The labs of both may be up at once, where the provider says so. ``tell`` is handed the lab
        that a line is about, and the line. A boot takes place within what ``boot_turn`` returns.
        """
        other = copy.copy(self)
        other.boots, other._visit, other._tell, other._boot_turn = 0, visit, tell, boot_turn
        return other

    def render(self, labs: Sequence[Loaded]) -> None:
        """Have Ansible render the files of all ``labs``, in one run."""
        from underlay.render import render_all

        plans = [loaded.plan for loaded in labs]
        found = render_all(plans, cached_key(SUITE_KEY), paths.cache() / "files")
        self._entries = {plan.lab: entry for plan, entry in zip(plans, found, strict=True)}

    def groups(self, labs: Sequence[Loaded]) -> list[list[Loaded]]:
        """Return ``labs`` by what they need, each group for one boot."""
        if not self._by.can_switch:
            return [[loaded] for loaded in labs]
        found: dict[object, list[Loaded]] = {}
        for loaded in labs:
            found.setdefault(requirements(loaded.plan), []).append(loaded)
        return list(found.values())

    def prove(self, group: Sequence[Loaded], *, keep: bool = False) -> LabState | None:
        """Bring up the labs of a ``group`` on one boot, another one only after a failure.

        Nothing is left up; with ``keep`` the last lab is, and returned.
        """
        state: LabState | None = None
        try:
            for loaded in group:
                if self.given_up.is_set():
                    break
                brought = self._bring(loaded, state)
                state = brought.state
                self._visit(brought)
                # Who was handed the lab may have switched it to another file.
                state = brought.state
            kept, state = (state, None) if keep else (None, state)
            return kept
        finally:
            if state is not None:
                self._end(state)

    def _bring(self, loaded: Loaded, state: LabState | None) -> Brought:
        from underlay.lint import refuse_errors

        brought = Brought(loaded)
        phase = "boot" if state is None else "switch"
        with self._boot_turn(loaded.plan) if state is None else nullcontext():
            began = time.monotonic()
            try:
                if not self._force:
                    refuse_errors(loaded)
                brought.state = self._boot(loaded) if state is None else self._turned(state, loaded)
            except UnderlayError as error:
                brought.error = error
                # Nobody knows what its nodes are now, nor how far its record has got.
                for name in {loaded.plan.lab, state.lab if state else loaded.plan.lab}:
                    if paths.state(name).is_dir():
                        self._by.destroy(paths.state(name))
                        remove(name)
            brought.timings[phase] = round(time.monotonic() - began, 3)
        return brought

    def _boot(self, loaded: Loaded) -> LabState:
        if self.given_up.is_set():
            raise Infrastructure("the run has been given up")
        self.boots += 1
        return boot(self._by, loaded, self._entries[loaded.plan.lab], self._told(loaded))

    def _turned(self, state: LabState, loaded: Loaded) -> LabState:
        plan, entry = loaded.plan, self._entries[loaded.plan.lab]
        given_up = self.given_up.is_set
        turned, _ = become(state, plan, loaded.file, entry, self._told(loaded), given_up=given_up)
        return turned

    def end_all(self) -> None:
        """End the nodes of whatever lab is up by now, for good or for a run that was given up."""
        for folder in sorted(paths.states().glob("*")):
            # Whoever works on it may be ending it, or giving it another name.
            with suppress(UnderlayError, OSError):
                self._by.destroy(folder)

    def _told(self, loaded: Loaded) -> Callable[[str], None]:
        return partial(self._tell, loaded.plan.lab)

    def _end(self, state: LabState) -> None:
        if self._by.needs_vagrant:
            down(state.lab, partial(self._tell, state.lab))
        else:
            self._by.destroy(state.folder)
            remove(state.lab)


def boot(by: Provider, loaded: Loaded, entry: Path, tell: Callable[[str], None]) -> LabState:
    """Boot the nodes of ``loaded``, whose files are rendered in ``entry``, for nobody's Vagrant.

    The lab ends with this process, unless the provider is told to ``keep`` it. Raises what
    starting it raises; then what has been made of it is still there.
    """
    from underlay.render import copy_rendered

    plan = loaded.plan
    folder = paths.state(plan.lab)
    _make(folder)
    lab_key(plan.lab, cached_as=SUITE_KEY)
    copy_rendered(entry, folder / "files")
    state, _ = prepare(loaded, by.name, tell, force=True)
    way = "by Vagrant" if by.needs_vagrant else "without Vagrant"
    tell(f"booting {count(len(plan.nodes), 'node')} for {plan.lab}, {way}")
    if by.needs_vagrant:
        Vagrant(state, force=True).start(by.name)
    else:
        with watching(folder, tell):
            _start(by, plan, state.folder)
    verify(plan, state.folder)
    quieten(plan, state.folder)
    return state


def _start(by: Provider, plan: Plan, folder: Path) -> None:
    """Have the provider start all nodes at once; end them all where one fails."""
    with ThreadPoolExecutor(len(plan.nodes)) as pool:
        started = [pool.submit(by.start, plan, node.name, folder) for node in plan.nodes]
        try:
            for each in started:
                each.result()
        except BaseException:
            # Those who still wait for a node are told so by its end.
            by.destroy(folder)
            raise


def _make(folder: Path) -> None:
    """Make a lab's folder, while the end of another may remove those above it as empty."""
    while not folder.is_dir():
        with suppress(FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)


def requirements(plan: Plan) -> tuple[object, ...]:
    """Return what labs must have in common to run on the same nodes."""
    nodes = tuple((node.name, *needs(node).values()) for node in plan.machines)
    return plan.user, plan.image, plan.images, nodes


def hand_over(state: LabState, home: Path) -> LabState:
    """Make a lab of the suite one of those in ``home``, where every verb finds it."""
    folder = home / "labs" / state.lab
    if folder.exists():
        raise BadInput(
            f"the lab {state.lab} is up already", hint=f"underlay down --lab {state.lab}"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    by = provider(state.provider)
    # By the folder that it was started in, by which alone its starter knows it.
    by.keep(state.folder)
    state.folder.rename(folder)
    ssh.carry_along(state.folder, folder)
    # ssh_config names the folder that it is in; the sandbox stands, and is left alone.
    by.prepare(plan_in(folder), folder, lambda _: None)
    return state
