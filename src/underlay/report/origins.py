"""Where in hosts' own files the prediction of cells stems from: their networks' lines there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from underlay.errors import count
from underlay.expect import ends
from underlay.report.page import Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from underlay.expect import End
    from underlay.plan import Plan, PlannedOrigin
    from underlay.verdict import Verdict

GROUPS_SHOWN = 8


@dataclass(frozen=True)
class Origins:
    """Where a lab's values are said, with what leads there from its cells.

    ``own`` is, by network, the node's own interface that stands for it there, if any does.
    """

    places: tuple[PlannedOrigin, ...]
    ends: tuple[End, ...]
    own: Mapping[str, str]

    @classmethod
    def of(cls, plan: Plan) -> Origins:
        """Return those of a plan."""
        own = {network.name: network.own for network in plan.networks}
        return cls(plan.origins, ends(plan) if plan.origins else (), own)


def origins_of(plan: Plan | Origins, pairs: Iterable[tuple[str, str]]) -> list[PlannedOrigin]:
    """Return where what decides cells is said; ``pairs`` are their ends by name, in both orders.

    That are the network of each end as its node's files have it, and a node's own interface there.
    Nothing for a lab without a fleet.
    """
    origins = plan if isinstance(plan, Origins) else Origins.of(plan)
    if not origins.places:
        return []
    known = {end.name: end for end in origins.ends}
    networks = origins.own
    wanted: set[tuple[str, str]] = set()
    for names in pairs:
        both = [known[name] for name in names if name in known]
        here = {end.network for end in both if end.network} | {*names} & {*networks}
        for end in both:
            if end.kind == "container":
                wanted.add((end.network, end.node))
            elif end.kind == "node":
                wanted |= {(name, end.node) for name in here}
                # An interface of its own is known by the node's name and its own.
                wanted |= {(end.node, networks[name]) for name in here}
    return [
        one
        for one in origins.places
        if ((one.network, one.node) if one.network else (one.node, one.what)) in wanted
    ]


def differing(verdict: Verdict) -> list[tuple[str, str]]:
    """Return the ends of the cells that aren't as predicted, each pair once."""
    found = ((cell.source, cell.destination) for cell in verdict.cells if cell.differs)
    return list(dict.fromkeys(found))


def origins_document(plan: Plan | Origins, verdict: Verdict) -> dict[str, Any]:
    """Return the places for the cells of ``verdict`` that differ, as JSON values."""
    found = origins_of(plan, differing(verdict))
    return {
        "origins": [
            {
                "network": one.network or None,
                "node": one.node,
                "what": one.what,
                "file": one.file,
                "line": one.line,
            }
            for one in found
        ]
    }


def origins_text(plan: Plan | Origins, verdict: Verdict, *, width: int = 100) -> Text:
    """Return the places for the cells of ``verdict`` that differ as people read them, or nothing.

    There is a line for each network and node, with the first line of a file in full.
    """
    page = Page(width, ascii_only=False)
    groups: dict[str, list[PlannedOrigin]] = {}
    for one in origins_of(plan, differing(verdict)):
        name = f"{one.network} on {one.node}" if one.network else f"{one.what} of {one.node}"
        groups.setdefault(name, []).append(one)
    if groups:
        page.text.append("\nWhat they were predicted from\n", "bold")
    for name, found in list(groups.items())[:GROUPS_SHOWN]:
        page.line(f"{name}: {_places(found)}", indent=4, first="  ")
    if len(groups) > GROUPS_SHOWN:
        page.line(f"and {count(len(groups) - GROUPS_SHOWN, 'network')} more, in --json", indent=2)
    return page.text


def _places(found: Iterable[PlannedOrigin]) -> str:
    said, file = [], ""
    for one in found:
        where = f":{one.line}" if one.file == file else f"{one.file}:{one.line}"
        said.append(f"{where} ({one.what})" if one.network else where)
        file = one.file
    return ", ".join(said)
