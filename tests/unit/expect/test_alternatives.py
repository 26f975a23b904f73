"""Where a rule says of two places that a request may stop at either: nowhere but where it must.

Each cell is asked as if it were alone, so that what others have said makes no difference. What
is left is measured: in filter-on-node a node's own TCP never gets out, and is seen to lack those
neighbours that ICMP and UDP have looked for in vain; in macvlan-hairpin and trunk-native some that
can't answer were known to whoever asked them, on a busy machine.
"""

from __future__ import annotations

import pytest

from underlay.expect import Prediction
from underlay.lab import Lab
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.storage.paths import root

LABS = root() / "labs"
UNLISTED = {
    ("macvlan-unlisted-across", "no_answer"),
    ("macvlan-unlisted-from-other-node", "no_answer"),
}
# Labs in which the rules decide that once had alternatives, and what is left of these.
LEFT: dict[str, set[tuple[str, str]]] = {
    "seen-closed": set(),
    "switch-locked": set(),
    "ipvlan-private": set(),
    "ipvlan-vepa": set(),
    "macvlan-source": UNLISTED,
    "macvlan-hairpin": UNLISTED,
    "no-default-route": set(),
    "extra-routes": set(),
    "overlay-passthru": set(),
    "two-networks-ipvlan": set(),
    "gateway-ipvlan": set(),
    "vlan-ports": {("port-untags", "no_answer")},
    "filters": set(),
    "filter-runtimes": {("filter-out", "no_neighbour")},
    "filter-on-node": {("filter-out", "no_neighbour")},
}


def alternatives(prediction: Prediction) -> set[tuple[str, str]]:
    return {(wanted.rule, stop) for wanted in prediction.reach for stop in wanted.also}


@pytest.mark.parametrize("lab", LEFT)
def test_a_request_stops_at_one_place(lab: str) -> None:
    assert alternatives(Prediction(make_plan(read_lab(LABS / f"{lab}.yml")))) == LEFT[lab]


def test_what_a_filter_takes_lacks_a_neighbour_only_where_other_protocols_do() -> None:
    prediction = Prediction(make_plan(read_lab(LABS / "filter-on-node.yml")))
    taken = [wanted for wanted in prediction.reach if wanted.rule == "filter-out"]
    either = {wanted.destination for wanted in taken if wanted.also}
    # Its own node's macvlan and ipvlan children, which no protocol reaches.
    assert either == {"mac-1a", "two-1a", "three-1a", "three-1b", "seen-1a", "seen-1b"}
    assert {wanted.stop for wanted in taken} == {"not_sent"}


def test_in_a_tunnel_without_arp_whoever_looks_finds_nobody() -> None:
    """The containers in the overlay look themselves; for those behind NAT their node does."""
    prediction = Prediction(make_plan(read_lab(LABS / "filter-runtimes.yml")))
    stops = {
        (wanted.source.partition("-")[0], wanted.stop, wanted.arrives)
        for wanted in prediction.reach
        if wanted.rule.startswith("filter-tunnel")
    }
    assert stops == {
        ("over", "no_neighbour", False),
        ("core", "no_neighbour", False),
        ("inner", "no_answer", False),
    }


def test_a_bridge_without_ports_may_send_nothing() -> None:
    """It has no carrier (net/sched/sch_generic.c, noop); one with a container has."""
    lab = Lab.model_validate(
        {
            "name": "bare",
            "nodes": 2,
            "segments": {"lan": {"subnet": "192.168.70.0/24"}},
            "networks": {
                "inner": {"driver": "bridge", "internal": True, "subnet": "10.3.1.0/24"},
            },
            "containers": [{"on": "core-01", "count": 2, "networks": ["inner"]}],
        }
    )
    either = {
        (wanted.source, wanted.destination)
        for wanted in Prediction(make_plan(lab)).reach
        if wanted.also
    }
    assert either == {("core-02", "inner-1a"), ("core-02", "inner-1b")}
