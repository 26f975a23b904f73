"""Asks the cells of one phase, and decides when silence is silence.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.

A question that nobody answers is asked a second time, and given up after that.
Neither is done by the clock alone. The caller goes round all nodes again and again,
and every node answers only after it has handled all that had arrived. A packet is
late when ``ROUNDS`` of these have gone by since it was sent, more than its way there
and back has steps: however busy the machine is, everybody has had their turn then.
Besides that, the wait is never shorter than some round trips as long as the slowest
that was seen. An address on another node of which nothing was ever heard is waited for
longer, once: the way to it may be slow, and nobody has measured it yet.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from underlay.observe.on_node import rtnetlink
from underlay.observe.on_node.packets import packed, read_token, token
from underlay.observe.on_node.renewing import renew
from underlay.observe.on_node.spaces import abort

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from underlay.observe.on_node.cells import Answer
    from underlay.observe.on_node.question import Question
    from underlay.observe.on_node.station import Station

    Hop = tuple[int, bytes]

# A way there and back has ten steps at most, in TCP with ARP; the two more are for a
# round under way while the packet was sent.
ROUNDS = 12
RESEND, GIVE_UP = 0.1, 0.25  # s at least; each counted from the last packet
UNHEARD = 2.0  # s instead of GIVE_UP where no round trip to the destination was seen
TRIPS = 1.25  # times the slowest round trip, at least; rounds already follow the load
LIMIT = 8.0  # s; where another node is stuck there are no rounds
ONCE_MORE = 0.1  # s instead of both where all have been waited for already
FORGET = 3.0  # s after which the socket of a silent question is closed
BEGUN = 2  # rounds after which all have done what they had been told before the first of them
SWEEP = 0.02  # s between looks at the clock
LOOK = 0.05  # s between looks at the neighbour tables
# So many unanswered packets may be younger than RECENT seconds. More make a node's queue longer,
# and with it the slowest round trip, for which silence is waited.
WINDOW, RECENT = 100, 0.15
BURST = 24  # probes started before answers are read again
# So many questions, with two packets each, can wait for one neighbour at once: of more than some
# 250 packets the kernel drops the first (net/ipv4/arp.c, unres_qlen_bytes).
HELD = 100

IP_BIND_ADDRESS_NO_PORT = 24
ERRORS = {4: (socket.IPPROTO_IP, 11), 6: (socket.IPPROTO_IPV6, 25)}  # IP_RECVERR, IPV6_RECVERR


class Asking:
    """The questions of one phase: ``done`` once their answer or silence is certain.

    Nothing changes any more in one that is ``over``.
    """

    def __init__(self, station: Station, questions: Iterable[Question]) -> None:
        self.station = station
        self.waiting = list(questions)[::-1]
        self.done: list[Question] = []
        self.told = 0
        self.doubtful: dict[Question, Answer | None] = {}
        self.late: deque[Question] = deque()
        self.flying: dict[tuple[int, str], Question] = {}
        self.recent: deque[tuple[float, Question]] = deque()
        self.swept = self.looked = 0.0
        self.over = False

    @property
    def decided(self) -> int:
        """How many questions are done."""
        return len(self.done)

    def news(self, *, over: bool) -> list[Answer]:
        """Return what came of each question that it wasn't told of, or otherwise than it is now.

        Silence is told when the phase is over, and where it stopped has been looked for. So is what
        the kernel says of a next hop, which it may never have asked for.
        """
        fresh, self.told = self.done[self.told :], len(self.done)
        self.doubtful |= dict.fromkeys(q for q in fresh if q.silent or q.open or q.unfound)
        rows = [question.row() for question in fresh if question not in self.doubtful]
        for question, before in list(self.doubtful.items()) if over else ():
            row = question.row()
            if row != before:
                self.doubtful[question] = row
                rows.append(row)
        if self.over:
            self.doubtful.clear()
        return rows

    def cut(self) -> None:
        """Leave undecided what isn't decided yet: its row has no result."""
        left = [*self.waiting, *self.flying.values()]
        self.waiting.clear()
        self.flying.clear()
        for question in left:
            self.done.append(question)
            self.close(question)

    def leave(self) -> None:
        """End the phase: no answer counts from now on, and the kernel sends nothing again.

        In the next one somebody else asks, and this one's askers have to be still.
        """
        while self.late:
            self.close(self.late.popleft())
        for question in self.done:
            self.station.flying.pop((question.number, question.protocol), None)
        self.over = True

    @property
    def busy(self) -> int:
        """How many questions aren't decided yet."""
        return len(self.waiting) + len(self.flying)

    @property
    def eager(self) -> bool:
        """Whether there is something to send at once."""
        return bool(self.waiting) and len(self.recent) < WINDOW and self.station.may_send()

    def step(self) -> None:
        """Start some questions; look after those under way."""
        now = time.monotonic()
        while self.recent and (self.recent[0][1].result or now - self.recent[0][0] > RECENT):
            self.recent.popleft()
        for _ in range(min(BURST, len(self.waiting), WINDOW - len(self.recent))):
            if not self.station.may_send():
                break
            question = self.waiting.pop()
            self.start(question)
            self.recent.append((now, question))
        if now - self.swept >= SWEEP:
            self.swept = now
            self.sweep(now)

    def start(self, question: Question) -> None:
        """Send the question's first packet."""
        key = question.number, question.protocol
        self.flying[key] = self.station.flying[key] = question
        if question.space is None:
            question.finish("not_measured")
        else:
            self.ask(question)

    def ask(self, question: Question) -> None:
        """Send one more packet, or a first SYN of one more connection."""
        question.round = self.station.round
        self.station.sends()
        try:
            if question.word == "tcp":
                self.connect(question)
                return
            if question.word != "icmp" and not question.sockets:
                self.connect(question)
            words = self.token(question, len(question.sent))
            with contextlib.suppress(BlockingIOError):  # a full queue counts as a lost packet
                question.send(words)
        except OSError as error:
            # It may be what a router has said about an earlier packet.
            if question.sockets:
                question.read_errors(question.sockets[-1])
            question.failed(error, sending=True)

    def token(self, question: Question, attempt: int) -> bytes:
        """Return what a packet of the question carries."""
        attempt += question.first
        return token(self.station.nonce, question.number, question.protocol, attempt)

    def connect(self, question: Question) -> None:
        """Give the question a socket of its own, from its source address; raise OSError."""
        assert question.space is not None
        loop, port = self.station.loop, question.port or self.station.port
        to = question.space.place(question.source, question.destination, port)
        if question.word == "tcp":
            made = self.bound(question, socket.SOCK_STREAM)
            question.sent.append(time.monotonic())
            with contextlib.suppress(BlockingIOError):
                made.connect(to)
            connection = Connection(self, question, made, len(question.sent) - 1)
            loop.follow(made, connection.on_ready, None)
        # What is asked again is to be a flow of its own, as its first packet is to be one.
        elif not question.before and (
            idle := self.station.idle.get((question.space.name, question.source))
        ):
            question.sockets.append(idle.pop())
            loop.hand(question.sockets[0], self.on_datagram, question)
            question.sockets[0].connect(to)
        else:
            made = self.bound(question, socket.SOCK_DGRAM)
            made.connect(to)
            loop.watch(made, self.on_datagram, question)

    def bound(self, question: Question, kind: int) -> socket.socket:
        """Return a socket bound to the question's source address, which is its; raise OSError."""
        assert question.space is not None
        made = question.space.open(kind, question.family)
        question.sockets.append(made)
        if kind == socket.SOCK_STREAM:  # a datagram's port is its own all the same
            abort(made)
            made.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        made.setsockopt(*ERRORS[question.family], 1)
        made.bind(question.space.place(question.source, question.source, 0))
        return made

    def on_datagram(self, question: Question) -> None:
        """The answerer's name, or an ICMP error about our datagram."""
        made = question.sockets[0]
        try:
            found = read_token(self.station.nonce, made.recv(512))
            if found and question.is_about(found) and question.open:
                attempt = found.attempt - question.first
                took = question.answered(found.answerer, attempt, self.station.loop.now)
                self.station.learn(took, question)
        except BlockingIOError:
            pass
        except OSError as error:
            question.refused(made, error)

    def sweep(self, now: float) -> None:
        """Ask again what is late, give up what is too late, put away what is done."""
        if now - self.looked >= LOOK:
            self.looked = now
            self.look()
        unanswered: list[Question] = []
        given_up: list[Question] = []
        for key, question in list(self.flying.items()):
            if question.result is None and self.overdue(question, now):
                if len(question.sent) == 1:
                    unanswered.append(question)
                else:
                    question.give_up()
                    given_up.append(question)
            waiting = question.unsettled and not self.overdue(question, now)
            if question.result is not None and not waiting:
                self.done.append(self.flying.pop(key))
                if not question.silent:
                    self.close(question)
        self.late.extend(given_up)
        self.station.waited |= {question.destination for question in given_up} - self.station.heard
        self.look_for_segments(given_up)
        if unanswered:
            renew(self.station, unanswered)
            for question in unanswered:
                self.ask(question)
        while self.late and now - self.late[0].sent[-1] > FORGET * self.station.pace:
            self.close(self.late.popleft())

    def look(self) -> None:
        """End the wait for what got no answer with everybody's help, once its next hop is found.

        Then all that was left to find out is found: where it stops when it is asked alone.
        """
        asked_again = (
            question
            for question in self.flying.values()
            if question.before and question.before.silent and question.result is None
        )
        for question, _, unfound in next_hops(asked_again):
            if not unfound:
                question.give_up()
                self.late.append(question)

    def look_for_segments(self, given_up: Sequence[Question]) -> None:
        """Say of what is given up whether its next hop is unfound, and nothing waits for that."""
        taken = []
        for question, hop, unfound in next_hops(given_up):
            # Later it may be found all the same, as somebody asks for it itself.
            question.hop_unfound = unfound
            if unfound and question.holds_nothing():
                taken.append((question, hop))
        if not taken:
            return
        spaces = {question.space for question, _ in taken}
        # What was given up before holds packets there, too.
        others = [q for q in (*self.late, *self.flying.values()) if q.space in spaces]
        waiting = Counter((question.space, hop) for question, hop, _ in next_hops(others))
        for question, hop in taken:
            question.discarded = waiting[question.space, hop] <= HELD

    def overdue(self, question: Question, now: float) -> bool:
        """Whether the last packet's answer would have come by now."""
        least = RESEND
        if len(question.sent) > 1:
            station, to = self.station, question.destination
            least = GIVE_UP if to in station.heard or to in station.waited else UNHEARD
        if question.before:
            least = max(ONCE_MORE, TRIPS * question.before.took)
        last = max(question.sent[-1], question.connected)
        return overdue(self.station, question.round, now - last, least)

    def close(self, question: Question) -> None:
        """Close the question's sockets, but for one that is as good as new.

        That is one by which a single datagram went out and was answered: nothing more, no ICMP
        error either, can come back by it, but for the same answer where a network copies it.
        """
        if question.space and question.word != "tcp" and question.clean:
            idle = self.station.idle.setdefault((question.space.name, question.source), [])
            for made in question.sockets:
                self.station.loop.hand(made, overhear, made)
            idle += question.sockets
        else:
            question.keep_ports()
            for made in question.sockets:
                self.station.loop.close(made)
        question.sockets.clear()


def next_hops(questions: Iterable[Question]) -> Iterator[tuple[Question, Hop | None, bool]]:
    """Yield each question whose next hop can be looked up, with that, and whether it is unfound."""
    tables: dict[str, rtnetlink.Neighbours] = {}
    hops: dict[tuple[str, str], Hop | None] = {}
    for question in questions:
        space, to = question.space, question.destination
        if not space:
            continue
        with contextlib.suppress(OSError):
            if space.name not in tables:
                tables[space.name] = rtnetlink.neighbours(space.netlink)
            if (space.name, to) not in hops:
                hops[space.name, to] = rtnetlink.next_hop(space.netlink, packed(to))
            hop = hops[space.name, to]
            yield question, hop, rtnetlink.unresolved(tables[space.name], hop)


def overhear(made: socket.socket) -> None:
    """Take what comes to a socket by which nothing is asked: it would be ready for ever."""
    with contextlib.suppress(OSError):
        made.recv(512)


def overdue(station: Station, number: int, age: float, least: float = GIVE_UP) -> bool:
    """Whether what was sent in round ``number``, ``age`` seconds ago, would be answered by now."""
    if age > LIMIT * station.pace:
        return True
    gone_round = station.round - number >= ROUNDS
    return gone_round and age > max(least * station.pace, TRIPS * station.round_trips.slowest)


class Connection:
    """One attempt by TCP: the kernel sends its segments again, a second attempt is another."""

    def __init__(
        self, asking: Asking, question: Question, made: socket.socket, attempt: int
    ) -> None:
        self.asking, self.question, self.made = asking, question, made
        self.attempt, self.connected, self.over = attempt, 0.0, False

    def on_ready(self, _: None) -> None:
        """The connection is made or refused, or the answerer's name is there."""
        made, question, station = self.made, self.question, self.asking.station
        if self.over:
            return
        try:
            if question.theirs:
                self.on_taken()
                return
            if not self.connected:
                made.send(self.asking.token(question, self.attempt))
                self.connected = question.connected = station.loop.now
                station.learn(self.connected - question.sent[self.attempt], question)
                return
            name = made.recv(512).decode(errors="replace")
            if not question.open:
                return
            if name:
                question.count_resent(made)
                took = question.answered(name, self.attempt, self.connected)
                station.learn(took, question)
            else:
                question.finish("no_answer", reason="the connection was closed without an answer")
        except BlockingIOError:
            if not self.connected:
                # What comes while connect(2) still runs is kept, and isn't an error yet.
                question.read_errors(made)
        except OSError as error:
            self.over = True
            question.refused(made, error)

    def on_taken(self) -> None:
        """Whoever listens has taken the connection, or hasn't yet; raise OSError where it won't.

        That is their kernel's word for them (tcp(7)): nothing is said to a program of the user's
        own, which knows no probe. Who it was shows by the first segment that came there.
        """
        made, question, station = self.made, self.question, self.asking.station
        error = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        try:
            made.getpeername()
        except OSError as waiting:
            if waiting.errno != errno.ENOTCONN:
                raise
            question.read_errors(made)
            return
        self.over, self.connected = True, station.loop.now
        question.connected = self.connected
        if question.open:
            question.count_resent(made)
            took = question.answered("", self.attempt, self.connected)
            station.learn(took, question)
