"""Whom the statements of a lab are about: their names and patterns, looked up in the plan."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING

from underlay.plan.addresses import family_of
from underlay.plan.containers import by_group
from underlay.plan.values import PlannedStatement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.lab import Lab
    from underlay.lab.statement import Ends, Said
    from underlay.plan.values import Plan


def with_statements(lab: Lab, plan: Plan) -> Plan:
    """Return ``plan`` with what ``lab`` expects, statement by statement.

    One that names nobody, or a protocol that isn't measured, is in it all the same: lint
    refuses it.
    """
    if not lab.expect:
        return plan
    found = Named(lab, plan)
    return replace(
        plan,
        intent=tuple(
            PlannedStatement(
                number=number,
                text=str(said),
                sources=found.meant(said.sources),
                destinations=found.meant(said.destinations),
                never=said.never,
                protocols=_asked(lab, said),
                family=_family(said),
                seen=dict(said.seen),
            )
            for number, said in enumerate(lab.statements)
        ),
    )


def _asked(lab: Lab, said: Said) -> tuple[str, ...]:
    """Return by which protocols, or checks, the cells are asked that a statement is about.

    A port of the lab's own is asked of everybody and answered by who listens there. So who must
    reach must by what every end answers, and who never must by nothing that is measured.
    """
    if said.seen or said.protocols:
        return tuple(check for check, _ in said.seen) or said.protocols
    asked = tuple(dict.fromkeys(lab.protocols))
    plain = tuple(word for word in asked if ":" not in word)
    return asked if said.never or not plain else plain


def _family(said: Said) -> int:
    """Return the family that a statement is about: that of an address it names, if it does."""
    source = dict(said.seen).get("source")
    return said.family or (family_of(source) if source else 0)


class Named:
    """Who is in a lab, and under which names.

    Each end of the matrix is known by a key: a node or an external host by its name, a container
    by CONTAINER@NETWORK for each of its interfaces, and a further address of one by
    CONTAINER@ADDRESS.
    """

    def __init__(self, lab: Lab, plan: Plan) -> None:
        self._lab, self._plan = lab, plan

    @cached_property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """The keys that each name stands for, in the plan's order."""
        found: dict[str, dict[str, None]] = {}
        for key, names in self._every():
            for name in names:
                found.setdefault(name, {})[key] = None
        return {name: tuple(keys) for name, keys in found.items()}

    def matching(self, pattern: str) -> tuple[str, ...]:
        """Return the keys of those that ``pattern`` names, as a shell would match it."""
        if pattern in self.keys:
            return self.keys[pattern]
        every = (keys for name, keys in self.keys.items() if fnmatchcase(name, pattern))
        return tuple(dict.fromkeys(key for keys in every for key in keys))

    def meant(self, ends: Ends) -> tuple[str, ...]:
        """Return the keys of those that ``ends`` names."""
        named = dict.fromkeys(key for name in ends.names for key in self.matching(name))
        without = {key for name in ends.without for key in self.matching(name)}
        return tuple(key for key in named if key not in without)

    def _every(self) -> Iterator[tuple[str, set[str]]]:
        groups = by_group(self._lab, self._plan.nodes, self._plan.networks)
        group_of = {name: group.name for group, name in groups if group.name}
        for container in self._plan.containers:
            own = {container.name, group_of.get(container.name, container.name)}
            for one in container.attachments:
                key = f"{container.name}@{one.network}"
                yield key, {*own, one.network, key}
            for one in container.attachments:
                for address in one.more:
                    key = f"{container.name}@{address.ip}"
                    yield key, {*own, one.network, f"{container.name}@{one.network}", key}
        nodes, hosts = self._plan.nodes, self._plan.hosts
        for name in (*(node.name for node in nodes), *(host.name for host in hosts)):
            yield name, {name}
