"""What a rule of the prediction looks like, and how a table of rules is read.

One type serves three questions: who reaches whom, who hears what is sent to everybody, and
what a receiver sees. In each table the first rule that holds decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Stop = Literal["", "no_route", "not_sent", "no_neighbour", "no_answer", "refused"]
Relation = Literal[
    "siblings",  # two children of one parent
    "to own parent",  # a child to the node that it runs on
    "from own parent",  # a node to a child that runs on it
    "to other node",  # a child to the parent of another node, or to an external host
    "from other node",  # a node, or an external host, to a child on another node
    "across",  # children on two nodes
    "stations",  # two machines themselves: nodes and external hosts
]
# A rule may also hold over any wire between two machines, or whatever the two ends are to each
# other; one about routing is asked for by its name, where no two links meet.
Between = Relation | Literal["wire", "any", "routing"]
WIRE: tuple[Relation, ...] = ("across", "to other node", "from other node", "stations")
Fact = Literal[
    "hairpin",  # the switch sends frames back out of the port they came in by
    "isolated",  # both ends' ports belong to nodes that the switch keeps apart
    "locked",  # an end has a MAC address that the switch's port doesn't let in
    "no multicast",  # the switch passes no multicast on: the packet, or what it begins with, is
    "unlisted",  # an end in source mode doesn't list the other's MAC address
    "tunnel taken",  # a passthru child takes what an overlay's tunnels send to an end's node
    "by route",  # the packet comes by a route to the owning node, not by ARP for the child
    "masqueraded",  # a node on the way put its own address on the packet
]

# What a receiver may see instead of an address: no frame at all, or a frame without an address.
NOTHING = "nothing"
NO_MAC = "00:00:00:00:00:00"

ANY: frozenset[str] = frozenset()
NO_FACTS: frozenset[Fact] = frozenset()


@dataclass(frozen=True)
class Rule:
    """What happens to a packet between two interfaces of one layer-2 domain.

    ``relation``, ``source``, ``destination`` and ``facts`` say when the rule holds:
    the modes are sets, empty for any, and all facts have to be so.

    ``reachable`` says for a request that it arrives, for a broadcast that the destination
    hears it, and for what a receiver sees that it is as the sender sent it; ``seen`` is what
    shows there where it isn't. ``because`` is a sentence for people, ``reference`` the source
    that says so.

    ``stop`` says where an unreachable request stops, ``also`` where it may be seen to stop as
    well. It is asked as if it were alone, so that this needs a measurement. ``until_asked``
    marks what holds until the destination has sent to the source; it can't block an answer.
    ``arrives`` says of an unreachable request that its destination gets it all the same.
    ``icmp`` is what decides for ICMP, where that fares otherwise.
    """

    id: str
    relation: Between
    reachable: bool
    because: str
    reference: str
    stop: Stop = ""
    also: tuple[Stop, ...] = ()
    until_asked: bool = False
    source: frozenset[str] = ANY
    destination: frozenset[str] = ANY
    facts: frozenset[Fact] = NO_FACTS
    arrives: bool = False
    icmp: Rule | None = None
    seen: str = ""

    def holds(
        self,
        relation: Relation,
        source: str,
        destination: str,
        facts: frozenset[Fact] = NO_FACTS,
    ) -> bool:
        """Return whether the rule speaks about this relation between these two modes."""
        return (
            (self.relation in (relation, "any") or (self.relation == "wire" and relation in WIRE))
            and (not self.source or source in self.source)
            and (not self.destination or destination in self.destination)
            and self.facts <= facts
        )

    def of(self, protocol: str) -> Rule:
        """Return the rule that decides for ``protocol``: icmp, tcp or udp."""
        return self.icmp if protocol == "icmp" and self.icmp else self

    def for_answer(self) -> Rule:
        """Return the rule for a request that arrives and whose answer meets this rule."""
        return replace(
            self,
            id=f"{self.id}-answer",
            because=f"The request arrives, but its answer is lost. {self.because}",
            stop="no_answer",
            also=(),
            arrives=True,
        )


def first(
    table: tuple[Rule, ...],
    relation: Relation,
    source: str = "",
    destination: str = "",
    facts: frozenset[Fact] = NO_FACTS,
) -> Rule:
    """Return the first rule of ``table`` that holds; raise LookupError where none does."""
    for rule in table:
        if rule.holds(relation, source, destination, facts):
            return rule
    raise LookupError(f"no rule for {relation}, {source or 'node'} to {destination or 'node'}")


def facts(*words: Fact) -> frozenset[Fact]:
    """Return the facts that a rule wants."""
    return frozenset(words)
