"""Runs on a node: answers for its namespaces, probes its cells, prints what came of it as JSON.

Standard library only, Python 3.9 or newer, Linux, root. The caller starts one
process on every node and leads all of them through the same steps:

    enters every namespace, listens, empties neighbour tables   prints "ready"
    reads "ask PHASE": begins to probe the cells of that phase
    reads "round NUMBER SECONDS": after handling all that is there   prints
        "round NUMBER UNDECIDED SECONDS"
    reads "cut": decides no more cells of the phases so far
    reads "left": says which phases ask again what was asked together, or what got an answer by
        itself with somebody's help all the same   prints "left PHASE…"
    goes on answering until it reads "stop"                     prints "over"

In between it prints lines "seen JSON", the portions of what it has to tell (telling.py). What
it has seen of a phase is whole once the next one is asked for: everybody has ended it then.

So nobody sends before everybody listens, and nobody leaves before everybody has
decided every cell, or has been told to leave it. SECONDS is the slowest round trip, of this
node or of all. The end of stdin, or ``patience`` seconds without a word, ends the process with
exit code 3, whatever it is waiting for: a caller that is stuck doesn't read either. It makes
nothing but sockets, and the settings that it changes are as before at its end (settings.py), so
nothing is left.

The specification, which observe/tasks.py writes:

    {"node", "nonce", "port", "patience", "pace", "families", "protocols",
     "spaces": [[name, "node" | the container's runtime, path, port, …], …],
     "cells": [a Cell of cells.py, as a list, …],
     "groups": [multicast address, …],
     "values": {check: [a Cell, …]},
     "theirs": {protocol: [number of a Cell, …]},
     "unplanned": {"points": [a Spec of unplanned.py, …], "planned": {name: [address, …]},
                   "alone": [interface, …]}}

With ``warm`` no table is emptied and no setting changed, and with ``rate`` no more packets than
that leave in a second, but for the requests for neighbours that go with them.

The node's own namespace is the first. ``pace`` multiplies waits. A phase is one of cells.py,
or the word of a check. A port is one that the namespace listens on besides ``port``, as
tcp:5432; ``protocols`` may have the same ones. ``theirs``, where there are any, are cells whose
destination has a program of its own at that port.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import signal
import sys
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NoReturn

from underlay.observe.on_node import rtnetlink
from underlay.observe.on_node.answering import Answering
from underlay.observe.on_node.asking import BEGUN, SWEEP, Asking
from underlay.observe.on_node.cells import AGAIN, COLD, TOGETHER
from underlay.observe.on_node.hearing import Hearing
from underlay.observe.on_node.packets import packed
from underlay.observe.on_node.question import Question, questions
from underlay.observe.on_node.resolving import Resolving
from underlay.observe.on_node.sizing import Sizing
from underlay.observe.on_node.station import Station
from underlay.observe.on_node.telling import Telling
from underlay.observe.on_node.unplanned import Unplanned
from underlay.observe.on_node.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from underlay.observe.on_node.cells import Cell
    from underlay.observe.on_node.spaces import Space

    Work = Asking | Hearing | Resolving | Sizing | Unplanned


def _asking(station: Station, cells: Iterable[Cell], protocols: Iterable[str]) -> Asking:
    return Asking(station, questions(cells, protocols, station.spaces, station.theirs))


CHECKS: dict[str, Callable[[Station, list[Cell], str], Work]] = {
    "source": lambda station, cells, check: _asking(station, cells, [check]),
    "macs": lambda station, cells, check: _asking(station, cells, [check]),
    "pmtu": Sizing,
    "arp": Resolving,
    "nd": Resolving,
    "broadcast": Hearing,
    "multicast": Hearing,
    # After all cells: what nobody planned.
    "unplanned": lambda station, cells, check: Unplanned(station),
}


def refused(_: dict[str, Any]) -> str:
    """Return what of a task isn't allowed: nothing, but in the pinned program (pinned.py)."""
    return ""


REFUSED: Callable[[dict[str, Any]], str] = refused


class Prober:
    """The words that are exchanged with the caller, and the phases under way."""

    def __init__(self, spec: dict[str, Any], rest: bytes = b"") -> None:
        self.spec = spec
        self.station = Station(spec)
        self.phases: list[Work] = []
        self.begins = 0
        self.telling = Telling(self.station)
        self.tables: dict[tuple[Work, str], rtnetlink.Neighbours] = {}
        self.left: list[Question] = []
        self.lines: list[bytes] = []
        self.rest = rest
        self.ended = False

    def run(self) -> int:
        """Go through all steps; return the exit code."""
        signal.signal(signal.SIGALRM, lambda *_: self.give_up())
        try:
            self.station.open()
            return self.go_through()
        finally:
            self.station.close()

    def give_up(self) -> NoReturn:
        """End the process wherever it is: nobody has said a word for too long."""
        self.station.close()
        os._exit(3)

    def go_through(self) -> int:
        """Say that it is ready, do what the caller says; return the exit code."""
        self.answering = Answering(self.station, self.station.checks)
        self.witness = Witness(self.station)
        self.station.loop.watch(0, self.on_stdin, None)
        say("ready")
        owed = ""
        while not self.ended:
            self.station.loop.turn(0 if owed or self.eager() else SWEEP if self.busy() else 1)
            for phase in self.begun():
                phase.step()
            if owed:  # what had arrived when it was asked is handled now
                if self.telling.due:
                    self.tell()
                say(f"round {owed} {self.busy()} {self.station.round_trips.slowest:.4f}")
                owed = ""
            while self.lines:
                end_after(self.spec["patience"])
                word, *more = self.lines.pop(0).decode().split()
                if word == "ask":
                    if self.phases:
                        self.tell(over=True)
                    self.phases.append(self.phase(more[0]))
                    self.telling.phases[more[0]] = self.phases[-1]
                elif word == "left":
                    self.find_stops()
                    self.left = self.doubtful()
                    names = {question.apart for question in self.left}
                    say(" ".join(["left", *sorted(names)]))
                elif word == "cut":
                    for phase in self.phases:
                        phase.cut()
                elif word == "round":
                    self.station.round, owed = int(more[0]), more[0]
                    self.station.learn(float(more[1]))
                elif word == "stop":
                    self.tell(over=True)
                    say("over")
                    return 0
        return 3

    def on_stdin(self, _: None) -> None:
        """Collect the caller's lines."""
        data = os.read(0, 4096)
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.lines += lines
        if not data:
            self.ended = True

    def phase(self, name: str) -> Work:
        """Return the work of a phase: a check, or the cells whose turn it is.

        A route that a router's redirect has changed is as planned again in each phase. And nobody
        knows a neighbour, nor looks for one: a kernel that still does, by a request that can't be
        answered, would give up other packets with its own.
        """
        self.begins = self.station.round + BEGUN
        self.keep_tables()
        for phase in self.phases:
            if isinstance(phase, Asking):
                phase.leave()
        self.answering.leave()
        self.station.forget_routes()
        # With an entry go the packets that still wait for its neighbour.
        self.station.forget()
        self.station.round_trips.begin(name)
        self.witness.turn(name)
        if not name.startswith(COLD):
            self.witness.begin()
        if name in CHECKS:
            return CHECKS[name](self.station, self.station.checks.get(name, []), name)
        if name.startswith(AGAIN):
            asked = [
                Question(before.cell, before.protocol, before.space, before, theirs=before.theirs)
                for before in self.left
                if before.apart == name
            ]
        else:
            cells = [cell for cell in self.station.cells if cell.phase == name]
            asked = questions(
                cells, self.spec["protocols"], self.station.spaces, self.station.theirs
            )
        return Asking(self.station, asked)

    def doubtful(self) -> list[Question]:
        """Return what has to be asked by itself: others' packets can have had a part in its answer.

        That is what was asked together; and after that, what was overheard.
        """
        return [
            question
            for name, phase in self.telling.phases.items()
            for question in (phase.done if isinstance(phase, Asking) else ())
            if question.apart not in self.telling.phases
            and (question.overheard if name.startswith(AGAIN) else name == TOGETHER)
            and not question.alone
        ]

    def busy(self) -> int:
        """Return how many cells are undecided."""
        return sum(phase.busy for phase in self.phases)

    def eager(self) -> bool:
        """Whether there is something to send at once."""
        return any(phase.eager for phase in self.begun())

    def begun(self) -> list[Work]:
        """Return the phases in which there may be something to do.

        Nobody does anything in the last one before all have come to it, and emptied their tables:
        where an earlier packet still waits for a neighbour, it would leave as soon as that asks.
        """
        return self.phases if self.station.round >= self.begins else self.phases[:-1]

    def tell(self, *, over: bool = False) -> None:
        """Print what wasn't told yet; ``over`` says that everybody has ended all phases so far."""
        if over:
            self.find_stops()
        say("seen " + json.dumps(self.telling.news(over=over), separators=(",", ":")))

    def silent(self) -> Iterator[tuple[Work, Question, Space]]:
        """Yield the probes that nobody answered, each with its phase and namespace.

        Of phases that are over all has been found out.
        """
        for phase, question in self.under_way():
            if question.silent and question.space:
                yield phase, question, question.space

    def under_way(self) -> Iterator[tuple[Work, Question]]:
        """Yield the probes that are done, of phases that aren't over yet."""
        for phase in self.phases:
            for question in phase.done if isinstance(phase, Asking) and not phase.over else ():
                yield phase, question

    def keep_tables(self) -> None:
        """Keep the neighbours that a phase's unanswered probes had: the next one has others."""
        for phase, _, space in self.silent():
            if (phase, space.name) not in self.tables:
                with contextlib.suppress(OSError):
                    self.tables[phase, space.name] = rtnetlink.neighbours(space.netlink)

    def find_stops(self) -> None:
        """Say of each unanswered probe whether its next hop was ever found."""
        self.keep_tables()
        self.station.loop.turn(0)  # what has left is known then
        for phase, question, space in list(self.silent()):
            if question.stopped:
                continue
            try:
                wanted = packed(question.destination)
                hop = rtnetlink.next_hop(space.netlink, wanted)
                table = self.tables.get((phase, space.name), {})
                question.stopped = self.stop(question, hop, rtnetlink.unresolved(table, hop))
            except OSError as error:
                question.result = {"stop": "no_route", "reason": os.strerror(error.errno or 0)}
        for _, question in self.under_way():
            if question.unfound and self.stayed(question):
                question.result = {"stop": "not_sent"}
        if not self.station.warm:
            self.find_overheard()

    def find_overheard(self) -> None:
        """Say of each answered question whether its packet left before its next hop was found."""
        tables: dict[Space, rtnetlink.Neighbours] = {}
        by_hop: dict[tuple[Space, bytes], list[Question]] = defaultdict(list)
        for _, question in self.under_way():
            space = question.space
            if not (space and question.before and question.answers):
                continue
            with contextlib.suppress(OSError):
                if space not in tables:
                    tables[space] = rtnetlink.neighbours(space.netlink)
                hop = rtnetlink.next_hop(space.netlink, packed(question.destination))
                if hop and rtnetlink.looked_for(tables[space], hop):
                    by_hop[space, hop[1]].append(question)
        for (space, wanted), alike in by_hop.items():
            overheard = not self.witness.answered_for(space, wanted, alike)
            for question in alike:
                question.overheard = overheard

    def stayed(self, question: Question) -> bool:
        """Whether no frame was seen of a question that its kernel gave up: it never asked anybody.

        A device that discards what is to leave looks to the kernel like a neighbour's silence.
        """
        if not question.space or not self.witness.watches(question):
            return False
        with contextlib.suppress(OSError):
            hop = rtnetlink.next_hop(question.space.netlink, packed(question.destination))
            if hop is not None and not self.witness.left_for(question):
                return not self.witness.asked_for(question, hop[1])
        return False

    def stop(self, question: Question, hop: tuple[int, bytes] | None, unresolved: bool) -> str:
        """Return where a question stopped whose next hop is known now, or isn't.

        A packet that was seen to leave had found it: a router's redirect has changed it since. Who
        is asked for may be wanted by somebody else, such as the node's own answers to a container.
        """
        if not self.witness.watches(question):
            return "no_neighbour" if unresolved else "no_answer"
        if hop is None or self.witness.left_for(question):
            return "no_answer"
        sought = (unresolved or question.hop_unfound) and not question.discarded
        asked = sought and self.witness.asked_for(question, hop[1])
        return "no_neighbour" if asked else "not_sent"


def say(line: str) -> None:
    """Print one line to the caller at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def end_after(seconds: float) -> None:
    """End the process that many seconds from now, unless this is called again before."""
    signal.setitimer(signal.ITIMER_REAL, seconds)


def main(argument: str) -> int:
    """Run with the packed specification that stdin's first line is, ``argument`` s at most away."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(3))
    end_after(float(argument))
    encoded = b""
    while b"\n" not in encoded:
        data = os.read(0, 1 << 16)
        if not data:
            return 3  # the caller is gone
        encoded += data
    encoded, _, rest = encoded.partition(b"\n")
    spec = json.loads(zlib.decompress(base64.b64decode(encoded)))
    if why := REFUSED(spec):
        sys.exit(f"its task asks for {why}")
    end_after(spec["patience"])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return Prober(spec, rest).run()
