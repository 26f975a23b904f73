"""What a lint rule looks at, what it yields, and what a row of the table of rules says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Literal

from underlay.drivers import Driver
from underlay.lab import Lab
from underlay.lab.text import LabText, Place
from underlay.plan import Plan, PlannedNetwork


@dataclass(frozen=True)
class Subject:
    """What rules look at: the lab, what it leads to, and the text it was read from."""

    lab: Lab
    plan: Plan
    text: LabText

    @cached_property
    def nodes_of(self) -> dict[str, set[str]]:
        """The nodes with children in each network: all of them for one with shims, or empty."""
        used: dict[str, set[str]] = {network.name: set() for network in self.plan.networks}
        for container in self.plan.containers:
            for attachment in container.attachments:
                used[attachment.network].add(container.node)
        everywhere = {node.name for node in self.plan.nodes}
        shims = {network.name for network in self.plan.networks if network.shim}
        return {n: everywhere if n in shims else nodes or everywhere for n, nodes in used.items()}

    def sharing(
        self, wanted: Callable[[Driver], bool]
    ) -> Iterator[tuple[PlannedNetwork, PlannedNetwork]]:
        """Yield each two networks of ``wanted`` drivers on one parent of at least one node."""
        networks = [network for network in self.plan.networks if wanted(network.traits)]
        for first, second in combinations(networks, 2):
            together = self.nodes_of[first.name] & self.nodes_of[second.name]
            if first.parent == second.parent and together:
                yield first, second

    def children(self, parent: str) -> dict[str, int]:
        """Return how many interfaces each node puts on ``parent``: containers' and its shims."""
        shims = sum(bool(n.shim) for n in self.plan.networks if n.parent == parent)
        count = dict.fromkeys((node.name for node in self.plan.nodes), shims)
        for container in self.plan.containers:
            for attachment in container.attachments:
                if self.plan.network(attachment.network).parent == parent:
                    count[container.node] += 1
        return count


@dataclass(frozen=True)
class Hit:
    """One place that a rule objects to, with the fact and the change that removes it."""

    place: Place
    message: str
    cure: str


@dataclass(frozen=True)
class Rule:
    """A row of the table. ``source`` says where the rule can be looked up."""

    id: str
    severity: Literal["error", "warning"]
    check: Callable[[Subject], Iterator[Hit]]
    source: str
