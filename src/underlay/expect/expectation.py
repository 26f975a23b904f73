"""What is expected of one cell, before anything is measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from underlay.drivers.rule import Stop
from underlay.expect.ends import Check, Family, Protocol
from underlay.expect.routing import NO_ROUTE

if TYPE_CHECKING:
    from collections.abc import Iterable

Value = str | tuple[str, ...]


@dataclass(frozen=True)
class Expectation:
    """What should happen in one cell, why, and who says so.

    ``stop`` is where an unreachable probe should stop; ``also`` are other places
    where the same cause may show. ``rule`` is the rule's id. ``arrives`` says of
    an unreachable probe that the destination gets it, and only its answer is lost.

    A cell of kind ``value`` asks not whether but what: ``protocol`` is the check's
    word there, and ``value`` what should be seen, a text or a sorted list of them.
    """

    source: str
    destination: str
    protocol: Protocol | Check
    reachable: bool
    stop: Stop
    because: str
    reference: str
    rule: str = ""
    also: tuple[Stop, ...] = ()
    arrives: bool = False
    source_address: str = ""
    destination_address: str = ""
    family: Family = 4
    kind: Literal["reach", "value"] = "reach"
    value: Value = ""


def warm(expectations: Iterable[Expectation]) -> tuple[Expectation, ...]:
    """Return the ``expectations`` of a network in which neighbours may be known from before.

    Whoever can't be found may have asked for its asker, who knows it then: a request goes out to
    it, unheard, and nobody answers (RFC 826: the receiver of a request notes who sent it).
    """
    return tuple(
        replace(one, also=(*one.also, "no_answer"))
        if one.stop == "no_neighbour" and not one.reachable
        else one
        for one in expectations
    )


def existing(expectations: Iterable[Expectation]) -> tuple[Expectation, ...]:
    """Return the ``expectations`` of machines that exist, whose settings nobody here has chosen.

    A kernel with rp_filter, which systemd sets to 2, doesn't answer ARP of whom it has no way back
    to, so that nobody is found who would else be asked in vain (Linux net/ipv4/arp.c, arp_process;
    net/ipv4/fib_frontend.c, __fib_validate_source).
    """
    return tuple(
        replace(one, also=(*one.also, "no_neighbour"))
        if one.rule == f"{NO_ROUTE.id}-answer" and one.family == 4
        else one
        for one in expectations
    )
