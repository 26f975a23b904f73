"""Mistakes that make hosts contradict each other, silenced: labs in which each host has its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleets.mutated import copied, mutations, silence_in
from underlay.errors import BadInput
from underlay.lint import load, refuse_errors


@pytest.mark.parametrize(
    ("fleet", "name", "networks"),
    [
        ("cni-vlans", "another host's range", {"apps", "apps-2", "guests"}),
        ("cni-vlans", "mode private", {"apps", "apps-2", "guests"}),
        ("cni-vlans", "half the subnet", {"apps", "apps-2", "guests"}),
        ("compose-shim", "mode private", {"lan", "lan-2", "iot"}),
        ("compose-shim", "another VLAN", {"lan", "iot", "iot-2"}),
        ("quadlet-ipvlan6", "macvlan on one host", {"pods", "pods-2"}),
    ],
)
def test_hosts_that_are_to_differ_are_a_lab(
    fleet: str, name: str, networks: set[str], tmp_path: Path
) -> None:
    mutation = next(one for one in mutations(fleet) if one.name == name)
    here = copied(fleet, tmp_path)
    before = load(here / "lab.yml").plan
    mutation.make_in(here)
    with pytest.raises(BadInput, match="underlay: ignore"):
        load(here / "lab.yml")
    silence_in(here, "overlapping-networks")
    loaded = load(here / "lab.yml")
    refuse_errors(loaded)
    assert {one.name for one in loaded.plan.networks} == networks
    assert any("silenced (wanted)" in one.text for one in loaded.carried.assumptions)
    # The lab file's own words go on meaning the same containers.
    assert {c.name for c in loaded.plan.containers} == {c.name for c in before.containers}
