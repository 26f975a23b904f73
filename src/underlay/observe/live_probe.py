"""A network that is in use, measured from inside its containers by the pinned probe.

The same measurement as in a lab, but for what would disturb a network that others need: tables are
as they are, packets leave at a rate, nothing is sent to everybody, and programs that listen there
are their owners'. Only pairs of which both machines are in the inventory are asked.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from underlay.expect import ends, machines, protocols
from underlay.observe.commands import pack
from underlay.observe.evidence import gather
from underlay.observe.live import ABSENT, UNSEEN, read_ways
from underlay.observe.measure import Manner, measure
from underlay.observe.observation import Seen
from underlay.observe.on_node.cells import TOGETHER
from underlay.observe.pinned import INTERPRETER, PATH, carried, program
from underlay.observe.tasks import Asked, AskedPair, numbered
from underlay.plan import SWITCH

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence

    from underlay.cluster.machines import Ways
    from underlay.expect import Expectation, Pair, Protocol
    from underlay.observe.evidence import Evidence
    from underlay.observe.led import Spawn
    from underlay.observe.live import Live
    from underlay.observe.observation import Observation
    from underlay.plan import Plan, PlannedContainer

START = 60.0
PROBE_PER_SECOND = 2.0  # so many times what all packets take at the rate, at worst
# Checks whose packets go to one address of the plan, at the rate of all others.
ASKED_CHECKS = ("source", "macs")
TO_ALL = "not asked in a network that is in use: it would be sent to everybody, or in bursts"
OWN_UDP = "a program of its own listens there, and knows no probe"


def probe_machines(
    plan: Plan,
    ways: Ways,
    *,
    expectations: Sequence[Expectation],
    rate: float,
    flush: bool = False,
    path: str = PATH,
) -> tuple[Observation, Live]:
    """Measure the cells of ``plan`` from inside the containers on the machines of ``ways``.

    ``path`` is where the pinned program lies there, which sudo lets the user run; where it is
    empty, the program travels along, and sudo is to let the user run anything. Neighbour tables
    are emptied with ``flush`` alone. One that isn't reached, or where the program isn't allowed,
    costs its own cells; nothing is raised for that.
    """
    every = numbered(plan, expectations)
    asked = _known(plan, every, set(ways.machines))
    others = {name: ABSENT for name in machines(plan) if name not in ways.machines}
    adapt = _Adapting(plan, asked, rate, flush=flush)
    manner = Manner(frozenset(ways.machines), [path] if path else list(carried()), adapt, others)
    most = sum(len(protocols(plan)) for _ in asked.pairs) / max(1, len(ways.machines))
    observation = measure(
        plan,
        _starting(ways),
        expectations=expectations,
        asked=asked,
        start=START,
        deadline=120.0 + PROBE_PER_SECOND * most / rate,
        manner=manner,
    )
    cells = (
        *map(adapt.told, observation.cells),
        *_left_out(plan, every, asked, set(ways.machines)),
    )
    between = read_ways(plan, ways, rate=rate)
    live = replace(between, tier="probe", flushed=flush, cannot=UNSEEN["probe"], unread={})
    return replace(observation, cells=cells), live


def probe_pair(
    plan: Plan, ways: Ways, pair: Pair, protocol: Protocol, *, rate: float, path: str
) -> Seen:
    """Ask one pair of the matrix by one protocol, as ``probe_machines`` asks all of them."""
    alone = replace(plan, protocols=(protocol,))
    asked = Asked((AskedPair(0, pair, TOGETHER),), ())
    adapt = _Adapting(alone, asked, rate, flush=False)
    others = {name: ABSENT for name in machines(plan) if name not in ways.machines}
    observation = measure(
        alone,
        _starting(ways),
        expectations=(),
        asked=asked,
        start=START,
        manner=Manner(frozenset(ways.machines), [path] if path else list(carried()), adapt, others),
    )
    return adapt.told(observation.cells[0])


def evidence_of(plan: Plan, ways: Ways, path: str = PATH) -> Evidence:
    """Return what machines and containers of ``plan`` show, as the pinned program reads it."""

    def start(name: str) -> subprocess.Popen[bytes]:
        if name == SWITCH:
            raise OSError("the switch isn't one of the inventory's machines")
        if name not in ways.machines:
            raise OSError(ABSENT)
        process = _starting(ways)(name, [path] if path else list(carried()))
        task = {"node": name, "spaces": _spaces(plan, name), "services": False, "brief": False}
        assert process.stdin is not None
        # Where ssh has ended already, what it said is the reason.
        with suppress(BrokenPipeError):
            process.stdin.write(f"gather {pack(task)}\n".encode())
            process.stdin.flush()
        return process

    return gather(plan, start)


def _starting(ways: Ways) -> Spawn:
    """Return how the program is started as root on a machine, its own text first where it needs it.

    A command that carries it is one for all machines; each has a Python of its own.
    """

    def start(name: str, command: list[str]) -> subprocess.Popen[bytes]:
        if command != list(carried()):
            return ways.start(name, command, become=True, python=INTERPRETER)
        python = ways.machines[name].python
        process = ways.start(name, [python, *command[1:]], become=True)
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(program().encode())
        return process

    return start


def _spaces(plan: Plan, node: str) -> list[list[str]]:
    """Return the containers of a machine as finding.py looks for them: by name, by addresses."""
    return [
        [container.name, "found", addresses_of(container)]
        for container in plan.containers
        if container.node == node
    ]


def addresses_of(container: PlannedContainer) -> str:
    """Return a container's addresses as finding.py takes them."""
    return ",".join(
        address.ip
        for attachment in container.attachments
        for address in (attachment.address, attachment.address6, *attachment.more)
        if address
    )


def _known(plan: Plan, asked: Asked, known: set[str]) -> Asked:
    """Return what is asked between machines that are ``known``, each by its number as before."""
    at = {end.name: end.node for end in ends(plan)}

    def both(*ends_of_cell: str) -> bool:
        return {at[name] for name in ends_of_cell} <= known

    return replace(
        asked,
        pairs=tuple(
            one for one in asked.pairs if both(one.pair.source.name, one.pair.destination.name)
        ),
        values=tuple(
            one
            for one in asked.values
            if one.wanted.protocol in ASKED_CHECKS
            and both(one.wanted.source, one.wanted.destination)
        ),
    )


def _left_out(plan: Plan, every: Asked, asked: Asked, known: set[str]) -> Iterator[Seen]:
    """Yield the cells that nobody was asked for, with the reason."""
    pairs, values = {one.number for one in asked.pairs}, {one.number for one in asked.values}
    for one in every.pairs:
        if one.number in pairs:
            continue
        pair = one.pair
        outside = next(end.node for end in (pair.source, pair.destination) if end.node not in known)
        for protocol in protocols(plan):
            yield Seen(
                pair.source.name,
                pair.destination.name,
                protocol,
                "not_measured",
                reason=f"{outside} {ABSENT}",
                family=pair.family,
            )
    for value in every.values:
        if value.number not in values:
            wanted = value.wanted
            asked_at_all = wanted.protocol in ASKED_CHECKS
            yield Seen(
                wanted.source,
                wanted.destination,
                wanted.protocol,
                "not_measured",
                reason=f"a machine of it {ABSENT}" if asked_at_all else TO_ALL,
                family=wanted.family,
                kind="value",
            )


class _Adapting:
    """Makes of a node's task that of a machine, whose containers are looked for."""

    def __init__(self, plan: Plan, asked: Asked, rate: float, *, flush: bool) -> None:
        self._plan, self._rate, self._flush = plan, rate, flush
        self._theirs: dict[str, list[int]] = {}
        for one in asked.pairs:
            for protocol in plan.listens.get(one.pair.destination.space, ()):
                if protocol.startswith("tcp:"):
                    self._theirs.setdefault(protocol, []).append(one.number)
        spaces = {end.name: end.space for end in ends(plan)}
        self._own_udp = {
            (name, protocol)
            for name, space in spaces.items()
            for protocol in plan.listens.get(space, ())
            if protocol.startswith("udp:")
        }

    def __call__(self, node: str, task: dict[str, Any]) -> dict[str, Any]:
        """Return the task of the machine ``node``."""
        own = {row[0]: row for row in _spaces(self._plan, node)}
        spaces = [[name, "node", ""] if name == node else own[name] for name, *_ in task["spaces"]]
        theirs = {protocol: list(numbers) for protocol, numbers in self._theirs.items()}
        more = {"spaces": spaces, "theirs": theirs, "rate": self._rate, "warm": not self._flush}
        return {**task, **more}

    def told(self, seen: Seen) -> Seen:
        """Return a cell as it is to be told: silence of somebody's own program says nothing."""
        silent = seen.observed == "unreachable" and seen.stopped_at == "no_answer"
        if silent and (seen.destination, seen.protocol) in self._own_udp:
            return replace(seen, observed="not_measured", stopped_at="", reason=OWN_UDP)
        return seen
