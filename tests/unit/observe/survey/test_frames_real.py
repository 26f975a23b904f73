"""Real frames between namespaces, over a Linux bridge of each policy: what arrives is what is said.

VLANs wait for the cluster tests: this machine's kernel may have none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from underlay.observe.survey.model import Port, Survey
from underlay.observe.survey.sentences import sentences

SANDBOX = Path(__file__).with_name("wire_sandbox.py")
SOURCE = Path(__file__).resolve().parents[4] / "src"
UNSHARE = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork"]
ALL_PORTS = "for n in 1 2 3; do {}; done"
PORT = "ip link set {{switch}}$n type bridge_slave {}"
LOCKED = (
    f"{PORT.format('locked on learning off')};"
    " bridge fdb replace 02:00:00:00:{octet}:0$n dev {switch}$n master static"
)
QUERIER = (
    "ip link set {switch} type bridge mcast_snooping 1;"
    " ip address add fe80::75:ff:fe00:1/64 dev {switch} nodad;"
    " ip link set {switch} type bridge mcast_query_response_interval 100;"
    " ip link set {switch} type bridge mcast_querier 1;"
)
POLICIES = {
    "plain": "",
    "hair": ALL_PORTS.format(PORT.format("hairpin on")),
    "lock": ALL_PORTS.format(LOCKED),
    "apart": ALL_PORTS.format(PORT.format("isolated on")),
    "small": ALL_PORTS.format("ip link set {switch}$n mtu 1400"),
    "deaf": "ip link set {switch} type bridge mcast_snooping 1;"
    + ALL_PORTS.format(PORT.format("mcast_flood off")),
    "asked": QUERIER + ALL_PORTS.format(PORT.format("mcast_flood off")) + "; sleep 2",
    "twice": "ip -n twice-2 address add 192.168.8.1/24 dev eth1",
    "cut": "ip link set {switch}3 nomaster",
}


@pytest.fixture(scope="module")
def seen() -> tuple[Survey, list[str]]:
    """Return the survey of all machines, and what is another than before."""
    policies = {
        name: script.replace("{{", "{").replace("}}", "}") for name, script in POLICIES.items()
    }
    done = subprocess.run(
        [*UNSHARE, "--kill-child", sys.executable, str(SANDBOX), json.dumps(policies)],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    return Survey.model_validate(document["survey"]), document["changes"]


def ports(survey: Survey, switch: str) -> list[Port]:
    return [port for port in survey.ports if port.machine.startswith(f"{switch}-")]


def verdicts(survey: Survey, switch: str) -> dict[str, str]:
    return {one.id: one.verdict for one in sentences(survey) if one.segment == switch}


def test_nothing_is_left_on_the_machines(seen: tuple[Survey, list[str]]) -> None:
    survey, changes = seen
    assert changes == []
    assert survey.amiss == []


@pytest.mark.parametrize("switch", POLICIES)
def test_who_hears_whom_is_seen_by_frames(seen: tuple[Survey, list[str]], switch: str) -> None:
    lost = {"apart": 0, "cut": 2}.get(switch, 6)
    assert sum(len(port.reaches) for port in ports(seen[0], switch)) == lost


@pytest.mark.parametrize("switch", POLICIES)
def test_sources_and_reflections_are_counted(seen: tuple[Survey, list[str]], switch: str) -> None:
    for port in ports(seen[0], switch):
        if port.partner:
            assert port.sources == ((0, 4) if switch == "lock" else (4, 4))
            assert port.foreign is (switch != "lock")
            assert port.returned == (4, 4)
        both = (5, 5) if switch == "hair" else (0, 5)
        assert port.reflected == port.reflected_own == both


def test_the_largest_packet_is_found(seen: tuple[Survey, list[str]]) -> None:
    # A bridge lets a VLAN's tag of four bytes through on top: br_forward.c, is_skb_forwardable.
    assert {port.largest for port in ports(seen[0], "small")} == {1404}
    assert {port.largest for port in ports(seen[0], "plain")} == {1500}


@pytest.mark.parametrize(
    ("switch", "members", "others"),
    [("plain", True, True), ("deaf", False, False), ("asked", True, False)],
)
def test_who_hears_a_group(
    seen: tuple[Survey, list[str]], switch: str, members: bool, others: bool
) -> None:
    for port in ports(seen[0], switch):
        for word, heard in (("group", members), ("strangers", others)):
            for family in (4, 6):
                value = getattr(port, f"{word}{family}")
                assert value is None or value == (value[1] if heard else 0, value[1])
    assert any(port.group6 for port in ports(seen[0], switch))
    assert any(port.strangers6 for port in ports(seen[0], switch))


def test_an_address_of_two_is_named(seen: tuple[Survey, list[str]]) -> None:
    told = [one.text for one in sentences(seen[0]) if one.id == "duplicate-address"]
    assert len(told) == 1
    assert told[0].startswith("192.168.8.1 is answered for by 02:00:00:00:08:01 (twice-1:eth1)")


@pytest.mark.parametrize(
    ("switch", "fails"),
    [
        ("plain", {"macvlan-vepa-beside", "ipvlan-l2-vepa-beside", "macvlan-bridge-itself"}),
        ("hair", set()),
        (
            "lock",
            {
                "macvlan-vepa-beside",
                "ipvlan-l2-vepa-beside",
                "macvlan-bridge-itself",
                "macvlan-bridge-between",
                "macvlan-private-between",
                "macvlan-vepa-between",
                "bridge-between",
                "foreign-mac",
            },
        ),
        ("small", {"macvlan-vepa-beside", "ipvlan-l2-vepa-beside", "macvlan-bridge-itself", "mtu"}),
        (
            "deaf",
            {
                "macvlan-vepa-beside",
                "ipvlan-l2-vepa-beside",
                "macvlan-bridge-itself",
                "multicast4",
                "multicast6",
            },
        ),
    ],
)
def test_what_fails_is_said_and_nothing_else(
    seen: tuple[Survey, list[str]], switch: str, fails: set[str]
) -> None:
    # Whatever this machine's kernel lacks is another matter.
    modules = dict.fromkeys(("macvlan", "ipvlan", "8021q", "bridge", "vxlan"), "loaded")
    machines = [one.model_copy(update={"modules": modules}) for one in seen[0].machines]
    found = verdicts(seen[0].model_copy(update={"machines": machines}), switch)
    by_design = {"macvlan-private-beside", "ipvlan-l2-private-beside"}
    assert {name for name, verdict in found.items() if verdict == "fails"} == fails | by_design
    assert "unknown" not in found.values()


def test_ports_kept_apart_carry_nothing_between_machines(seen: tuple[Survey, list[str]]) -> None:
    found = verdicts(seen[0], "apart")
    assert found["macvlan-bridge-between"] == "fails"
    assert found["macvlan-passthru-between"] == "fails"
