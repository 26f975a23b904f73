"""Containers with several links on one parent: each address is its own link's, not the parent's."""

from __future__ import annotations

from functools import cache

import pytest

from underlay.expect import Expectation, Prediction
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.storage.paths import root


@cache
def plan(lab: str) -> Plan:
    return make_plan(read_lab(root() / "labs" / f"{lab}.yml"))


@cache
def cells(lab: str) -> dict[tuple[str, str], Expectation]:
    reach = Prediction(plan(lab)).reach
    return {(cell.source, cell.destination): cell for cell in reach if cell.protocol == "icmp"}


@pytest.mark.parametrize(
    ("lab", "source", "destination", "rule"),
    [
        # Who is asked by a broadcast knows its asker on both of its links.
        ("two-links-ipvlan", "blue-1b", "joint-1a@red", "ipvlan-l2-siblings-other-subnet"),
        ("two-links-ipvlan", "core-02", "joint-1a@blue", "ipvlan-from-other-node"),
        # What comes by a route, or by way of the other link, is for the link with its address.
        ("two-links-routed", "joint-1a@red", "joint-2a@blue", "ipvlan-across-by-route"),
        ("gateway-ipvlan", "red-2a", "joint@blue", "ipvlan-across-by-route"),
        # A sibling's MAC address is the parent's: the node takes what carries no child's address.
        ("gateway-ipvlan", "red-1b", "core-01", "ipvlan-to-parent-by-sibling"),
    ],
)
def test_the_link_that_is_meant_is_found(
    lab: str, source: str, destination: str, rule: str
) -> None:
    cell = cells(lab)[source, destination]
    assert cell.reachable, cell
    assert cell.rule.startswith(rule.removesuffix("-other-subnet")), cell.rule


@pytest.mark.parametrize(
    ("lab", "source", "destination", "rule"),
    [
        ("two-links-ipvlan", "joint-1a@red", "blue-1b", "ipvlan-foreign-sender-beside"),
        ("two-links-private", "red-1b", "joint@red", "ipvlan-l2-private-siblings"),
        ("gateway-macvlan", "red-2a", "core-01", "macvlan-to-own-parent-beyond-gateway"),
    ],
)
def test_what_keeps_the_others_apart(lab: str, source: str, destination: str, rule: str) -> None:
    cell = cells(lab)[source, destination]
    assert not cell.reachable
    assert cell.rule == rule
