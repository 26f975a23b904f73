"""What of a survey should stay as it is, as a file, and what changed since one was saved.

Stable facts alone: links, VLANs, routes, which port of which segment has which MAC address and who
configures it, what ports let through, duplicate addresses, and who advertises a router or offers
leases. What comes and goes by itself isn't kept: neighbours, containers' interfaces, counters.
Pure: reading and writing the file is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from underlay.errors import listed
from underlay.observe.survey.model import Seen
from underlay.observe.survey.sentences import duplicate_addresses
from underlay.observe.survey.wiring import Wiring

if TYPE_CHECKING:
    from underlay.observe.survey.model import Link, Machine, Survey

# Interfaces of containers come and go with these.
PASSING = ("veth", "macvlan", "macvtap", "ipvlan", "ipvtap", "tun", "dummy", "loopback")
# What a link's fields are called in a sentence.
FIELDS = {
    "kind": "kind",
    "driver": "driver",
    "mac": "MAC address",
    "up": "up",
    "carrier": "carrier",
    "mtu": "MTU",
    "master": "master",
    "parent": "parent",
    "vlan": "VLAN",
    "mode": "mode",
    "addresses": "addresses",
    "owner": "owner",
}


class Stable(Seen):
    """The stable facts of a survey; those of questions that nobody asked are None."""

    document: Literal["underlay survey baseline"] = "underlay survey baseline"
    """What the file is."""
    version: Literal[1] = 1
    """The version of its form."""
    machines: dict[str, dict[str, dict[str, str]]]
    """By machine: its links, each with its fields as text."""
    routes: dict[str, list[str]]
    """By machine: the routes of its main table."""
    segments: dict[str, list[str]] | None = None
    """Which NICs share a segment, as frames show."""
    passing: dict[str, dict[str, str]] | None = None
    """By segment: what its ports let through."""
    duplicates: dict[str, list[str]] | None = None
    """Addresses for which several MAC addresses answer."""
    senders: list[str] | None = None
    """Who advertises a router or offers leases."""
    asked: bool = False
    """Whether these were asked for: one that only announces itself may be silent for minutes."""


@dataclass(frozen=True)
class Coverage:
    """How far two surveys can be compared at all, in words for people."""

    compared: list[str]
    """What both of them looked at."""
    left: list[str]
    """What only one of them knows, and why: no drift there is no proof of anything."""


def stable(survey: Survey) -> Stable:
    """Return the stable facts of a survey. Machines that weren't read are left out."""
    read = [machine for machine in survey.machines if not machine.failed]
    listened = survey.listened is not None
    return Stable(
        machines={one.name: {link.name: _fields(link) for link in kept(one)} for one in read},
        routes={one.name: _routes(one) for one in read},
        segments={g.name: sorted(g.ports) for g in survey.groups} if survey.sent else None,
        passing={g.name: _passing(Wiring(survey, g)) for g in survey.groups}
        if survey.sent
        else None,
        duplicates=duplicate_addresses(survey) if survey.sent else None,
        senders=sorted(f"{s.kind} of {s.address} ({s.mac}) at {s.at}" for s in survey.senders)
        if listened
        else None,
        asked=survey.asked,
    )


def kept(machine: Machine) -> list[Link]:
    """Return the links that stay: not those that containers come and go with."""
    return [link for link in machine.links if link.kind not in PASSING and not link.elsewhere]


def _fields(link: Link) -> dict[str, str]:
    values = {field: _word(getattr(link, field)) for field in FIELDS}
    if link.kind == "bridge":
        # A bridge has a carrier while anything is plugged in, and takes its MAC address from that.
        del values["carrier"], values["mac"]
    return {field: value for field, value in values.items() if value}


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(sorted(map(str, value)))
    return "" if value in (None, "") else str(value)


def _routes(machine: Machine) -> list[str]:
    links = {link.name for link in kept(machine)}
    found = set()
    for route in machine.routes:
        if route.get("dev", "") in links or "dev" not in route:
            via = f" via {route['gateway']}" if "gateway" in route else ""
            dev = f" dev {route['dev']}" if "dev" in route else ""
            found.add(f"{route.get('dst', '')}{via}{dev}")
    return sorted(found)


def _passing(wiring: Wiring) -> dict[str, str]:
    """Return what ports let through, as short words, with what was asked and no more."""
    answers = {
        "frames between all of its ports": wiring.passes,
        "several MAC addresses": wiring.takes_sources,
        "reflection": wiring.reflects,
        **{f"VLAN {tag}": wiring.carries(tag) for tag in wiring.group.vlans},
    }
    words = {"works": "yes", "fails": "no"}
    found = {
        what: words[known.verdict] for what, known in answers.items() if known.verdict in words
    }
    if wiring.sizes:
        found["largest packet"] = str(wiring.sizes[0])
    for family in (4, 6):
        heard = wiring.hears(family, members=True)
        if heard is not None:
            found[f"IPv{family} multicast"] = "yes" if heard[0] == heard[1] else "no"
    return found


def drift(old: Stable, new: Stable) -> list[str]:
    """Return each change as a sentence; only what was looked at both times is compared."""
    found = [*_machines(old, new)]
    if old.segments is not None and new.segments is not None:
        found += _changes("segment", _joined(old.segments), _joined(new.segments))
    for segment in _both(old.passing, new.passing):
        was, now = (old.passing or {})[segment], (new.passing or {})[segment]
        for what in _both(was, now):
            if was[what] != now[what]:
                found.append(f"{segment}: {what}: {was[what]} before, {now[what]} now.")
    if old.duplicates is not None and new.duplicates is not None:
        for address, macs in new.duplicates.items():
            if address not in old.duplicates:
                found.append(f"{address} is answered for by {' and '.join(macs)} now.")
        gone = [one for one in old.duplicates if one not in new.duplicates]
        found += [f"{one} is answered for by one alone now." for one in gone]
    if old.senders is not None and new.senders is not None:
        found += [f"new: {one}." for one in new.senders if one not in old.senders]
        if old.asked and new.asked:
            found += [f"gone: {one}." for one in old.senders if one not in new.senders]
    return found


def coverage(old: Stable, new: Survey) -> Coverage:
    """Return what of an older survey can be held against a new one, and what can't."""
    now = stable(new)
    machines = _both(old.machines, now.machines)
    compared = [f"links and routes of {listed(machines)}"] if machines else []
    unread = {machine.name for machine in new.machines if machine.failed}
    left = [
        f"{name}: {'it could not be read now' if name in unread else 'not in this survey'}"
        for name in old.machines
        if name not in now.machines
    ]
    frames = "segments, what their ports let through, addresses that several answer for"
    if old.segments is not None and now.segments is not None:
        compared.append(frames)
        left += _unknown_of_ports(old, now)
    else:
        left += _only_one(frames, "sent frames", old.segments is not None, new.sent)
    servers = "who advertises a router or offers leases"
    if old.senders is not None and now.senders is not None:
        compared.append(servers)
        if old.senders and not (old.asked and now.asked):
            left.append(f"which of {len(old.senders)} of these are gone: not both asked for them")
    else:
        left += _only_one(servers, "listened", old.senders is not None, now.senders is not None)
    return Coverage(compared, left)


def _only_one(what: str, did: str, then: bool, now: bool) -> list[str]:
    """Return that only one of two surveys looked at something; nothing where neither did."""
    if not then and not now:
        return []
    return [f"{what}: only {'the baseline' if then else 'this survey'} {did}"]


def _unknown_of_ports(old: Stable, new: Stable) -> Iterator[str]:
    """Yield what of a segment that both have seen only one of them can say."""
    for segment in _both(old.passing, new.passing):
        was, now = (old.passing or {})[segment], (new.passing or {})[segment]
        for known, other, when in ((was, now, "now"), (now, was, "in the baseline")):
            alone = [what for what in known if what not in other]
            if alone:
                yield f"{segment}: {listed(alone)}: not known {when}"


def _machines(old: Stable, new: Stable) -> Iterator[str]:
    for name in _both(old.machines, new.machines):
        was, now = old.machines[name], new.machines[name]
        yield from (f"{name}: {link} is gone." for link in was if link not in now)
        yield from (f"{name}: {link} is new." for link in now if link not in was)
        for link in _both(was, now):
            for field, word in FIELDS.items():
                before, after = was[link].get(field, "none"), now[link].get(field, "none")
                if before != after:
                    yield f"{name}: {link}: {word}: {before} before, {after} now."
        before_routes, after_routes = old.routes.get(name, []), new.routes.get(name, [])
        yield from (
            f"{name}: the route {r} is gone." for r in before_routes if r not in after_routes
        )
        yield from (
            f"{name}: the route {r} is new." for r in after_routes if r not in before_routes
        )
    yield from (
        f"{name} is new in the inventory." for name in new.machines if name not in old.machines
    )


def _changes(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name, "none"), new.get(name, "none")
        if before != after:
            yield f"{what} {name}: {before} before, {after} now."


def _joined(segments: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: ", ".join(ports) for name, ports in segments.items()}


def _both(old: Mapping[str, object] | None, new: Mapping[str, object] | None) -> list[str]:
    return [name for name in old or {} if name in (new or {})]
