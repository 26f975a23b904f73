"""The referee: what packets themselves say about a lab, while nobody else asks.

A cell is *reached* if a packet with a tag of its own was seen inside the named destination's
namespace, by a packet socket or by a socket that it was delivered to, and the answer with the same
tag came back to the socket that asked. Everything else is *astray*, and where the source's
namespace can't be entered there is *nobody* to ask.

First all cells are asked at once. Company can only help: others' requests teach an end where its
asker is. So whoever isn't reached then is taken not to be reached alone either; some of those are
asked alone as well, each time others, and all of them should one be reached. Whoever is reached is
asked again alone: both ends and both nodes forget their neighbours, nobody else says a word.
"""

from __future__ import annotations

import base64
import json
import queue
import secrets
import subprocess
import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lies.questions import PROTOCOLS, Cell, Question, cells
from underlay import observe
from underlay.cluster.access import spawn_as_root
from underlay.cluster.process import close
from underlay.cluster.state.lab import LabState
from underlay.observe.commands import BOOTSTRAP

HERE = Path(__file__).parent
ON_NODE = Path(observe.__file__).parent / "on_node"
READY = 12.0  # s until a node's part listens; a node that hangs never does
COMPANY, AGAIN = 3.5, 1.5  # s; the kernel gives a neighbour up after three
APART = 1.5  # s for those who should be silent, once the others have answered
ALONE, ALONE_AGAIN = 2.2, 1.1
SAMPLE = 2
GRACE = 20.0  # s for a word that takes no time
LONGEST = 15.0  # s beyond the wait, on a machine that is busy: on_node.py waits longer there
REACHED, ASTRAY, NOBODY = "reached", "astray", "nobody"


def on_node(program: str, task: dict[str, Any]) -> list[str]:
    """Return the command that runs a program of this folder on a node."""
    sources = [(name, (ON_NODE / f"{name}.py").read_text()) for name in ("rtnetlink", "namespaces")]
    sources.append((program, (HERE / f"{program}.py").read_text()))
    packed = base64.b64encode(zlib.compress(json.dumps(sources).encode())).decode()
    return ["python3", "-I", "-S", "-c", BOOTSTRAP, packed, json.dumps(task)]


class Voice:
    """The referee's part on one node; an order that isn't answered in time has no answer."""

    def __init__(self, process: subprocess.Popen[bytes] | None) -> None:
        self.process = process
        self.lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        if process is not None:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def say(self, order: dict[str, Any]) -> None:
        """Give an order; nothing happens on a node that isn't there."""
        if self.process is None or self.process.stdin is None:
            return
        try:
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            self.process = None

    def hear(self, patience: float) -> dict[str, Any]:
        """Return the answer; an empty one where there is none, and none from then on."""
        if self.process is None:
            return {}
        try:
            found = self.lines.get(timeout=patience)
        except queue.Empty:
            found = None
        if found is None:
            self.process = None
        return found or {}


@dataclass
class Look:
    """What the referee saw: for each cell the truth, and how it was found."""

    truth: dict[Cell, str] = field(default_factory=dict)
    seconds: float = 0.0
    asked_alone: int = 0
    sampled: int = 0
    sampled_reached: int = 0


class Referee:
    """One look at a lab. ``with Referee(...) as it:`` listens in all namespaces meanwhile."""

    def __init__(self, state: LabState) -> None:
        self.plan = state.plan()
        self.nonce = secrets.token_hex(6)
        self.numbers = 0
        spawn = spawn_as_root(state)
        self.voices: dict[str, Voice] = {}
        self.started: list[subprocess.Popen[bytes]] = []
        for node in self.plan.nodes:
            spaces = [[node.name, "node"]]
            spaces += [[c.name, c.runtime] for c in self.plan.containers if c.node == node.name]
            task = {"nonce": self.nonce, "spaces": spaces}
            try:
                process = spawn(node.name, on_node("on_node", task))
                self.started.append(process)
            except OSError:
                process = None
            self.voices[node.name] = Voice(process)
        self.there: set[str] = set()
        for voice in self.voices.values():
            self.there |= set(voice.hear(READY).get("ready", ()))

    def __enter__(self) -> Referee:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.started:
            close(process, GRACE)

    def flush(self, names: Mapping[str, Iterable[str]]) -> None:
        """Let the spaces of these nodes forget their neighbours."""
        for node, spaces in names.items():
            self.voices[node].say({"do": "flush", "spaces": sorted(spaces)})
        for node in names:
            self.voices[node].hear(GRACE)

    def flush_all(self) -> None:
        """Let everybody forget their neighbours."""
        self.flush(
            {
                node: [node, *(c.name for c in self.plan.containers if c.node == node)]
                for node in self.voices
            }
        )

    def ask(
        self, asked: list[tuple[Question, str]], wait: float, again: float, until: set[int] | None
    ) -> dict[Cell, list[Any]]:
        """Ask all of these at once; return the row of each with its number before it.

        It ends once those of ``until``, by their places in ``asked``, have an answer.
        """
        by_node: dict[str, list[list[Any]]] = {}
        names: dict[int, Cell] = {}
        wanted: dict[str, list[int]] = {}
        for place, (question, word) in enumerate(asked):
            self.numbers += 1
            source, destination, family = question.pair
            names[self.numbers] = (source, destination, word, family)
            row = [self.numbers, question.source.space, question.address, word, question.size]
            by_node.setdefault(question.source.node, []).append(row)
            if until is None or place in until:
                wanted.setdefault(question.source.node, []).append(self.numbers)
        for node, asks in by_node.items():
            order = {"do": "ask", "asks": asks, "wait": wait, "resend": again}
            self.voices[node].say({**order, "until": wanted.get(node, [-1])})
        rows: dict[Cell, list[Any]] = {}
        for node, asks in by_node.items():
            found = self.voices[node].hear(wait + LONGEST).get("rows", {})
            for number, *_ in asks:
                rows[names[number]] = [number, *found.get(str(number), [NOBODY, "", 0])]
        return rows

    def seen(self) -> tuple[dict[int, set[str]], dict[int, set[str]]]:
        """Return in which spaces each tag came in, and each SYN by its source port."""
        for voice in self.voices.values():
            voice.say({"do": "seen"})
        tags: dict[int, set[str]] = {}
        ports: dict[int, set[str]] = {}
        for voice in self.voices.values():
            said = voice.hear(GRACE)
            for number, found in said.get("seen", {}).items():
                tags.setdefault(int(number), set()).update(s for s, how in found if how != "left")
            for space, how, port in said.get("syns", ()):
                if how != "left":
                    ports.setdefault(port, set()).add(space)
        return tags, ports


def unlike(referee: Referee, asked: list[Question], healthy: Look) -> list[Cell]:
    """Return what the healthy lab reaches and isn't reached, all asked at once; a moment's look."""
    every = [(question, cell) for question in asked for cell in cells(question)]
    near = [(question, cell[2]) for question, cell in every if healthy.truth[cell] == REACHED]
    referee.flush_all()
    rows = referee.ask(near, COMPANY, AGAIN, None)
    return [cell for cell, row in rows.items() if row[1] != "answered"]


def look(referee: Referee, asked: list[Question], *, turn: int = 0) -> Look:
    """Return what is so in a lab. ``turn`` chooses who of the silent ones is asked alone, too."""
    began = time.monotonic()
    found = Look()
    referee.flush_all()
    together = [q for q in asked if q.together]
    by_cell = {cell: (question, cell[2]) for question in asked for cell in cells(question)}
    near = [by_cell[cell] for question in together for cell in cells(question)]
    apart = [by_cell[cell] for q in asked if not q.together for cell in cells(q)]
    rows = referee.ask(near, COMPANY, AGAIN, None)
    if apart:
        rows |= referee.ask(apart, APART, APART / 2, None)
    _judge(referee, rows, by_cell, found)
    reached = [cell for cell, truth in found.truth.items() if truth == REACHED]
    silent = [
        cell for cell, truth in found.truth.items() if truth == ASTRAY and by_cell[cell][0].together
    ]
    _alone(referee, reached, by_cell, found)
    chosen = [silent[(turn * 7 + i * 13) % len(silent)] for i in range(SAMPLE) if silent]
    sample = list(dict.fromkeys(chosen))
    found.sampled = len(sample)
    _alone(referee, sample, by_cell, found)
    found.sampled_reached = sum(found.truth[cell] == REACHED for cell in sample)
    if found.sampled_reached:
        _alone(referee, [cell for cell in silent if cell not in sample], by_cell, found)
    found.truth = {cell: found.truth[cell] for cell in order_of(asked)}
    found.seconds = round(time.monotonic() - began, 2)
    return found


def _alone(
    referee: Referee,
    asked: list[Cell],
    by_cell: dict[Cell, tuple[Question, str]],
    found: Look,
) -> None:
    """Ask each pair of these cells alone; its protocols go out one right after the other."""
    pairs: dict[tuple[str, str, int], list[Cell]] = {}
    for cell in asked:
        pairs.setdefault((cell[0], cell[1], cell[3]), []).append(cell)
    rows: dict[Cell, list[Any]] = {}
    for own in pairs.values():
        question = by_cell[own[0]][0]
        names: dict[str, set[str]] = {}
        for end in (question.source, question.destination):
            names.setdefault(end.node, set()).update((end.node, end.space))
        referee.flush(names)
        rows |= referee.ask([by_cell[cell] for cell in own], ALONE, ALONE_AGAIN, None)
        found.asked_alone += len(own)
    _judge(referee, rows, by_cell, found)


def _judge(
    referee: Referee,
    rows: dict[Cell, list[Any]],
    by_cell: dict[Cell, tuple[Question, str]],
    found: Look,
) -> None:
    tags, _ = referee.seen()
    for cell, (number, what, who, _port) in rows.items():
        space = by_cell[cell][0].destination.space
        if what == NOBODY:
            found.truth[cell] = NOBODY
        elif what == "answered" and space in tags.get(number, ()) and who in ("", space):
            found.truth[cell] = REACHED
        else:
            found.truth[cell] = ASTRAY


def order_of(asked: list[Question]) -> list[Cell]:
    """Return all cells in the order in which they are written down."""
    return [cell for question in asked for cell in cells(question)]


__all__ = ["ASTRAY", "NOBODY", "PROTOCOLS", "REACHED", "Look", "look", "order_of"]
