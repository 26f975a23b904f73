"""What the node program tells ip and bridge to make, for every kind of link and container."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import underlay_node
from underlay_node import addressing, iproute2, podman, routes
from underlay_node.links import Links, compare, creation, joined

from underlay.drivers import DRIVERS
from underlay.plan import ContainerRoute, NodeLink


def link(**keys: Any) -> dict[str, Any]:
    return asdict(NodeLink(**keys))


def network(driver: str, **keys: Any) -> dict[str, Any]:
    usual = {"name": "net", "driver": driver, "mode": "", "parent": "eth1", "mtu": 1500}
    usual |= {"attach": DRIVERS[driver].attach, "own_mac": DRIVERS[driver].own_mac}
    return {**usual, "default_route": "none", "pools": [], **keys}


def attachment(**keys: Any) -> dict[str, Any]:
    usual = {"network": "net", "interface": "eth0", "address": "10.1.1.65/24", "address6": ""}
    return {**usual, "mac": "02:75:10:01:00:01", "allow": (), **keys}


# What a node without Docker and without files of the user's own has no use for, and pays for at
# every boot, switch and question whether it is ready.
NOT_AT_A_START = {
    *("http.client", "ssl", "email", "tarfile", "shutil", "inspect", "dataclasses", "urllib.parse"),
    *(f"underlay_node.{name}" for name in ("compose", "quadlet", "script", "user_data", "again")),
}
IMPORTED = """
import json, sys
sys.path.insert(0, sys.argv[1])
from underlay_node import command_line, program, ready
print(json.dumps(sorted(sys.modules)))
"""


def test_a_start_imports_what_it_needs_alone() -> None:
    folder = Path(underlay_node.__file__).parents[1]
    words = [sys.executable, "-I", "-S", "-c", IMPORTED, str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    found = set(json.loads(done.stdout))
    assert "underlay_node.iproute2" in found
    assert found & NOT_AT_A_START == set()


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (
            link(kind="bridge", interface="br-eth1", parent="eth1", mac="02:75:01:01:00:00"),
            "link add name br-eth1 address 02:75:01:01:00:00 mtu 1500 type bridge",
        ),
        (
            link(kind="dummy", interface="dm-mac"),
            "link add name dm-mac mtu 1500 type dummy",
        ),
        (
            link(
                kind="vxlan",
                interface="vx-over",
                parent="eth1",
                master="br-over",
                mtu=1450,
                options={"id": 7, "dstport": 4789, "local": "192.0.2.1", "fdb": ["192.0.2.2"]},
            ),
            "link add name vx-over mtu 1450 type vxlan id 7 dstport 4789 local 192.0.2.1 dev eth1",
        ),
        (
            link(
                kind="gretap",
                interface="gt2-over",
                parent="eth1",
                master="br-over",
                mtu=1458,
                options={"local": "192.0.2.1", "remote": "192.0.2.2", "key": 0},
            ),
            "link add name gt2-over mtu 1458 type gretap local 192.0.2.1 remote 192.0.2.2 key 0"
            " dev eth1",
        ),
        (
            link(
                kind="macvlan",
                interface="sh-mac",
                parent="eth1",
                mac="02:75:10:01:00:00",
                options={"mode": "bridge"},
            ),
            "link add link eth1 name sh-mac address 02:75:10:01:00:00 mtu 1500"
            " type macvlan mode bridge",
        ),
        (
            link(
                kind="ipvlan",
                interface="sh-ip",
                parent="eth1",
                mac="02:75:01:01:00:00",
                options={"mode": "l2", "flag": "private"},
            ),
            "link add link eth1 name sh-ip mtu 1500 type ipvlan mode l2 private",
        ),
    ],
    ids=lambda made: made["kind"] if isinstance(made, dict) else "",
)
def test_links_of_the_node(made: dict[str, Any], line: str) -> None:
    assert creation(made) == line


def test_a_bridge_takes_its_uplink_and_a_tunnel_joins_its_bridge() -> None:
    bridge = link(kind="bridge", interface="br-eth1", parent="eth1")
    tunnel = link(kind="vxlan", interface="vx-over", parent="eth1", master="br-over")
    alone = link(kind="bridge", interface="br-over")
    assert joined(bridge) == [("eth1", "br-eth1")]
    assert joined(tunnel) == [("vx-over", "br-over")]
    assert joined(alone) == []


def test_a_node_forwards_where_the_plan_says_so_or_a_subnet_is_hidden() -> None:
    hidden = link(kind="bridge", interface="br-in", options={"masquerade": "10.3.2.0/24"})
    assert addressing.forwards(Links({"links": [hidden]}))
    assert addressing.forwards(Links({"forwards": True}))
    assert not addressing.forwards(Links({"links": [link(kind="bridge", interface="br-in")]}))
    (rule,) = addressing.rules(Links({"links": [hidden]}))
    assert rule[:5] == ["--source", "10.3.2.0/24", "!", "--out-interface", "br-in"]


@pytest.mark.parametrize(
    ("net", "lines"),
    [
        (
            network("macvlan", mode="passthru"),
            ["link add link eth1 name new0 mtu 1500 netns web type macvlan mode passthru"],
        ),
        (
            network("ipvlan", mode="l3", flag="vepa"),
            ["link add link eth1 name new0 mtu 1500 netns web type ipvlan mode l3 vepa"],
        ),
        (
            network("vlan", vlan=70),
            ["link add link eth1 name new0 mtu 1500 netns web type vlan id 70"],
        ),
        (
            network("vxlan", parent="br-over", mtu=1450),
            [
                "link add name vp-4a39b349 mtu 1450 type veth peer name new0"
                " address 02:75:10:01:00:01 mtu 1450 netns web",
                "link set vp-4a39b349 master br-over up",
            ],
        ),
    ],
    ids=lambda value: value["driver"] if isinstance(value, dict) else "",
)
def test_a_containers_interface_by_ip(net: dict[str, Any], lines: list[str]) -> None:
    assert iproute2.creation("web", attachment(), net) == lines


def test_one_attachment_has_the_default_route() -> None:
    two = {
        "attachments": [
            attachment(network="routed", address6="fd00:1::65/64"),
            attachment(network="flat", interface="eth1", address6="fd00:2::65/64"),
            attachment(network="wide", interface="eth2"),
        ]
    }
    pools = [
        {"subnet": "10.2.1.0/24", "gateway": "10.2.1.1"},
        {"subnet": "10.1.1.0/24", "gateway": "10.1.1.1"},
        {"subnet": "fd00:1::/64", "gateway": "fd00:1::1"},
    ]
    nets = {
        "routed": network("macvlan", default_route="gateway", pools=pools),
        "flat": network("macvlan", default_route="on-link"),
        "wide": network("macvlan", default_route="on-link"),
    }
    assert routes.lines(two, nets) == [
        "route replace default dev eth1",
        "route replace ::/0 dev eth1",
    ]
    nets["flat"]["default_route"] = nets["wide"]["default_route"] = "none"
    assert routes.lines(two, nets) == [
        "route replace default via 10.1.1.1 dev eth0",
        "route replace ::/0 via fd00:1::1 dev eth0",
    ]
    nets["routed"]["default_route"] = "none"
    assert routes.lines(two, nets) == []


def test_further_routes_go_by_the_next_hop_or_on_the_link() -> None:
    more = [ContainerRoute("10.9.0.0/16", "10.1.1.9"), ContainerRoute("fd00:9::/64")]
    net = network("macvlan", routes=[asdict(route) for route in more])
    assert routes.further(attachment(), net) == [
        "route replace 10.9.0.0/16 via 10.1.1.9 dev eth0",
        "route replace fd00:9::/64 dev eth0",
    ]


def test_podman_is_told_each_address_and_no_mac_that_is_the_parents() -> None:
    both = attachment(address6="fd00:1::65/64")
    assert podman.endpoint(both, network("macvlan", mode="bridge")) == (
        "net:ip=10.1.1.65,ip=fd00:1::65,mac=02:75:10:01:00:01,interface_name=eth0"
    )
    further = attachment(more=("10.1.2.65/24",))
    assert podman.endpoint(further, network("ipvlan", mode="l2")) == (
        "net:ip=10.1.1.65,ip=10.1.2.65,interface_name=eth0"
    )
    for net in (network("ipvlan", mode="l2"), network("macvlan", mode="passthru")):
        assert podman.endpoint(both, net) == ("net:ip=10.1.1.65,ip=fd00:1::65,interface_name=eth0")


def node(*links: dict[str, Any], vlans: tuple[dict[str, Any], ...] = ()) -> Links:
    nic = {"interface": "eth1", "address": "", "mtu": 1500}
    return Links({"nics": [nic], "vlans": list(vlans), "links": list(links)})


def work(
    monkeypatch: pytest.MonkeyPatch, before: Links, after: Links, *present: dict[str, Any]
) -> list[str]:
    """Return ip's lines that lead from ``before`` to ``after`` where these interfaces are there."""
    usual = {"flags": ["UP"], "mtu": 1500, "addr_info": []}
    rows = [{**usual, **row} for row in present]
    monkeypatch.setattr(
        "underlay_node.links.show", lambda words: rows if "address" in words else []
    )
    lines: list[str] = compare(after, before).ip
    return lines


def test_a_port_joins_the_bridge_that_is_made_anew_under_the_same_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = {"kind": "bridge", "interface": "br-eth1", "parent": "eth1"}
    before = node(link(**keys, addresses=("192.0.2.1/24",)))
    after = node(link(**keys, addresses=("192.0.2.2/24",)))
    there = ({"ifname": "eth1", "master": "br-eth1"}, {"ifname": "br-eth1"})
    lines = work(monkeypatch, before, after, *there)
    assert lines[0] == "link delete br-eth1"
    assert "link set eth1 master br-eth1" in lines[1:]
    # Left alone, nothing is to be done.
    held = {"local": "192.0.2.2", "prefixlen": 24, "scope": "global"}
    there = ({"ifname": "eth1", "master": "br-eth1"}, {"ifname": "br-eth1", "addr_info": [held]})
    assert work(monkeypatch, after, after, *there) == []


def test_nics_change_their_names_by_way_of_names_that_nobody_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    macs = ("02:75:01:01:00:00", "02:75:02:01:00:00")

    def cards(*names: str, link: str) -> Links:
        nics = [
            {"interface": name, "mac": mac, "address": f"192.0.2.{number}/24", "mtu": 1500}
            for number, (name, mac) in enumerate(zip(names, macs, strict=True), 1)
        ]
        vlan = {"interface": "foo", "link": link, "vlan": 90, "address": "", "mtu": 1500}
        return Links({"nics": nics, "vlans": [vlan], "links": []})

    rows = [
        {"ifname": "eth1", "address": macs[0], "flags": ["UP"], "mtu": 1500, "addr_info": []},
        {"ifname": "eth2", "address": macs[1], "flags": ["UP"], "mtu": 1500, "addr_info": []},
        # A VLAN has its NIC's address, and is none.
        {"ifname": "foo", "address": macs[0], "link": "eth1", "flags": ["UP"], "mtu": 1500},
    ]
    monkeypatch.setattr(
        "underlay_node.links.show", lambda words: rows if "address" in words else []
    )
    done = compare(cards("eth2", "ens3.80", link="eth2"), cards("eth1", "eth2", link="eth1"))
    first, renaming, after = done.batches
    assert first == ["link delete foo"]
    assert [line for line in renaming if " name " in line] == [
        "link set dev eth1 name underlay-0",
        "link set dev eth2 name underlay-1",
        "link set dev underlay-0 name eth2",
        "link set dev underlay-1 name ens3.80",
    ]
    assert "link add link eth2 name foo type vlan id 90" in after
    assert "address replace 192.0.2.2/24 broadcast + dev ens3.80" in after
    assert {"link set eth2 up", "link set ens3.80 up"} <= {*after}
    # Called as planned, they are left alone.
    same = cards("eth1", "eth2", link="eth1")
    assert len(compare(same, same).batches) == 1


def test_another_lab_has_tunnels_that_remember_no_failures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {"local": "192.0.2.1", "remote": "192.0.2.2", "key": 0}
    bridge = link(kind="bridge", interface="br-over")
    tunnel = link(kind="gretap", interface="gt2-over", master="br-over", options=options)
    same = node(bridge, tunnel)
    usual = {"flags": ["UP"], "mtu": 1500, "addr_info": []}
    rows = [
        {"ifname": "eth1"},
        {"ifname": "br-over"},
        {"ifname": "gt2-over", "master": "br-over"},
    ]

    def changes(*, another_lab: bool) -> list[str]:
        there = [{**usual, **row} for row in rows]
        monkeypatch.setattr(
            "underlay_node.links.show", lambda words: there if "address" in words else []
        )
        lines: list[str] = compare(same, same, another_lab=another_lab).ip
        return lines

    assert changes(another_lab=False) == []
    lines = changes(another_lab=True)
    assert lines[0] == "link delete gt2-over"
    assert any(line.startswith("link add name gt2-over") for line in lines)
    assert "link set gt2-over master br-over" in lines
    assert not any("link delete br-over" in line for line in lines)


def test_what_sits_on_an_interface_that_goes_is_removed_first_and_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vlan = {"interface": "eth1.90", "link": "eth1", "vlan": 90, "address": "", "mtu": 1500}
    shim = link(kind="macvlan", interface="sh-net", parent="eth1.90", options={"mode": "bridge"})
    before = node(shim, vlans=(vlan,))
    after = node(shim, vlans=({**vlan, "mtu": 1400},))
    there = (
        {"ifname": "eth1"},
        {"ifname": "eth1.90", "link": "eth1", "linkinfo": {"info_data": {"id": 90}}},
        {"ifname": "sh-net", "link": "eth1.90"},
    )
    lines = work(monkeypatch, before, after, *there)
    assert lines[:2] == ["link delete sh-net", "link delete eth1.90"]
    made = [line for line in lines if line.startswith("link add")]
    assert ["eth1.90" in made[0], "name sh-net" in made[1]] == [True, True]
