"""What `survey` says of machines that it knows by an inventory alone, held against packets.

The machines are nodes of a lab that the command knows nothing of. What its containers reach is
measured by the lab's own checkout: what the survey says will work has to, and what it says won't
must not.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cluster.running import Checkout
from cluster.surveyed import (
    KINDS,
    ROOT_RIGHTS,
    lies,
    looks,
    looks_before,
    reached,
    survey,
    verdicts,
    words,
)
from foreign import Foreign, foreign_machines
from underlay.observe.capture import Frame, summary
from underlay.observe.on_node.packets import readable
from underlay.observe.survey.on_host.frames import ETH_MARKED
from underlay.observe.survey.wire import NOBODY

# Segments by what sits on them, each with its policy; macvlan and ipvlan can't share a parent, and
# all ipvlan children of one have its flag.
SEGMENT = "  {name}: {{subnet: 192.168.{octet}.0/24, subnet6: fd00:{octet}::/64{policy}}}\n"
OWN_MACS = ("02:75:", "00:00:5e:00:53:")
SOCKETS = "awk '$4 == \"0003\"' /proc/net/packet | wc -l"
FILES = r"""
export LC_ALL=C
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /var/log \) -prune \
    -o -newer /etc/sudoers.d/visitor -type f -print | sort
"""


def rack(parts: Mapping[str, tuple[str, str]], *, family6: bool = True) -> str:
    """Return the lab of ``parts``: by segment its kind, and its policy in a lab's words."""
    segments, networks, containers = "", "", ""
    for number, (segment, (kind, policy)) in enumerate(parts.items()):
        segments += SEGMENT.format(name=segment, octet=60 + number, policy=policy)
        for other, (short, driver) in enumerate(KINDS[kind].items()):
            subnet = f"10.{number + 1}.{other}.0/24"
            six = f", subnet6: fd00:{number + 1}{other}::/64" if family6 else ""
            networks += (
                f"  {segment}-{short}: {{{driver}, segment: {segment}, subnet: {subnet}{six}, "
            )
            networks += "runtime: iproute2}\n"
            containers += f"  - {{on: all, count: 2, networks: [{segment}-{short}]}}\n"
    return (
        f"name: rack\nnodes: {{count: 3, profile: lean}}\nprotocols: [icmp]\nsegments:\n{segments}"
        f"networks:\n{networks}containers:\n{containers}"
    )


# One plain segment and one whose switch takes the nodes' own MAC addresses alone.
DAILY = {
    "pm": ("mac", ""),
    "pi": ("ip", ""),
    "lm": ("mac", ", locked: true"),
    "li": ("ip", ", locked: true"),
}
POLICIES = {
    "plain": "",
    "hairpin": ", hairpin: true",
    "locked": ", locked: true",
    "locked-hairpin": ", locked: true, hairpin: true",
    "isolated": ", isolated: true",
    "isolated-hairpin": ", isolated: true, hairpin: true",
    "small": ", mtu: 1400",
    "snooping": ", snooping: true, querier: true",
    "dropping": ", snooping: true, unknown_multicast: drop",
}
# What `-o` has to find of each again.
MIRRORED = {
    "hairpin": {"hairpin": True},
    "locked": {"locked": True},
    "locked-hairpin": {"locked": True, "hairpin": True},
    "isolated": {"isolated": True},
    "isolated-hairpin": {"isolated": True},
    "small": {"mtu": 1400},
    "snooping": {"snooping": True, "querier": True},
    "dropping": {"snooping": True, "unknown_multicast": "drop"},
}


# A switch whose ports are trunks, and one with each kind of port.
MIXED = {
    "core-01": {"trunk": [1, 10, 20], "native": 1},
    "core-02": {"trunk": [10, 20]},
    "core-03": {"access": 10},
}
TRUNKS = f"""\
name: trunks
nodes: {{count: 3, profile: lean}}
protocols: [icmp]
segments:
  every: {{subnet: 192.168.60.0/24, trunk: [10, 20]}}
  mixed: {{subnet: 192.168.61.0/24, ports: {json.dumps(MIXED)}}}
networks:
  ten: {{driver: macvlan, segment: every, vlan: 10, subnet: 10.1.0.0/24, runtime: iproute2}}
  twenty: {{driver: macvlan, segment: mixed, vlan: 20, subnet: 10.2.0.0/24, runtime: iproute2}}
containers:
  - {{on: all, count: 2, networks: [ten]}}
  - {{on: all, count: 2, networks: [twenty]}}
"""


@pytest.fixture(scope="module")
def machines(
    copy: Checkout, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Foreign]:
    """Return three machines; their user may become root only where a test says so."""
    folder, list_all = tmp_path_factory.mktemp("rack"), bool(request.config.getoption("--all"))
    with foreign_machines(copy, folder, "rack", rack(DAILY), list_all=list_all) as found:
        yield found


@pytest.mark.all
def test_vlans_of_a_switchs_ports(here: Checkout, copy: Checkout, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror.yml"
    segments = ("every", "mixed")
    with foreign_machines(copy, tmp_path, "trunks", TRUNKS) as machines:
        with machines.sudoers(ROOT_RIGHTS):
            nics = dict.fromkeys(segments)
            more = ("--send", "--vlans", "10,20,30", "-o", str(mirror))
            done = survey(here, machines, nics, *more)
        assert done.code == 0, str(done)
        said = verdicts(done.document())
        matrix = machines.lab.check()
    assert reached(matrix, "ten", "between") == {True}
    assert reached(matrix, "twenty", "between") == {True, False}
    tags = {(s, tag): said[s, f"vlan-{tag}"] for s in segments for tag in (10, 20, 30)}
    assert tags == {(s, tag): "works" if s == "every" and tag != 30 else "fails" for s, tag in tags}
    assert said["every", "macvlan-bridge-between"] == "works"
    assert said["mixed", "macvlan-bridge-between"] == "fails"
    lint = here.underlay("lint", str(mirror))
    assert lint.code == 0, str(lint)
    found = YAML(typ="safe").load(mirror.read_text())["segments"]
    assert found["every"]["ports"] == {key: {"trunk": [10, 20]} for key in machines.names}
    assert found["mixed"]["ports"] == {**MIXED, "core-01": {"trunk": [10, 20]}}


def test_what_it_says_is_what_packets_do_and_nothing_is_left(
    here: Checkout, machines: Foreign, tmp_path: Path
) -> None:
    file, saved = tmp_path / "mirror.yml", tmp_path / "rack.json"
    with machines.sudoers(ROOT_RIGHTS):
        before, files = looks_before(machines), machines.root("core-01", FILES)
        with captured(machines, "lm", tmp_path / "lm.pcap") as frames:
            more = ("--send", "-o", str(file), "--save", str(saved))
            done = survey(here, machines, DAILY, *more)
        assert looks(machines) == before
        assert machines.root("core-01", FILES) == files
    assert done.code == 0, str(done)
    document = done.document()
    wrong, held = lies(document, machines.lab.check(), DAILY)
    assert not wrong, "\n".join(wrong)
    assert held == 12
    prove_only_own(frames, {nic.mac for node in machines.lab.plan.nodes for nic in node.nics})
    lint = here.underlay("lint", str(file))
    assert lint.code == 0, str(lint)
    assert file.read_text().count("locked: true") == 2


@contextmanager
def captured(machines: Foreign, segment: str, file: Path) -> Iterator[list[Frame]]:
    """Yield a list that holds, after the block, all frames that passed a segment's switch."""
    checkout, frames = machines.lab.checkout, list[Frame]()
    process = checkout.start(
        "capture", segment, "--lab", "rack", "--seconds", "600", "--output", str(file)
    )
    try:
        machines.switch(
            f"until ip -d link show br-{segment} | grep -q 'promiscuity [1-9]'; do :; done"
        )
        yield frames
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)
        frames += read_pcap(file.read_bytes())
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(timeout=10)


def read_pcap(data: bytes) -> Iterator[Frame]:
    """Yield the frames of a capture, as `capture` writes them."""
    at = 24
    while at + 16 <= len(data):
        _, _, size, whole = struct.unpack_from("<IIII", data, at)
        yield Frame("", 0.0, False, whole, data[at + 16 : at + 16 + size])
        at += 16 + size


def prove_only_own(frames: Sequence[Frame], own: set[str]) -> None:
    """Fail where a frame of the survey's is for no machine of the inventory.

    Unicast goes to the machines' MAC addresses and the survey's own, ARP asks for the machines'
    addresses alone, and all else that passes meanwhile is a group's.
    """
    asked, marked = set(), 0
    for frame in frames:
        to, sender = readable(frame.data[:6]), readable(frame.data[6:12])
        kind = frame.data[12:14]
        known = (sender, to) if kind == ETH_MARKED.to_bytes(2, "big") else (to,)
        marked += len(known) - 1
        for mac in known:
            group = int(mac[:2], 16) & 1 and len(known) == 1
            assert group or mac in own or mac.startswith(OWN_MACS), frame
        seen = summary(frame.data)
        if seen.kind == "ARP" and seen.source == NOBODY:
            asked.add(seen.destination)
    assert marked > 100
    assert asked == {f"192.168.62.{number}" for number in (11, 12, 13)}


@pytest.mark.all
def test_a_user_without_rights_is_told_what_nobody_looked_at(
    here: Checkout, machines: Foreign
) -> None:
    done = survey(here, machines, DAILY)
    assert done.code == 0, str(done)
    document = done.document()
    said = verdicts(document)
    assert said["pm", "macvlan-bridge-between"] == "unknown"
    assert said["pm", "macvlan-bridge-beside"] == "works"
    assert document["frames"] == 0
    assert {one["name"] for one in document["machines"]} == set(machines.names)
    refused = survey(here, machines, DAILY, "--send")
    assert refused.code == 3, str(refused)
    assert "sudo" in " ".join(refused.document()["amiss"])


# Daily tests/unit/observe/survey/test_agent.py kills the leader of what runs on a machine.
@pytest.mark.all
def test_a_command_that_is_killed_leaves_nothing(here: Checkout, machines: Foreign) -> None:
    with machines.sudoers(ROOT_RIGHTS):
        before = looks_before(machines)
        # One frame a second: minutes of sending.
        process = here.start(*words(machines, DAILY, "--send", "--rate", "1"))
        try:
            for name in machines.listed:
                machines.root(name, f"until [ $({SOCKETS}) -ge {len(DAILY)} ]; do sleep 0.2; done")
            assert looks(machines) != before
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=10)
        end = time.monotonic() + 60
        while looks(machines) != before:
            assert time.monotonic() < end, looks(machines)


@pytest.mark.all
def test_drift_names_the_port_that_changed(
    here: Checkout, machines: Foreign, tmp_path: Path
) -> None:
    saved = tmp_path / "rack.json"
    with machines.sudoers(ROOT_RIGHTS):
        done = survey(here, machines, DAILY, "--send", "--save", str(saved))
        assert done.code == 0, str(done)
        ports = [segment.ports for segment in machines.lab.plan.segments if segment.name == "pm"]
        script = "; ".join(f"bridge link set dev {port} hairpin {{}}" for port in ports[0].values())
        machines.switch(script.replace("{}", "on"))
        try:
            done = survey(here, machines, DAILY, "--send", "--baseline", str(saved))
        finally:
            machines.switch(script.replace("{}", "off"))
    assert done.code == 1, str(done)
    assert done.document()["drift"] == ["pm: reflection: no before, yes now."]


@pytest.mark.all
def test_segments_are_found_by_frames_and_the_way_in_is_left_alone(
    here: Checkout, machines: Foreign
) -> None:
    with machines.sudoers(ROOT_RIGHTS):
        done = survey(here, machines, {}, "--send")
    assert done.code == 0, str(done)
    found = {tuple(group["ports"]) for group in done.document()["groups"]}
    assert found == {
        tuple(f"{name}:eth{number}" for name in machines.names)
        for number in range(1, len(DAILY) + 1)
    }


@pytest.mark.all
@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_of_a_switch(
    here: Checkout, machines: Foreign, policy: str, tmp_path: Path
) -> None:
    parts = {kind: (kind, POLICIES[policy]) for kind in KINDS} | {"spare": ("ip", "")}
    file = tmp_path / "rack.yml"
    file.write_text(rack(parts))
    checkout = machines.lab.checkout
    done = checkout.underlay("switch", str(file), "--lab", "rack", deadline=300)
    assert done.code == 0, str(done)
    mirror = tmp_path / "mirror.yml"
    try:
        with machines.sudoers(ROOT_RIGHTS):
            done = survey(here, machines, parts, "--send", "-o", str(mirror))
        assert done.code == 0, str(done)
        document = done.document()
        matrix = machines.lab.check()
        wrong, _ = lies(document, matrix, parts)
        assert not wrong, "\n".join(wrong)
        said = verdicts(document)
        assert said["mac", "mtu"] == ("unknown" if "isolated" in policy else "works")
        if policy in ("plain", "snooping", "dropping"):
            wanted = "fails" if policy == "dropping" else "works"
            assert said["mac", "multicast6"] == said["mac", "multicast4"] == wanted
            seen = reached(matrix, "mac-bri", "between", "icmp6")
            assert seen == {wanted == "works"}, "IPv6 finds its neighbours by multicast"
        _prove_mirrored(here, mirror, MIRRORED.get(policy, {}))
    finally:
        machines.lab.file.write_text(rack(DAILY))
        checkout.underlay("switch", str(machines.lab.file), "--lab", "rack", deadline=300)


def _prove_mirrored(here: Checkout, mirror: Path, wanted: Mapping[str, object]) -> None:
    lint = here.underlay("lint", str(mirror))
    assert lint.code == 0, str(lint)
    segment = YAML(typ="safe").load(mirror.read_text())["segments"]["mac"]
    policies = ("hairpin", "locked", "isolated", "snooping", "querier", "unknown_multicast", "mtu")
    assert {key: segment[key] for key in policies if key in segment} == wanted
