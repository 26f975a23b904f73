"""Whom the statements of a lab are about: their names and patterns, looked up in the plan."""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING

from underlay.plan.addresses import family_of
from underlay.plan.containers import by_group
from underlay.plan.values import PlannedStatement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from underlay.lab import Lab
    from underlay.lab.statement import Ends, Said
    from underlay.plan.values import Plan

# Words for all of a kind; a name that is written alike comes first.
NODES, HOSTS, CONTAINERS = "nodes", "hosts", "containers"
# The number of a node and a letter, behind the name of several containers.
_WHICH = re.compile(r"-[0-9]+[a-z]+$")


def with_statements(lab: Lab, plan: Plan) -> Plan:
    """Return ``plan`` with its labels and what ``lab`` expects, statement by statement.

    One that names nobody, or a protocol that isn't measured, is in it all the same: lint
    refuses it.
    """
    groups = by_group(lab, plan.nodes)
    labels = {name: tuple(dict.fromkeys(g.labels)) for g, name in groups if g.labels}
    plan = replace(plan, labels=labels) if labels else plan
    if not lab.expect:
        return plan
    found = named_in(lab, plan)
    return replace(
        plan,
        intent=tuple(
            PlannedStatement(
                number=number,
                text=str(said),
                sources=() if said.unplanned else found.meant(said.sources),
                destinations=() if said.unplanned else found.meant(said.destinations),
                never=said.never,
                protocols=_asked(lab, said),
                family=_family(said),
                seen=dict(said.seen),
                unplanned=said.unplanned,
            )
            for number, said in enumerate(lab.statements)
        ),
    )


def _asked(lab: Lab, said: Said) -> tuple[str, ...]:
    """Return by which protocols, or checks, the cells are asked that a statement is about.

    A port of the lab's own is asked of everybody and answered by who listens there. So who must
    reach must by what every end answers, and who never must by nothing that is measured.
    """
    if said.unplanned:
        return ()
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
    CONTAINER@ADDRESS. ``group_of`` has the name of a container's group, where it has one.
    """

    def __init__(self, plan: Plan, group_of: Mapping[str, str]) -> None:
        self._plan, self._group_of = plan, group_of

    @cached_property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """The keys that each name stands for, in the plan's order."""
        found: dict[str, dict[str, None]] = {}
        for key, names in self._every():
            for name in names:
                found.setdefault(name, {})[key] = None
        return {name: tuple(keys) for name, keys in found.items()}

    @cached_property
    def words(self) -> dict[str, tuple[str, ...]]:
        """The keys that each word for all of a kind stands for."""
        machines = {
            NODES: tuple(node.name for node in self._plan.nodes),
            HOSTS: tuple(host.name for host in self._plan.hosts),
        }
        others = {*machines[NODES], *machines[HOSTS]}
        return {**machines, CONTAINERS: tuple(k for k, _ in self._every() if k not in others)}

    def owner_of(self, text: str) -> str:
        """Return who has the address ``text`` in the plan, nothing for no address or nobody."""
        try:
            address = ip_address(text)
        except ValueError:
            return ""
        plan = self._plan
        found = [(one.name, a.addresses) for one in plan.containers for a in one.attachments]
        found += [(n.name, nic.addresses) for n in plan.nodes for nic in (*n.nics, *n.vlans)]
        owners = {ip_address(one.ip): name for name, each in found for one in each}
        return owners.get(address, "")

    def matching(self, pattern: str) -> tuple[str, ...]:
        """Return the keys of those that ``pattern`` names, as a shell would match it.

        A word for all of a kind gives way to a name that is written alike.
        """
        if pattern in self.keys:
            return self.keys[pattern]
        if pattern in self.words:
            return self.words[pattern]
        every = (keys for name, keys in self.keys.items() if fnmatchcase(name, pattern))
        return tuple(dict.fromkeys(key for keys in every for key in keys))

    def meant(self, ends: Ends) -> tuple[str, ...]:
        """Return the keys of those that ``ends`` names."""
        named = dict.fromkeys(key for name in ends.names for key in self.matching(name))
        without = {key for name in ends.without for key in self.matching(name)}
        return tuple(key for key in named if key not in without)

    def _every(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the key of every end with all of its names."""
        for container in self._plan.containers:
            group = self._group_of.get(container.name, "")
            own = dict.fromkeys((container.name, group, *self._plan.labels.get(container.name, ())))
            own.pop("", None)
            for one in container.attachments:
                at = [f"{name}@{one.network}" for name in own]
                yield at[0], [*own, *at, one.network]
            for one in container.attachments:
                at = [f"{name}@{one.network}" for name in own]
                for address in one.more:
                    key = f"{container.name}@{address.ip}"
                    yield key, [*own, *at, key, one.network]
        nodes, hosts = self._plan.nodes, self._plan.hosts
        for name in (*(node.name for node in nodes), *(host.name for host in hosts)):
            yield name, [name]


def named_in(lab: Lab, plan: Plan) -> Named:
    """Return who is in ``lab``, which is planned as ``plan``."""
    groups = by_group(lab, plan.nodes)
    return Named(plan, {name: group.name for group, name in groups if group.name})


def named_in_plan(plan: Plan) -> Named:
    """Return who is in ``plan``, whose lab file isn't at hand: a group is known by its names."""
    names = (container.name for container in plan.containers)
    return Named(plan, {name: stem for name in names if (stem := _WHICH.sub("", name)) != name})
