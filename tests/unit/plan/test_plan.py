"""The plan: the same bytes every time, and no address or MAC twice."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from underlay.lab import Lab
from underlay.lint.read import LabError, read_lab
from underlay.plan import (
    MANAGEMENT_RANGE,
    Attachment,
    Plan,
    make_plan,
    parent_address,
    plan_from_json,
)
from underlay.plan.pools import pool_slices

ROOT = Path(__file__).resolve().parents[3]
LABS = sorted((ROOT / "labs").rglob("*.yml"))


@pytest.fixture
def coreos() -> Plan:
    return make_plan(read_lab(ROOT / "labs/coreos.yml"))


@pytest.fixture
def docker_vlan() -> Plan:
    return make_plan(read_lab(ROOT / "labs/docker-vlan.yml"))


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_json_holds_the_whole_plan(path: Path) -> None:
    plan = make_plan(read_lab(path))
    assert plan_from_json(plan.to_json()) == plan


@pytest.mark.parametrize("text", ["[]", "{}", '{"lab": 1}', "null", "no json"])
def test_other_json_is_no_plan(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a plan|Expecting value"):
        plan_from_json(text)


def test_same_bytes_in_another_process(coreos: Plan) -> None:
    code = (
        "from pathlib import Path\n"
        "from underlay.lint.read import read_lab\n"
        "from underlay.plan import make_plan\n"
        "print(make_plan(read_lab(Path('labs/coreos.yml'))).to_json(), end='')\n"
    )
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout == coreos.to_json()


def test_nics_follow_the_file_after_management(coreos: Plan) -> None:
    for node in coreos.nodes:
        assert node.management.interface == "eth0"
        assert [(nic.segment, nic.interface) for nic in node.nics] == [
            ("lan", "eth1"),
            ("wan", "eth2"),
        ]


def test_nodes_of_the_article(coreos: Plan) -> None:
    assert [node.name for node in coreos.nodes] == ["core-01", "core-02", "core-03"]
    assert coreos.user == "core"
    assert [(n.file, n.driver, n.mode, n.parent) for n in coreos.networks] == [
        ("20-lannet.conf", "macvlan", "bridge", "eth1"),
        ("30-ipnet.conf", "ipvlan", "l2", "eth2"),
    ]


def test_vlans_are_sub_interfaces_with_an_address_each(docker_vlan: Plan) -> None:
    node = docker_vlan.node("core-02")
    assert [(v.interface, v.link, v.vlan, v.address) for v in node.vlans] == [
        ("eth1.70", "eth1", 70, "192.168.70.12/24"),
        ("eth1.80", "eth1", 80, "192.168.80.12/24"),
    ]
    assert node.routes == ()
    assert parent_address(docker_vlan, node, docker_vlan.network("ip80")) == "192.168.80.12"


def test_ipvlan_children_have_their_parents_mac(coreos: Plan) -> None:
    for node in coreos.nodes:
        macs = {
            attachment.mac
            for container in coreos.containers
            if container.node == node.name
            for attachment in container.attachments
            if attachment.network == "ipnet"
        }
        assert macs == {node.nics[1].mac}


def test_management_addresses_are_separate_for_each_node(coreos: Plan) -> None:
    links = [IPv4Interface(node.management.address).network for node in coreos.nodes]
    assert len(set(links)) == len(links)
    assert all(link.subnet_of(IPv4Network(MANAGEMENT_RANGE)) for link in links)
    for node, link in zip(coreos.nodes, links, strict=True):
        assert IPv4Address(node.management_peer) in link


def test_unknown_names_are_key_errors(coreos: Plan) -> None:
    for lookup in (coreos.node, coreos.network, coreos.container):
        with pytest.raises(KeyError):
            lookup("nobody")


def test_unsliced_networks_hand_out_the_same_addresses() -> None:
    plan = make_plan(read_lab(ROOT / "labs/broken/seed-as-written.yml"))
    first = {
        container.attachments[0].address
        for container in plan.containers
        if container.name.endswith("a") and container.attachments[0].network == "lannet"
    }
    assert first == {"20.1.1.2/24"}


@st.composite
def labs(draw: st.DrawFn) -> dict[str, Any]:
    """A lab of up to 20 nodes with room enough, or nearly: read_lab decides."""
    segments = draw(st.integers(1, 3))
    networks: dict[str, Any] = {}
    for index in range(draw(st.integers(1, 5))):
        own = draw(st.booleans())
        segment = draw(st.integers(0, segments - 1))
        networks[f"net{index}"] = {
            "driver": draw(st.sampled_from(["macvlan", "ipvlan"])),
            "segment": f"seg{segment}",
            "subnet": f"192.168.{segment}.0/24" if own else f"172.16.{8 * index}.0/21",
            **({} if own else draw(st.sampled_from([{}, {"vlan": 10 + index}]))),
        }
    count = draw(st.integers(1, 20))
    names = sorted(networks)
    place = st.just("all") | st.integers(1, count).map(lambda i: f"core-{i:02d}")
    group = st.fixed_dictionaries(
        {
            "on": place | st.lists(place.filter(lambda p: p != "all"), min_size=1, unique=True),
            "count": st.integers(1, 9),
            "networks": st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True),
        }
    )
    return {
        "name": "made",
        "nodes": count,
        "segments": {f"seg{i}": {"subnet": f"192.168.{i}.0/24"} for i in range(segments)},
        "networks": networks,
        "containers": draw(st.lists(group, min_size=1, max_size=4)),
    }


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=labs())
def test_no_address_and_no_mac_twice_on_a_segment(tmp_path: Path, data: dict[str, Any]) -> None:
    path = tmp_path / "lab.yml"
    with path.open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(data, stream)
    try:
        lab = read_lab(path)
    except LabError:
        return
    plan = make_plan(lab)
    assert plan_from_json(plan.to_json()) == plan
    _names_are_unique(plan)
    _slices_are_disjoint(lab)
    _nothing_twice(plan)


def _names_are_unique(plan: Plan) -> None:
    names = [*(node.name for node in plan.nodes), *(c.name for c in plan.containers)]
    assert len(set(names)) == len(names)
    ports = [port for segment in plan.segments for port in segment.ports.values()]
    interfaces = Counter([*ports, *(segment.bridge for segment in plan.segments)])
    assert max(interfaces.values()) == 1
    assert max(map(len, interfaces)) <= 15


def _slices_are_disjoint(lab: Lab) -> None:
    nodes = [f"core-{index:02d}" for index in range(1, lab.nodes.count + 1)]
    for network in lab.networks.values():
        (stated,) = network.pools
        blocks = [IPv4Network(p.cidr) for p in pool_slices(network, stated, nodes).values()]
        assert all(block.subnet_of(IPv4Network(stated.subnet)) for block in blocks)
        for position, block in enumerate(blocks):
            assert not any(block.overlaps(other) for other in blocks[:position])


def _nothing_twice(plan: Plan) -> None:
    """Addresses and MACs on the wire of each segment and VLAN, the nodes' own included.

    Networks that share a subnet on one parent are lint's business (overlapping-networks).
    """
    owned = [a.mac for c in plan.containers for a in c.attachments if _has_own_mac(plan, a)]
    owned += [nic.mac for node in plan.nodes for nic in (node.management, *node.nics)]
    assert len(set(owned)) == len(owned)
    overlapping = Counter((network.parent, network.subnet) for network in plan.networks)
    for network in plan.networks:
        if overlapping[(network.parent, network.subnet)] > 1:
            continue
        addresses = [parent_address(plan, node, network) for node in plan.nodes]
        for container in plan.containers:
            for attachment in container.attachments:
                if attachment.network == network.name:
                    address = IPv4Interface(attachment.address)
                    piece = network.slices[container.node]
                    assert IPv4Address(piece.first) <= address.ip <= IPv4Address(piece.last)
                    assert address.ip not in (
                        address.network.network_address,
                        address.network.broadcast_address,
                    )
                    addresses.append(str(address.ip))
        assert len(set(addresses)) == len(addresses)


def _has_own_mac(plan: Plan, attachment: Attachment) -> bool:
    return plan.network(attachment.network).driver == "macvlan"


def test_an_overlay_over_a_bridge_speaks_by_the_bridge(tmp_path: Path) -> None:
    networks = {
        "over": "driver: vxlan, vni: 7, segment: lan, subnet: 10.5.0.0/24",
        "held": "driver: bridge, segment: lan, subnet: 10.4.0.0/24",
    }
    for names, parent in ((("over", "held"), "br-eth1"), (("over",), "eth1")):
        lab = tmp_path / "over.yml"
        lab.write_text(
            "name: over\nnodes: 2\nsegments:\n  lan: {subnet: 192.168.70.0/24}\nnetworks:\n"
            + "".join(f"  {name}: {{{networks[name]}}}\n" for name in names)
            + "containers:\n  - {networks: [over]}\n"
        )
        links = make_plan(read_lab(lab)).nodes[0].links
        (tunnel,) = (link for link in links if link.kind == "vxlan")
        assert tunnel.parent == parent
        # Whatever a link stands on is made before it.
        made = [link.interface for link in links]
        assert all(made.index(x) < made.index("vx-over") for x in made if x.startswith("br-"))


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
