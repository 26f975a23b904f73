"""What ``iptables-save -c`` shows to take packets: rules and policies, by the built-in chains."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.faults.evidence.drops import Drop

if TYPE_CHECKING:
    from collections.abc import Iterator

HOOKS = {
    "INPUT": "in",
    "PREROUTING": "in",
    "OUTPUT": "out",
    "POSTROUTING": "out",
    "FORWARD": "forward",
}
COUNTED = re.compile(r"^\[(\d+):\d+\] (.*)$")
POLICY = re.compile(r"^:(\S+) DROP \[(\d+):\d+\]$")
OWN = "filters["
WITHOUT_MEANING = {"-m", "--comment", "--reject-with", "--wait"}
# Targets that lead a packet elsewhere, or to a program, and those that change it on its way.
ALTERING = {"DNAT", "REDIRECT", "NETMAP", "TPROXY", "NFQUEUE", "QUEUE"}
ALTERING |= {"SNAT", "TTL", "HL", "DSCP", "TOS", "MARK", "CONNMARK", "CT"}


def of_iptables(lines: list[str], program: str = "iptables") -> Iterator[Drop]:
    """Yield what ``iptables-save -c`` shows to discard packets, by the built-in chains."""
    rules: dict[tuple[str, str], list[tuple[int, str, list[str]]]] = {}
    table = ""
    command = f"{program}-save -c"
    frames = "ipv6" if program == "ip6tables" else "ip"
    for line in lines:
        if line.startswith("*"):
            table = line[1:]
        elif found := POLICY.match(line):
            chain, hits = found.groups()
            if chain in HOOKS:
                yield Drop(
                    command, (f"*{table}", line), HOOKS[chain], hook=chain, frames=frames,
                    hits=int(hits),
                )  # fmt: skip
        elif found := COUNTED.match(line):
            words = shlex.split(found.group(2))
            if words[:1] == ["-A"]:
                rules.setdefault((table, words[1]), []).append(
                    (int(found.group(1)), line, words[2:])
                )
    for (table, chain), entries in rules.items():
        for hits, line, words in entries if chain in HOOKS else ():
            base = Drop(command, (f"*{table}",), HOOKS[chain], hook=chain, frames=frames)
            yield from _followed(base, hits, line, words, table, rules, depth=0)


def _followed(
    base: Drop,
    hits: int,
    line: str,
    words: list[str],
    table: str,
    rules: dict[tuple[str, str], list[tuple[int, str, list[str]]]],
    depth: int,
) -> Iterator[Drop]:
    """Follow a rule into the chain it jumps to, as far as that discards something.

    The lab's own filters are no fault: they are known by their comments.
    """
    if any(word.startswith(OWN) for word in words):
        return
    found, target = _matches(base, words)
    found = replace(found, hits=hits, lines=(*base.lines, line))
    if target in ("DROP", "REJECT", "TARPIT"):
        yield replace(found, refuses=target == "REJECT")
    elif target in ALTERING:
        # Of a connection only the first packet meets the table nat, and the others follow it.
        yield replace(found, alters=True, understood=False)
    elif depth < 5:
        for inner_hits, inner, inner_words in rules.get((table, target), ()):
            yield from _followed(found, inner_hits, inner, inner_words, table, rules, depth + 1)


OPTIONS = {
    "-s": "source",
    "-d": "destination",
    "-p": "protocol",
    "--sport": "source_port",
    "--dport": "destination_port",
    "--dports": "destination_port",
    "--sports": "source_port",
    "--icmp-type": "icmp_type",
    "--icmpv6-type": "icmp_type",
    "--mac-source": "source_mac",
}


def _matches(base: Drop, words: list[str]) -> tuple[Drop, str]:
    """Return ``base`` with a rule's matches added, and the rule's target.

    An option has as many values as there are words up to the next one: ``--tcp-flags`` has two.
    """
    found, target, position, yes = base, "", 0, True
    while position < len(words):
        word = words[position]
        position += 1
        if word == "!":
            yes = False
            continue
        values = []
        while position < len(words) and not (
            words[position] == "!" or re.match(r"--?[a-zA-Z]", words[position])
        ):
            values.append(words[position])
            position += 1
        value = values[0] if values else ""
        if word in ("-j", "-g"):
            # What follows a target's own options is about what it does, not about packets.
            return found, value
        if word in ("-i", "-o"):
            found = replace(found, device=value)
        elif word in OPTIONS and len(values) == 1:
            found = replace(found, **{OPTIONS[word]: (yes, value)})  # type: ignore[arg-type]
        elif word not in WITHOUT_MEANING:
            found = replace(found, understood=False)
        yes = True
    return found, target
