"""SLAAC on ipvlan: addresses made of a child's number on its parent, in the order of making."""

from __future__ import annotations

from ipaddress import IPv6Network
from pathlib import Path

import pytest
from underlay_node import containers, settling

from underlay.lab.text import LabError
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.plan.addresses import own_made

LAB = Path(__file__).resolve().parents[3] / "labs" / "slaac-ipvlan.yml"


def plan_of(tmp_path: Path, changes: dict[str, str] | None = None) -> Plan:
    text = LAB.read_text(encoding="utf-8")
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new, 1)
    file = tmp_path / "lab.yml"
    file.write_text(text, encoding="utf-8")
    return make_plan(read_lab(file))


def test_a_number_stands_where_ff_fe_would() -> None:
    subnet, mac = IPv6Network("fd00:1::/64"), "02:75:01:01:00:00"
    assert str(own_made(subnet, mac)) == "fd00:1::75:1ff:fe01:0"
    # Seen on a node: /sys/class/net/eth0/dev_id was 0x1, and 0x2 for the second child.
    assert str(own_made(subnet, mac, 1)) == "fd00:1::275:100:101:0"
    assert str(own_made(subnet, mac, 2)) == "fd00:1::275:100:201:0"
    assert str(own_made(subnet, mac, 0x1234)) == "fd00:1::275:112:3401:0"


def test_children_of_one_parent_are_numbered_from_one(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    made = {c.name: c.attachments[0].address6.ip for c in plan.containers}
    assert made["plain-1a"] == "fd00:1::275:100:101:0"
    assert made["plain-1b"] == "fd00:1::275:100:201:0"
    assert made["bridge-1a"] == "fd00:2::275:100:101:0"
    assert made["plain-2a"] == "fd00:1::275:100:102:0"
    assert len(set(made.values())) == len(made)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{driver: ipvlan, slaac: true, segment: lan, subnet: 10.1.1",
         "{driver: ipvlan, mode: l3, slaac: true, segment: lan, subnet: 10.1.1", "in mode l3"),
        ("{driver: ipvlan, slaac: true, segment: lan, subnet: 10.1.1",
         "{driver: ipvlan, mode: l3s, slaac: true, segment: lan, subnet: 10.1.1", "in mode l3s"),
        ("vlan: 72, ", "vlan: 71, ", "slaac beside"),
        ("slaac: true, segment: lan, subnet: 10.1.1", "slaac: true, shim: true, segment: lan,"
         " subnet: 10.1.1", "beside a shim"),
        ("vlan: 73, addresses", "vlan: 74, addresses", "without a router"),
    ],
)  # fmt: skip
def test_what_can_not_be_planned_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(LabError) as caught:
        plan_of(tmp_path, {old: new})
    assert any(said in problem.found for problem in caught.value.problems)


def specified(name: str, *, slaac: bool, own_mac: bool) -> dict:
    network = {"name": "net", "slaac": slaac, "own_mac": own_mac, "parent": "eth1"}
    return {"container": {"name": name}, "networks": {"net": network}}


def test_where_one_is_made_anew_all_of_its_network_are() -> None:
    known = {name: specified(name, slaac=True, own_mac=False) for name in "ab"}
    assert containers.with_numbered(["a"], known, known) == ["a", "b"]
    more = {**known, "c": specified("c", slaac=True, own_mac=False)}
    assert containers.with_numbered([], known, more) == ["a", "b"]
    assert containers.with_numbered([], known, known) == []


def test_others_stay_where_one_is_made_anew() -> None:
    for slaac, own_mac in ((True, True), (False, False)):
        known = {name: specified(name, slaac=slaac, own_mac=own_mac) for name in "ab"}
        assert containers.with_numbered(["a"], known, known) == ["a"]


def test_the_failure_says_what_was_made_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"addr_info": [{"local": "fd00::2", "prefixlen": 64, "scope": "global"}]}]
    monkeypatch.setattr(settling, "show", lambda words: rows)
    said = settling._why({"interface": "eth0"}, "a")
    assert said.startswith("it made fd00::2/64 of its MAC address and its number")
