"""What gives a container back what it has lost: its own pool's gateway, and no kernel's address."""

from __future__ import annotations

from underlay.expect import Prediction
from underlay.faults import Scene
from underlay.faults.healing import given_back
from underlay.lint import load
from underlay.storage.paths import root


def scripts(lab: str, container: str) -> list[str]:
    scene = Scene(Prediction(load(root() / "labs" / f"{lab}.yml").plan))
    return [step.script for step in given_back(scene, container)]


def test_the_gateway_is_that_of_the_subnet_which_the_address_is_in() -> None:
    assert scripts("recipes/docker-ipvlan-two", "first") == [
        "ip address replace 192.168.212.10/24 dev eth0",
        "ip route replace default via 192.168.212.254 dev eth0",
    ]


def test_an_address_that_the_kernel_makes_is_given_by_nobody() -> None:
    assert not [line for line in scripts("ipam-none", "bare-1a") if "fe80" in line]
