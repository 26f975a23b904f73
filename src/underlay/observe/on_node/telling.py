"""What a probe has to tell by now: rows of its cells, and what its namespaces received.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.

Everything is told as soon as it is certain, in portions. A node that hangs or dies later keeps
nobody from knowing what was decided before. A row that is told again, because a late answer
changed it, holds instead of the first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from underlay.observe.on_node.cells import Answer
    from underlay.observe.on_node.station import Station

PORTION = 250  # decided cells that are worth a line of their own before a phase is over


class Work(Protocol):
    """A phase that cells are decided in."""

    @property
    def busy(self) -> int:
        """How many cells aren't decided yet."""

    @property
    def decided(self) -> int:
        """How many cells it has decided so far."""

    def news(self, *, over: bool) -> list[Answer]:
        """Return the rows that weren't told yet; all of them where the phase is ``over``."""


class Telling:
    """Keeps what was told, so that nothing is told twice."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.phases: dict[str, Work] = {}
        self.told: dict[tuple[str, str], int] = {}
        self.decided = 0

    @property
    def due(self) -> bool:
        """Whether so much was decided that it is worth telling, or all there is."""
        fresh = sum(phase.decided for phase in self.phases.values()) - self.decided
        return fresh >= (PORTION if any(phase.busy for phase in self.phases.values()) else 1)

    def news(self, *, over: bool) -> dict[str, Any]:
        """Return what wasn't told yet; ``over`` says that everybody has ended all phases so far."""
        self.decided = sum(phase.decided for phase in self.phases.values())
        current = None if over else next(reversed(self.phases), None)
        return {
            "node": self.station.spec["node"],
            "missing": self.station.missing,
            "received": {space.name: self.received(space) for space in self.station.present()},
            "probes": [
                row
                for name, phase in self.phases.items()
                for row in phase.news(over=name != current)
            ],
            "whole": [name for name in self.phases if name != current],
        }

    def received(self, space: Any) -> dict[str, list[Any]]:
        """Return what the namespace received since this was asked for the last time."""
        found = {}
        for protocol, rows in space.received.items():
            key = (space.name, protocol)
            fresh = rows[self.told.get(key, 0) :]
            self.told[key] = len(rows)
            if fresh:
                found[protocol] = fresh
        return found
