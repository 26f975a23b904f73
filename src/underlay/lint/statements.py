"""What is wrong with a lab's statements of what is wanted, before anything is predicted.

Names are looked up in the plan: only there is it known what each container is called.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import combinations

from underlay.errors import did_you_mean, listed, nearest
from underlay.lab import Lab
from underlay.lab.statement import Said
from underlay.lab.text import LabText, Place, Problem, quoted
from underlay.plan import Plan, PlannedStatement
from underlay.plan.statements import HOSTS, Named, named_in


def statement_problems(
    lab: Lab, text: LabText, plan: Plan, leave_out: Collection[int | None] = ()
) -> list[Problem]:
    """Return what is wrong with the statements of ``lab``, which was read from ``text``.

    Those are names that stand for nobody, protocols that aren't measured, and two statements of
    which one wants what the other doesn't. Of those whose numbers are in ``leave_out`` nothing is
    said.
    """
    named = named_in(lab, plan)
    found: list[Problem] = []
    clean: list[PlannedStatement] = []
    for said, one in zip(lab.statements, plan.intent, strict=True):
        if one.number in leave_out:
            continue
        if said.unplanned:
            found += _not_alone(text, one)
            continue
        nobody = list(_nobody(text, named, said, one))
        found += [*nobody, *_mixed(text, said, one), *_unmeasured(lab, text, one)]
        # With a name that stands for nobody, `except` leaves more than is meant.
        clean += [] if nobody else [one]
    return [*found, *_conflicts(text, plan, clean)]


def _nobody(text: LabText, named: Named, said: Said, one: PlannedStatement) -> Iterator[Problem]:
    for key, ends, meant in (
        ("from", said.sources, one.sources),
        ("to", said.destinations, one.destinations),
    ):
        unknown = [name for name in (*ends.names, *ends.without) if not named.matching(name)]
        place = ("expect", one.number, key)
        for name in unknown:
            hint = name_hint(name, named)
            expected = "the name of a container, network, label, node or host, or a pattern of such"
            yield text.problem(place, quoted(name), expected, hint, id="expect-nobody")
        if not meant and not unknown:
            yield text.problem(
                *(place, quoted(str(ends)), "somebody who is left"),
                "`except` takes out everybody whom the names before it stand for",
                id="expect-nobody",
            )


def name_hint(name: str, named: Named) -> str:
    """Return what helps with a name that stands for nobody: where it would, or one like it."""
    who, at, _ = name.partition("@")
    if at and who in named.keys:
        there = [one for one in named.keys if one.startswith(f"{who}@")]
        return f"{who} is there as {', '.join(there)}" if there else f"{who} alone, without an @"
    if name in named.words:
        return f"this lab has no {'external hosts' if name == HOSTS else name}"
    stem, colon, port = name.rpartition(":")
    if colon and port.isdigit() and named.matching(stem):
        return f"a port stands behind the names: {stem} tcp:{port}"
    if owner := named.owner_of(name):
        return f"{name} is {owner}'s address: write {owner}"
    plain = _WILD.sub("", name)
    every = [*named.keys, *named.words]
    near = nearest(plain, every) or min(
        (one for one in every if _alike(plain, one)), key=len, default=""
    )
    names = [one for one in named.keys if "@" not in one]
    return did_you_mean(near) or f"all names here: {listed(names)}"


def _alike(written: str, name: str) -> bool:
    """Whether a name is the word ``written`` with more around it, or with its letters mixed up."""
    parts = re.split("[-_.]", name)
    return len(written) > 1 and (written in parts or sorted(written) == sorted(name))


def _mixed(text: LabText, said: Said, one: PlannedStatement) -> Iterator[Problem]:
    """Yield a problem where a statement is about what is seen and about who gets there."""
    if one.seen and (said.never or said.protocols):
        beside = "never" if said.never else said.protocols[0]
        yield text.problem(
            ("expect", one.number),
            f"{next(iter(one.seen))} beside {beside}",
            "a statement of its own for each",
            "what is seen of packets that arrive isn't asked by icmp, tcp or udp",
            id="expect-mixed",
        )


def _not_alone(text: LabText, one: PlannedStatement) -> Iterator[Problem]:
    """Yield a problem where something stands beside what is about the whole lab."""
    beside = [key for key in text.data["expect"][one.number] if key != "unplanned"]
    if beside:
        yield text.problem(
            ("expect", one.number),
            f"unplanned beside {', '.join(beside)}",
            "unplanned: never alone, which is about the whole lab",
            "a statement of its own for each",
            id="expect-mixed",
        )


def _unmeasured(lab: Lab, text: LabText, one: PlannedStatement) -> Iterator[Problem]:
    for check in one.seen:
        if check not in lab.checks:
            yield text.problem(
                ("expect", one.number, check),
                f"{check}, which no cell asks for",
                "it among the lab's checks",
                f"checks: [{', '.join([*lab.checks, check])}]",
                id="expect-unmeasured",
            )
    for word in () if one.seen else one.protocols:
        if word not in lab.protocols:
            wanted = ", ".join([*lab.protocols, word])
            yield text.problem(
                _place_of(text, one, word),
                f"{word}, which no cell asks for",
                f"one of the lab's protocols: {', '.join(lab.protocols)}",
                f"protocols: [{wanted}]" + (_LISTENS if ":" in word else ""),
                id="expect-unmeasured",
            )


_WILD = re.compile(r"[*?!\[\]]")
_LISTENS = ", and `listens` on whoever answers there"


def _place_of(text: LabText, one: PlannedStatement, protocol: str) -> Place:
    """Return where the statement says ``protocol``."""
    place: Place = ("expect", one.number)
    word, _, _ = protocol.partition(":")
    data = text.data["expect"][one.number]
    if isinstance(data, dict) and protocol in data.get("protocols", ()):
        return (*place, "protocols", data["protocols"].index(protocol))
    return (*place, word)


def _conflicts(
    text: LabText, plan: Plan, statements: Iterable[PlannedStatement]
) -> Iterator[Problem]:
    """Yield each statement of which an earlier one wants the contrary, with a cell of both."""
    machines = {*(node.name for node in plan.nodes), *(host.name for host in plan.hosts)}
    for first, second in combinations(statements, 2):
        if first.never == second.never or {first.family, second.family} == {4, 6}:
            continue
        asked = {*first.protocols} & {*second.protocols}
        pair = _common(first, second, machines) if asked else None
        if pair:
            where = text.mark(("expect", first.number)).line
            yield text.problem(
                ("expect", second.number),
                f"{quoted(second.text)}, while line {where} says {quoted(first.text)}",
                "one of them, or `except` for what both are about",
                f"{pair[0]} → {pair[1]} is in both",
                id="expect-conflict",
            )


def _common(
    first: PlannedStatement, second: PlannedStatement, machines: set[str]
) -> tuple[str, str] | None:
    """Return the first two ends with a cell that both statements are about."""
    asking, asked = {*second.sources}, {*second.destinations}
    answers = [key for key in first.destinations if key in asked]
    for source in first.sources:
        for destination in answers if source in asking else ():
            if {source, destination} <= machines:
                continue
            if source.partition("@")[0] != destination.partition("@")[0]:
                return source, destination
    return None
