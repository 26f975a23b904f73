"""What people ask of a lab: which pairs should reach each other, without any prediction.

Those are all ordered pairs of containers that share a network, and each node with the containers
of the other nodes, over each address family that the network has. Whoever writes tests leaves out
what fails on a healthy network, so what the referee sees fail there is no question afterwards.
All other pairs of containers should be apart: the referee looks at those as well, by ICMP.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

from underlay.expect import End, ends
from underlay.plan import Plan

PROTOCOLS = ("icmp", "tcp", "udp", "large")


@dataclass(frozen=True)
class Question:
    """A pair of ends, and the address that is asked for. ``size`` is the network's MTU.

    ``together`` says that the two share a network, or are a node and a container.
    """

    source: End
    destination: End
    family: int
    address: str
    size: int
    together: bool

    @property
    def pair(self) -> tuple[str, str, int]:
        """The names of the ends, and the family."""
        return self.source.name, self.destination.name, self.family


# A question in one protocol: source, destination, protocol, family.
Cell = tuple[str, str, str, int]


def questions(plan: Plan) -> list[Question]:
    """Return every question of a plan, in the plan's order."""
    found = ends(plan)
    containers = [end for end in found if end.kind == "container" and not end.further]
    nodes = [end for end in found if end.kind == "node"]
    asked: list[Question] = []
    for family in (4, 6):
        for source, destination in permutations([*containers, *nodes], 2):
            address = destination.own(family)  # type: ignore[arg-type]
            if not address or (source.node == destination.node and source.kind == "node"):
                continue
            if source.space == destination.space:
                continue
            if source.kind == "container" and not source.own(family):  # type: ignore[arg-type]
                continue
            together = source.kind == "node" or source.network == destination.network
            size = plan.network(destination.network).mtu
            asked.append(Question(source, destination, family, address, size, together))
    return asked


def cells(question: Question) -> list[Cell]:
    """Return a question's cells: one for each protocol, and for ends kept apart just ICMP."""
    source, destination, family = question.pair
    words = PROTOCOLS if question.together else PROTOCOLS[:1]
    return [(source, destination, word, family) for word in words]
