"""The prediction, row by row, against what was measured on three nodes' own kernels.

The rows are the reachability table of three User Mode Linux nodes (Linux 6.12):
columns 1 to 8 are container to container on one node, across nodes, container to
own node, back, container to other node, back, and to another subnet on the same
parent with an on-link default route, on one node and across.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from typing import Any, get_args

import pytest
from ruamel.yaml import YAML

from underlay.drivers import DRIVERS, Driver, ipvlan, macvlan, vlan
from underlay.drivers.rule import Fact, Relation, facts, first
from underlay.expect import Expectation, ends, predict, stations, tables
from underlay.expect.expectation import warm
from underlay.expect.world import World
from underlay.lab import Lab
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.storage.paths import root

YES, NO, NONE = True, False, None

MEASURED = {
    #                           1    2    3   4   5    6    7    8
    ("macvlan", "bridge", None): (YES, YES, NO, NO, YES, YES, YES, YES),
    ("macvlan", "private", None): (NO, YES, NO, NO, YES, YES, NO, YES),
    ("macvlan", "vepa", None): (NO, YES, NO, NO, YES, YES, NO, YES),
    ("macvlan", "passthru", None): (NONE, YES, NO, NO, NO, NO, NONE, NONE),
    ("macvlan", "bridge", 70): (YES, YES, NO, NO, YES, YES, YES, YES),
    ("ipvlan", "l2", None): (YES, YES, NO, NO, YES, YES, YES, YES),
    ("ipvlan", "l2", 80): (YES, YES, NO, NO, YES, YES, YES, YES),
    ("ipvlan", "l3", None): (YES, NO, NO, NO, NO, NO, YES, NO),
    ("ipvlan", "l3s", None): (YES, NO, NO, NO, NO, NO, YES, NO),
}
COLUMNS = (
    ("net-1a", "net-1b"),
    ("net-1a", "net-2a"),
    ("net-1a", "core-01"),
    ("core-01", "net-1a"),
    ("net-1a", "core-02"),
    ("core-02", "net-1a"),
    ("net-1a", "more-1a"),
    ("net-1a", "more-2a"),
)


# The same columns for keys of the network; those of the segment stand after the bar.
MORE: dict[str, tuple[bool | None, ...]] = {
    "driver: macvlan, mode: source": (NO, YES, NO, NO, YES, YES, NONE, NONE),
    "driver: macvlan, mode: source, allow: []": (NO, NO, NO, NO, NO, NO, NO, NO),
    "driver: macvlan, mode: source, allow: [containers]": (NO, YES, NO, NO, NO, NO, NONE, NONE),
    "driver: macvlan, mode: bridge | hairpin: true": (YES, YES, YES, YES, YES, YES, YES, YES),
    "driver: macvlan, mode: vepa | hairpin: true": (YES, YES, YES, YES, YES, YES, YES, YES),
    "driver: macvlan | locked: true, hairpin: true": (YES, NO, NO, NO, NO, NO, YES, NO),
    "driver: macvlan, mode: vepa | locked: true, hairpin: true": (NO, NO, NO, NO, NO, NO, NO, NO),
    "driver: macvlan, mode: private | hairpin: true": (NO, YES, NO, YES, YES, YES, NO, YES),
    "driver: macvlan | isolated: true": (YES, NO, NO, NO, NO, NO, YES, NO),
    "driver: macvlan | locked: true": (YES, NO, NO, NO, NO, NO, YES, NO),
    "driver: macvlan, shim: true": (YES, YES, YES, YES, YES, YES, YES, YES),
    "driver: macvlan, mode: private, shim: true": (NO, YES, NO, NO, YES, YES, NO, YES),
    "driver: macvlan, internal: true": (YES, NO, NO, NO, NO, NO, NO, NO),
    "driver: ipvlan, flag: private": (NO, YES, NO, NO, YES, YES, NO, YES),
    "driver: ipvlan, flag: vepa": (NO, YES, NO, NO, YES, YES, NO, YES),
    "driver: ipvlan, flag: vepa | hairpin: true": (YES, YES, YES, YES, YES, YES, YES, YES),
    "driver: ipvlan | locked: true": (YES, YES, NO, NO, YES, YES, YES, YES),
    "driver: ipvlan, flag: vepa | locked: true, hairpin: true": (YES,) * 8,
    "driver: ipvlan | isolated: true": (YES, NO, NO, NO, NO, NO, YES, NO),
    "driver: ipvlan, shim: true": (YES, YES, YES, YES, YES, YES, YES, YES),
    "driver: ipvlan, mode: l3, routed: true": (YES, YES, NO, NO, YES, YES, YES, YES),
    "driver: ipvlan, mode: l3, flag: private, routed: true": (NO, YES, NO, NO, YES, YES, NO, YES),
    "driver: ipvlan, mode: l3, flag: vepa, routed: true": (NO, YES, NO, NO, YES, YES, NO, YES),
    "driver: ipvlan, mode: l3, flag: private": (NO, NO, NO, NO, NO, NO, NO, NO),
    "driver: ipvlan, mode: l3, flag: vepa": (NO, NO, NO, NO, NO, NO, NO, NO),
    "driver: ipvlan, mode: l3s, routed: true": (YES, YES, NO, NO, YES, YES, YES, YES),
    "driver: ipvlan, mode: l3s, flag: private, routed: true": (NO, YES, NO, NO, YES, YES, NO, YES),
    "driver: ipvlan, mode: l3s, flag: vepa, routed: true": (NO, YES, NO, NO, YES, YES, NO, YES),
    "driver: bridge": (YES, YES, YES, YES, YES, YES, YES, YES),
    "driver: bridge, nat: true": (YES, NO, YES, YES, YES, NO, NONE, NONE),
    "driver: bridge, internal: true": (YES, NO, YES, YES, NO, NO, NONE, NONE),
    "driver: bridge | locked: true": (YES, NO, YES, YES, NO, NO, YES, NO),
    "driver: vxlan, vni: 100": (YES, YES, YES, YES, YES, YES, NONE, NONE),
    "driver: vxlan, vni: 100, group: 239.9.9.9": (YES, YES, YES, YES, YES, YES, NONE, NONE),
    "driver: vxlan, vni: 100 | locked: true": (YES, YES, YES, YES, YES, YES, NONE, NONE),
    "driver: vxlan, vni: 100 | isolated: true": (YES, NO, YES, YES, NO, NO, NONE, NONE),
    "driver: gretap, key: 7": (YES, YES, YES, YES, YES, YES, NONE, NONE),
}


def plan_of(
    networks: dict[str, Any], count: int = 2, nodes: int = 3, lan: dict[str, Any] | None = None
) -> Plan:
    segments = {"lan": {"subnet": "10.20.0.0/24"} | (lan or {}), "wan": {"subnet": "10.30.0.0/24"}}
    containers = [{"count": count, "networks": [name]} for name in networks]
    lab = {"name": "table", "nodes": nodes, "segments": segments}
    return make_plan(Lab.model_validate(lab | {"networks": networks, "containers": containers}))


def network(driver: str = "macvlan", subnet: str = "20.1.1.0/24", **more: object) -> dict[str, Any]:
    where = {} if "master" in more else {"segment": "lan"}
    return {"driver": driver, "subnet": subnet} | where | more


def cell(plan: Plan, source: str, destination: str) -> Expectation:
    found = [e for e in predict(plan) if (e.source, e.destination) == (source, destination)]
    assert [e.protocol for e in found] == ["icmp", "tcp", "udp"]
    assert len({(e.reachable, e.stop, e.because) for e in found}) == 1
    return found[0]


@pytest.mark.parametrize(
    ("row", "column"),
    [(row, n) for row in MEASURED for n in range(8) if MEASURED[row][n] is not NONE],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else str(value + 1),
)
def test_the_prediction_is_what_was_measured(row: tuple[str, str, int | None], column: int) -> None:
    driver, mode, vlan = row
    one = network(driver, mode=mode, vlan=vlan)
    two = network(driver, "20.2.2.0/24", mode=mode, vlan=vlan)
    alone = mode == "passthru"
    plan = plan_of({"net": one} if alone else {"net": one, "more": two}, count=1 if alone else 2)
    assert cell(plan, *COLUMNS[column]).reachable is MEASURED[row][column]


@pytest.mark.parametrize(
    ("keys", "column"),
    [(keys, n) for keys in MORE for n in range(8) if MORE[keys][n] is not NONE],
)
def test_keys_of_network_and_segment(keys: str, column: int) -> None:
    one, lan = (YAML(typ="safe").load(f"{{{part}}}") for part in f"{keys} | ".split(" | ")[:2])
    pair = {"net": network(**one), "more": network(**one | {"subnet": "20.2.2.0/24"})}
    plan = plan_of(pair if MORE[keys][7] is not NONE else {"net": pair["net"]}, lan=lan)
    assert cell(plan, *COLUMNS[column]).reachable is MORE[keys][column]


@pytest.mark.parametrize(
    ("more", "destination", "stop"),
    [
        ({"default_route": "none"}, "more-1a", "no_route"),
        ({"default_route": "none"}, "more-2a", "no_route"),
        ({"default_route": "gateway", "gateway": "20.1.1.1"}, "more-2a", "no_neighbour"),
        ({"default_route": "none"}, "net-2a", ""),
        ({"default_route": "gateway", "gateway": "20.1.1.1"}, "net-2a", ""),
        # Untagged nodes live in the segment's subnet, not in the containers'.
        ({"default_route": "none"}, "core-02", "no_route"),
        ({"default_route": "gateway", "gateway": "20.1.1.1"}, "core-02", "no_neighbour"),
        # In a VLAN they have an address in the containers' subnet.
        ({"default_route": "none", "vlan": 70}, "core-02", ""),
    ],
)
def test_without_an_on_link_default_route(
    more: dict[str, Any], destination: str, stop: str
) -> None:
    two = network(subnet="20.2.2.0/24", **({"vlan": more["vlan"]} if "vlan" in more else {}))
    plan = plan_of({"net": network(**more), "more": two})
    found = cell(plan, "net-1a", destination)
    assert (found.reachable, found.stop) == (not stop, stop)


def test_a_request_may_arrive_and_its_answer_be_lost() -> None:
    plan = plan_of({"net": network(default_route="none"), "more": network(subnet="20.2.2.0/24")})
    for source in ("core-02", "more-1a", "more-2a"):
        found = cell(plan, source, "net-1a")
        assert (found.reachable, found.stop) == (False, "no_answer")
        assert "arrives" in found.because


def test_a_node_takes_in_what_its_l3_child_sends_and_answers_by_another_interface() -> None:
    plan = make_plan(read_lab(root() / "labs" / "detour-ipvlan.yml"))
    found = cell(plan, "own@routed", "core-01")
    assert (found.reachable, found.rule) == (True, "ipvlan-l3-to-own-parent")
    alone = plan_of({"net": network("ipvlan", mode="l3")})
    found = cell(alone, "net-1a", "core-01")
    assert (found.stop, found.rule) == ("no_answer", "ipvlan-from-own-parent-answer")


def test_an_l3_child_is_told_by_ipv6_that_its_node_has_no_route() -> None:
    l3 = network("ipvlan", mode="l3", shim=True, routed=True, subnet6="fd00:1::/64")
    lab = {
        "name": "l3",
        "nodes": 2,
        "segments": {"lan": {"subnet": "10.20.0.0/24", "subnet6": "fd00:20::/64"}},
        "networks": {"net": l3},
        "containers": [{"on": "core-02", "networks": ["net"]}],
    }
    plan = make_plan(Lab.model_validate(lab))
    (found,) = [
        one
        for one in predict(plan)
        if (one.source, one.destination, one.protocol) == ("net-2a", "core-01", "icmp")
        and one.family == 6
    ]
    assert (found.rule, found.stop, found.also) == ("no-route-l3", "no_route", ("no_answer",))


def test_a_networks_own_route_takes_the_place_of_an_addresss_by_ipv4_alone() -> None:
    """`ip route replace`, and what CNI's plugins add, come before the kernel's own."""
    routes = [{"to": "20.1.1.0/24"}, {"to": "fd00:1::/64"}]
    lab = {
        "name": "taken",
        "nodes": 1,
        "segments": {"lan": {"subnet": "10.20.0.0/24", "subnet6": "fd00:20::/64"}},
        "networks": {
            "net": network(subnet6="fd00:1::/64"),
            "other": network(subnet="20.2.2.0/24", subnet6="fd00:2::/64", routes=routes),
        },
        "containers": [{"networks": ["net", "other"]}],
    }
    plan = make_plan(Lab.model_validate(lab))
    (container,) = plan.containers
    for family, address, interface in ((4, "20.1.1.9", "eth1"), (6, "fd00:1::9", "eth0")):
        route = World(plan, family).spaces[container.name].route(address)
        assert route is not None
        assert route.link.interface == interface


def test_a_shim_answers_for_its_parents_address_but_nothing_leads_back() -> None:
    for driver in ("macvlan", "ipvlan"):
        shim = network(driver, "20.2.2.0/24", shim=True)
        found = cell(plan_of({"net": network(driver), "more": shim}), "net-1a", "core-01")
        assert (found.reachable, found.arrives, found.stop) == (False, True, "no_answer"), driver
        without = network(driver, "20.2.2.0/24")
        found = cell(plan_of({"net": network(driver), "more": without}), "net-1a", "core-01")
        assert found.stop == "no_neighbour", driver


def test_siblings_that_dont_hear_each_other_arent_led_to_their_node_by_its_shim() -> None:
    for flag, arrives in (("bridge", True), ("vepa", False), ("private", False)):
        net = network("ipvlan", flag=flag, runtime="iproute2")
        shim = net | {"subnet": "20.2.2.0/24", "shim": True}
        found = cell(plan_of({"net": net, "more": shim}), "net-1a", "core-01")
        assert (found.reachable, found.arrives) == (False, arrives), flag


def test_an_l3_child_isnt_led_to_its_node_by_a_shim_as_its_node_asks_for_it() -> None:
    """The way to the node's other address is the l3 child's, whose node has no route over it."""
    plan = make_plan(read_lab(root() / "labs" / "shim-l3.yml"))
    found = cell(plan, "routed-1b@flat", "core-01")
    assert (found.reachable, found.arrives) == (False, False)


def test_an_address_that_somebody_else_has_where_the_source_asks_gets_no_answer() -> None:
    # Both networks hand out the same addresses, the nodes' first being .65 and .129.
    networks = {"net": network(), "more": network(segment="wan")}
    plan = plan_of(networks, count=1, nodes=2)
    for destination in ("more-2a", "more-1a"):
        found = cell(plan, "net-1a", destination)
        assert (found.stop, found.rule) == ("no_answer", "other-segment-taken")
    more = network(subnet="20.2.2.0/24", segment="wan")
    found = cell(plan_of({"net": network(), "more": more}), "net-1a", "more-2a")
    assert (found.stop, found.rule) == ("no_neighbour", "other-segment")


def test_a_node_has_one_way_to_a_subnet_that_two_networks_have() -> None:
    plan = plan_of({"net": network(), "more": network(segment="wan")}, nodes=2)
    assert [(r.to, r.interface) for r in plan.nodes[0].routes] == [("20.1.1.0/24", "eth1")]
    tagged = plan_of({"net": network(vlan=70), "more": network(segment="wan")}, nodes=2)
    assert tagged.nodes[0].routes == ()
    both = plan_of({"net": network(), "more": network(subnet="20.2.2.0/24", segment="wan")})
    assert len(both.nodes[0].routes) == 2


def ipvlan_gateway(**more: object) -> Plan:
    """One container a node, those of core-02 led by the one of core-01, a router by itself."""
    net = network("ipvlan", gateway="20.1.1.70", default_route="gateway", **more)
    router = {"on": "core-01", "name": "router", "networks": ["net"], "forwards": True}
    lab = {
        "name": "led",
        "nodes": 2,
        "segments": {"lan": {"subnet": "10.20.0.0/24"}},
        "networks": {"net": net},
        "containers": [
            router | {"addresses": {"net": "20.1.1.70"}},
            {"on": "all", "networks": ["net"]},
        ],
    }
    return make_plan(Lab.model_validate(lab))


def test_what_is_sent_to_an_ipvlan_gateway_is_kept_by_its_node() -> None:
    plan = ipvlan_gateway()
    # The node has the gateway's MAC address, and is the one that is meant.
    assert cell(plan, "net-2a", "core-01").reachable
    assert cell(plan, "core-01", "net-2a").reachable
    # A container beside the gateway gets that far, too, but no answer back.
    found = cell(plan, "net-1b", "core-01")
    assert (found.reachable, found.stop) == (False, "no_answer")
    found = cell(plan, "net-1b", "core-02")
    assert (found.stop, found.rule) == ("no_answer", "ipvlan-foreign-address")


def test_a_gateway_that_is_the_containers_own_address_is_no_gateway() -> None:
    plan = ipvlan_gateway()
    assert cell(plan, "router", "core-02").reachable
    assert cell(plan, "core-02", "router").reachable
    assert cell(plan, "net-1b", "core-02").reachable is False


def test_a_node_masquerades_what_its_l3_child_sends_from_an_address_behind_nat() -> None:
    def one(**nat: bool) -> Plan:
        lab = {
            "name": "both",
            "nodes": 2,
            "segments": {"lan": {"subnet": "10.20.0.0/24"}},
            "networks": {
                "net": network("ipvlan", mode="l3", routed=True),
                "inner": network("bridge", "20.2.2.0/24", **nat),
            },
            "containers": [
                {"on": "core-01", "name": "two", "networks": ["net", "inner"]},
                {"on": "core-02", "networks": ["net"]},
            ],
        }
        return make_plan(Lab.model_validate(lab))

    found = cell(one(nat=True), "two@inner", "net-2a")
    assert (found.reachable, found.rule) == (True, "masqueraded")
    assert cell(one(nat=True), "two@net", "net-2a").rule == "ipvlan-across-by-route"
    assert not cell(one(internal=True), "two@inner", "net-2a").reachable


def test_an_isolated_port_reflects_nothing() -> None:
    vepa = {"net": network(mode="vepa")}
    assert cell(plan_of(vepa, lan={"hairpin": True}), "net-1a", "net-1b").reachable
    plan = plan_of(vepa, lan={"hairpin": True, "isolated": True})
    assert cell(plan, "net-1a", "net-1b").rule == "macvlan-vepa-siblings"
    assert cell(plan, "net-1a", "core-01").rule == "macvlan-to-own-parent"


def test_tunnels_end_where_a_passthru_child_hears_all() -> None:
    plan = make_plan(read_lab(root() / "labs" / "overlay-passthru.yml"))
    for source, destination in (("vx-1a", "vx-2a"), ("gre-2a", "gre-1a"), ("core-02", "vx-1a")):
        assert cell(plan, source, destination).stop == "no_neighbour"
    for source, destination in (("vx-1a", "core-01"), ("clear-1a", "clear-2a")):
        assert cell(plan, source, destination).reachable


def test_segments_and_vlans_keep_containers_apart() -> None:
    plan = plan_of(
        {
            "net": network(vlan=70),
            "tag": network("ipvlan", "20.3.3.0/24", vlan=80),
            "wan": network(subnet="20.4.4.0/24", segment="wan"),
        }
    )
    for source, destination, rule in (
        ("net-1a", "tag-1a", "other-vlan"),
        ("net-1a", "tag-2a", "other-vlan"),
        ("tag-1a", "net-2a", "other-vlan"),
        ("wan-1a", "net-1a", "other-segment"),
        ("net-1a", "wan-2a", "other-segment"),
    ):
        found = cell(plan, source, destination)
        assert (found.reachable, found.stop, found.rule) == (False, "no_neighbour", rule)


def test_on_the_management_nic_every_node_is_alone() -> None:
    plan = plan_of({"net": network(master="eth0")})
    assert cell(plan, "net-1a", "net-1b").reachable
    for source, destination, stop in (
        ("net-1a", "net-2a", "no_neighbour"),
        ("net-1a", "core-01", "no_neighbour"),
        ("net-1a", "core-02", "no_neighbour"),
        ("core-01", "net-1a", "no_route"),
        ("core-02", "net-1a", "no_route"),
    ):
        found = cell(plan, source, destination)
        assert (found.reachable, found.stop) == (False, stop)


def test_one_address_three_times_is_predicted_as_the_lab_wants_it() -> None:
    networks = {"net": network(), "more": network("ipvlan", "30.1.1.0/24", segment="wan")}
    shared = {name: one | {"sliced": False} for name, one in networks.items()}
    plan = plan_of(shared)
    assert len({end.address for end in ends(plan) if end.kind == "container"}) == 4
    assert [e.reachable for e in predict(plan)] == [e.reachable for e in predict(plan_of(networks))]


def test_a_passthru_child_deafens_only_its_own_node() -> None:
    lab = Lab.model_validate(
        {
            "name": "deaf",
            "nodes": 2,
            "segments": {"lan": {"subnet": "10.20.0.0/24"}},
            "networks": {"net": network(), "all": network(subnet="20.2.2.0/24", mode="passthru")},
            "containers": [
                {"on": "core-01", "networks": ["net"]},
                {"on": "core-02", "networks": ["all"]},
            ],
        }
    )
    plan = make_plan(lab)
    assert cell(plan, "net-1a", "all-2a").reachable
    assert cell(plan, "all-2a", "core-01").reachable
    assert cell(plan, "net-1a", "core-02").stop == "no_answer"
    assert cell(plan, "core-02", "net-1a").stop == "no_neighbour"


def two_networks(runtime: str = "cni", driver: str = "macvlan") -> Plan:
    return make_plan(
        Lab.model_validate(
            {
                "name": "both",
                "nodes": 2,
                "segments": {
                    "lan": {"subnet": "10.20.0.0/24"},
                    "wan": {"subnet": "10.30.0.0/24"},
                },
                "networks": {
                    "net": network(driver, runtime=runtime),
                    "far": network(driver, "20.2.2.0/24", segment="wan", runtime=runtime),
                },
                "containers": [{"networks": ["net", "far"]}, {"networks": ["net"]}],
            }
        )
    )


def test_a_container_in_two_networks_has_two_ends_but_one_routing_table() -> None:
    plan = two_networks()
    names = [end.name for end in ends(plan) if end.node == "core-01"]
    assert names == ["net-1a@net", "net-1a@far", "net-1b", "core-01"]
    sources = {(e.source, e.destination) for e in predict(plan)}
    assert ("net-1a@net", "net-1a@far") not in sources
    # It answers ARP for either of its addresses on the wire where it is asked.
    assert cell(plan, "net-2b", "net-1a@far").reachable
    # The plugins' last default route wins: other subnets are looked for on the wan.
    assert cell(plan, "net-1a@net", "core-02").reachable
    assert cell(plan, "net-1a@net", "core-01").rule == "macvlan-to-own-parent"


def test_of_ipv6_a_container_of_cni_has_the_first_networks_default_route() -> None:
    """The plugins can't set one without a gateway: the node's program does, as for others."""
    near = network(subnet="20.1.1.0/24", subnet6="fd00:1::/64", runtime="cni")
    far = network(subnet="20.2.2.0/24", subnet6="fd00:2::/64", runtime="cni", segment="wan")
    third = network(subnet="20.3.3.0/24", subnet6="fd00:3::/64", runtime="cni", segment="lan")
    plan = make_plan(
        Lab.model_validate(
            {
                "name": "both",
                "nodes": 2,
                "segments": {
                    name: {"subnet": f"10.{byte}.0.0/24", "subnet6": f"fd00:{byte}::/64"}
                    for name, byte in (("lan", 20), ("wan", 30))
                },
                "networks": {"near": near, "far": far, "third": third},
                "containers": [{"networks": ["near", "far"]}, {"networks": ["third"]}],
            }
        )
    )
    found = {(c.destination, c.family): c for c in predict(plan) if c.source == "near-1a@near"}
    assert found["third-2a", 6].reachable
    assert not found["third-2a", 4].reachable


def test_an_ipvlan_child_gets_only_what_is_sent_to_its_own_address() -> None:
    found = cell(two_networks(driver="ipvlan"), "net-2b", "net-1a@far")
    assert (found.reachable, found.stop, found.rule) == (
        False,
        "no_answer",
        "ipvlan-foreign-address",
    )


def test_an_l3_childs_ipv6_packet_leaves_by_whichever_interface_has_the_route() -> None:
    plan = make_plan(read_lab(root() / "labs" / "dual-stack-l3.yml"))
    found = {(c.source, c.destination, c.family): c for c in predict(plan) if c.protocol == "icmp"}
    over_another = found["three-1a", "some-2a", 6]
    assert (over_another.reachable, over_another.rule) == (True, "ipvlan-l3-any-interface")
    # IPv4 never leaves the parent, and on the own node the packet goes out on the wire.
    assert not found["three-1a", "some-2a", 4].reachable
    assert not found["three-1a", "some-1a", 6].reachable
    # Without routes by the other children's nodes there is no way out by their parent either.
    assert found["three-1a", "three-2a", 6].rule == "ipvlan-across-by-route"


def _one_mode(source: str, destination: str) -> bool:
    """Whether a parent's ipvlan children can be in these two modes; l3s is predicted as l3."""
    return bool(source) and source.replace("l3s", "l3") == destination.replace("l3s", "l3")


def _mode_words(one: Driver) -> tuple[str, ...]:
    """Return what a driver's table calls its modes, each with each flag."""
    pairs = itertools.product(one.modes, one.flags or ("",))
    return tuple(one.mode_word(mode, flag) for mode, flag in pairs)


def test_a_vlan_link_of_a_containers_own_meets_nobody_but_its_likes() -> None:
    (rule,) = vlan.RULES
    assert (rule.relation, rule.reachable) == ("across", True)


@pytest.mark.parametrize(
    ("table", "modes"),
    [
        (stations.RULES, ("passthru",)),
        *((one.reach, _mode_words(one)) for one in DRIVERS.values() if one.attach != "moved"),
    ],
    ids=["stations", *(name for name, one in DRIVERS.items() if one.attach != "moved")],
)
def test_every_relation_of_every_mode_has_a_rule(
    table: tuple[macvlan.Rule, ...], modes: tuple[str, ...]
) -> None:
    used = set()
    for relation in get_args(Relation):
        own = relation == "stations"
        if own != (table is stations.RULES):
            # The stations' table speaks of the others, too, but only to forbid something.
            used |= {rule.id for rule in table if rule.relation == relation}
            continue
        for source, destination in itertools.product(("", *modes), repeat=2):
            if (
                table is ipvlan.RULES
                and relation == "siblings"
                and not _one_mode(source, destination)
            ):
                with pytest.raises(LookupError):
                    first(table, relation, source, destination)
                continue
            used.add(first(table, relation, source, destination).id)
            for fact in get_args(Fact):
                used.add(first(table, relation, source, destination, facts(fact)).id)
    assert used == {rule.id for rule in table}, "a rule that never holds"
    assert len({rule.id for rule in table}) == len(table)
    for rule in table:
        assert rule.reachable == (not rule.stop)
        assert rule.because.endswith(".")
        assert rule.because.isascii()
        assert rule.reference


@pytest.mark.parametrize("driver", tables.TABLES["broadcast"])
def test_every_rule_about_broadcasts_holds_somewhere(driver: str) -> None:
    table = tables.TABLES["broadcast"][driver]
    modes = ("", *(word for one in DRIVERS.values() for word in _mode_words(one)))
    used = set()
    for relation, source, destination in itertools.product(get_args(Relation), modes, modes):
        for found in (facts(), *(facts(fact) for fact in get_args(Fact))):
            with contextlib.suppress(LookupError):
                used.add(first(table, relation, source, destination, found).id)
    assert used == {rule.id for rule in table}, "a rule that never holds"
    for rule in table:
        assert rule.because.endswith(".")
        assert rule.reference


def test_the_matrix_of_three_nodes_with_four_containers_each_has_612_cells() -> None:
    plan = plan_of({"net": network(), "far": network("ipvlan", "30.1.1.0/24", segment="wan")})
    cells = predict(plan)
    assert len(cells) == 612
    assert len({(e.source, e.destination, e.protocol) for e in cells}) == 612
    assert all(e.because and e.reference and e.rule for e in cells)
    assert cells == predict(plan)


def test_a_second_network_over_ipvlan_loses_answers_to_the_first_address() -> None:
    lab = Lab.model_validate(
        {
            "name": "two",
            "segments": {"lan": {"subnet": "10.0.0.0/24"}, "wan": {"subnet": "10.0.1.0/24"}},
            "networks": {
                "mac": {"driver": "macvlan", "segment": "lan", "subnet": "10.1.1.0/24"},
                "ip": {"driver": "ipvlan", "segment": "wan", "subnet": "10.2.2.0/24"},
            },
            "containers": [{"networks": ["mac", "ip"]}],
        }
    )
    cells = {(e.source, e.destination): e for e in predict(make_plan(lab))}
    foreign = cells["mac-1a@mac", "mac-2a@ip"]
    assert (foreign.rule, foreign.reachable) == ("ipvlan-foreign-sender", False)
    assert cells["mac-1a@ip", "mac-2a@ip"].reachable
    assert cells["mac-1a@mac", "mac-2a@mac"].reachable
    assert not cells["core-02", "mac-1a@mac"].reachable


def test_who_is_known_from_before_is_asked_in_vain_in_a_warm_network() -> None:
    """What is expected otherwise isn't changed: neither who answers, nor where others stop."""
    plan = plan_of({"lannet": network()}, lan={"locked": True})
    cold = list(predict(plan))
    pairs = list(zip(cold, warm(cold), strict=True))
    changed = [(one, other) for one, other in pairs if one != other]
    assert changed
    for one, other in changed:
        assert (one.reachable, one.stop) == (False, "no_neighbour")
        assert other == replace(one, also=(*one.also, "no_answer"))
    unfound = [one for one in cold if one.stop == "no_neighbour" and not one.reachable]
    assert [one for one, _ in changed] == unfound
    assert len(unfound) < len(cold)


@pytest.mark.parametrize(
    ("mode", "shim", "reached4", "reached6"),
    [
        # The peer's address is its VLAN interface's.
        ("l3", False, YES, YES),
        ("l3s", False, YES, YES),
        # It is a child's own, to which no request for it comes.
        ("l3", True, NO, NO),
        ("l3s", True, YES, NO),
    ],
)
def test_who_answers_for_the_node_that_containers_are_routed_by(
    *, mode: str, shim: bool, reached4: bool, reached6: bool
) -> None:
    network = {
        "driver": "ipvlan", "mode": mode, "segment": "wan", "vlan": 70, "routed": True,
        "shim": shim, "runtime": "iproute2", "subnet": "20.0.1.0/24", "subnet6": "fd00:1::/64",
    }  # fmt: skip
    lab = {
        "name": "made",
        "nodes": 2,
        "segments": {"wan": {"subnet": "192.168.80.0/24", "subnet6": "fd00:80::/64"}},
        "networks": {"net": network},
        "containers": [{"networks": ["net"]}],
    }
    cells = {
        cell.family: cell
        for cell in predict(make_plan(Lab.model_validate(lab)))
        if (cell.source, cell.destination, cell.protocol) == ("net-1a", "net-2a", "udp")
    }
    assert (cells[4].reachable, cells[6].reachable) == (reached4, reached6)
