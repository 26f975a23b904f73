"""What was measured, before anybody judges it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from underlay.expect import Check, Family, Protocol, Stop, Value

Observed = Literal["reachable", "unreachable", "not_measured"]


@dataclass(frozen=True)
class Seen:
    """What was measured in one cell.

    Reachable means that the destination itself received the probe and its answer
    came back. ``stopped_at`` says where an unreachable probe stopped, ``arrived``
    whether the destination received it all the same, ``answered_by`` which other
    end answered in its stead. ``attempts`` counts packets sent, ``lost`` those of
    an answered probe that got lost, or that a lost ARP request held back.
    ``reason`` is the kernel's or the probe's own word, if there is one. In a cell of
    kind ``value``, ``observed`` is the value that was seen, a text or a list of them.
    """

    source: str
    destination: str
    protocol: Protocol | Check
    observed: Observed | Value
    stopped_at: Stop = ""
    answered_by: str = ""
    arrived: bool = False
    rtt_ms: float | None = None
    attempts: int = 0
    lost: int = 0
    reason: str = ""
    family: Family = 4
    kind: Literal["reach", "value"] = "reach"


@dataclass(frozen=True)
class Observation:
    """All cells of a matrix as measured, and the seconds that each phase took.

    ``failed`` says why a node gave no answer, by node.
    """

    cells: tuple[Seen, ...]
    timings: dict[str, float]
    failed: dict[str, str]

    def to_json(self) -> str:
        """Return the observation as JSON text."""
        return json.dumps(asdict(self), indent=2) + "\n"


def observation_from_json(text: str) -> Observation:
    """Return the Observation that ``to_json`` wrote; raise ValueError where it isn't one."""
    try:
        data = json.loads(text)
        cells = tuple(_seen(cell) for cell in data["cells"])
        return Observation(cells, data["timings"], data["failed"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an observation: {error}") from error


def _seen(cell: dict[str, Any]) -> Seen:
    if isinstance(cell["observed"], list):
        cell = cell | {"observed": tuple(cell["observed"])}
    return Seen(**cell)
