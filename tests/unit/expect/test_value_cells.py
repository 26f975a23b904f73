from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

import doc_pages
from underlay.expect import Check, Expectation, predict
from underlay.lab import Lab, model
from underlay.lint.read import read_lab
from underlay.observe.on_node import probe
from underlay.plan import Plan, make_plan
from underlay.storage.paths import root

CHECKS = list(get_args(Check))


def plan_of(driver: str, mode: str | None = None, **segment: Any) -> Plan:
    network: dict[str, Any] = {
        "driver": driver,
        "segment": "lan",
        "subnet": "20.1.1.0/24",
        "subnet6": "2001:db8:1::/64",
        "runtime": "iproute2",
    }
    if mode:
        network["mode"] = mode
    lab = {
        "name": "seen",
        "nodes": 2,
        "segments": {"lan": {"subnet": "192.168.70.0/24", "subnet6": "2001:db8:70::/64"} | segment},
        "networks": {"net": network},
        "containers": [{"count": 2, "networks": ["net"]}],
        "checks": CHECKS,
    }
    return make_plan(Lab.model_validate(lab))


def test_lab_file_prediction_probe_and_page_know_the_same_checks() -> None:
    assert set(get_args(model.Check)) == set(CHECKS)
    assert set(probe.CHECKS) == {*CHECKS, "unplanned"}
    page = (doc_pages.DOCS / "verbs" / "check.md").read_text("utf-8")
    assert [check for check in CHECKS if f"\n| `{check}` | " not in page] == []


def values(plan: Plan) -> dict[tuple[str, str, str, int], Expectation]:
    return {
        (e.protocol, e.source, e.destination, e.family): e
        for e in predict(plan)
        if e.kind == "value"
    }


def test_only_what_is_asked_for_is_predicted() -> None:
    plan = plan_of("macvlan")
    assert {check for check, *_ in values(plan)} == set(CHECKS)
    assert ("arp", "net-1a", "net-2a", 6) not in values(plan)
    assert ("nd", "net-1a", "net-2a", 6) in values(plan)
    assert all(e.because and e.reference and e.rule for e in values(plan).values())


def test_a_macvlan_child_shows_its_own_mac_an_ipvlan_child_its_parent_s() -> None:
    for driver in ("macvlan", "ipvlan"):
        plan = plan_of(driver)
        there = values(plan)
        own = plan.container("net-2a").attachments[0].mac
        parent = plan.node("core-02").nics[0].mac
        assert (own == parent) == (driver == "ipvlan")
        assert there["arp", "net-1a", "net-2a", 4].value == own
        assert there["nd", "core-01", "net-2a", 6].value == own
        assert there["arp", "net-1a", "core-01", 4].value == "nobody"
        assert there["macs", "net-2a", "net-1a", 4].value == own
        assert there["macs", "core-02", "net-1a", 4].value == parent


def test_a_request_that_arrives_has_its_source_address() -> None:
    there = values(plan_of("macvlan"))
    seen = there["source", "net-1a", "net-2a", 4]
    assert seen.value == seen.source_address
    assert ("source", "net-1a", "core-01", 4) not in there


@pytest.mark.parametrize(
    ("driver", "mode", "segment", "hearers"),
    [
        ("macvlan", "bridge", {}, {"net-1b", "net-2a", "net-2b", "core-02"}),
        ("macvlan", "private", {}, {"net-2a", "net-2b", "core-02"}),
        ("macvlan", "vepa", {}, {"net-2a", "net-2b", "core-02"}),
        (
            "macvlan",
            "vepa",
            {"hairpin": True},
            {"net-1b", "net-2a", "net-2b", "core-01", "core-02"},
        ),
        ("macvlan", "bridge", {"isolated": True}, {"net-1b"}),
        ("macvlan", "bridge", {"locked": True}, {"net-1b"}),
        ("ipvlan", "l2", {}, {"net-1b", "net-2a", "net-2b", "core-02"}),
        ("ipvlan", "l3", {}, set()),
        ("bridge", None, {}, {"net-1b", "net-2a", "net-2b", "core-01", "core-02"}),
    ],
)
def test_who_hears_a_broadcast(
    driver: str, mode: str | None, segment: dict[str, Any], hearers: set[str]
) -> None:
    there = values(plan_of(driver, mode, **segment))
    for check, family in (("broadcast", 4), ("multicast", 4), ("multicast", 6)):
        assert set(there[check, "net-1a", "net", family].value) == hearers


def test_a_node_is_member_of_a_group_by_interfaces_with_an_address_alone() -> None:
    """The shim is a sibling of two's child, and has an IPv4 address; it gave itself an IPv6 one."""
    network = {"driver": "ipvlan", "segment": "lan", "vlan": 80, "runtime": "iproute2"}
    one = {"subnet": "20.1.1.0/24", "shim": True}
    two = {"subnet": "20.2.1.0/24", "subnet6": "2001:db8:2::/64"}
    lab = {
        "name": "members",
        "nodes": 2,
        "segments": {"lan": {"subnet": "192.168.70.0/24", "subnet6": "2001:db8:70::/64"}},
        "networks": {"one": network | one, "two": network | two},
        "containers": [{"networks": ["one"]}, {"networks": ["two"]}],
        "checks": ["broadcast", "multicast"],
    }
    there = values(make_plan(Lab.model_validate(lab)))
    of_all = {"core-01", "core-02", "one-1a", "one-2a", "two-2a"}
    for check in ("broadcast", "multicast"):
        assert set(there[check, "two-1a", "two", 4].value) == of_all
    assert set(there["multicast", "two-1a", "two", 6].value) == {"core-02", "two-2a"}


@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_an_internal_l3_childs_ipv6_is_handed_to_its_own_node(mode: str) -> None:
    """Its parent is a dummy: IPv4 stays there, IPv6 goes by whatever route the node has."""
    network = {"driver": "ipvlan", "mode": mode, "runtime": "cni", "internal": True}
    lab = {
        "name": "handed",
        "nodes": 2,
        "segments": {"lan": {"subnet": "192.168.70.0/24", "subnet6": "fd00:70::/64"}},
        "networks": {
            "in": network | {"segment": "lan", "subnet": "20.1.1.0/24", "subnet6": "fd00:1::/64"}
        },
        "containers": [{"networks": ["in"]}],
        "checks": ["source"],
    }
    cells = predict(make_plan(Lab.model_validate(lab)))
    found = {
        (one.destination, one.family): (one.rule, one.arrives)
        for one in cells
        if (one.source, one.protocol) == ("in-1a", "icmp")
    }
    assert found["core-01", 6] == found["core-02", 6] == ("no-route-answer", True)
    assert found["core-01", 4] == ("closed-taken", False)
    assert ("source", "in-1a", "core-01", 6) in values(make_plan(Lab.model_validate(lab)))


def test_a_locked_port_lets_no_childs_broadcast_out_not_even_to_an_external_host() -> None:
    plan = make_plan(read_lab(root() / "labs" / "seen-closed.yml"))
    found = {(c.source, c.destination, c.protocol): c.value for c in predict(plan)}
    assert found["out-1a", "out", "broadcast"] == ()
    assert found["core-01", "out", "broadcast"] == ("core-02", "out-2a", "router")
    # In the overlay passthru children take what the tunnels bring to either node.
    assert found["vx-2a", "vx", "broadcast"] == ("core-02",)
    assert found["core-01", "vx", "broadcast"] == ("vx-1a",)


def test_the_least_mtu_on_the_way_counts() -> None:
    assert values(plan_of("macvlan"))["pmtu", "net-1a", "net-2a", 4].value == "1500"
    small = values(plan_of("macvlan", mtu=1400))
    assert small["pmtu", "net-1a", "net-2a", 6].value == "1400"
    assert small["pmtu", "core-01", "net-2a", 4].value == "1400"


def test_a_node_takes_in_by_its_loopback_what_it_routes_for_an_l3_child_of_its_own() -> None:
    there = values(plan_of("ipvlan", "l3"))
    assert there["macs", "net-1a", "core-01", 4].value == "00:00:00:00:00:00"
    assert there["source", "net-1a", "core-01", 4].value == "20.1.1.65"
    assert ("macs", "net-1a", "core-01", 4) not in values(plan_of("ipvlan"))
    parent = plan_of("ipvlan", "l3").node("core-01").nics[0].mac
    assert there["macs", "net-1a", "core-02", 4].value == parent


def test_broadcasts_in_an_overlay_reach_whom_its_tunnels_reach() -> None:
    def hearers(**segment: Any) -> Any:
        return values(plan_of("gretap", **segment))["broadcast", "net-1a", "net", 4].value

    assert hearers() == ("core-01", "core-02", "net-1b", "net-2a", "net-2b")
    assert hearers(locked=True) == hearers()
    assert hearers(isolated=True) == ("core-01", "net-1b")


def test_an_l3s_child_sees_no_frames_and_an_l3_childs_own_mtu_counts() -> None:
    plan = make_plan(read_lab(root() / "labs" / "seen-l3.yml"))
    found = {(c.source, c.destination, c.protocol, c.family): c.value for c in predict(plan)}
    assert found["some-1a", "some-2a", "macs", 4] == "nothing"
    assert found["three-1a", "three-2a", "macs", 4] == plan.node("core-01").nics[0].mac
    # The parent carries 1500; l3s children have 1400, and so has what they send to anybody.
    assert found["some-1a", "core-02", "pmtu", 4] == "1400"
    assert found["three-1a", "core-02", "pmtu", 4] == "1500"


def test_a_machine_answers_arp_on_each_interface_that_hears_the_request() -> None:
    plan = make_plan(read_lab(root() / "labs" / "seen-bridge.yml"))
    found = {(c.source, c.destination, c.protocol, c.family): c.value for c in predict(plan)}
    # The other node has a NIC and a shim on that wire; of the own node only the shim hears.
    assert found["mac-1a", "core-02", "arp", 4] == ("02:75:02:02:00:00", "02:75:12:02:00:00")
    assert found["mac-1a", "core-01", "arp", 4] == "02:75:12:01:00:00"


INSIDE = """\
name: inside
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  closed: {driver: ipvlan, internal: true, segment: lan, subnet: 10.1.0.0/24, runtime: iproute2}
  apart: {driver: macvlan, internal: true, segment: lan, subnet: 10.2.0.0/24, runtime: iproute2}
containers:
  - {on: core-01, count: 2, networks: [closed]}
  - {on: core-01, count: 2, networks: [apart]}
checks: [macs, arp, source]
"""


def test_nothing_is_said_of_a_mac_address_that_the_kernel_chooses(tmp_path: Path) -> None:
    """Children of ipvlan have their parent's, and an internal network's is a dummy."""
    (tmp_path / "lab.yml").write_text(INSIDE, encoding="utf-8")
    cells = predict(make_plan(read_lab(tmp_path / "lab.yml")))
    asked = {(c.source[:6], c.protocol) for c in cells if c.kind == "value"}
    assert asked == {
        ("closed", "source"), ("apart-", "source"), ("apart-", "macs"), ("apart-", "arp"),
    }  # fmt: skip
    assert all(c.value for c in cells if c.kind == "value")
