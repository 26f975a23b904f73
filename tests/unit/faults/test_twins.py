"""The same thing once harmful and once harmless: only the harmful one is found.

What healthy nodes once showed (tests/unit/proof/evidence) is changed in one place.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from confusion import EVIDENCE, GREEN
from underlay.expect import Prediction
from underlay.faults import RUNNING, Scene, running_fault
from underlay.lint.read import read_lab
from underlay.observe.evidence import Evidence
from underlay.plan import SWITCH, make_plan
from underlay.storage.paths import root

Space = dict[str, Any]
NODE, PEER, FAR_MAC = "core-02", "192.168.70.11", "02:75:15:01:00:01"
OWN_MAC, ELSEWHERE = "02:75:15:02:00:01", "192.0.2.99"


@cache
def healthy(lab: str) -> dict[str, Any]:
    with lzma.open(EVIDENCE / f"{lab}.json.xz", "rt") as lines:
        found: dict[str, Any] = json.load(lines)["faults"][GREEN]["documents"]
    return found


@cache
def scene(lab: str) -> Scene:
    return Scene(Prediction(make_plan(read_lab(root() / "labs" / f"{lab}.yml"))))


def found(lab: str, space: str, change: Callable[[Space], None], *faults: str) -> list[str]:
    """Return which of ``faults``, or of all, a namespace's evidence shows after a change."""
    documents = json.loads(json.dumps(healthy(lab)))
    change(next(d["spaces"][space] for d in documents.values() if space in d["spaces"]))
    evidence = Evidence(documents)
    shown = [
        finding
        for fault in RUNNING
        if fault.id in faults or not faults
        for finding in fault.find(scene(lab), evidence)
    ]
    return sorted({one.fault.id for one in shown if one.effect.every})


def link(space: Space, name: str) -> dict[str, Any]:
    return next(row for row in space["links"] if row.get("ifname") == name)


def port(space: Space, name: str) -> dict[str, Any]:
    return next(row for row in space["ports"] if row.get("ifname") == name)


def tunnel(**settings: object) -> Callable[[Space], None]:
    return lambda space: link(space, "vx-vx")["linkinfo"]["info_data"].update(settings)


def ports(*names: str, **settings: object) -> Callable[[Space], None]:
    def change(space: Space) -> None:
        for name in names:
            port(space, name).update(settings)

    return change


def entry(**row: object) -> Callable[[Space], None]:
    return lambda space: space["fdb"].append({"flags": ["self"], "ifname": "vx-vx", **row})


def neighbour(**row: object) -> Callable[[Space], None]:
    return lambda space: space["neighbours"].append({"dev": "eth1", **row})


def sysctl(name: str, value: str) -> Callable[[Space], None]:
    return lambda space: space["sysctl"].update({name: value})


def unlisted(space: Space) -> None:
    space["fdb"] = [row for row in space["fdb"] if row.get("mac") != "00:00:00:00:00:00"]


def lines(part: str, *text: str) -> Callable[[Space], None]:
    return lambda space: space.update({part: list(text)})


def xfrm(action: str, counted: int) -> Callable[[Space], None]:
    def change(space: Space) -> None:
        block = (f"src 0.0.0.0/0 dst {PEER}/32 ", f"\tdir out action {action} priority 0 ")
        lines("xfrm", *block)(space)
        space["counters"] = {"XfrmOutPolBlock": counted} if counted else {}

    return change


def xdp(space: Space) -> None:
    link(space, "eth1")["xdp"] = {"mode": 2, "prog": {"id": 7}}


CABLE = "vp-d8bddadd"  # vx-2a's, at the bridge of vx-vx


@pytest.mark.parametrize(
    ("fault", "harmful", "harmless"),
    [
        ("tunnel-settings", tunnel(local=ELSEWHERE), tunnel(local="192.168.70.12")),
        ("tunnel-settings", tunnel(link="eth2"), tunnel(link="eth1")),
        ("tunnel-settings", tunnel(proxy=True), tunnel(udp_csum=False)),
        ("tunnel-settings", tunnel(learning=False), tunnel(ttl=64)),
        (
            "vxlan-entry-wrong",
            entry(mac=FAR_MAC, dst=ELSEWHERE, state="permanent"),
            entry(mac=FAR_MAC, dst=PEER, state="permanent"),
        ),
        (
            "vxlan-entry-wrong",
            entry(mac=FAR_MAC, dst=ELSEWHERE, state="static"),
            # The next frame of its owner corrects what was learned.
            entry(mac=FAR_MAC, dst=ELSEWHERE, state=""),
        ),
        ("vxlan-listed-one-way", unlisted, entry(mac="00:00:00:00:00:00", dst=ELSEWHERE)),
        (
            "outer-neighbour",
            neighbour(dst=PEER, lladdr="02:00:00:00:00:42", state=["PERMANENT"]),
            neighbour(dst=PEER, lladdr="02:75:01:01:00:00", state=["PERMANENT"]),
        ),
        (
            "outer-neighbour",
            neighbour(dst=PEER, lladdr="02:00:00:00:00:42", state=["PERMANENT"]),
            neighbour(dst=PEER, lladdr="02:00:00:00:00:42", state=["STALE"]),
        ),
        ("node-port-closed", ports("vx-vx", state="disabled"), ports("vx-vx", state="forwarding")),
        ("node-port-closed", ports("vx-vx", locked=True), ports("vx-vx", learning=False)),
        ("node-port-closed", ports(CABLE, state="blocking"), ports(CABLE, cost=100)),
        ("node-port-quiet", ports("vx-vx", bcast_flood=False), ports("vx-vx", flood=True)),
        (
            "node-ports-isolated",
            ports(CABLE, "vx-vx", isolated=True),
            ports("vx-vx", isolated=True),  # one alone is isolated from nobody
        ),
        (
            "node-fdb-wrong-port",
            entry(ifname="vx-vx", mac=OWN_MAC, master="br-vx", state="static", flags=["sticky"]),
            entry(ifname=CABLE, mac=OWN_MAC, master="br-vx", state="static", flags=["sticky"]),
        ),
        ("node-arp-off", lambda space: link(space, "eth1")["flags"].append("NOARP"),
         lambda space: link(space, "gt1-gre")["flags"].append("NOARP")),
        ("arp-ignored", sysctl("net.ipv4.conf.eth1.arp_ignore", "8"),
         sysctl("net.ipv4.conf.eth1.arp_ignore", "1")),
        ("xfrm-blocks", xfrm("block", 9), xfrm("block", 0)),
        ("xfrm-blocks", xfrm("block", 9), xfrm("allow", 9)),
        ("bpf-program", xdp, lambda space: link(space, "eth1").update(promiscuity=1)),
        (
            "packets-altered",
            lines("iptables", "*nat", "[9:9] -A OUTPUT -p udp -j DNAT --to-destination 192.0.2.1"),
            lines("iptables", "*nat", "[0:0] -A OUTPUT -p udp -j DNAT --to-destination 192.0.2.1"),
        ),
    ],
)  # fmt: skip
def test_a_setting_is_a_fault_only_where_it_does_harm(
    fault: str, harmful: Callable[[Space], None], harmless: Callable[[Space], None]
) -> None:
    assert found("one-of-each", NODE, harmful, fault) == [fault]
    assert not found("one-of-each", NODE, harmless, fault)


def test_who_answers_for_all_devices_is_told_from_who_does_for_one() -> None:
    for name in ("all", "eth0"):
        change = sysctl(f"net.ipv4.conf.{name}.arp_ignore", "8")
        assert found("coreos", "lannet-2a", change) == ["arp-ignored"]
    assert not found("coreos", "lannet-2a", sysctl("net.ipv4.conf.lo.arp_ignore", "8"))


def lost(lab: str, space: str, change: Callable[[Space], None], fault: str) -> set[tuple[str, int]]:
    """Return who asks in vain over which family by ``fault``, all of it for certain."""
    documents = json.loads(json.dumps(healthy(lab)))
    change(next(d["spaces"][space] for d in documents.values() if space in d["spaces"]))
    findings = running_fault(fault).find(scene(lab), Evidence(documents))
    effects = [finding.effect for finding in findings]
    assert not frozenset().union(*(effect.possible for effect in effects))
    return {(s, family) for effect in effects for s, *_, family in effect.certain}


def test_a_port_that_floods_nothing_costs_a_family_and_spares_its_own_node() -> None:
    """net/bridge/br_forward.c, br_flood: what the bridge's own node sends goes out all the same."""
    for key, family in (("bcast_flood", 4), ("mcast_flood", 6)):
        change = ports("vx-vx", **{key: False})
        found = lost("seen-overlay", NODE, change, "node-port-quiet")
        assert found == {("vx-2a", family), ("vx-2b", family)}


def test_who_cannot_be_found_loses_requests_and_no_answers() -> None:
    change = sysctl("net.ipv4.conf.eth0.arp_ignore", "8")
    found = lost("seen", "own-2a", change, "arp-ignored")
    assert found == {(source, 4) for source in ("own-1a", "own-1b", "own-2b", "core-01")}


def test_a_switch_port_without_broadcasts_costs_what_looks_for_its_node() -> None:
    found = lost("seen", SWITCH, ports("lan-2", bcast_flood=False), "broadcast-off")
    assert found == {(source, 4) for source in ("own-1a", "own-1b", "core-01")}
    # What carries an overlay may have found the other node before.
    (place, *_) = running_fault("broadcast-off").places(scene("seen-overlay"))
    effect = running_fault("broadcast-off").effect(scene("seen-overlay"), place)
    carried = effect.possible - effect.certain
    assert carried
    assert not any(cell[0].startswith("vx") for cell in effect.certain)
