"""A folder's labs dealt out to machines: each measures a share of them, and the runs are joined.

Who gets what follows from the labs alone, so that machines that know nothing of each other agree.
Labs that run on the same nodes stay together, for a boot takes longer than most labs. Shares are
as even as the dealing of `test --all --part` makes them, to a tenth. Within that tenth a lab goes
where its name leads it: that a lab is added moves few others.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from underlay.cluster.providers import provider
from underlay.cluster.suite import requirements
from underlay.errors import BadInput
from underlay.proof.parts import Unit, split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from underlay.lint import Loaded
    from underlay.plan import Plan

# Seconds, roughly, of the labs in docs/proof/labs.json on two processors. Only their ratios count.
BOOT, BOOT_OF_A_MACHINE = 20.0, 3.0
LAB, LAB_OF_A_MACHINE, LAB_OF_A_CELL = 6.0, 2.5, 0.001
# How much longer than the most even shares the longest may be.
UNEVEN = 1.1


def dealt(labs: Sequence[Loaded], of: int, provider_name: str) -> list[list[Loaded]]:
    """Return ``labs`` in ``of`` shares, of which none is empty; each in the order of ``labs``.

    Raises BadInput where there are fewer labs than shares.
    """
    if len(labs) < of:
        raise BadInput(
            f"there are {len(labs)} labs, expected at least one for each of {of} shards",
            hint=f"--shard K/{len(labs)}" if labs else "",
        )
    units = _units(labs, of, can_switch=provider(provider_name).can_switch)
    share_of = _placed({name: _seconds(unit) for name, unit in units.items()}, of)
    shares: list[list[Loaded]] = [[] for _ in range(of)]
    for name, unit in units.items():
        shares[share_of[name]] += unit
    order = {one.plan.lab: number for number, one in enumerate(labs)}
    return [sorted(share, key=lambda one: order[one.plan.lab]) for share in shares]


def seconds_of(plan: Plan) -> float:
    """Return how long a lab should take on nodes that are up, roughly."""
    ends = len(plan.containers) + len(plan.machines)
    cells = ends * (ends - 1) * max(1, len(plan.protocols))
    return LAB + LAB_OF_A_MACHINE * len(plan.machines) + LAB_OF_A_CELL * cells


def boot_seconds(plan: Plan) -> float:
    """Return how long it should take until a lab's nodes have booted, roughly."""
    return BOOT + BOOT_OF_A_MACHINE * len(plan.machines)


def _seconds(unit: Sequence[Loaded]) -> float:
    return boot_seconds(unit[0].plan) + sum(seconds_of(one.plan) for one in unit)


def _units(labs: Sequence[Loaded], of: int, *, can_switch: bool) -> dict[str, list[Loaded]]:
    """Return what is dealt: labs of one boot, by a name that doesn't change when one is added.

    What takes longer than a share is cut, and then whatever is longest, until each share can have
    something.
    """
    boots: dict[str, list[Loaded]] = {}
    for one in sorted(labs, key=lambda one: one.plan.lab):
        same = repr(requirements(one.plan)) if can_switch else one.plan.lab
        boots.setdefault(hashlib.sha256(same.encode()).hexdigest()[:16], []).append(one)
    longest = sum(_seconds(boot) for boot in boots.values()) / of
    units = {
        f"{name} {number}": piece
        for name, boot in boots.items()
        for number, piece in enumerate(_cut(boot, longest))
    }
    while len(units) < of:
        name = max((one for one in units if len(units[one]) > 1), key=lambda n: (len(units[n]), n))
        half = len(units[name]) // 2
        units[name], units[f"{name}+"] = units[name][:half], units[name][half:]
    return units


def _cut(boot: Sequence[Loaded], longest: float) -> list[list[Loaded]]:
    pieces: list[list[Loaded]] = [[]]
    for one in boot:
        if pieces[-1] and _seconds([*pieces[-1], one]) > longest:
            pieces.append([])
        pieces[-1].append(one)
    return pieces


def _placed(seconds: Mapping[str, float], of: int) -> dict[str, int]:
    """Return the share of each unit: the first on its own list of all shares that has room for it.

    That list is rendezvous hashing (Thaler and Ravishankar, 1998), with bounded loads as in
    Mirrokni, Thorup and Zadimoghaddam, 2018.
    """
    even = split([Unit(name, (), takes) for name, takes in seconds.items()], of)
    bound = UNEVEN * max(share.seconds for share in even)
    spent = [0.0] * of
    found: dict[str, int] = {}
    for name, takes in sorted(seconds.items(), key=lambda one: (-one[1], one[0])):
        places = sorted(range(of), key=lambda place: _rank(name, place))
        room = [place for place in places if spent[place] + takes <= bound]
        place = room[0] if room else min(places, key=lambda place: spent[place])
        found[name] = place
        spent[place] += takes
    _fill(found, seconds, of)
    return found


def _fill(found: dict[str, int], seconds: Mapping[str, float], of: int) -> None:
    """Give each share that got nothing the shortest unit of the one that has most of them."""
    for empty in [place for place in range(of) if place not in found.values()]:
        held = list(found.values())
        most = max(range(of), key=lambda place: (held.count(place), -place))
        theirs = [name for name, place in found.items() if place == most]
        found[min(theirs, key=lambda name: (seconds[name], name))] = empty


def _rank(name: str, place: int) -> bytes:
    return hashlib.sha256(f"{name} {place}".encode()).digest()
