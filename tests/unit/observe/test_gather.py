"""Looking into a node and its containers, in namespaces on this machine's kernel."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from underlay.lab import Lab
from underlay.observe.commands import gather_command
from underlay.observe.evidence import Evidence, Space
from underlay.observe.on_node import gather
from underlay.plan import SWITCH, Plan, make_plan

UNSHARE = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork"]
# The node's bridge, and a container whose interface has a dot in its name, as VLANs' have.
SCENE = """\
mount -t tmpfs none /run
ip link set lo up
ip link add lan type bridge
ip netns add net-1a
ip link add port1 type veth peer name eth0.7 netns net-1a
ip link set port1 master lan up
ip -n net-1a link set eth0.7 address 02:00:00:00:00:01 up
ip -n net-1a address add 20.1.1.65/24 dev eth0.7
ip -n net-1a neighbour add 20.1.1.9 lladdr 02:00:00:00:00:09 dev eth0.7 nud permanent
ip netns exec net-1a python3 -c '
import socket
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 9))
except OSError:
    pass'
"""


@pytest.fixture(scope="module")
def plan() -> Plan:
    lab = {
        "name": "seen",
        "nodes": 1,
        "segments": {"lan": {"subnet": "192.168.70.0/24"}},
        "networks": {
            "net": {
                "driver": "macvlan", "segment": "lan", "subnet": "20.1.1.0/24",
                "runtime": "iproute2",
            }
        },
        "containers": [{"count": 2, "networks": ["net"]}],
    }  # fmt: skip
    return make_plan(Lab.model_validate(lab))


def gathered(plan: Plan, name: str) -> dict[str, Any]:
    script = f'set -e\n{SCENE}exec "$@"\n'
    done = subprocess.run(
        [*UNSHARE, "--kill-child", "sh", "-c", script, "sh", *gather_command(plan, name)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def node(plan: Plan) -> dict[str, Any]:
    return gathered(plan, "core-01")


@pytest.fixture(scope="module")
def container(node: dict[str, Any]) -> Space:
    found = Evidence({"core-01": node}).space("net-1a")
    assert found is not None
    return found


def test_a_container_that_is_not_there_keeps_nobody_from_being_seen(node: dict[str, Any]) -> None:
    assert node["node"] == "core-01"
    assert set(node["spaces"]) == {"core-01", "net-1a"}
    assert set(node["missing"]) == {"net-1b"}
    assert "has no network namespace" in node["missing"]["net-1b"]
    assert set(node["runtime"]) >= {"services", "net_d", "docker", "log"}


def test_a_container_is_seen_from_inside(container: Space) -> None:
    assert set(container.links) == {"lo", "eth0.7"}
    assert container.addresses("eth0.7") == ["20.1.1.65/24"]
    assert "20.1.1.0/24" in [row["dst"] for row in container.rows("routes")]
    assert container.rows("rules")
    (known,) = [row for row in container.rows("neighbours") if row["dst"] == "20.1.1.9"]
    assert (known["lladdr"], known["state"]) == ("02:00:00:00:00:09", ["PERMANENT"])


def test_switches_of_the_kernel_have_dotted_names(container: Space) -> None:
    assert container.sysctl["net.ipv4.ip_forward"] in ("0", "1")
    # As sysctl(8) writes an interface with a dot in its name.
    assert container.sysctl["net.ipv4.conf.eth0/7.forwarding"] in ("0", "1")


def test_counters_are_the_namespaces_own(container: Space, node: dict[str, Any]) -> None:
    assert container.counters["IpOutNoRoutes"] == 1
    assert "IpOutNoRoutes" not in node["spaces"]["core-01"]["counters"]


def test_the_bridge_is_asked_once_at_the_machine(plan: Plan, node: dict[str, Any]) -> None:
    document = gathered(plan, SWITCH)
    assert set(document["spaces"]) == {SWITCH}
    assert "runtime" not in document
    for name, seen in ((SWITCH, document), ("core-01", node)):
        found = Evidence({name: seen}).space(name)
        assert found is not None
        assert {row["ifname"]: row["master"] for row in found.rows("ports")} == {"port1": "lan"}
        assert found.rows("fdb")


def program(folder: Path, name: str, said: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
    path.chmod(0o755)


def test_filters_are_looked_for_where_there_can_be_any(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program(tmp_path, "tc", "filter protocol all pref 1 matchall chain 0")
    qdiscs = [
        "qdisc noqueue 0: dev lo root refcnt 2",
        "qdisc clsact ffff: dev eth1 parent ffff:fff1",
        " Sent 0 bytes 0 pkt",
        "qdisc ingress ffff: dev eth2 parent ffff:fff1",
    ]
    assert set(gather.Gatherer().filters(qdiscs)) == {"eth1 ingress", "eth1 egress", "eth2 ingress"}


def test_rules_are_asked_for_only_where_tables_are_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tables = tmp_path / "names"
    gatherer = gather.Gatherer()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gatherer.rules("iptables", str(tables)) == []
    tables.write_text("")
    assert gatherer.rules("iptables", str(tables)) == []
    assert gatherer.lacking == set()
    tables.write_text("filter\n")
    assert gatherer.rules("iptables", str(tables)) == []
    assert gatherer.lacking == {"iptables-save"}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("", []),
        ('[{"a": 1}]\n[]\n', [[{"a": 1}], []]),
        ('Error: no such thing\n[{"a": 1}]', [[{"a": 1}]]),
        ('[{"a": 1}]\n[{"a":', [[{"a": 1}]]),
    ],
)
def test_documents_stand_one_after_the_other(said: str, found: list[Any]) -> None:
    assert gather.documents(said) == found
