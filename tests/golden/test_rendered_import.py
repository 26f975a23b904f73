"""What `import` makes of the files that `render` writes: the lab that they are from, as predicted.

Compared are the cells of ends that both labs have: whether they are reachable, and where they
stop. A lab that isn't equal stands in a list, with what no file of a host says. Few labs are
compared daily, all shipped ones in the full proof.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from rendered import BATCH, KEY, SHIPPED
from underlay.errors import BadInput
from underlay.expect import predict
from underlay.fleet.carried import carry, lab_text
from underlay.fleet.folder import read_host
from underlay.lint import load
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.render import render_all
from underlay.storage import paths

Outcome = Literal["equal", "differs", "no common end", "refused"]

NO_FILE = "its networks are of iproute2 or of overlays, bridges and leases: no file of a host's"
ROUTES = "the node program gives default routes that neither Docker nor podman gives by itself"
SWITCH = "what the switch or a packet filter does stands in no file of a host's"
SHIM = "the node program makes the shim"
BRIDGE = "the node program makes the bridge, puts the NIC into it and masquerades"
LEASE = "what a server leases beside an address stands in no file of a host's"
VLAN_ROUTES = "the node program gives the routes on sub-interfaces"
INTERFACES = "which interfaces a node has besides its networks' isn't carried over, and is said"
NAMES = "a container in several networks has another name, or a lab's own names are in no file"

DIFFERENT = {
    **dict.fromkeys(
        (
            "address-plan", "docker-dual-stack", "docker-internal", "docker-ipvlan",
            "docker-macvlan", "four-runtimes", "ipv6-only", "podman-dual-stack", "podman-ipvlan",
            "podman-macvlan", "podman-vlan", "router-runtimes", "several-subnets",
            "recipes/docker-ipvlan-trunk", "recipes/docker-ipvlan-two", "recipes/docker-isolated",
            "recipes/docker-netops",
        ),
        ROUTES,
    ),
    **dict.fromkeys(("macvlan-isolated", "switch-locked", "vlan-native"), SWITCH),
    "filter-runtimes": SWITCH,
    **dict.fromkeys(("recipes/nas-shim", "shim-lease", "shim-nas"), SHIM),
    "docker-ipvlan-l3": VLAN_ROUTES,
    "node-vlans": INTERFACES,
    **dict.fromkeys(("cni-bridge", "named-bond", "recipes/cni-bridge-nat"), BRIDGE),
    **dict.fromkeys(
        ("cluster-ipam", "cni-ipam", "podman-dhcp", "recipes/rook-dhcp", "router-external"), LEASE
    ),
}  # fmt: skip
NO_COMMON_END = (
    "demo-web", "ipam-none", "recipes/docker-defaults", "recipes/docker-foo",
    "recipes/docker-ipvlan-dual", "recipes/docker-l3-internal", "recipes/docker-multi-subnet",
    "recipes/docker-tutorial", "recipes/docker-tutorial-vlan", "two-networks",
    "two-networks-ipvlan",
)  # fmt: skip
EQUAL = (
    "bond", "cni-ipvlan", "cni-macvlan", "coreos", "docker-vlan",
    "dual-stack", "external-server", "fixed-addresses", "flat", "gateway-nobody", "ignition",
    "ipvlan-l3-two",
    "lean", "mixed-nodes", "named", "no-default-route", "overlay-passthru",
    "recipes/cni-host-local",
    "recipes/cni-ipvlan", "recipes/cni-macvlan-dhcp", "recipes/cni-vlan",
    "recipes/docker-aux-address", "recipes/docker-bridge",
    "recipes/docker-dual-trunk", "recipes/docker-ipvlan-l2", "recipes/docker-ipvlan-v6",
    "recipes/docker-l3-dual", "recipes/docker-trunk", "slaac", "slaac-ipvlan", "small-mtu",
)  # fmt: skip
DAILY = ("coreos", "docker-macvlan", "shim", "two-networks")


class Compared(NamedTuple):
    """What became of a lab, and of how many cells that is known."""

    outcome: Outcome
    cells: int


def name_of(lab: Path) -> str:
    return str(lab.relative_to(paths.root() / "labs").with_suffix(""))


def compared(labs: list[Path], cache: Path) -> dict[str, Compared]:
    """Return, by lab, whether the import of its rendered files predicts the same."""
    plans = [make_plan(read_lab(lab)) for lab in labs]
    rendered = zip(labs, plans, render_all(plans, KEY, cache), strict=True)
    return {name_of(lab): _compared(plan, entry, cache) for lab, plan, entry in rendered}


def _compared(plan: Plan, entry: Path, folder: Path) -> Compared:
    hosts = [
        read_host(path.name, path, inside=True) for path in sorted(entry.iterdir()) if path.is_dir()
    ]
    try:
        carried = carry(hosts, {}, plan.lab)
    except BadInput:
        return Compared("refused", 0)
    file = folder / f"{plan.lab}.yml"
    file.write_text(lab_text(carried, len(hosts)), encoding="utf-8")
    mine, theirs = cells(load(file).plan), cells(plan)
    both = mine.keys() & theirs.keys()
    if not any(len({*key[:2]} - {host.name for host in hosts}) for key in both):
        return Compared("no common end", 0)
    same = all(mine[key] == theirs[key] for key in both)
    return Compared("equal" if same else "differs", len(both))


def cells(plan: Plan) -> dict[tuple[str, ...], tuple[bool, str]]:
    """Return what is expected of each cell about reachability."""
    return {
        (cell.source, cell.destination, cell.protocol, str(cell.family)): (
            cell.reachable,
            cell.stop,
        )
        for cell in predict(plan)
        if cell.kind == "reach"
    }


def expected(lab: str) -> Outcome:
    if lab in EQUAL:
        return "equal"
    if lab in NO_COMMON_END:
        return "no common end"
    return "differs" if lab in DIFFERENT else "refused"


def surprises(found: dict[str, Compared]) -> dict[str, tuple[Outcome, Outcome]]:
    return {
        lab: (one.outcome, expected(lab))
        for lab, one in found.items()
        if one.outcome != expected(lab)
    }


def test_labs_of_each_kind(tmp_path: Path) -> None:
    labs = [lab for lab in SHIPPED if name_of(lab) in DAILY]
    assert len(labs) == len(DAILY)
    found = compared(labs, tmp_path)
    assert not surprises(found)
    assert found["coreos"].cells >= 190


def test_each_list_names_labs_that_there_are() -> None:
    known = {name_of(lab) for lab in SHIPPED}
    listed = [*EQUAL, *NO_COMMON_END, *DIFFERENT]
    assert set(listed) <= known
    assert len(listed) == len(set(listed))


@pytest.mark.all
@pytest.mark.parametrize("first", range(0, len(SHIPPED), BATCH))
def test_all_shipped_labs(first: int, tmp_path: Path) -> None:
    assert not surprises(compared(SHIPPED[first : first + BATCH], tmp_path))
