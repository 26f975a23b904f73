"""What is left of a lab's own filters in a namespace: its chains, held against what it asks for.

iptables-save(8) prints a rule in other words than it was written in: protocols by number, the
modules that options belong to, and what a target does by default. Here both are one rule.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from underlay.plan.filter_rules import BUILT_IN, chains_of

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER = re.compile(r"filters\[(\d+)\]")
COUNTERS = re.compile(r"^\[\d+:\d+\] ")
# As /etc/protocols has them, and as iptables prints what isn't in there.
PROTOCOLS = {"2": "igmp", "ipv6-icmp": "icmpv6", "58": "icmpv6"}
DEFAULTS = ("icmp-port-unreachable", "icmp6-port-unreachable")
DISCARDING = ("DROP", "REJECT", "TARPIT")


@dataclass(frozen=True)
class Chain:
    """One of a lab's chains that isn't as the lab has it, and how it differs.

    ``jumped`` says that its built-in chain leads to it, and ``there`` that it exists at all.
    ``lacking`` are the lab's rules that aren't in it, ``instead`` those that stand there in other
    words, as they are printed, and ``foreign`` what lets packets pass and isn't the lab's. ``kept``
    are the numbers of the filters that are there whole, in their order there, ``altered`` those
    that are there in part or in other words.
    """

    name: str
    jumped: bool
    there: bool
    wanted: int
    lacking: tuple[str, ...]
    instead: tuple[str, ...]
    foreign: tuple[str, ...]
    kept: tuple[int, ...]
    altered: frozenset[int]
    shuffled: bool
    shown: tuple[str, ...]

    @property
    def filled(self) -> bool:
        """Whether its rules are the lab's, all of them, in their order, and none besides."""
        return self.there and not (self.lacking or self.foreign or self.shuffled)

    @property
    def said(self) -> tuple[str, ...]:
        """Return in words what is wrong with it, after the lines that show it."""
        hook, words = BUILT_IN[self.name], []
        if not self.jumped:
            words.append(f"nothing in {hook} jumps to {self.name}")
        if not self.there:
            words.append(f"there is no chain {self.name}")
        elif len(self.lacking) == self.wanted and not (self.instead or self.foreign):
            words.append(f"{self.name} is empty: the lab has {self.wanted} rules in it")
        elif self.lacking:
            words.append(f"{self.name} lacks {len(self.lacking)} of {self.wanted} rules:")
            words += self.lacking
        elif self.shuffled:
            words.append(f"{self.name} has its rules in another order")
        if self.instead or self.foreign:
            words += [f"{self.name} has what isn't the lab's:", *self.instead, *self.foreign]
        return (*self.shown, *words)


def changed(text: str, lines: list[str]) -> Iterator[Chain]:
    """Yield each chain of ``text``, for iptables-restore, that isn't like that in ``lines``.

    ``lines`` are what iptables-save prints, with counters or without.
    """
    plain = [COUNTERS.sub("", line) for line in lines]
    for name in chains_of(text):
        start = f"-A {name} "
        wanted = [line for line in text.splitlines() if line.startswith(start)]
        found = _compared(name, wanted, lines, [x for x in plain if x.startswith(start)], plain)
        if not (found.jumped and found.filled):
            yield found


def _compared(
    name: str, wanted: list[str], lines: list[str], here: list[str], plain: list[str]
) -> Chain:
    asked = {_meaning(line): line for line in wanted}
    present = [_meaning(line) for line in here]
    known = [meaning for meaning in present if meaning in asked]
    lacking = tuple(line for meaning, line in asked.items() if meaning not in present)
    others = [line for line, meaning in zip(here, present, strict=True) if meaning not in asked]
    altered = {number for line in others if (number := _number(line)) is not None}
    partly = {_number(line) for line in lacking}
    numbers = [_number(asked[meaning]) for meaning in known]
    hook = BUILT_IN[name]
    return Chain(
        name=name,
        jumped=f"-A {hook} -j {name}" in plain,
        there=any(line.startswith(f":{name} ") for line in plain),
        wanted=len(wanted),
        lacking=lacking,
        instead=tuple(line for line in others if _number(line) is not None),
        # What discards packets there is a fault of its own.
        foreign=tuple(x for x in others if _number(x) is None and not _discards(x)),
        kept=tuple(dict.fromkeys(n for n in numbers if n is not None and n not in partly)),
        # Of a filter of several rules, some may be there as they were.
        altered=frozenset(altered | ({n for n in numbers if n is not None} & partly)),
        shuffled=list(dict.fromkeys(known)) != [x for x in asked if x in known],
        shown=tuple(line for line in lines if re.search(rf"(:|-A ){hook} ", line)),
    )


def _meaning(line: str) -> tuple[str, ...]:
    """Return a rule's words in one form, however they were written."""
    found, words, negated = [], shlex.split(line)[2:], ""
    while words:
        word = words.pop(0)
        if word == "!":
            negated = "! "
            continue
        values = []
        while words and words[0] != "!" and not re.match(r"--?[a-zA-Z]", words[0]):
            values.append(words.pop(0))
        value = _value(word, " ".join(values))
        # An option of a module says by itself whose it is.
        if word != "-m" and not (word == "--reject-with" and value in DEFAULTS):
            found.append(f"{negated}{word} {value}")
        negated = ""
    return tuple(sorted(found))


def _value(option: str, value: str) -> str:
    if option == "-p":
        return PROTOCOLS.get(value, value)
    if option == "--ctstate":
        return ",".join(sorted(value.split(",")))
    if option in ("-s", "-d"):
        try:
            return str(ip_network(value))
        except ValueError:
            return value
    return value


def _number(line: str) -> int | None:
    found = NUMBER.search(line)
    return int(found[1]) if found else None


def _discards(line: str) -> bool:
    words = shlex.split(line)
    return "-j" in words and words[words.index("-j") + 1] in DISCARDING
