"""The routes of external hosts."""

from __future__ import annotations

from underlay.lab import Lab
from underlay.plan import make_plan


def test_a_host_keeps_the_route_to_a_subnet_that_it_has_an_address_in() -> None:
    """Another network with that subnet, in its other segment, doesn't take the route over."""
    lab = Lab.model_validate(
        {
            "name": "twice",
            "nodes": 2,
            "segments": {
                "lan": {"subnet": "192.168.70.0/24"},
                "wan": {"subnet": "192.168.80.0/24"},
            },
            "networks": {
                "near": {"driver": "ipvlan", "segment": "lan", "subnet": "20.9.1.0/24"},
                "far": {"driver": "macvlan", "segment": "wan", "subnet": "20.9.1.0/24"},
                "other": {"driver": "macvlan", "segment": "wan", "subnet": "20.8.1.0/24"},
            },
            "containers": [{"networks": ["near"]}],
            "hosts": {
                "router": {
                    "on": {
                        "lan": {"addresses": ["192.168.70.250/24", "20.9.1.1/24"]},
                        "wan": {"addresses": ["192.168.80.250/24"]},
                    }
                }
            },
        }
    )
    (router,) = make_plan(lab).hosts
    assert [(route.to, route.interface) for route in router.routes] == [("20.8.1.0/24", "eth1")]
