"""What a lab is for, said in one line: ``web -> db tcp:5432``, ``guest* -x lan``.

A statement names who asks, whether they must reach or never, whom, and over what; or as what
they must be seen there:

    ENDS ->|-x ENDS [icmp|tcp|udp|tcp:PORT|udp:PORT …] [ipv4|ipv6]
    ENDS -> ENDS [source:ADDRESS] [pmtu:BYTES] [ipv4|ipv6]

One says nothing of ends, but of the whole lab: that nothing is reachable that nobody planned.

ENDS are names or patterns with commas between, and maybe ``except`` and further ones, which are
taken out again. Nothing here knows who is in a lab.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

# A name as the matrix has it, with shell's wildcards: web, guest*, web-1a@lannet, *@fd00::1.
PATTERN = r"[A-Za-z0-9*?\[\]!@._:-]+"
# 1 to 65535.
PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
PROTOCOL = rf"(icmp|(tcp|udp)(:{PORT})?)"
MUST, NEVER, EXCEPT = "->", "-x", "except"
NOTHING_UNPLANNED = "unplanned: never"
FAMILIES = {"ipv4": 4, "ipv6": 6}
# The least and the largest size of a packet that a lab speaks of.
LEAST, MOST = 576, 9000
# What is seen of who asks, and how it is written.
SEEN = {"source": r"[0-9a-fA-F.:]+", "pmtu": r"[1-9][0-9]{2,3}"}

_SPLIT = re.compile(rf"(.+?) ({MUST}|{NEVER}) (.+)")


@dataclass(frozen=True)
class Ends:
    """Who is meant: by ``names`` or patterns of them, without whom those in ``without`` name."""

    names: tuple[str, ...]
    without: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return them as a statement in one line has them."""
        names = ", ".join(self.names)
        return f"{names} {EXCEPT} {', '.join(self.without)}" if self.without else names


@dataclass(frozen=True)
class Said:
    """What a statement says; without ``protocols`` it names none, and a ``family`` of 0 is both.

    ``seen`` are values as what who asks must be seen, by the lab's word for the check. With
    ``unplanned`` it is that nothing unplanned is there, and the rest says nothing.
    """

    sources: Ends
    destinations: Ends
    never: bool = False
    protocols: tuple[str, ...] = ()
    family: int = 0
    seen: tuple[tuple[str, str], ...] = ()
    unplanned: bool = False

    def __str__(self) -> str:
        """Return the statement in one line, whichever form the file has it in."""
        if self.unplanned:
            return NOTHING_UNPLANNED
        words = [str(self.sources), NEVER if self.never else MUST, str(self.destinations)]
        words += [*self.protocols, *(f"{check}:{value}" for check, value in self.seen)]
        words += [word for word, n in FAMILIES.items() if n == self.family]
        return " ".join(words)


def said_in(text: str) -> Said:
    """Return what the statement ``text`` says; raise ValueError where it is none."""
    found = _SPLIT.fullmatch(" ".join(text.split()))
    if found is None:
        raise ValueError("no statement")
    words = found[3].split()
    protocols: list[str] = []
    seen: dict[str, str] = {}
    family = 0
    # The last words are protocols and a family; a name comes first, whatever it is called.
    while len(words) > 1 and not _goes_on(words[-2]):
        if re.fullmatch(PROTOCOL, words[-1]):
            protocols.insert(0, words.pop())
        elif (found_value := _seen(words[-1])) and found_value[0] not in seen:
            seen[found_value[0]] = found_value[1]
            words.pop()
        elif words[-1] in FAMILIES and not family:
            family = FAMILIES[words.pop()]
        else:
            break
    asked = tuple(dict.fromkeys(protocols))
    never = found[2] == NEVER
    if seen and (asked or never):
        raise ValueError("no statement of one kind")
    values = tuple((check, seen[check]) for check in SEEN if check in seen)
    destinations = ends_in(" ".join(words))
    return Said(ends_in(found[1]), destinations, never, asked, family, values)


def ends_in(text: str) -> Ends:
    """Return whom ``text`` names; raise ValueError where it doesn't name anybody."""
    names, word, without = f" {text} ".partition(f" {EXCEPT} ")
    return Ends(_names(names), _names(without) if word else ())


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if not re.fullmatch(PATTERN, name):
            raise ValueError("no name")
    return tuple(dict.fromkeys(names))


def _goes_on(word: str) -> bool:
    """Whether a name has to follow ``word``."""
    return word.endswith(",") or word == EXCEPT


def _seen(word: str) -> tuple[str, str] | None:
    """Return the check and the value that ``word`` names, or None; ValueError for no address."""
    check, _, value = word.partition(":")
    if check not in SEEN or not re.fullmatch(SEEN[check], value):
        return None
    if check == "pmtu" and not LEAST <= int(value) <= MOST:
        raise ValueError("no size of a packet")
    return check, str(ip_address(value)) if check == "source" else value
