"""One cell and one protocol: what was sent, when, and what came of it.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time
import zlib
from typing import TYPE_CHECKING, Any

from underlay.observe.on_node.cells import Answer
from underlay.observe.on_node.packets import UNREACHABLE, UNREACHABLE6, echo, family_of, ported

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from underlay.observe.on_node.cells import Cell
    from underlay.observe.on_node.packets import Token
    from underlay.observe.on_node.spaces import Space

# Codes of ICMP unreachable: port, or administratively prohibited.
REFUSING_CODES = {4: (3, 9, 10, 13), 6: (1, 4, 5, 6)}
# The code by which a router says that nobody on its link answers for the destination.
HOST_CODES = {4: 1, 6: 3}
# Of an error queue: level, type, origin "from ICMP", its unreachable, where its address is.
ERROR_QUEUE = {
    4: (socket.IPPROTO_IP, 11, 2, UNREACHABLE, slice(20, 24)),
    6: (socket.IPPROTO_IPV6, 25, 3, UNREACHABLE6, slice(24, 40)),
}
# Where a question stops that nobody else's packets can help or hinder.
ALONE = ("no_route", "no_neighbour", "not_sent", "not_measured")
# Of SO_MEMINFO: its number, how many words it has at least, and which is the memory of what is to
# leave (linux/sock_diag.h, SK_MEMINFO_WMEM_ALLOC).
MEMORY, WORDS, TO_LEAVE = 55, 9, 2
# Attempts of a question that is asked again are counted from here.
FIRST_AGAIN = 8
NO_ROUTE = (errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EACCES, errno.EINVAL)


def questions(
    cells: Iterable[Cell],
    protocols: Iterable[str],
    spaces: Sequence[Space | None],
    theirs: Mapping[str, Container[int]],
) -> list[Question]:
    """Return what is asked of ``cells``: each by each protocol, out of its namespace.

    ``theirs`` holds by protocol the numbers of those that a program of the user's own answers.
    """
    asked = tuple(protocols)
    return [
        Question(cell, protocol, spaces[cell.space], theirs=cell.number in theirs.get(protocol, ()))
        for cell in cells
        for protocol in asked
    ]


class Question:
    """What is asked of one cell; ``sent`` holds the time of each packet, in seconds.

    ``word`` is the protocol without its ``port``, which is 0 for the probe's own.
    ``round`` is the round of the measurement in which the last of them was sent,
    ``connected`` the time at which TCP's destination answered for the first time, ``answers``
    when each packet's answer came, by the packet's place in ``sent``. ``stopped`` is where silence
    was found to begin; an answer may still come after that. ``ports`` are those that its
    connections came from, kept where nobody answered. ``hop_unfound`` says that its next hop wasn't
    found by the time it was given up, ``discarded`` that none of its segments waited for that.

    ``before`` is the same question, asked together with others. Packets of the two are told apart
    by their attempts: ``first`` is that of the first packet here. ``apart`` is the phase in which
    it is asked by itself, next time. ``overheard`` says that it was answered, though nobody was
    seen to answer for its next hop: the kernel knew where that is from what it said to others.

    ``theirs`` says that a program of the user's own answers at the port: it knows nothing of
    probes, and a connection that it takes is all that is asked.
    """

    def __init__(
        self,
        cell: Cell,
        protocol: str,
        space: Space | None,
        before: Question | None = None,
        *,
        theirs: bool = False,
    ) -> None:
        self.cell, self.number, self.before = cell, cell.number, before
        self.theirs = theirs
        self.first: int = before.first + FIRST_AGAIN if before else 0
        self.phase = before.apart if before else cell.phase
        self.apart: str = f"{self.phase}+" if before else cell.again
        self.overheard = False
        self.source, self.destination = cell.source, cell.destination
        self.protocol, self.space = protocol, space
        self.word, self.port = ported(protocol)
        self.family = family_of(self.destination)
        self.sent: list[float] = []
        self.round = 0
        self.connected = 0.0
        self.answers: dict[int, float] = {}
        self.resent = 0
        self.complaint = ""
        self.stopped = ""
        self.sockets: list[socket.socket] = []
        self.ports: list[int] = []
        self.hop_unfound = self.discarded = False
        self.result: dict[str, Any] | None = None

    @property
    def open(self) -> bool:
        """Whether an answer still counts: there is none, and no error, but maybe silence.

        One to a later packet does too: it tells what became of both. After its phase nobody looks.
        """
        return self.result is None or self.unsettled or self.silent

    @property
    def unsettled(self) -> bool:
        """Whether a first packet is answered, and it isn't known yet what becomes of the last."""
        return bool(self.answers) and max(self.answers) < len(self.sent) - 1

    @property
    def silent(self) -> bool:
        """Whether the question was given up because no answer came."""
        return self.result is not None and not self.result["stop"] and "by" not in self.result

    @property
    def unfound(self) -> bool:
        """Whether the kernel has said that nobody answered for the next hop: asked or not."""
        return self.result is not None and self.result["stop"] == "no_neighbour"

    @property
    def alone(self) -> bool:
        """Whether nobody else's packets can have had a part in what came of it.

        Knowing a neighbour never makes less reachable. So who doesn't find the next hop, or has no
        route, doesn't either when nobody else speaks.
        """
        if self.result is None:
            return False
        return (self.result["stop"] or self.stopped) in ALONE

    @property
    def took(self) -> float:
        """The seconds until it was answered; 0 where it wasn't, or was held back meanwhile."""
        if not self.answers or any(self.held(attempt) for attempt in range(len(self.sent) - 1)):
            return 0.0
        return max(arrived - self.sent[attempt] for attempt, arrived in self.answers.items())

    @property
    def clean(self) -> bool:
        """Whether its only packet was answered."""
        return len(self.sent) == 1 and self.result is not None and "by" in self.result

    def is_about(self, token: Token) -> bool:
        """Return whether a packet that carries ``token`` belongs to this question."""
        own = (token.number, token.protocol) == (self.number, self.protocol)
        return own and 0 <= token.attempt - self.first < len(self.sent)

    def comes_from(self, space: Space, sender: str) -> bool:
        """Return whether an answer that ``space`` got from ``sender`` can be this one's."""
        return self.space is space and self.destination == sender

    def finish(self, stop: str, **result: object) -> None:
        """Keep the result; the first one holds. An empty ``stop`` is decided later."""
        if self.result is None:
            self.result = dict(result, stop=stop)

    def send(self, payload: bytes) -> None:
        """Send one packet over UDP, or as an ICMP echo request; raise OSError."""
        self.sent.append(time.monotonic())
        if self.sockets:
            self.sockets[0].send(payload)
        elif self.space:
            # Connection tracking takes requests of one id for one flow (nf_conntrack_proto_icmp.c):
            # where established ones are dropped, a second one would be, also in the next check.
            identity = zlib.crc32(payload) & 0xFFFF
            packet = echo(self.family, identity, len(self.sent), payload)
            to = self.space.place(self.source, self.destination, 0)
            self.space.echo_sender(self.source).sendto(packet, to)

    def failed(self, error: OSError, sending: bool) -> None:
        """Translate an error of the kernel's into where the question stopped."""
        number, text = error.errno, os.strerror(error.errno or 0)
        if number == errno.EADDRNOTAVAIL:
            text = (
                f"nothing can be sent from {self.source}: its link is down or the address is gone"
            )
        # A filter of the sender's own takes it.
        if sending and number == errno.EPERM:
            self.finish("not_sent", reason=text)
            return
        if sending and number == errno.ENOBUFS:
            return  # a device has discarded it: that is silence, like any other
        # A later packet's sending returns what became of an earlier one: nobody answered for
        # its destination. A route that refuses does so at the first.
        first = sending and len(self.sent) <= 1
        if number == errno.ECONNREFUSED:
            self.finish("refused", reason=text)
        elif number in NO_ROUTE or (first and number == errno.EHOSTUNREACH):
            self.finish("no_route", reason=text)
        elif number == errno.EHOSTUNREACH:
            self.unresolved(text)
        else:
            self.finish("no_answer", reason=text)

    def refused(self, made: socket.socket, error: OSError) -> None:
        """Tell an error that came back over the network by what the ICMP message said."""
        self.read_errors(made)
        self.failed(error, sending=False)

    def read_errors(self, made: socket.socket) -> None:
        """Take the ICMP messages that the kernel has kept for the socket."""
        level, wanted, origin, unreachable, sender = ERROR_QUEUE[self.family]
        with contextlib.suppress(OSError):
            for found, kind, data in made.recvmsg(512, 256, socket.MSG_ERRQUEUE)[1]:
                if (found, kind) == (level, wanted) and data[4:6] == bytes((origin, unreachable)):
                    family = socket.AF_INET6 if self.family == 6 else socket.AF_INET
                    self.unreachable(data[6], socket.inet_ntop(family, data[sender]))

    def unreachable(self, code: int, sender: str) -> None:
        """Translate an ICMP unreachable message into where the probe stopped."""
        text = f"ICMP unreachable, code {code}, from {sender}"
        if code in REFUSING_CODES[self.family]:
            self.finish("refused", reason=text)
        elif sender == self.source:
            self.unresolved(text)
        elif code == HOST_CODES[self.family]:
            self.unresolved(text, "no_answer")
        else:
            self.finish("no_answer", reason=text)

    def unresolved(self, text: str, stop: str = "no_neighbour") -> None:
        """Nobody answered for a next hop: final where that was asked for this question alone.

        A first packet may have joined others that wait for the same neighbour, and the kernel
        asks for one by the address of any of them (arp_announce 0, net/ipv4/arp.c, arp_solicit).
        """
        self.complaint = text
        if len(self.sent) > 1:
            self.finish(stop, reason=text)

    def holds_nothing(self) -> bool:
        """Whether no segment of its connections waits in its kernel for the next hop, or has.

        connect(2) doesn't say that a filter has taken one. One that waits is in its socket's
        memory until nobody has answered for the next hop, which the socket is told then
        (net/core/neighbour.c, neigh_invalidate).
        """
        if self.word != "tcp" or not self.sockets:
            return False
        with contextlib.suppress(OSError, struct.error):
            for made in self.sockets:
                words = made.getsockopt(socket.SOL_SOCKET, MEMORY, 4 * WORDS)
                waits = struct.unpack(f"={WORDS}I", words)[TO_LEAVE]
                self.read_errors(made)
                if waits or self.complaint or made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    return False
            return True
        return False

    def give_up(self) -> None:
        """Keep that nobody answered; where that was is decided later."""
        self.finish("", **({"reason": self.complaint} if self.complaint else {}))

    def answered(self, by: str, attempt: int, arrived: float) -> float:
        """Keep that ``by`` answered the attempt, by its place in ``sent``; return the seconds.

        An ICMP answer doesn't say by whom. One that comes after the question was
        given up for silence is an answer all the same.
        """
        took = arrived - self.sent[attempt]
        if self.silent:
            self.result = None
        self.finish("", by=by, attempt=self.first + attempt, rtt=round(took * 1000, 3))
        self.answers.setdefault(attempt, arrived)
        return took

    @property
    def lost(self) -> int:
        """How many packets had to be repeated, TCP's by the kernel included.

        A packet is lost that has no answer. So is the ARP request of one whose answer comes
        together with a later packet's: it was held back, here or there, until a neighbour was
        asked for again. On a wire that is merely slow they come as far apart as they were sent.
        """
        held = sum(self.held(attempt) for attempt in range(len(self.sent) - 1))
        return self.resent + len(self.sent) - len(self.answers) + held

    def held(self, attempt: int) -> bool:
        """Return whether a packet was held back until about the time that the next was sent."""
        if not {attempt, attempt + 1} <= self.answers.keys():
            return False
        apart = self.answers[attempt + 1] - self.answers[attempt]
        return apart < (self.sent[attempt + 1] - self.sent[attempt]) / 2

    def row(self) -> Answer:
        """Return what came of it: None for the result where nothing was decided."""
        result = self.result
        if result is not None and self.answers:
            result = dict(result, lost=self.lost)
        elif result is not None and self.silent:
            result = dict(result, stop=self.stopped)
        self.keep_ports()
        if result is not None and self.ports:
            result = dict(result, ports=self.ports)
        if result is not None and self.before:
            result = dict(result, first=self.first, phase=self.phase)
        return Answer(self.number, self.protocol, len(self.sent) + self.resent, result)

    def keep_ports(self) -> None:
        """Keep the ports of connections without an answer: by them their first segments are known.

        Addresses alone don't tell two askers apart that have one address in different VLANs.
        """
        if self.word == "tcp" and self.result and "by" not in self.result and self.sockets:
            self.ports = [made.getsockname()[1] for made in self.sockets]

    def count_resent(self, made: socket.socket) -> None:
        """Ask the kernel how often it resent a connection's segments (struct tcp_info)."""
        info = made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        self.resent += struct.unpack_from("=I", info, 100)[0] if len(info) == 104 else 0
