"""The packet filters of a lab: whose they are, and which addresses their names stand for."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

from underlay.plan.containers import by_group
from underlay.plan.filter_rules import filter_rules
from underlay.plan.values import PlannedFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from underlay.lab import Containers, Filter, Lab
    from underlay.plan.addresses import Cidr
    from underlay.plan.values import Plan


def with_filters(lab: Lab, plan: Plan, own: Mapping[str, Iterable[Cidr]]) -> Plan:
    """Return ``plan`` with the filters of ``lab``, and who listens on which ports.

    ``own`` holds the nodes' own addresses by their names.
    """
    groups = by_group(lab, plan.nodes)
    listens = {name: tuple(host.listens) for name, host in lab.hosts.items()}
    listens |= {
        name: (*group.listens, *(f"tcp:{port}" for port in group.ports)) for group, name in groups
    }
    plan = replace(plan, listens={name: ports for name, ports in listens.items() if ports})
    if not lab.filters:
        return plan
    found = _Names(plan, groups, own)
    filters = tuple(
        PlannedFilter(
            number=number,
            text=text(one),
            spaces=found.spaces(one.on),
            direction=one.direction,
            action=one.action,
            protocol=one.protocol or "",
            port=one.port or 0,
            sources=found.subnets(one.from_),
            destinations=found.subnets(one.to),
            state=one.state or "",
            bridged=one.bridged,
        )
        for number, one in enumerate(lab.filters)
    )
    plan = replace(plan, filters=filters)
    return replace(plan, rules=filter_rules(plan))


def text(one: Filter) -> str:
    """Return a filter in few words, as people would say it."""
    words: list[str] = [one.action, one.direction, one.state or "", one.protocol or ""]
    words += [f"port {one.port}"] if one.port else []
    words += [f"from {one.from_}"] if one.from_ else []
    words += [f"to {one.to}"] if one.to else []
    return " ".join(filter(None, words))


def is_name(whom: str) -> bool:
    """Whether what ``from`` or ``to`` says is a name, not an address or a subnet."""
    return ":" not in whom and "/" not in whom and not whom.replace(".", "").isdigit()


# No packet comes from or goes to it: for a name that stands for nobody, which lint refuses.
NOBODY = ("0.0.0.0/32",)


class _Names:
    """What the names stand for in a plan's filters."""

    def __init__(
        self,
        plan: Plan,
        groups: list[tuple[Containers, str]],
        own: Mapping[str, Iterable[Cidr]],
    ) -> None:
        addresses = {name: list(found) for name, found in own.items()}
        addresses |= {h.name: [a for p in h.ports for a in p.addresses] for h in plan.hosts}
        self._spaces: dict[str, list[str]] = {name: [name] for name in addresses}
        addresses |= {
            c.name: [x for a in c.attachments for x in a.addresses] for c in plan.containers
        }
        self._subnets = {
            name: [str(ip_network(address.ip)) for address in found if address]
            for name, found in addresses.items()
        }
        for container in plan.containers:
            self._spaces.setdefault(container.name, []).append(container.name)
        for group, name in groups:
            if group.name and group.name != name:
                self._spaces.setdefault(group.name, []).append(name)
        for container in plan.containers:
            for network in {a.network for a in container.attachments} - {container.name}:
                self._spaces.setdefault(network, []).append(container.name)
        self._networks = {n.name: [pool.subnet for pool in n.pools] for n in plan.networks}

    def spaces(self, on: str | list[str]) -> tuple[str, ...]:
        """Return the namespaces that the names stand for, each once."""
        names = [on] if isinstance(on, str) else on
        return tuple(dict.fromkeys(one for name in names for one in self._spaces.get(name, ())))

    def subnets(self, whom: str | None) -> tuple[str, ...]:
        """Return the subnets that ``whom`` stands for; none for anybody."""
        if whom is None:
            return ()
        if not is_name(whom):
            return (str(ip_network(whom)),)
        if whom in self._networks:
            return tuple(self._networks[whom])
        every = (one for name in self._spaces.get(whom, ()) for one in self._subnets[name])
        return tuple(dict.fromkeys(every)) or NOBODY
