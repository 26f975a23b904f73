"""What a lab is after what happens in production: measured, done to it, and measured again.

Nodes take their turn one after the other, as whoever maintains hosts has them do: those that go on
keep what they remember of their neighbours, and that is what goes wrong. All the while they ask the
one whose turn it is by ICMP, and no neighbour table is flushed.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from underlay.cluster.access import spawn_as_root
from underlay.cluster.happening import EVENTS, happen
from underlay.cluster.requirements.usr_image import is_ext4
from underlay.cluster.state.lab import read_state
from underlay.cluster.state.lock import turn
from underlay.cluster.switching import switch
from underlay.errors import (
    BadInput,
    Infrastructure,
    UnderlayError,
    did_you_mean,
    listed,
    nearest,
)
from underlay.expect import pairs, predict
from underlay.lint import load
from underlay.observe.pinging import Pingers, Seen
from underlay.proof.after_owners import by_events, with_owners
from underlay.proof.after_reasons import reasons
from underlay.proof.lab import (
    RunningLab,
    explain_running,
    look_into,
    measure_and_judge,
    wanted_now,
)
from underlay.proof.runs.comparison import cell_changes
from underlay.proof.runs.saving import saved_error
from underlay.proof.runs.schema import (
    Announcement,
    Became,
    CellName,
    Changed,
    Event,
    Healed,
    NodeEvent,
)
from underlay.verdict import with_intent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from underlay.cluster.happening import Event as Happening
    from underlay.cluster.state.lab import LabState
    from underlay.expect import Pair
    from underlay.lint import Loaded
    from underlay.observe.evidence import Evidence
    from underlay.plan import Plan
    from underlay.proof.explanation import Explanation
    from underlay.verdict import Cell, Verdict

# s that silent cells are asked for. Linux believes a neighbour for 45 s at most without a word
# from it, goes on for 5 more and asks it 3 times (Documentation/networking/ip-sysctl.rst:
# base_reachable_time_ms times 0.5 to 1.5, delay_first_probe_time, ucast_solicit).
HEALING = 60.0
LOOK = 0.5  # s between two looks at cells that are silent
STEADY = 6.0  # s until each cell has answered once, before anything happens
UPGRADE = "upgrade="
# What a text has nowhere: a file with one at its beginning is no lab file.
NUL, HEAD = b"\0", 4096
LAB_SUFFIXES = (".yml", ".yaml")
# What images are called: of one that is none nothing is said about labs.
IMAGES = (".ext4", ".img", ".raw", ".qcow2", ".iso", ".squashfs")
WORDS = ("recreate", "restart", "reboot", f"{UPGRADE}FILE")


@dataclass(frozen=True)
class Asked:
    """An event that was asked for.

    With ``file`` it is an upgrade to that lab, with ``image`` an update of the nodes to its /usr.
    """

    event: Happening | Literal["upgrade"]
    file: Path | None = None
    image: Path | None = None

    @property
    def words(self) -> str:
        """How the command line names it."""
        to = self.file or self.image
        return self.event if to is None else f"{UPGRADE}{to}"

    @cached_property
    def loaded(self) -> Loaded:
        """The lab of ``file``, read once: what is refused, predicted and switched to is the same.

        Raises BadInput where it can't be read.
        """
        assert self.file is not None
        return load(self.file)


@dataclass(frozen=True)
class Outcome:
    """A lab after what has happened to it: its state, its verdict, and what became of it.

    ``explanation`` is there once all is over, where the lab could be looked into. ``failed`` says
    why the last of the events didn't come to its end: ``verdict``, and ``plan`` that it is of, are
    those of before it.
    """

    state: LabState
    plan: Plan
    verdict: Verdict
    events: tuple[Event, ...]
    explanation: Explanation | None = None
    failed: Infrastructure | None = None


def asked_for(words: Iterable[str]) -> list[Asked]:
    """Return the events that ``--after`` names.

    Raises BadInput with the nearest for another word, and for an upgrade to what is neither a lab
    file nor an ext4 image. Whether nodes can run from its /usr is ``refuse_unfit``'s question.
    """
    found = []
    for word in words:
        if word.startswith(UPGRADE):
            found.append(_upgrade_to(word, Path(word[len(UPGRADE) :]).expanduser()))
        elif word in EVENTS:
            found.append(Asked(word))
        else:
            hint = did_you_mean(nearest(word, WORDS)) or f"one of {', '.join(WORDS)}"
            raise BadInput(f"--after {word}: there is no such event", hint=hint)
    return found


def _upgrade_to(word: str, file: Path) -> Asked:
    """Return what it is to upgrade to ``file``: an image is told by its first bytes."""
    if not file.is_file():
        what = "a folder" if file.is_dir() else "nothing"
        raise BadInput(
            f"--after {word}: found {what} at {file}, expected a lab file or an ext4 image",
            hint="underlay labs  names lab files,  underlay image build FILE  makes an image",
        )
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    if is_ext4(file):
        return Asked("update", image=file)
    if NUL in head or file.suffix not in LAB_SUFFIXES:
        kind = "no ext4 file system" if file.suffix in IMAGES else "no lab file and no ext4 image"
        other = "" if file.suffix in IMAGES else f"a lab file ({' or '.join(LAB_SUFFIXES)}), or "
        raise BadInput(
            f"--after {word}: {file} is {kind}, expected {other}an image with /usr and no partition"
            " table",
            hint="underlay image build FILE  makes an image",
        )
    return Asked("upgrade", file)


def after(
    state: LabState,
    verdict: Verdict,
    asked: Sequence[Asked],
    tell: Callable[[str], None],
    *,
    limit: float = HEALING,
    keep: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """Have all that is ``asked`` happen to the running lab ``state``, which ``verdict`` is of.

    After each event the lab is measured anew, and ``keep`` is handed what is known by then: whoever
    is interrupted later has that. ``limit`` are the seconds that silent cells are asked for. Where
    one fails, those after it don't happen, and the outcome says so.
    """
    outcome = Outcome(state, state.plan(), verdict, ())
    for one in asked:
        turns: list[NodeEvent] = []
        try:
            state, event, verdict = _one(outcome.state, outcome.verdict, one, turns, tell, limit)
        except UnderlayError as error:
            return _broken_off(outcome, one, turns, error, limit)
        outcome = Outcome(state, state.plan(), verdict, (*outcome.events, event))
        keep(outcome)
    # What all that took minutes has found isn't lost where a node can't be looked into in the end.
    with suppress(UnderlayError):
        explanation = explain_running(RunningLab(outcome.state), outcome.verdict, tell)
        outcome = replace(outcome, explanation=by_events(explanation, outcome.events))
    return outcome


def _broken_off(
    known: Outcome, asked: Asked, turns: Sequence[NodeEvent], error: UnderlayError, limit: float
) -> Outcome:
    """Return what is known where an event failed after those ``turns``."""
    message = f"{asked.event}: {error.message}"
    failed = Infrastructure(message, hint=error.hint, detail=error.detail)
    event = Event(
        event=asked.event,
        lab=known.state.lab,
        file=str(asked.file or ""),
        image=str(asked.image or ""),
        limit=limit,
        nodes=tuple(turns),
        error=saved_error(error),
    )
    state = known.state
    if asked.file is not None and not state.folder.exists():
        # The switch has carried the nodes' record along before it failed.
        state = read_state(asked.loaded.plan.lab) or state
    return replace(known, state=state, events=(*known.events, event), failed=failed)


def _one(
    state: LabState,
    before: Verdict,
    asked: Asked,
    turns: list[NodeEvent],
    tell: Callable[[str], None],
    limit: float,
) -> tuple[LabState, Event, Verdict]:
    """Have one event happen, and add each node's turn to ``turns`` once it is over."""
    was = state.plan()
    faces = look_into(state, was, brief=True)
    if asked.event == "upgrade":
        state, told = _upgrade(state, before, asked.loaded, tell, limit)
        turns.append(told)
    else:
        fixed = fixed_of(Path(state.file))
        pairs_of = asked_pairs(was, before)
        for node in was.nodes:
            told = _on_node(
                state, asked.event, node.name, pairs_of, fixed, tell, limit, asked.image
            )
            turns.append(told)
            if told.lost is not None:
                raise _stopped(was, turns)
            # What is lost by one node's turn says nothing of the next one's.
            lost = {(one.source, one.destination) for one in told.silent if one.healed is None}
            pairs_of = {
                n: pair
                for n, pair in pairs_of.items()
                if (pair.source.name, pair.destination.name) not in lost
            }
    plan = state.plan()
    shows = look_into(state, plan, brief=True)
    changed = changes_of(was, faces, shows)
    switched = asked.event == "upgrade"
    if switched:
        names = {container.name for container in plan.containers}
        changed = tuple(one for one in changed if one.container in names)
    unplanned = [one for one in changed if not (switched and _as_planned(one, plan))]
    now = measure_and_judge(RunningLab(state), tell)
    now = with_owners(replace(now, strict=before.strict), before, plan, shows, unplanned)
    now = with_intent(now, wanted_now(state, plan))
    became = [
        Became(
            what=one.what,
            cell=CellName(
                source=one.name[0],
                destination=one.name[1],
                protocol=one.name[2],
                family=6 if one.name[3] == 6 else 4,
            ),
            before=words_of(one.before),
            now=words_of(one.now),
        )
        for one in cell_changes(before, now)
    ]
    event = Event.model_validate(
        {
            "event": asked.event,
            "lab": state.lab,
            "file": str(asked.file or ""),
            "image": str(asked.image or ""),
            "limit": limit,
            "nodes": tuple(turns),
            "changed": changed,
            "reasons": reasons(plan, faces, shows, unplanned, turns, switched=switched),
            "same": len(now.cells) - sum(one.what != "gone" for one in became),
            "cells": tuple(became),
            "not_measured": now.summary.not_measured + sum(one.unknown for one in turns),
        }
    )
    return state, event, now


def _stopped(plan: Plan, turns: Sequence[NodeEvent]) -> Infrastructure:
    """Return the error of an update whose last node didn't come back, with those that it spares.

    CoreOS's locksmith hands out one lock, and a machine gives it back once it has booted.
    """
    had = {one.node for one in turns}
    spared = [node.name for node in plan.nodes if node.name not in had]
    rest = f"; not updated, with the /usr of before: {listed(spared)}" if spared else ""
    lost = turns[-1].lost
    return Infrastructure(
        f"{turns[-1].node} did not come back, and the update stops with it{rest}",
        detail=lost.message if lost else "",
        hint=lost.hint if lost else "",
    )


def _on_node(
    state: LabState,
    event: Happening,
    node: str,
    every: Mapping[int, Pair],
    fixed: set[str],
    tell: Callable[[str], None],
    limit: float,
    image: Path | None = None,
) -> NodeEvent:
    """Have ``event`` happen to one node while all others ask it; return what became of that."""
    plan = state.plan()
    tell(f"{event} on {node}: the others ask it meanwhile")
    towards = {n: p for n, p in every.items() if p.source.node != node == p.destination.node}
    with turn(state.lab, tell), Pingers(plan, spawn_as_root(state), towards) as pingers:
        _wait_until(lambda: all(one.answered for one in pingers.look().cells.values()), STEADY)
        pingers.began()
        began = time.monotonic()
        done = happen(state, event, node, fixed, image)
        pingers.ended()
        ended = time.monotonic()
        # A node that is lost had its time: it has been waited for until its boot was late.
        healing = 0.0 if done.lost else limit
        tell(f"{event} on {node}: waiting for silent cells, {healing:.0f} s at most")
        _wait_for_silent(pingers, healing)
        seen, failed = pingers.look(), dict(pingers.failed)
    # Whoever was made anew asks as well, by now from new namespaces, and remembers nobody.
    own = {n: p for n, p in every.items() if p.source.node == node}
    late = time.monotonic() - ended
    asking = {} if done.lost else own
    fresh, more = _afterwards(state, plan, asking, max(STEADY, limit - late))
    silents = [
        _healed(every[number], went.lost, went.first_lost or 0.0, went.fine)
        for number, went in seen.cells.items()
        if went.lost and went.answered
    ]
    for number, went in fresh.cells.items():
        if went.lost or not went.answered:
            fine = None if went.fine is None else went.fine + late
            silents.append(_healed(every[number], went.lost, ended - began, fine))
    for number, pair in own.items():
        if number not in fresh.cells:
            silents.append(_healed(pair, 0, 0.0, None))
    return NodeEvent(
        node=node,
        seconds=round(ended - began, 2),
        did=done.did,
        failed=done.failed,
        asked=len(towards) + len(own),
        unknown=len(towards) - len(seen.cells),
        silent=tuple(silents),
        announced=_announcements(plan, node, seen),
        unasked={**failed, **seen.missing, **more, **fresh.missing},
        lost=saved_error(done.lost) if done.lost else None,
        lacks=done.lacks,
    )


def _afterwards(
    state: LabState, plan: Plan, own: Mapping[int, Pair], limit: float
) -> tuple[Seen, dict[str, str]]:
    """Return what those of a node find that ask after an event, and who of them can't ask."""
    if not own:
        return Seen(), {}
    with Pingers(plan, spawn_as_root(state), own) as pingers:
        _wait_until(lambda: all_fine(pingers.look()), limit)
        return pingers.look(), dict(pingers.failed)


def _upgrade(
    state: LabState, before: Verdict, loaded: Loaded, tell: Callable[[str], None], limit: float
) -> tuple[LabState, NodeEvent]:
    """Switch the lab to the one that was ``loaded``, on all nodes at once.

    Nodes ask meanwhile what they are to reach before and afterwards: their namespaces stay.
    """
    plan = state.plan()
    expected = {
        (one.source, one.destination, one.destination_address)
        for one in predict(loaded.plan)
        if one.reachable and one.kind == "reach"
    }
    kept = {
        n: pair
        for n, pair in asked_pairs(plan, before).items()
        if pair.source.kind == "node"
        and (pair.source.name, pair.destination.name, pair.destination_address) in expected
    }
    with Pingers(plan, spawn_as_root(state), kept) as pingers:
        _wait_until(lambda: all(one.answered for one in pingers.look().cells.values()), STEADY)
        pingers.began()
        began = time.monotonic()
        new, _ = switch(state, loaded, tell)
        pingers.ended()
        ended = time.monotonic()
        _wait_for_silent(pingers, limit)
        seen = pingers.look()
    silents = [
        _healed(kept[number], went.lost, went.first_lost or 0.0, went.fine)
        for number, went in seen.cells.items()
        if went.lost and went.answered
    ]
    event = NodeEvent(
        node="all",
        seconds=round(ended - began, 2),
        did=(f"switched to {loaded.file}",),
        asked=len(kept),
        unknown=len(kept) - len(seen.cells),
        silent=tuple(silents),
        announced=_announcements(loaded.plan, "", seen),
        unasked={**pingers.failed, **seen.missing},
    )
    return new, event


def asked_pairs(plan: Plan, verdict: Verdict) -> dict[int, Pair]:
    """Return, by a number, those pairs that were reachable when the lab was measured.

    They are asked by ICMP, so it is ICMP that must have got through, where it was asked.
    """
    by = "icmp" if "icmp" in plan.protocols else ""
    reached = {
        (cell.source, cell.destination, cell.family)
        for cell in verdict.reach
        if cell.observed == "reachable" and (not by or cell.protocol == by)
    }
    return {
        number: pair
        for number, pair in enumerate(pairs(plan))
        if (pair.source.name, pair.destination.name, pair.family) in reached
    }


def fixed_of(file: Path) -> set[str]:
    """Return the addresses and MAC addresses that a lab file fixes; none where it is gone."""
    try:
        lab = load(file).lab
    except UnderlayError:
        return set()
    found: set[str] = set()
    for group in lab.containers:
        for fixed in (group.addresses, group.addresses6, group.macs):
            found |= {str(value).partition("/")[0] for value in fixed.values()}
    return found


def silent(seen: Seen) -> list[int]:
    """Return the cells that had answered and don't by now."""
    return [n for n, one in seen.cells.items() if one.lost and one.answered and one.fine is None]


def all_fine(seen: Seen) -> bool:
    """Whether all cells have answered, and nothing is lost since: also of those just begun."""
    return all(one.answered and one.fine is not None for one in seen.cells.values())


def changes_of(plan: Plan, before: Evidence, now: Evidence) -> tuple[Changed, ...]:
    """Return which containers have other addresses or MAC addresses than ``before``.

    A container that nobody could look into has none; link-local addresses don't count.
    """
    found: list[Changed] = []
    for container in plan.containers:
        for attachment in container.attachments:
            here = {"container": container.name, "interface": attachment.interface}
            was = _face(before, container.name, attachment.interface)
            is_now = _face(now, container.name, attachment.interface)
            if was[0] != is_now[0]:
                found.append(Changed(**here, what="address", before=was[0], now=is_now[0]))
            if was[1] != is_now[1]:
                found.append(Changed(**here, what="MAC address", before=was[1], now=is_now[1]))
    return tuple(found)


def _as_planned(changed: Changed, plan: Plan) -> bool:
    """Whether an interface has just the addresses that ``plan`` gives it."""
    planned = {
        one.ip
        for container in plan.containers
        for attachment in container.attachments
        if (container.name, attachment.interface) == (changed.container, changed.interface)
        for one in attachment.addresses
    }
    return changed.what == "address" and planned == set(changed.now.split(", "))


def _face(evidence: Evidence, container: str, interface: str) -> tuple[str, str]:
    space = evidence.space(container)
    if space is None:
        return "", ""
    own = sorted(one.ip for one in space.addresses(interface))
    return ", ".join(own), str(space.links.get(interface, {}).get("address", ""))


def words_of(cell: Cell | None) -> str:
    """Return what was seen of a cell, in words."""
    if cell is None:
        return "not there"
    if not cell.measured:
        return "not measured"
    seen = cell.observed if isinstance(cell.observed, str) else ", ".join(cell.observed)
    return f"{seen} ({cell.stopped_at})" if cell.stopped_at else seen


def _healed(pair: Pair, lost: int, first: float, fine: float | None) -> Healed:
    return Healed(
        source=pair.source.name,
        destination=pair.destination.name,
        family=pair.family,
        lost=lost,
        after=round(max(0.0, first), 2),
        healed=None if fine is None else round(max(0.0, fine), 2),
    )


def _announcements(plan: Plan, node: str, seen: Seen) -> tuple[Announcement, ...]:
    """Return what containers of ``node`` announced, each with the container that has the address.

    Any container's without a node.
    """
    owners = {
        one.ip: (container.name, container.node)
        for container in plan.containers
        for attachment in container.attachments
        for one in attachment.addresses
    }
    found = []
    for (how, address, mac), when in sorted(seen.announced.items(), key=lambda item: item[1]):
        name, on = owners.get(address, ("", ""))
        if not node or on in (node, ""):
            found.append(
                Announcement.model_validate(
                    {"how": how, "address": address, "mac": mac, "container": name, "after": when}
                )
            )
    return tuple(found)


def _wait_for_silent(pingers: Pingers, limit: float) -> None:
    """Return once no cell is silent, or ``limit`` seconds after an event.

    Whether a request is lost isn't known before its time is over: what fell silent in the event's
    last moments would pass for fine if nobody waited for that.
    """
    end = time.monotonic() + limit
    time.sleep(pingers.unsure)
    _wait_until(lambda: not silent(pingers.look()), end - time.monotonic())


def _wait_until(done: Callable[[], bool], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not done() and time.monotonic() < limit:
        time.sleep(LOOK)
