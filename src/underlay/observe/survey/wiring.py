"""What a survey says of one segment: each question answered yes, no or not known, with the reason.

Pure: nothing is asked here. A reason names what was seen, in numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from underlay.observe.survey.model import Group, Machine, Port, Survey

Verdict = Literal["works", "fails", "unknown"]
NEEDS_SEND = "not known: needs --send"


@dataclass(frozen=True)
class Known:
    """An answer and its reason; ``by_rule`` where it holds on any wire, by the kernel's rules."""

    verdict: Verdict
    reason: str
    by_rule: bool = False


def decided(known: Iterable[Known]) -> Known:
    """Return what several conditions come to: the first that fails, else what isn't known."""
    every = list(known)
    for verdict in ("fails", "unknown"):
        for one in every:
            if one.verdict == verdict:
                return one
    reasons = [one.reason for one in every if one.reason]
    return Known("works", "; ".join(dict.fromkeys(reasons)), all(one.by_rule for one in every))


class Wiring:
    """One segment of a survey, and the answers to what drivers ask of it."""

    def __init__(self, survey: Survey, group: Group) -> None:
        self.survey = survey
        self.group = group

    @cached_property
    def ports(self) -> list[Port]:
        """Its ports that sent frames."""
        asked = {port.name: port for port in self.survey.ports}
        return [asked[name] for name in self.group.ports if name in asked]

    @cached_property
    def machines(self) -> list[Machine]:
        """The machines that have a NIC in it, each once."""
        names = dict.fromkeys(name.partition(":")[0] for name in self.group.ports)
        return [machine for machine in self.survey.machines if machine.name in names]

    def nics(self) -> list[tuple[Machine, str]]:
        """Its NICs, each with its machine."""
        return [
            (self.survey.machine(name.partition(":")[0]), name.partition(":")[2])
            for name in self.group.ports
        ]

    def _pairs(self) -> list[tuple[Port, Port]]:
        return [(a, b) for a in self.ports for b in self.ports if a.machine != b.machine]

    def has_module(self, name: str) -> Known:
        """Whether the kernels of all its machines have a module."""
        lacking = [one.name for one in self.machines if one.modules.get(name) == "absent"]
        if lacking:
            return Known("fails", f"the kernel of {_listed(lacking)} has no {name}")
        unsure = [
            one.name for one in self.machines if one.modules.get(name, "unknown") == "unknown"
        ]
        if unsure:
            said = f"not known: {_listed(unsure)} doesn't say whether its kernel has {name}"
            return Known("unknown", said)
        return Known("works", "", by_rule=True)

    def is_free_for(self, driver: str) -> Known:
        """Whether nothing on its NICs keeps a driver's children away.

        A receive handler is one's alone: net/core/dev.c, netdev_rx_handler_register.
        """
        for machine, nic in self.nics():
            link = machine.link(nic)
            above = machine.link(link.master) if link and link.master else None
            if above is not None:
                word = "a port" if above.kind == "bridge" else "a member"
                return Known("fails", f"{nic} of {machine.name} is {word} of {above.name} already")
            others = {"macvlan": "ipvlan", "ipvlan": "macvlan"}.get(driver)
            for child in machine.links:
                on_it = child.parent == nic and not child.elsewhere
                if on_it and child.kind in ({others} if others else {"macvlan", "ipvlan"}):
                    said = f"{nic} of {machine.name} has the {child.kind} child {child.name}"
                    return Known("fails", said)
                if on_it and child.mode == "passthru":
                    return Known("fails", f"{child.name} has {nic} of {machine.name} for itself")
        return Known("works", "", by_rule=True)

    def not_asked(self) -> Known | None:
        """Return why frames said nothing of it; None where they did."""
        if not self.survey.sent:
            return Known("unknown", NEEDS_SEND)
        if len({port.machine for port in self.ports}) < 2:
            return Known("unknown", "not known: frames of one machine alone have nobody to go to")
        return None

    @cached_property
    def passes(self) -> Known:
        """Whether frames get from each machine to each other one, from the NICs' own addresses."""
        if why := self.not_asked():
            return why
        tag = self.tag
        lost = [(a, b) for a, b in self._pairs() if not self._reaches(a, b, tag)]
        if len(lost) == len(self._pairs()):
            return Known("fails", f"no frame passes between its {len(self.ports)} ports")
        if lost:
            said = f"no frame passes from {lost[0][0].name} to {lost[0][1].name}"
            more = f" and {len(lost) - 1} more pairs" if len(lost) > 1 else ""
            return Known("fails", said + more)
        how = f" with the tag {tag}" if tag else ""
        return Known("works", f"frames pass between all of its {len(self.ports)} ports{how}")

    @cached_property
    def tag(self) -> int | None:
        """The tag without which nothing passes between its ports; None where nothing needs one."""
        if any(self._reaches(a, b, None) for a, b in self._pairs()):
            return None
        tags = self.group.vlans
        return next(
            (t for t in tags if any(self._reaches(a, b, t) for a, b in self._pairs())), None
        )

    def _reaches(self, one: Port, other: Port, tag: int | None) -> bool:
        if tag is None:
            return other.name in one.reaches
        return f"{other.name}={tag}" in one.vlans.get(tag, [])

    @cached_property
    def takes_sources(self) -> Known:
        """Whether ports let frames of several MAC addresses out, and those for them in."""
        if why := self.not_asked():
            return why
        for port in self.ports:
            if port.sources is not None and port.sources[0] < port.sources[1]:
                passed, sent = port.sources
                said = (
                    f"{passed} of {sent} MAC addresses other than its own pass out of {port.name}"
                )
                limit = ": a limit of the port" if passed else ""
                return Known("fails", said + limit)
            if port.returned is not None and port.returned[0] < port.returned[1]:
                passed, sent = port.returned
                said = f"frames for {passed} of {sent} MAC addresses other than its own get back to"
                return Known("fails", f"{said} {port.name}: others are not delivered there")
        asked = [port for port in self.ports if port.sources is not None]
        if len(asked) < len(self.ports):
            return Known("unknown", "not known: a port has no partner that frames pass to and from")
        count = asked[0].sources[1] if asked[0].sources else 0
        return Known("works", f"{count} more MAC addresses pass each port, out and back")

    @cached_property
    def reflects(self) -> Known:
        """Whether ports send back what is for a second MAC address behind them."""
        return self._reflected(lambda port: port.reflected)

    @cached_property
    def reflects_own(self) -> Known:
        """Whether ports send back what is from and for one MAC address, as of ipvlan siblings."""
        return self._reflected(lambda port: port.reflected_own)

    def _reflected(self, of: Callable[[Port], tuple[int, int] | None]) -> Known:
        if not self.survey.sent:
            return Known("unknown", NEEDS_SEND)
        asked = [(port, seen) for port in self.ports if (seen := of(port)) is not None]
        if not asked:
            return Known("unknown", "not known: no port of it was asked")
        for port, (came, sent) in asked:
            if not came:
                word = "the port doesn't reflect"
                return Known("fails", f"{word} ({port.name}: 0 of {sent} frames came back)")
        least = min((seen for _, seen in asked), key=lambda seen: seen[0])
        return Known("works", f"the ports reflect ({least[0]} of {least[1]} frames came back)")

    def carries(self, vlan: int) -> Known:
        """Whether frames with a tag get from each machine to each other one with it."""
        if why := self.not_asked():
            return why
        lost = [(a, b) for a, b in self._pairs() if not self._reaches(a, b, vlan)]
        if not lost:
            return Known("works", f"frames with it pass between all of its {len(self.ports)} ports")
        a, b = lost[0]
        word = next(
            (e.partition("=")[2] for e in a.vlans.get(vlan, []) if e.startswith(f"{b.name}=")), ""
        )
        what = "without a tag" if word == "none" else f"with the tag {word}" if word else ""
        if what:
            return Known("fails", f"what {a.name} sends with it arrives at {b.name} {what}")
        share = "all of its" if len(lost) == len(self._pairs()) else f"{len(lost)} of its"
        said = f"frames with it are lost on {share} {len(self._pairs())} ways"
        return Known("fails", f"{said}, as from {a.name} to {b.name}")

    @cached_property
    def sizes(self) -> tuple[int, int, bool] | None:
        """The largest packet that passes each port, the largest tried, and whether all passes.

        None where none was sent.
        """
        asked = [(p.largest, p.tried) for p in self.ports if p.largest and p.tried]
        if not asked:
            return None
        least = min(largest for largest, _ in asked)
        whole = all(largest >= tried for largest, tried in asked)
        return least, max(tried for _, tried in asked), whole

    def hears(self, family: int, *, members: bool) -> tuple[int, int] | None:
        """Return of how many deliveries to a group how many arrived; None where none was asked."""
        word = f"{'group' if members else 'strangers'}{family}"
        seen = [value for port in self.ports if (value := getattr(port, word)) is not None]
        if not seen:
            return None
        return sum(heard for heard, _ in seen), sum(asked for _, asked in seen)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
