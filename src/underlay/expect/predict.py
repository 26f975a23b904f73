"""Predicts every cell of the matrix from the plan alone.

Each end lives in a network namespace with links and routes (``world.py``). A request
goes source to destination and its answer comes back; each way the namespaces' own
routes choose links, and a rule says what becomes of a frame between two links of one
layer-2 domain (``path.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.expect.ends import FAMILIES, pairs, protocols
from underlay.expect.expectation import Expectation
from underlay.expect.path import Paths
from underlay.expect.value_cells import predict_values
from underlay.expect.world import World

if TYPE_CHECKING:
    from underlay.plan import Plan


def predict(plan: Plan) -> tuple[Expectation, ...]:
    """Return what should happen in every cell of ``plan``'s matrix, in the matrix's order.

    After those about reachability come those of kind ``value``, as the checks ask for them.

    Two containers with one address are predicted as if each were the only one:
    that is what the lab asks for, and the measurement shows what it gets.
    """
    paths = {family: Paths(World(plan, family)) for family in FAMILIES}
    asked = protocols(plan)
    cells = []
    for pair in pairs(plan):
        decided = paths[pair.family].rule(pair)
        cells += [
            Expectation(
                source=pair.source.name,
                destination=pair.destination.name,
                protocol=protocol,
                reachable=rule.reachable,
                stop=rule.stop,
                because=rule.because,
                reference=rule.reference,
                rule=rule.id,
                also=rule.also,
                cold=rule.cold,
                source_address=pair.source_address,
                destination_address=pair.destination_address,
                family=pair.family,
            )
            for protocol, rule in ((protocol, decided.of(protocol)) for protocol in asked)
        ]
    return (*cells, *predict_values(plan))
