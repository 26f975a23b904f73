"""What a rule of the prediction looks like, and how a table of rules is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Stop = Literal["", "no_route", "no_neighbour", "no_answer", "refused"]
Relation = Literal[
    "siblings",  # two children of one parent
    "to own parent",  # a child to the node that it runs on
    "from own parent",  # a node to a child that runs on it
    "to other node",  # a child to the parent of another node
    "from other node",  # a node to a child on another node
    "across",  # children on two nodes
]

ANY: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rule:
    """What happens to a request between two interfaces of one layer-2 domain.

    ``relation``, ``source`` and ``destination`` say when the rule holds; the
    latter two are sets of modes, empty for any. ``stop`` says where an
    unreachable request stops, ``also`` where it may be seen to stop as well
    because neighbours learn from each other's requests. ``cold`` marks what holds
    only until the source has talked to the destination from another address.
    ``because`` is a sentence for people, ``reference`` the source that says so.
    """

    id: str
    relation: Relation | Literal["routing"]
    reachable: bool
    because: str
    reference: str
    stop: Stop = ""
    also: tuple[Stop, ...] = ()
    cold: bool = False
    source: frozenset[str] = ANY
    destination: frozenset[str] = ANY

    def holds(self, relation: Relation, source: str, destination: str) -> bool:
        """Return whether the rule speaks about this relation between these two modes."""
        return (
            self.relation == relation
            and (not self.source or source in self.source)
            and (not self.destination or destination in self.destination)
        )

    def for_answer(self) -> Rule:
        """Return the rule for a request that arrives and whose answer meets this rule."""
        return replace(
            self,
            id=f"{self.id}-answer",
            because=f"The request arrives, but its answer is lost. {self.because}",
            stop="no_answer",
            also=("no_neighbour",) if self.stop == "no_route" else (),
        )


def first(
    table: tuple[Rule, ...], relation: Relation, source: str = "", destination: str = ""
) -> Rule:
    """Return the first rule of ``table`` that holds; raise LookupError where none does."""
    for rule in table:
        if rule.holds(relation, source, destination):
            return rule
    raise LookupError(f"no rule for {relation}, {source or 'node'} to {destination or 'node'}")
