"""Surveys machines: reads them, chooses the NICs that may send, and asks by frames if allowed."""

from __future__ import annotations

import ipaddress
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from underlay.errors import BadInput, count, did_you_mean, listed, nearest
from underlay.observe.survey.asking import Asking
from underlay.observe.survey.machines import Leading, Start, read_facts
from underlay.observe.survey.model import Group, Link, Machine, Survey
from underlay.observe.survey.servers import discovery, senders, solicitation
from underlay.observe.survey.wire import Nic, mac_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

RATE = 200.0  # frames a second that each machine sends at most
MACS = 4
LIFE = 300.0  # s after which what sends ends by itself, whatever became of its caller
MOST_FRAMES = 20000  # of one machine's, for which it has more time at a low rate
AT_MOST_NICS = 200
# s that answers may take. Servers ping an address before they offer it, dnsmasq 2.91 for 3 s (its
# PING_WAIT), and a router that has just spoken waits as long before it speaks again, and half a
# second more (RFC 4861, 6.2.6, MIN_DELAY_BETWEEN_RAS and MAX_RA_DELAY_TIME).
ANSWERS = 5.0
NO_NIC_LEFT = (
    "nothing was asked by frames: there is no NIC that may send. That which ssh comes in by is"
    " left alone unless --segment NAME=NIC names it."
)
# What may have a cable, or be the way to one.
SENDING_KINDS = ("nic", "bond", "team")


@dataclass(frozen=True)
class Wanted:
    """What the survey is to do; without anything it only reads, as an ordinary user."""

    segments: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    send: bool = False
    listen: float = 0.0
    discover: bool = False
    vlans: tuple[int, ...] = ()
    macs: int = MACS
    rate: float = RATE


def survey(
    start: Start, names: Sequence[str], wanted: Wanted, tell: Callable[[str], None] = lambda _: None
) -> Survey:
    """Return what is seen of the machines ``names``, to which ``start`` leads.

    ``tell`` is told what happens. A machine that can't be reached costs its own part. Raises
    BadInput where a segment names an interface that no machine has.
    """
    began = time.monotonic()
    tell(f"reading {count(len(names), 'machine')}")
    machines = read_facts(start, names)
    stated = _stated(machines, wanted.segments)
    nics = sending(machines, stated)
    seen = Survey(machines=machines, groups=groups_by_statement(stated))
    by_frames = wanted.send or wanted.listen or wanted.discover
    if nics and by_frames:
        seen = _by_frames(start, seen, nics, wanted, tell)
    elif by_frames and not all(machine.failed for machine in machines):
        seen = seen.model_copy(update={"amiss": [NO_NIC_LEFT]})
    return seen.model_copy(update={"seconds": round(time.monotonic() - began, 2)})


def _by_frames(
    start: Start, seen: Survey, nics: list[Nic], wanted: Wanted, tell: Callable[[str], None]
) -> Survey:
    nonce = secrets.token_bytes(4)
    by_machine: dict[str, list[str]] = {}
    for nic in nics:
        by_machine.setdefault(nic.machine, []).append(nic.nic)
    tell("opening packet sockets")
    life = LIFE + wanted.listen + MOST_FRAMES / wanted.rate
    with Leading(start, by_machine, nonce, rate=wanted.rate, life=life) as leading:
        began = time.monotonic()
        nics = [
            nic
            for nic in nics
            if nic.machine in leading.machines and (nic.machine, nic.nic) not in leading.unheard
        ]
        here = {nic.name for nic in nics}
        stated = {g.name: [p for p in g.ports if p in here] for g in seen.groups}
        vlans = sorted({*wanted.vlans, *(vlans_seen(seen.machines) if wanted.send else ())})
        asking = Asking(
            leading,
            nics,
            nonce,
            stated={name: ports for name, ports in stated.items() if ports},
            vlans=vlans,
            macs=wanted.macs,
        )
        update: dict[str, object] = {}
        if wanted.send:
            tell("sending marked frames")
            asking.ask()
            tell("asking who answers for the machines' addresses")
            update |= {"answers": asking.answers(), "ports": asking.ports()}
            update |= {"groups": asking.groups}
        if wanted.discover:
            tell("asking for routers and DHCP servers")
            leading.send(_questions(nics))
        if wanted.listen or wanted.discover:
            tell("listening for routers and DHCP servers")
            asking.others += leading.heard(max(wanted.listen, ANSWERS if wanted.discover else 0.0))
        update |= {
            "sent": wanted.send,
            "listened": round(time.monotonic() - began, 1),
            "asked": wanted.discover,
            "senders": senders(asking.others),
            "amiss": leading.amiss,
            "frames": leading.frames,
        }
    return seen.model_copy(update=update)


def _questions(nics: Iterable[Nic]) -> dict[str, list[tuple[str, bytes, int]]]:
    found: dict[str, list[tuple[str, bytes, int]]] = {}
    for nic in nics:
        for frame in (solicitation(nic), discovery(nic, secrets.randbits(32))):
            found.setdefault(nic.machine, []).append((nic.nic, frame, 0))
    return found


def sending(machines: Sequence[Machine], stated: Mapping[str, list[str]]) -> list[Nic]:
    """Return the NICs that may send: those that the command line names, else all with a cable.

    That by which ssh comes in is left alone unless it is named: a switch that takes offence at a
    MAC address may close its port.
    """
    named = {port for ports in stated.values() for port in ports}
    found: list[Nic] = []
    for machine in machines:
        for link in machine.links:
            wanted = f"{machine.name}:{link.name}" in named if named else may_send(machine, link)
            if wanted and link.up and len(link.mac.split(":")) == 6:
                found.append(
                    Nic(
                        machine.name,
                        link.name,
                        mac_bytes(link.mac),
                        link.mtu,
                        tuple(link.addresses or _of_bridge(machine, link)),
                        len(found) + 1,
                    )
                )
    return found[:AT_MOST_NICS]


def _of_bridge(machine: Machine, link: Link) -> list[str]:
    """Return the addresses that a port's bridge has in the port's stead."""
    above = machine.link(link.master) if link.master else None
    return above.addresses if above and above.kind == "bridge" else []


def may_send(machine: Machine, link: Link) -> bool:
    """Whether frames may be sent by a link of its own accord, with no word of the command line."""
    above = machine.link(link.master) if link.master else None
    of_bond = above is not None and above.kind in ("bond", "team")
    if link.kind not in SENDING_KINDS or not link.carrier or of_bond:
        return False
    return not is_way_in(machine, link)


def is_way_in(machine: Machine, link: Link) -> bool:
    """Whether ssh comes in by a link, or by an interface that is on it."""
    over = {link.name, link.master}
    over |= {one.name for one in machine.links if one.parent == link.name}
    mine = [a for one in machine.links if one.name in over for a in one.addresses]
    return bool(machine.way_in) and any(
        str(ipaddress.ip_interface(text).ip) == machine.way_in for text in mine
    )


def vlans_seen(machines: Iterable[Machine]) -> set[int]:
    """Return the tags of the machines' own VLAN interfaces."""
    return {link.vlan for machine in machines for link in machine.links if link.vlan}


def groups_by_statement(stated: Mapping[str, list[str]]) -> list[Group]:
    """Return the segments that the command line names."""
    return [Group(name=name, stated=True, ports=ports) for name, ports in stated.items()]


def _stated(
    machines: Sequence[Machine], segments: Mapping[str, list[tuple[str, str]]]
) -> dict[str, list[str]]:
    """Return each segment's ports; a name without a machine is every machine's interface."""
    found: dict[str, list[str]] = {}
    read = [machine for machine in machines if not machine.failed]
    for name, ports in segments.items():
        found[name] = []
        for wanted, nic in ports:
            known = sorted(machine.name for machine in machines)
            if wanted and wanted not in known:
                raise BadInput(
                    f"--segment {name}: found {wanted}, expected a machine of the inventory",
                    hint=did_you_mean(nearest(wanted, known)) or f"it has {listed(known)}",
                )
            having = [
                machine.name
                for machine in read
                if wanted in ("", machine.name) and machine.link(nic) is not None
            ]
            if not having and read and (not wanted or wanted in {one.name for one in read}):
                names = sorted({link.name for machine in read for link in machine.links})
                raise BadInput(
                    f"--segment {name}: found {wanted + ':' if wanted else ''}{nic}, expected an"
                    f" interface of {'that machine' if wanted else 'some machine'}",
                    hint=did_you_mean(nearest(nic, names)) or f"they have {listed(names)}",
                )
            found[name] += [f"{machine}:{nic}" for machine in having]
    return found
