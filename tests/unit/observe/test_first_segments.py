"""Whose first segment of TCP has come, where two askers have one address."""

from __future__ import annotations

import pytest

from underlay.expect import predict, split_protocol
from underlay.lab import Lab
from underlay.observe.observation import merge
from underlay.observe.tasks import Asked, AskedPair, numbered
from underlay.plan import Plan, make_plan

OWN, OTHERS = 40001, 40002


def tenants() -> Plan:
    """Return two networks that don't meet and have one subnet, and a third without a way back."""
    macvlan = {"driver": "macvlan"}
    lab = {
        "name": "tenants",
        "nodes": 2,
        "segments": {"lan": {"subnet": "192.168.70.0/24"}, "wan": {"subnet": "192.168.80.0/24"}},
        "networks": {
            "east": macvlan | {"segment": "lan", "subnet": "20.1.1.0/24"},
            "west": macvlan | {"segment": "wan", "subnet": "20.1.1.0/24"},
            "tie": macvlan | {"segment": "wan", "subnet": "20.3.3.0/24", "default_route": "none"},
        },
        "containers": [{"networks": [name]} for name in ("east", "west", "tie")],
    }
    return make_plan(Lab.model_validate(lab))


def pair_of(asked: Asked, source: str) -> AskedPair:
    wanted = (source, "tie-2a")
    return next(
        one for one in asked.pairs if (one.pair.source.name, one.pair.destination.name) == wanted
    )


def segment(one: AskedPair, port: int) -> list[object]:
    to = split_protocol("tcp")[1]
    way = f"{one.pair.source_address} {one.pair.destination_address} {one.phase}"
    return [to, 0, f"{port} {way}"]


@pytest.mark.parametrize(
    ("source", "came_from", "arrived"),
    [
        ("east-1a", OTHERS, False),
        ("east-1a", OWN, True),
        # Nobody else has this one's address: a router may have put another port in its place.
        ("tie-1a", OTHERS, True),
    ],
    ids=["another's", "its own", "the only one's"],
)
def test_by_its_port(source: str, came_from: int, *, arrived: bool) -> None:
    plan = tenants()
    asked = numbered(plan, predict(plan), None)
    one = pair_of(asked, source)
    answer = [one.number, "tcp", 2, {"stop": "no_answer", "ports": [OWN]}]
    came = {"tie-2a": {"syn": [segment(one, came_from)]}}
    empty = {"missing": {}, "whole": [], "probes": [], "received": {}}
    documents = {"core-01": empty | {"probes": [answer]}, "core-02": empty | {"received": came}}
    seen = merge(plan, asked, documents)
    cell = (source, "tie-2a", "tcp")
    (found,) = [c for c in seen.cells if (c.source, c.destination, c.protocol) == cell]
    assert (found.observed, found.arrived) == ("unreachable", arrived)
