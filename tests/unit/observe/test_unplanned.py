"""What the real probe finds beyond the plan, over macvlan on this machine's kernel."""

from __future__ import annotations

from pathlib import Path

from underlay.lab import Lab
from underlay.observe.unplanned import Looked
from underlay.plan import Plan, make_plan
from unit.observe.test_probe_real import run

JOINED = (
    "link add joins type veth peer name joined",
    "link set joins master {lan} up",
    "link set joined master {wan} up",
)


def plan_of() -> Plan:
    lab = {
        "name": "beyond",
        "nodes": 2,
        "segments": {
            "lan": {"subnet": "192.168.70.0/24"},
            "wan": {"subnet": "192.168.80.0/24"},
        },
        "networks": {
            "red": {"driver": "macvlan", "segment": "lan", "subnet": "20.1.1.0/24"},
            "blue": {"driver": "macvlan", "segment": "wan", "subnet": "30.1.1.0/24"},
        },
        "containers": [{"networks": ["red"]}, {"networks": ["blue"]}],
    }
    return make_plan(Lab.model_validate(lab))


def looked(folder: Path, *commands: str) -> Looked:
    found = run(plan_of(), folder, *commands, "beyond").looked
    assert found is not None
    return found


BY_HAND = (
    "-n red-1a address add 20.1.1.99/24 dev eth0",
    "-n blue-1a address add 2001:db8:9::5/64 dev eth0 nodad",
    "-n blue-2a address add 2001:db8:9::6/64 dev eth0 nodad valid_lft 600 preferred_lft 600",
    "-n core-01 link add by-hand link eth1 type macvlan mode bridge",
    "-n core-01 link set by-hand up",
    "-n core-01 address add 20.1.1.98/32 dev by-hand",
    # Nobody hears this one.
    "-n red-1a link add hidden type bridge",
    "-n red-1a link set hidden up",
    "-n red-1a address add 172.17.0.1/16 dev hidden",
)
PROXY = "sysctl core-01 net.ipv4.conf.eth1.proxy_arp"


def test_nothing_is_found_where_all_is_as_planned(tmp_path: Path) -> None:
    # It answers for nobody as long as it doesn't forward (arp_process).
    assert looked(tmp_path, PROXY) == Looked()


def test_addresses_that_nobody_planned_are_found_with_who_brought_them(tmp_path: Path) -> None:
    found = looked(tmp_path, *BY_HAND)
    assert found.blind == ()
    by_address = {one.address: one for one in found.found if one.kind == "address"}
    assert {a: (o.end, o.interface, o.brought) for a, o in by_address.items()} == {
        "20.1.1.99": ("red-1a", "eth0", "hand"),
        "2001:db8:9::5": ("blue-1a", "eth0", "hand"),
        "2001:db8:9::6": ("blue-2a", "eth0", "advertisement"),
        "20.1.1.98": ("core-01", "by-hand", "hand"),
    }
    assert set(by_address["20.1.1.99"].answered) >= {"core-02", "red-2a"}
    assert set(by_address["20.1.1.98"].heard_by) == {"core-02", "red-1a", "red-2a"}
    assert "blue-1a" in by_address["2001:db8:9::6"].answered
    # And the interface that nobody planned answers for its machine's other addresses.
    others = {(one.kind, one.end, one.address) for one in found.found if one.kind != "address"}
    assert others == {("other-mac", "core-01", "192.168.70.11")}


def test_who_answers_for_others_is_found_with_what_switched_it_on(tmp_path: Path) -> None:
    found = looked(
        tmp_path,
        PROXY,
        "sysctl core-01 net.ipv4.ip_forward",
        "sysctl core-02 net.ipv4.ip_forward",
        "-n core-02 neighbour add proxy 192.168.70.254 dev eth2",
        "sysctl blue-1a net.ipv4.ip_forward",
        "sysctl blue-1a net.ipv4.conf.eth0.proxy_arp_pvlan",
    )
    assert found.blind == ()
    one = {(one.kind, one.end, one.address): one for one in found.found}
    for_one = one["proxy-arp", "core-02", "192.168.70.254"]
    assert (for_one.interface, for_one.brought) == ("eth2", "")
    private = one["proxy-arp", "blue-1a", "30.1.1.254"]
    assert (private.interface, private.brought) == ("eth0", "proxy")
    by_switch = [o for o in found.found if o.kind == "proxy-arp" and o.end == "core-01"]
    assert {(o.interface, o.brought) for o in by_switch} == {("eth1", "proxy")}
    assert {o.address for o in by_switch} <= {"192.168.80.254", "30.1.1.254"}
    assert "red-2a" in {name for o in by_switch for name in o.answered}


def test_two_segments_that_are_joined_leak(tmp_path: Path) -> None:
    segments = {segment.name: segment.bridge for segment in plan_of().segments}
    found = looked(tmp_path, *(command.format(**segments) for command in JOINED))
    assert found.blind == ()
    assert {one.kind for one in found.found} == {"broadcast", "link-local"}
    ends = {one.end for one in found.found if one.kind == "link-local"}
    assert ends == {"red-1a", "red-2a", "blue-1a", "blue-2a", "core-01", "core-02"}
    red = next(o for o in found.found if (o.end, o.kind) == ("red-1a", "link-local"))
    assert {"blue-1a", "blue-2a"} <= set(red.heard_by)
    assert {"blue-1a", "blue-2a"} <= set(red.answered)


def test_who_is_heard_is_asked_for_twice(tmp_path: Path) -> None:
    segments = {segment.name: segment.bridge for segment in plan_of().segments}
    lossy = "wire core-01: in drop first nd"
    found = looked(tmp_path, *(command.format(**segments) for command in JOINED), lossy)
    red = next(o for o in found.found if (o.end, o.kind) == ("red-1a", "link-local"))
    assert {"blue-1a", "blue-2a"} <= set(red.answered)


def test_who_cannot_look_is_named(tmp_path: Path) -> None:
    found = looked(tmp_path, "-n red-1a link set eth0 down", "silent core-02")
    assert found.found == ()
    # Those on core-01 had to hear somebody on core-02.
    blind = dict(found.blind)
    assert set(blind) == {"red-1a", "core-01", "core-02", "red-2a", "blue-1a", "blue-2a"}
    assert blind["red-1a"] == "Network is down"
    assert "out of order" in blind["red-2a"]
    assert "heard nothing" in blind["blue-1a"]
