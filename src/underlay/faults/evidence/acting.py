"""What takes packets in a namespace, and has done so as far as it counts them.

A counter that isn't zero may have counted anybody's packets. Where the cells were asked again
between two looks, only what it counted meanwhile counts: those were our own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.faults.evidence.drops import Drop, uncounted
from underlay.faults.evidence.iptables import of_iptables
from underlay.faults.evidence.nft import of_nft
from underlay.faults.evidence.tc import of_filters, of_qdiscs
from underlay.faults.step import Proof

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.observe.evidence import Space


def drops(space: Space) -> Iterator[Drop]:
    """Yield everything in a namespace that discards packets, and has done so if it counts."""
    return (found for found in _acting(space) if not found.alters)


def alterations(space: Space) -> Iterator[Drop]:
    """Yield what changes packets there or leads them elsewhere, and has done so if it counts."""
    return (found for found in _acting(space) if found.alters)


def rise_proof(space: Space, found: Drop) -> Iterator[Proof]:
    """Yield what says by how much a counter has risen; nothing where there was no second look.

    What counts nothing says so.
    """
    if found.hits is None:
        yield Proof(space.name, f"again: {found.command}", ("it has no counter",))
    elif space.before is not None:
        line = f"{found.hits} packets more, while all cells were asked again"
        yield Proof(space.name, f"again: {found.command}", (line,))


def _acting(space: Space) -> Iterator[Drop]:
    earlier: dict[tuple[str, ...], int] = {}
    if space.before is not None:
        for found in _every(space.before):
            earlier[uncounted(found)] = found.hits or 0
    for found in _every(space):
        hits = found.hits
        if hits is not None:
            hits = max(0, hits - earlier.get(uncounted(found), 0))
        if hits != 0:
            yield replace(found, hits=hits)


def _every(space: Space) -> Iterator[Drop]:
    yield from of_iptables(space.lines("iptables"))
    yield from of_iptables(space.lines("ip6tables"), "ip6tables")
    yield from of_filters(space.filters)
    yield from of_qdiscs(space.lines("qdiscs"))
    yield from of_nft(space.lines("nft"))
