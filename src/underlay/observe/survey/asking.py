"""Which frames a survey sends, one question after the other, and what their arrival means.

Each frame has a number, and arrives or doesn't: nothing is concluded from addresses. What is asked
of a port goes to the next one of its segment on another machine, and back, so that the number of
frames grows with the number of ports; only who hears whom is asked of all pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from underlay.observe.on_node.packets import arp_reply, arp_request
from underlay.observe.survey import wire
from underlay.observe.survey.model import Answer, Group, Port
from underlay.observe.survey.wire import Nic

if TYPE_CHECKING:
    from underlay.observe.survey.machines import Heard, Leading

SETTLE = 0.35  # s in which what was sent arrives, if it ever does
REPORTED = 1.0  # s until a switch knows of a new member: the kernel reports at once (RFC 3376, 5.1)
TRIES = 3  # of each frame whose arrival is asked for; one of them is enough
REFLECTIONS = 5
SIZES_AT_ONCE = 16
LEAST = 68
# Stands for the asker of a frame that is none of the present question.
NO_NIC = Nic("", "", b"", 0)
# Sizes that networks stop at: IPv6's least, tunnels, PPPoE, Ethernet, jumbo frames.
USUAL = (576, 1280, 1400, 1420, 1450, 1472, 1492, 1500, 2000, 4000, 8000, 9000)


@dataclass
class Found:
    """What is known of a NIC's port so far, by the names that ``Port`` has for it."""

    nic: Nic
    partner: Nic | None = None
    tag: int | None = None
    values: dict[str, object] = field(default_factory=dict)


class Asking:
    """Asks by frames, through ``leading``. The questions are methods, in their order."""

    def __init__(
        self,
        leading: Leading,
        nics: Sequence[Nic],
        nonce: bytes,
        *,
        stated: Mapping[str, Sequence[str]],
        vlans: Sequence[int],
        macs: int,
    ) -> None:
        self.leading = leading
        self.nonce = nonce
        self.found = {nic.name: Found(nic) for nic in nics}
        self.stated = stated
        self.vlans = list(vlans)
        self.macs = macs
        self.groups: list[Group] = []
        self.others: list[Heard] = []
        self._number = 0

    def ask(self) -> None:
        """Ask all questions."""
        self.who_hears_whom()
        self.sources()
        self.reflections()
        self.multicast()
        self.sizes()

    @property
    def nics(self) -> list[Nic]:
        """The NICs that are asked about."""
        return [one.nic for one in self.found.values()]

    def ports(self) -> list[Port]:
        """Return what was found, port by port."""
        return [self._port(one) for one in self.found.values()]

    def _port(self, one: Found) -> Port:
        partner = one.partner.name if one.partner else ""
        place = {"machine": one.nic.machine, "nic": one.nic.nic, "partner": partner}
        return Port.model_validate(place | one.values)

    def who_hears_whom(self) -> None:
        """Ask which NICs hear which, without a tag and with each one: those are one segment."""
        meaning: dict[int, tuple[Nic, Nic, int | None]] = {}
        frames = _Frames()
        for tag in (None, *self.vlans):
            for _ in range(TRIES if tag is None else 2):
                for one in self.nics:
                    for other in self.nics:
                        if one != other:
                            meaning[self._next()] = (one, other, tag)
                            data = wire.marked(self.nonce, self._number, one.mac, other.mac, tag)
                            frames.add(one, data)
        plain: dict[str, set[str]] = defaultdict(set)
        tagged: dict[str, dict[int, set[str]]] = {n: defaultdict(set) for n in self.found}
        for heard in self._sent(frames):
            if heard.number not in meaning or heard.at != meaning[heard.number][1].name:
                continue
            one, other, tag = meaning[heard.number]
            if tag is None and heard.vlan is None:
                plain[one.name].add(other.name)
            elif tag is None:
                tagged[one.name][0].add(f"{other.name}={heard.vlan}")
            else:
                kept = heard.vlan == tag
                word = tag if kept else "none" if heard.vlan is None else heard.vlan
                tagged[one.name][tag].add(f"{other.name}={word}")
        for name, mine in self.found.items():
            mine.values["reaches"] = sorted(plain[name])
            mine.values["vlans"] = {
                tag: sorted(tagged[name][tag])
                for tag in [*([0] if tagged[name][0] else []), *self.vlans]
            }
        self._pair_up(plain, tagged)

    def _pair_up(
        self, plain: Mapping[str, set[str]], tagged: Mapping[str, Mapping[int, set[str]]]
    ) -> None:
        """Make groups of who hears whom, and give each port the next one on another machine."""
        linked = {name: set(plain[name]) for name in self.found}
        for name, by_tag in tagged.items():
            for ends in by_tag.values():
                linked[name] |= {end.partition("=")[0] for end in ends}
        self.groups = grouped([*self.found], linked, self.stated, self.vlans)
        for group in self.groups:
            for at, name in enumerate(group.ports):
                ring = group.ports[at + 1 :] + group.ports[:at]
                self._choose(name, ring, plain, tagged)

    def _choose(
        self,
        name: str,
        ring: Sequence[str],
        plain: Mapping[str, set[str]],
        tagged: Mapping[str, Mapping[int, set[str]]],
    ) -> None:
        one = self.found[name]
        others = [
            self.found[other] for other in ring if self.found[other].nic.machine != one.nic.machine
        ]
        for tag in (None, *self.vlans):
            for other in others:
                there = other.nic.name
                if tag is None:
                    both = there in plain[name] and name in plain[there]
                else:
                    both = (
                        f"{there}={tag}" in tagged[name][tag]
                        and f"{name}={tag}" in tagged[there][tag]
                    )
                if both:
                    one.partner, one.tag = other.nic, tag
                    return

    def sources(self) -> None:
        """Ask whether frames of other MAC addresses leave a port, and those for them get back."""
        meaning: dict[int, tuple[Nic, int]] = {}
        frames = _Frames()
        for _ in range(TRIES):
            for one in self._paired():
                assert one.partner is not None
                for which in range(self.macs + 1):
                    meaning[self._next()] = (one.nic, which)
                    mac = self._mac(one.nic, which)
                    data = wire.marked(self.nonce, self._number, mac, one.partner.mac, one.tag)
                    frames.add(one.nic, data)
        arrived: dict[str, set[int]] = defaultdict(set)
        for heard in self._sent(frames):
            nic, which = meaning.get(heard.number, (NO_NIC, 0))
            if nic is not NO_NIC and self._is_partner(nic, heard):
                arrived[nic.name].add(which)
        back = self._back_to_sources()
        for one in self._paired():
            name, count = one.nic.name, self.macs
            one.values["sources"] = (len(arrived[name] - {count}), count)
            one.values["foreign"] = count in arrived[name]
            one.values["returned"] = (len(back[name] - {count}), count)

    def _back_to_sources(self) -> dict[str, set[int]]:
        """Return which of a port's other MAC addresses its partner's frames reached there."""
        meaning: dict[int, tuple[Nic, int]] = {}
        frames = _Frames()
        for _ in range(TRIES):
            for one in self._paired():
                assert one.partner is not None
                for which in range(self.macs):
                    meaning[self._next()] = (one.nic, which)
                    mac = self._mac(one.nic, which)
                    data = wire.marked(self.nonce, self._number, one.partner.mac, mac, one.tag)
                    frames.add(one.partner, data)
        arrived: dict[str, set[int]] = defaultdict(set)
        for heard in self._sent(frames):
            nic, which = meaning.get(heard.number, (NO_NIC, 0))
            if nic is not NO_NIC and heard.at == nic.name:
                arrived[nic.name].add(which)
        return arrived

    def _mac(self, nic: Nic, which: int) -> bytes:
        """Return one of a NIC's other MAC addresses; the last one is another maker's."""
        return wire.foreign_mac(nic) if which == self.macs else wire.own_mac(self.nonce, nic, which)

    def reflections(self) -> None:
        """Ask whether a port sends back what is for a MAC address at that very port."""
        meaning: dict[int, tuple[Nic, str]] = {}
        frames = _Frames()
        for _ in range(REFLECTIONS):
            for one in self.found.values():
                nic = one.nic
                second = wire.own_mac(self.nonce, nic, 1)
                # The switch has to know that the second one is there, too.
                frames.add(nic, wire.marked(self.nonce, self._next(), second, nic.mac, one.tag))
                meaning[self._next()] = (nic, "reflected")
                first = wire.own_mac(self.nonce, nic, 0)
                frames.add(nic, wire.marked(self.nonce, self._number, first, second, one.tag))
                meaning[self._next()] = (nic, "reflected_own")
                frames.add(nic, wire.marked(self.nonce, self._number, nic.mac, nic.mac, one.tag))
        counted: dict[tuple[str, str], set[int]] = defaultdict(set)
        for heard in self._sent(frames):
            nic, word = meaning.get(heard.number, (NO_NIC, ""))
            if nic is not NO_NIC and heard.at == nic.name:
                counted[nic.name, word].add(heard.number)
        for name, one in self.found.items():
            for word in ("reflected", "reflected_own"):
                one.values[word] = (len(counted[name, word]), REFLECTIONS)

    def multicast(self) -> None:
        """Ask who hears a group: all of a segment but its first port are members of it."""
        members: dict[tuple[str, int], list[str]] = {}
        wanted: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for number, group in enumerate(self.groups, 1):
            for family in (4, 6):
                members[group.name, family] = group.ports[1:]
                for name in group.ports[1:]:
                    nic = self.found[name].nic
                    wanted[nic.machine].append((nic.nic, _group(family, number)))
        refused = self.leading.join(wanted)
        self._listen(REPORTED)
        meaning: dict[int, tuple[Nic, int]] = {}
        frames = _Frames()
        for _ in range(TRIES):
            for number, group in enumerate(self.groups, 1):
                for name in group.ports:
                    one = self.found[name]
                    for family in (4, 6):
                        meaning[self._next()] = (one.nic, family)
                        to = _group(family, number)
                        frames.add(
                            one.nic, wire.to_group(self.nonce, self._number, one.nic, to, one.tag)
                        )
        arrived: dict[tuple[str, int], set[str]] = defaultdict(set)
        for heard in self._sent(frames):
            nic, family = meaning.get(heard.number, (NO_NIC, 0))
            if nic is not NO_NIC:
                arrived[nic.name, family].add(heard.at)
        for number, group in enumerate(self.groups, 1):
            for name in group.ports:
                # A port hears another only where frames get through at all.
                others = set(group.ports) & self._hearers(name)
                for family in (4, 6):
                    asked = set(members[group.name, family])
                    able = {n for n in asked if (n, _group(family, number)) not in refused}
                    heard_by = arrived[name, family]
                    self._note_group(name, family, others & able, others - asked, heard_by)

    def _note_group(
        self, name: str, family: int, members: set[str], strangers: set[str], heard: set[str]
    ) -> None:
        values = self.found[name].values
        for word, those in ((f"group{family}", members), (f"strangers{family}", strangers)):
            if those:
                values[word] = (len(those & heard), len(those))

    def _hearers(self, name: str) -> set[str]:
        port, tag = self._port(self.found[name]), self.found[name].tag
        if tag is None:
            return set(port.reaches)
        return {end.partition("=")[0] for end in port.vlans[tag]}

    def sizes(self) -> None:
        """Ask for the largest packet that arrives, in ever smaller steps."""
        known = {one.nic.name: (0, one.nic.mtu + 1) for one in self._paired()}
        asked = {name: first_sizes(self.found[name].nic.mtu) for name in known}
        while asked:
            meaning: dict[int, tuple[Nic, int]] = {}
            frames = _Frames()
            for _ in range(TRIES - 1):
                for name, sizes in asked.items():
                    one = self.found[name]
                    assert one.partner is not None
                    for size in sizes:
                        meaning[self._next()] = (one.nic, size)
                        data = wire.marked(
                            self.nonce, self._number, one.nic.mac, one.partner.mac, one.tag
                        )
                        frames.add(one.nic, data, wire.length_of(size, one.tag))
            arrived: dict[str, set[int]] = defaultdict(set)
            # A virtual cable refuses at once what its other end is too small for.
            for heard in self._sent(frames, refusable=True):
                nic, size = meaning.get(heard.number, (NO_NIC, 0))
                if nic is not NO_NIC and self._is_partner(nic, heard):
                    arrived[nic.name].add(size)
            for name, sizes in list(asked.items()):
                known[name] = narrowed(known[name], sizes, arrived[name])
                asked[name] = next_sizes(*known[name])
                if not asked[name]:
                    del asked[name]
        for name, (largest, _) in known.items():
            self.found[name].values["largest"] = largest
            self.found[name].values["tried"] = self.found[name].nic.mtu

    def answers(self) -> list[Answer]:
        """Ask for each machine's IPv4 addresses by ARP; return who answers for them.

        It is RFC 5227's probe: without an address of the asker's, nobody learns a neighbour by it.
        """
        asked: list[tuple[Found, str, Nic]] = []
        frames = _Frames()
        for one in self._paired():
            assert one.partner is not None
            for text in one.nic.addresses:
                address = text.partition("/")[0]
                if ":" not in address:
                    asked.append((one, address, one.partner))
        for _ in range(TRIES):
            for one, address, asker in asked:
                frame = arp_request(asker.mac, wire.NOBODY, address)
                frames.add(asker, _tagged(frame, one.tag))
        macs: dict[tuple[str, str], set[str]] = defaultdict(set)
        for heard in self._sent(frames):
            data = heard.data
            reply = arp_reply(data[:12] + data[16:] if heard.vlan is not None else data)
            if heard.number < 0 and reply and reply[2] == wire.NOBODY:
                macs[heard.at, reply[0]].add(reply[1])
        return [
            Answer(
                address=address,
                owner=one.nic.name,
                asked_from=asker.name,
                macs=sorted(macs[asker.name, address]),
            )
            for one, address, asker in asked
        ]

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _paired(self) -> list[Found]:
        return [one for one in self.found.values() if one.partner is not None]

    def _is_partner(self, nic: Nic, heard: Heard) -> bool:
        partner = self.found[nic.name].partner
        return partner is not None and heard.at == partner.name

    def _sent(self, frames: _Frames, *, refusable: bool = False) -> list[Heard]:
        """Send, wait until it must have arrived, and return what was heard."""
        self.leading.send(frames.by_machine, refusable=refusable)
        return self._listen(SETTLE)

    def _listen(self, seconds: float) -> list[Heard]:
        heard = self.leading.heard(seconds)
        self.others += [one for one in heard if one.number < 0]
        return heard


class _Frames:
    """Frames to send, by machine."""

    def __init__(self) -> None:
        self.by_machine: dict[str, list[tuple[str, bytes, int]]] = defaultdict(list)

    def add(self, nic: Nic, data: bytes, length: int = 0) -> None:
        """Add one that a NIC sends, padded to ``length`` bytes."""
        self.by_machine[nic.machine].append((nic.nic, data, length))


def grouped(
    names: Sequence[str],
    linked: Mapping[str, Iterable[str]],
    stated: Mapping[str, Sequence[str]],
    vlans: Sequence[int],
) -> list[Group]:
    """Return segments: those that the command line names, and of the other NICs who hear whom."""
    found = [
        Group(name=name, stated=True, ports=list(ports), vlans=list(vlans))
        for name, ports in stated.items()
    ]
    left = [name for name in names if not any(name in group.ports for group in found)]
    both = {name: set(linked.get(name, ())) for name in names}
    for name, others in list(both.items()):
        for other in others:
            both.setdefault(other, set()).add(name)
    taken = {group.name for group in found}
    for ports in _circles(left, both):
        name = _group_name(ports, taken)
        taken.add(name)
        found.append(Group(name=name, ports=ports, vlans=list(vlans)))
    return found


def _circles(names: Sequence[str], linked: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Yield the names that lead to each other, in their own order."""
    left = list(names)
    while left:
        circle, fresh = {left[0]}, [left[0]]
        while fresh:
            more = linked[fresh.pop()] & set(left) - circle
            circle |= more
            fresh += more
        yield [name for name in left if name in circle]
        left = [name for name in left if name not in circle]


def _group_name(ports: Sequence[str], taken: set[str]) -> str:
    """Return what a segment is called: as its NICs, where all have one name, else by number."""
    nics = {port.partition(":")[2] for port in ports}
    name = next(iter(nics)) if len(nics) == 1 else "seg"
    if name not in taken and len(nics) == 1:
        return name
    return next(n for i in range(1, 1000) if (n := f"{name}-{i}") not in taken)


def first_sizes(mtu: int) -> list[int]:
    """Return the packet sizes to begin with: the largest, usual ones, and some between."""
    step = max(1, (mtu - LEAST) // SIZES_AT_ONCE)
    sizes = {*range(LEAST, mtu, step), *(one for one in USUAL if one < mtu), mtu, mtu - 1}
    return sorted(one for one in sizes if one >= LEAST)


def narrowed(known: tuple[int, int], sizes: Sequence[int], arrived: set[int]) -> tuple[int, int]:
    """Return the largest size that arrives and the least that doesn't, after one more round."""
    passed, stopped = known
    passed = max([passed, *arrived])
    return passed, min([stopped, *(one for one in sizes if one > passed)])


def next_sizes(passed: int, stopped: int) -> list[int]:
    """Return the sizes between the largest that arrives and the least that doesn't."""
    if not passed or stopped - passed <= 1:
        return []
    step = max(1, (stopped - passed) // (SIZES_AT_ONCE + 1))
    return list(range(passed + step, stopped, step))[: SIZES_AT_ONCE * 2]


def _group(family: int, number: int) -> str:
    return (wire.GROUP4 if family == 4 else wire.GROUP6).format(number % 250 + 1)


def _tagged(frame: bytes, tag: int | None) -> bytes:
    if tag is None:
        return frame
    return frame[:12] + wire.ETH_VLAN.to_bytes(2, "big") + tag.to_bytes(2, "big") + frame[12:]
