"""What is wrong with a text that was meant as a statement, and the nearest one that it may mean.

People write arrows, ports and lists of names as other programs have them: ``web => db``,
``tcp/80``, ``web and app``. Each of these is named, and the statement without them is proposed
where it is one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address

from underlay.errors import nearest
from underlay.lab.statement import (
    EXCEPT,
    FAMILIES,
    LEAST,
    MOST,
    MUST,
    NEVER,
    PATTERN,
    PROTOCOL,
    SEEN,
    ends_in,
    said_in,
)
from underlay.lab.text import quoted

DIRECTION = f"{MUST} (must reach) or {NEVER} (must never) between names, with spaces"
BEHIND = "icmp, tcp, udp, one of the last two with a port as tcp:80, ipv4 or ipv6 behind the names"
NAMES = "names with commas between"
BOTH = "ipv4 or ipv6, or neither for both"
# What other languages have for a direction, and words for it; the longest first.
_OTHER = re.compile(
    r"\s*(<-+>|<=+>|<[-=]+|-/->|!-+>|-+!>|!=+>|[-=]*[→⇒➔↛]|[-=]+>+|>+|-x\s|\s-x|\s-X\s)\s*"
    r"|\s+((?:can't|cannot|never|not)\s+(?:reach(?:es)?|to)|(?:can\s+|must\s+)?reach(?:es)?|to"
    r"|never)\s+"
)
_NEVER = re.compile(r"[xX!/↛]|not|never")
_BOTH_WAYS = re.compile(r"<.*>")
_PORT = re.compile(r"(tcp|udp)[:/=_-]?([0-9]{1,6})|([0-9]{1,6})[/:]?(tcp|udp)", re.IGNORECASE)
_AND = ("and", "&", "&&", "or", "+", "und")
_ANY = ("any", "all", "*", "ip")
_NO_PORT = "a port from 1 to 65535"
NO_DIRECTION = "no direction"
# A longer text is no slip of somebody who meant a statement.
LONGEST = 400
# What else stands there, and what it was meant to be; nothing for what no lab is measured by.
_WORDS = {
    "ping": "icmp",
    **dict.fromkeys(("icmp6", "icmpv6", "ping6"), "icmp ipv6"),
    **dict.fromkeys(("v4", "ip4", "inet"), "ipv4"),
    **dict.fromkeys(("v6", "ip6", "inet6"), "ipv6"),
    "ssh": "tcp:22",
    "http": "tcp:80",
    "https": "tcp:443",
    "dns": "udp:53",
    "postgres": "tcp:5432",
    "mysql": "tcp:3306",
    **dict.fromkeys(("sctp", "gre", "arp", "igmp", "esp", "quic", "dhcp"), ""),
}
# What people write before a statement to deny it; who is called so has a direction behind.
_DENIED = re.compile(rf"(not|never|no)\s+(?!{MUST}|{NEVER})", re.IGNORECASE)


@dataclass
class Slip:
    """What was ``found`` that is no part of a statement, what was ``expected``, and the nearest.

    ``nearest`` is a statement, or empty where none can be told.
    """

    found: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    nearest: str = ""

    def add(self, found: str, expected: str) -> None:
        """Note one more thing that is wrong."""
        if found not in self.found:
            self.found.append(found)
        if expected not in self.expected:
            self.expected.append(expected)


def slip_in(text: str) -> Slip:
    """Return what keeps ``text`` from being a statement."""
    slip = Slip()
    plain = " ".join(text.split())
    if not plain or len(plain) > LONGEST:
        slip.add("a text of more than a line" if plain else "an empty text", DIRECTION)
        return slip
    denied = _DENIED.match(plain)
    sources, sign, rest = _sides(plain[denied.end() :] if denied else plain, slip)
    if denied and NO_DIRECTION not in slip.found:
        slip.add(quoted(denied[1]), DIRECTION)
        sign = NEVER
    names, behind = _parted(rest, slip)
    if NO_DIRECTION not in slip.found and not (sources and names):
        slip.add(f"nobody {'before' if not sources else 'behind'} the direction", NAMES)
    candidate = " ".join([_names(sources, slip), sign, names, *_behind(behind, sign, slip)])
    try:
        slip.nearest = str(said_in(candidate)) if sources and names else ""
    except ValueError:
        slip.nearest = ""
    if not slip.found:
        slip.add("a word that is none of its own", BEHIND)
    return slip


def protocol_meant(word: str) -> str:
    """Return the protocol, with its port, that ``word`` was probably meant to be, or nothing."""
    plain = word.strip("()[],;").lower()
    if plain in _WORDS:
        made = _WORDS[plain]
    elif found := _PORT.fullmatch(plain):
        made = f"{found[1] or found[4]}:{int(found[2] or found[3])}"
    else:
        kind, colon, port = plain.partition(":")
        near = nearest(kind, ("icmp", "tcp", "udp"))
        made = f"{near}{colon}{port}" if near else ""
    return made if re.fullmatch(PROTOCOL, made) else ""


def names_meant(text: str) -> str:
    """Return the names that ``text`` was probably meant to be, or nothing."""
    made = _names(" ".join(text.split())[:LONGEST], Slip())
    try:
        return str(ends_in(made))
    except ValueError:
        return ""


def _sides(text: str, slip: Slip) -> tuple[str, str, str]:
    """Return who stands before the direction, the direction, and what follows it."""
    parts = re.split(rf"(?:^|\s)({MUST}|{NEVER})(?:\s|$)", text)
    if len(parts) > 3:
        slip.add("two directions", f"a statement of its own for each: {MUST} or {NEVER} once")
        return parts[0], parts[1], parts[2]
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    other = _OTHER.search(text)
    if other is None:
        slip.add(NO_DIRECTION, DIRECTION)
        first, _, rest = text.partition(" ")
        while rest and (first.endswith(",") or rest.startswith((",", EXCEPT))):
            word, _, rest = rest.partition(" ")
            first = f"{first} {word}"
        return first, MUST, rest
    word = (other[1] or other[2]).strip()
    before, behind = text[: other.start()].strip(), text[other.end() :].strip()
    if _BOTH_WAYS.search(word):
        slip.add(f"{quoted(word)}, both ways", f"a statement of its own for each way: {MUST}")
        return before, MUST, behind
    shown = word if word not in (MUST, NEVER) else f"{word} without spaces"
    slip.add(quoted(word) if shown == word else shown, DIRECTION)
    if word.startswith("<"):
        before, behind = behind, before
    return before, NEVER if _NEVER.search(word) else MUST, behind


def _parted(text: str, slip: Slip) -> tuple[str, list[str]]:
    """Return the names that ``text`` begins with, and the words behind them."""
    whole = re.sub(r"\s*:\s+|\s+:\s*", ":", text)
    if whole != text:
        slip.add("a space beside a colon", BEHIND)
    words = whole.split()
    names: list[str] = []
    while words:
        more = not names or names[-1].endswith(",") or names[-1] == EXCEPT
        if words[0] == EXCEPT and len(words) > 1:
            more = True
        if words[0].lower() in _AND and names and len(words) > 1:
            slip.add(quoted(words.pop(0)), NAMES)
            names[-1] = f"{names[-1].rstrip(',')},"
            continue
        if not more and not _is_name(words[0]):
            break
        if not more:
            slip.add(f"{quoted(words[0])} behind a name", f"{NAMES}; {BEHIND}")
            names[-1] += ","
        names.append(words.pop(0))
    return _names(" ".join(names), slip), words


def _is_name(word: str) -> bool:
    """Whether a word behind the names is rather one more name than a protocol with a slip."""
    plain = word.strip("()[],;").lower()
    check = re.split(r"[:=/]", plain)[0]
    if plain in (*_WORDS, *_ANY, "port") or check in (*SEEN, "icmp", "tcp", "udp"):
        return False
    if _PORT.fullmatch(plain) or nearest(plain, FAMILIES) or protocol_meant(plain):
        return False
    return re.fullmatch(PATTERN, word) is not None


def _names(text: str, slip: Slip) -> str:
    """Return names with commas between them and none beside them."""
    for word in text.replace(",", " ").split():
        if not re.fullmatch(PATTERN, word):
            signs = "letters, digits and . _ - @ : * ? [ ] !"
            slip.add(f"{quoted(word)} as a name", f"names of {signs}")
    if re.search(r",\s*(,|$|except\b)|^\s*,|\bexcept\s*$", text):
        slip.add("a comma or except without a name behind it", NAMES)
    text = re.sub(rf",?\s*\b{EXCEPT}\b\s*$", "", text)
    text = re.sub(rf",\s*(?={EXCEPT}\b)", " ", text)
    found = [" ".join(part.split()) for part in text.split(",")]
    names: list[str] = []
    for part in filter(None, found):
        whole = part.split()
        words = [word for word in whole if word.lower() not in _AND] or whole
        if EXCEPT not in words and len(whole) > 1:
            slip.add(f"{quoted(whole[1])} behind a name", NAMES)
            names += words
        else:
            names.append(" ".join(words))
    return ", ".join(names)


def _behind(words: list[str], sign: str, slip: Slip) -> list[str]:
    """Return the words behind the names as a statement has them, as far as they are clear."""
    made: list[str] = []
    if any("," in word for word in words):
        slip.add("a comma behind the names", f"spaces there; {BEHIND}")
    words = [part for word in words for part in word.split(",") if part]
    while words:
        word = words.pop(0)
        plain = word.strip("()").lower()
        if words and words[0].isdigit() and plain in ("tcp", "udp", "port"):
            port = words.pop(0)
            slip.add(quoted(f"{word} {port}"), BEHIND)
            made.append(f"{'tcp' if plain == 'port' else plain}:{int(port)}")
        else:
            made += _one_behind(word, slip)
    families = [word for word in made if word in FAMILIES]
    if len(families) > 1:
        slip.add(" beside ".join(families), BOTH)
        made = [word for word in made if word not in FAMILIES]
    return _apart(made, sign, slip)


def _one_behind(word: str, slip: Slip) -> list[str]:
    """Return what one word behind the names was meant to be."""
    if re.fullmatch(PROTOCOL, word) or word in FAMILIES:
        return [word]
    plain = word.strip("()[];").lower()
    check, _, value = plain.replace("=", ":", 1).partition(":")
    if check in SEEN:
        return _seen(word, check, value, slip)
    if plain in _ANY:
        slip.add(quoted(word), f"{BEHIND}, or nothing for all of it")
        return []
    known = _WORDS.get(plain)
    if known == "":
        slip.add(f"{quoted(word)}, which no lab is measured by", BEHIND)
        return []
    meant = known or protocol_meant(plain) or nearest(plain, FAMILIES)
    with_port = check in ("tcp", "udp") or _PORT.fullmatch(plain)
    slip.add(quoted(word), _NO_PORT if with_port and not meant else BEHIND)
    return meant.split() if meant else [word]


def _seen(word: str, check: str, value: str, slip: Slip) -> list[str]:
    if check == "pmtu":
        if not value.isdigit() or not LEAST <= int(value) <= MOST:
            slip.add(quoted(word), f"pmtu: and {LEAST} to {MOST} bytes, as pmtu:1400")
    else:
        try:
            ip_address(value)
        except ValueError:
            slip.add(quoted(word), "source: and an address, as source:192.168.70.11")
    if word != f"{check}:{value}":
        slip.add(quoted(word), f"{check}:{value}")
    return [f"{check}:{value}"]


def _apart(made: list[str], sign: str, slip: Slip) -> list[str]:
    """Say where what is seen stands beside what it can't: a protocol, never, or itself again."""
    seen = [word for word in made if word.partition(":")[0] in SEEN]
    asked = [word for word in made if word not in seen and word not in FAMILIES]
    if seen and (asked or sign == NEVER):
        beside = asked[0] if asked else NEVER
        slip.add(f"{seen[0]} beside {beside}", "a statement of its own for each")
        return [word for word in made if word not in asked]
    checks = [word.partition(":")[0] for word in seen]
    for check in dict.fromkeys(checks):
        if checks.count(check) > 1:
            slip.add(f"{check} a second time", "it once")
    return made
