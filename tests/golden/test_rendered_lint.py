"""What `render` writes passes `lint --host`: few labs daily, all shipped ones in the full proof."""

from __future__ import annotations

from pathlib import Path

import pytest

from rendered import BATCH, KEY, SHIPPED
from underlay.fleet.folder import read_host
from underlay.lint.hosts import lint_hosts
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.render import render_all

# One of each runtime, of VLANs, both families, a bond and a router.
DAILY = ("bond", "cni-ipam", "docker-dual-stack", "dual-stack-router", "one-of-each", "podman-vlan")
# Whose addresses they are is no question of a lab.
ANYWHERE = {"range-public"}
# Labs that do what lint warns of. Files alone don't tell what makes it right there.
MEANT = {
    # The plan gives each container its address, in the place of a cluster-wide allocator.
    "cluster-ipam": {"range-twice", "range-holds-host"},
    # It shows just that: ipvlan l3 in its parent's subnet, and nobody who announces it.
    "docker-ipvlan-l3": {"l3-parent-subnet", "l3-route-missing"},
    # Every node gets each network's file, and each node's containers are in one of them.
    "mixed-nodes": {"parent-mixed", "parent-ipvlan-modes"},
    # A node's VLAN has the subnet of a network beside it.
    "node-vlans": {"parent-vlan-elsewhere"},
    # The router is a container of one node, and that node's network is told of no gateway.
    "router-runtimes": {"gateway-handed-out", "network-gateway-differs"},
}


def findings(labs: list[Path], cache: Path) -> dict[str, dict[str, str]]:
    """Return what lint says of each lab's rendered files: by rule, its first finding."""
    plans = [make_plan(read_lab(lab)) for lab in labs]
    found = {}
    for plan, entry in zip(plans, render_all(plans, KEY, cache), strict=True):
        folders = sorted(path for path in entry.iterdir() if path.is_dir())
        hosts = tuple(read_host(folder.name, folder) for folder in folders)
        assert all(host.links for host in hosts)
        said = lint_hosts(hosts)
        found[plan.lab] = {f.id: str(f) for f in reversed(said) if f.id not in ANYWHERE}
    return found


def unmeant(found: dict[str, dict[str, str]]) -> list[str]:
    """Return the findings that no lab means."""
    return [
        text
        for lab, said in found.items()
        for rule, text in said.items()
        if rule not in MEANT.get(lab, ())
    ]


def test_labs_of_each_kind(tmp_path: Path) -> None:
    labs = [path for path in SHIPPED if path.stem in DAILY]
    assert len(labs) == len(DAILY)
    assert unmeant(findings(labs, tmp_path)) == []


@pytest.mark.all
@pytest.mark.parametrize("first", range(0, len(SHIPPED), BATCH))
def test_all_shipped_labs(first: int, tmp_path: Path) -> None:
    found = findings(SHIPPED[first : first + BATCH], tmp_path)
    assert unmeant(found) == []
    # What is excused has to be there: an excuse that nobody needs hides the next mistake.
    excused = {lab: rules for lab, rules in MEANT.items() if lab in found}
    assert {lab: set(said) for lab, said in found.items() if said} == excused
