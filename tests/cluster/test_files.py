"""What cloud-config wrote on the nodes, and what the nodes made of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from testinfra.host import Host

from cluster.inside import addresses, docker_containers, entering, links
from cluster.running import Lab
from underlay.plan import Nic, VlanLink

Hosts = dict[str, Host]

LABS = ("coreos", "docker-vlan")
NODES = ("core-01", "core-02", "core-03")
LOG = "/var/log/cloud-init.log"
# Every node of the default lab, and one with Docker; its others differ from it by their numbers.
DAILY = {("coreos", node) for node in NODES} | {("docker-vlan", "core-02")}

each_node = pytest.mark.parametrize(
    ("lab", "node"),
    [
        pytest.param(lab, node, marks=() if (lab, node) in DAILY else pytest.mark.all)
        for lab in LABS
        for node in NODES
    ],
    indirect=["lab"],
    scope="session",
)


def written(lab: Lab, node: str) -> dict[str, Path]:
    """Return the files that cloud-config puts on ``node``: path there, rendered file here."""
    folder = lab.state / "files" / node
    files = {"/etc/underlay/node.json": folder / "node.json"}
    files |= {f"/etc/rkt/net.d/{file.name}": file for file in (folder / "net.d").glob("*")}
    files |= {f"/etc/underlay/docker/{file.name}": file for file in (folder / "docker").glob("*")}
    return files


@pytest.mark.parametrize("lab", LABS, indirect=True)
def test_every_node_is_looked_at(lab: Lab) -> None:
    assert tuple(node.name for node in lab.plan.nodes) == NODES


@each_node
def test_rendered_files_are_where_cloud_config_put_them(lab: Lab, node: str, hosts: Hosts) -> None:
    files = written(lab, node)
    paths = " ".join(files)
    found = hosts[node].check_output(f"stat --format '%n %F %U %G %a' {paths}").splitlines()
    assert found == [f"{path} regular file root root 644" for path in files]
    found = hosts[node].check_output(f"sha256sum {paths}").splitlines()
    assert found == [f"{sha256(files[path].read_bytes()).hexdigest()}  {path}" for path in files]


@each_node
def test_nothing_else_lies_beside_them(lab: Lab, node: str, hosts: Hosts) -> None:
    found = hosts[node].check_output("find /etc/rkt /etc/underlay -not -type d | sort")
    assert found.splitlines() == sorted(written(lab, node))


@each_node
def test_cni_reads_what_rkt_read(lab: Lab, node: str, hosts: Hosts) -> None:
    assert hosts[node].check_output("readlink --canonicalize /etc/cni/net.d") == "/etc/rkt/net.d"


@each_node
def test_cloud_init_logged_each_write(lab: Lab, node: str, hosts: Hosts) -> None:
    """Nobody else brought the files: they are as old as cloud-init's word about them."""
    host, files = hosts[node], written(lab, node)
    log = host.file(LOG).content_string
    changes = host.check_output(f"stat --format %Z {' '.join(files)}").split()
    for (path, rendered), changed in zip(files.items(), changes, strict=True):
        size = rendered.stat().st_size
        line = rf"^(\S+ \S+),\d+ - .*Writing to {re.escape(path)} - wb: \[644\] {size} bytes$"
        found = re.findall(line, log, re.MULTILINE)
        assert len(found) == 1, f"{path}: {found}"
        said = datetime.fromisoformat(found[0]).replace(tzinfo=UTC)
        assert abs(int(changed) - said.timestamp()) <= 2, path


@each_node
def test_cloud_init_ended_without_errors(lab: Lab, node: str, hosts: Hosts) -> None:
    result = json.loads(hosts[node].file("/run/cloud-init/result.json").content_string)
    assert result["v1"]["errors"] == []
    assert "NoCloud" in result["v1"]["datasource"]


@each_node
def test_runtimes_run_the_planned_containers(lab: Lab, node: str, hosts: Hosts) -> None:
    host = hosts[node]
    planned = {c.name: c.runtime for c in lab.plan.containers if c.node == node}
    crun = json.loads(host.check_output("crun list --format json") or "[]")
    running = {row["id"]: "cni" for row in crun or [] if row["status"] == "running"}
    if "docker" in planned.values():
        running |= dict.fromkeys(docker_containers(host), "docker")
    assert running == planned


@each_node
def test_interfaces_are_named_by_mac(lab: Lab, node: str, hosts: Hosts) -> None:
    planned = lab.plan.node(node)
    nics = [planned.management, *planned.nics]
    assert [nic.interface for nic in nics] == [f"eth{number}" for number in range(len(nics))]
    (found,) = links(hosts[node], "")
    for nic in nics:
        link = found[nic.interface]
        assert (link["address"], link["mtu"], addresses(link)) == expected(nic), nic.interface
        assert "UP" in link["flags"], nic.interface


@each_node
def test_vlan_interfaces_are_as_planned(lab: Lab, node: str, hosts: Hosts) -> None:
    planned = lab.plan.node(node)
    (found,) = links(hosts[node], "")
    vlans = {name for name, link in found.items() if kind(link) == "vlan"}
    assert vlans == {vlan.interface for vlan in planned.vlans}
    for vlan in planned.vlans:
        link = found[vlan.interface]
        assert (link["address"], link["mtu"], addresses(link)) == expected(vlan), vlan.interface
        assert link["link"] == vlan.link
        assert link["linkinfo"]["info_data"]["id"] == vlan.vlan


@each_node
def test_containers_have_the_planned_interfaces(lab: Lab, node: str, hosts: Hosts) -> None:
    host, plan = hosts[node], lab.plan
    containers = [container for container in plan.containers if container.node == node]
    words = entering(host, containers)
    shown = links(host, *(words[container.name] for container in containers))
    for container, found in zip(containers, shown, strict=True):
        assert set(found) == {"lo", *(a.interface for a in container.attachments)}
        for attachment in container.attachments:
            network, link = plan.network(attachment.network), found[attachment.interface]
            assert addresses(link) == [attachment.address], container.name
            assert link["address"] == attachment.mac, container.name
            assert link["mtu"] == network.mtu, container.name
            assert kind(link) == network.driver, container.name
            assert link["linkinfo"]["info_data"]["mode"] == network.mode, container.name


@each_node
def test_nodes_cannot_reach_each_other_over_management(lab: Lab, node: str, hosts: Hosts) -> None:
    host, plan = hosts[node], lab.plan
    peer = plan.node(node).management_peer
    assert host.run(f"ping -n -c 1 -W 5 -I eth0 {peer}").succeeded
    others = [other.management.address for other in plan.nodes if other.name != node]
    ping = "ping -n -c 1 -W 1 -I eth0 ${address%/*}"
    asked = host.run(f"for address in {' '.join(others)}; do {ping} & done; wait")
    assert asked.stdout.count(" 0 received") == len(others) > 0, asked


@each_node
def test_libcni_loads_what_the_node_has(lab: Lab, node: str, hosts: Hosts) -> None:
    names = json.loads(hosts[node].check_output("/usr/libexec/underlay/cni load"))
    assert names == [network.name for network in lab.plan.networks if network.runtime == "cni"]


def expected(nic: Nic | VlanLink) -> tuple[str, int, list[str]]:
    return nic.mac, nic.mtu, [nic.address]


def kind(link: dict[str, object]) -> object:
    info = link.get("linkinfo", {})
    return info.get("info_kind") if isinstance(info, dict) else None
