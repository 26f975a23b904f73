"""Lint: for each rule a lab that breaks it, and one beside it that doesn't."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from underlay.cli import main
from underlay.expect import predict
from underlay.lint import Finding, lint, load
from underlay.lint.read import LabError
from underlay.lint.rules import RULES

ROOT = Path(__file__).resolve().parents[3]

HEAD = """\
name: made
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24}
  wan: {subnet: 192.168.80.0/24, mtu: 1400, hairpin: true}
networks:
"""
MAC = "driver: macvlan, segment: lan, subnet: 10.1.0.0/24"
IPV = "driver: ipvlan, segment: lan, subnet: 10.2.0.0/24"
OTHER = "driver: ipvlan, segment: lan, subnet: 10.3.0.0/24"

Make = Callable[..., list[Finding]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return what lint says about a lab with networks a, b, … given as flow mappings."""

    def made(*networks: str, groups: tuple[str, ...] = ()) -> list[Finding]:
        names = [chr(ord("a") + i) for i in range(len(networks))]
        lines = [f"  {name}: {{{text}}}" for name, text in zip(names, networks, strict=True)]
        listed = groups or tuple(f"networks: [{name}]" for name in names)
        body = "\n".join([*lines, "containers:", *(f"  - {{{group}}}" for group in listed)])
        path = tmp_path / "made.yml"
        path.write_text(f"{HEAD}{body}\n")
        return lint(path)

    return made


def ids(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.id, finding.severity) for finding in findings]


def test_a_plain_lab_is_clean(make: Make) -> None:
    assert make(MAC, IPV.replace("segment: lan", "segment: wan")) == []


def test_every_rule_has_words_of_its_own() -> None:
    assert len({rule.check for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.source
        assert rule.check.__doc__


@pytest.mark.parametrize("parent", ["parent: eth0", "master: eth0", "parent: eth0.70"])
def test_management_master(make: Make, parent: str) -> None:
    (finding,) = make(MAC.replace("segment: lan", parent))
    assert ids([finding]) == [("management-master", "error")]
    assert (finding.line, finding.column) == (7, 24)
    assert "eth1 (lan), eth2 (wan)" in finding.cure


def test_duplicate_range(make: Make) -> None:
    (finding,) = make(f"{MAC}, sliced: false")
    assert ids([finding]) == [("duplicate-range", "error")]
    assert "10.1.0.2 goes to a-1a on core-01, a-2a on core-02" in finding.message
    assert "https://www.cni.dev/plugins/current/ipam/host-local/" in finding.source
    (finding,) = make(f"{MAC}, sliced: false, runtime: docker")
    assert finding.message.startswith("Docker on every node")


def test_no_duplicate_range_on_a_single_node(make: Make) -> None:
    assert make(f"{MAC}, sliced: false", groups=("on: core-01, count: 3, networks: [a]",)) == []


def test_mixed_parent(make: Make) -> None:
    assert ids(make(MAC, IPV)) == [("mixed-parent", "error")]
    assert ids(make(MAC, IPV, groups=("networks: [a]",))) == [("mixed-parent", "error")]
    assert make(MAC, f"{IPV}, vlan: 80") == []
    apart = ("on: core-01, networks: [a]", "on: core-02, networks: [b]")
    assert make(MAC, IPV, groups=apart) == []


def test_docker_parent(make: Make) -> None:
    docker = [f"{text}, runtime: docker" for text in (IPV, OTHER)]
    (finding,) = make(*docker)
    assert ids([finding]) == [("docker-parent", "error")]
    assert "is already using parent interface eth1" in finding.message
    assert make(docker[0], OTHER) == []
    assert make(docker[0], f"{docker[1]}, vlan: 80") == []


def test_ipvlan_mode_shared(make: Make) -> None:
    assert ids(make(IPV, f"{OTHER}, mode: l3")) == [("ipvlan-mode-shared", "error")]
    assert ids(make(f"{IPV}, mode: l3s", OTHER)) == [("ipvlan-mode-shared", "error")]
    assert make(f"{IPV}, mode: l3", f"{OTHER}, mode: l3") == []


def test_public_range(make: Make) -> None:
    for subnet in ("20.1.1.0/24", "8.8.8.0/24", "172.0.0.0/9"):
        assert ids(make(MAC.replace("10.1.0.0/24", subnet))) == [("public-range", "warning")]
    for subnet in ("172.31.0.0/24", "100.64.0.0/24", "198.18.0.0/24"):
        assert make(MAC.replace("10.1.0.0/24", subnet)) == []


def test_gateway_unowned(make: Make) -> None:
    assert ids(make(f"{MAC}, gateway: 10.1.0.1")) == [("gateway-unowned", "warning")]
    tagged = f"{MAC}, vlan: 70, gateway: 10.1.0.11"
    assert make(tagged) == []
    (unused,) = make(f"{MAC}, gateway: 10.1.0.1")
    (docker,) = make(f"{MAC}, runtime: docker, gateway: 10.1.0.1")
    (used,) = make(f"{MAC}, gateway: 10.1.0.1, default_route: gateway")
    assert "no route uses it" in unused.message
    assert "Docker" not in unused.message
    assert "Docker itself would route by it" in docker.message
    assert "routes through it lead nowhere" in used.message
    router = "hosts: {router: {on: {lan: {addresses: [10.1.0.1/24]}}, forwards: true}}"
    assert router in used.cure
    same = MAC.replace("10.1.0.0/24", "192.168.70.0/24")
    assert make(f"{same}, gateway: 192.168.70.12") == []


def test_one_router_is_the_cure_for_every_gateway_and_is_complete(make: Make) -> None:
    ten = f"{MAC}, vlan: 10, gateway: 10.1.0.1"
    twenty = f"{MAC.replace('10.1.0.0', '10.2.0.0')}, vlan: 20, gateway: 10.2.0.1"
    first, second = make(ten, twenty)
    router = (
        "hosts: {router: {on: {lan: [{addresses: [10.1.0.1/24], vlan: 10},"
        " {addresses: [10.2.0.1/24], vlan: 20}]}, forwards: true}}"
    )
    assert router in first.cure
    assert "or have the router that a names" in second.cure


def test_passthru_single(make: Make) -> None:
    alone = f"{MAC}, mode: passthru"
    assert make(alone) == []
    (finding,) = make(alone, groups=("count: 2, networks: [a]",))
    assert ids([finding]) == [("passthru-single", "error")]
    assert "core-01 puts 2 children on eth1" in finding.message
    beside = MAC.replace("10.1.0.0", "10.4.0.0")
    assert ids(make(alone, beside)) == [("passthru-single", "error")]
    # The other node's parent of that name has no passthru child, unless both have shims on it.
    apart = ("on: core-01, networks: [a]", "on: core-02, count: 2, networks: [b]")
    assert make(alone, beside, groups=apart) == []
    (finding,) = make(alone, f"{beside}, shim: true", groups=apart)
    assert ids([finding]) == [("passthru-single", "error")]


def test_subnet_twice(make: Make) -> None:
    tagged = f"{MAC}, vlan"
    wan = MAC.replace("segment: lan", "segment: wan, mtu: 1400")
    nat = "driver: bridge, nat: true, segment: lan, subnet: 10.1.0.0/24"
    assert ids(make(f"{tagged}: 70", f"{tagged}: 80")) == [("subnet-twice", "error")]
    assert ids(make(f"{tagged}: 70", nat)) == [("subnet-twice", "error")]
    # That of a VLAN that a bridge holds is the bridge's.
    held = "driver: bridge, segment: lan, vlan: 80, subnet: {}"
    assert ids(make(nat, held.format("10.1.0.0/24"))) == [("subnet-twice", "error")]
    assert ids(make(f"{tagged}: 70", held.format("10.1.0.0/24"))) == [("subnet-twice", "error")]
    # A more specific route is everybody's choice.
    assert make(nat, held.format("10.1.0.0/25")) == []
    assert make(f"{tagged}: 70", f"{tagged.replace('10.1', '10.4')}: 80") == []
    # A node is in no untagged network's subnet: its one route goes by the first.
    assert make(MAC, wan) == []
    assert make(wan, f"{tagged}: 70") == []


def test_bridge_reflected(make: Make) -> None:
    bridge = "driver: bridge, subnet: 10.4.0.0/24, segment"
    assert make(f"{bridge}: lan") == []
    assert ids(make(f"{bridge}: wan")) == [("bridge-reflected", "error")]
    assert ids(make(f"{bridge}: wan, vlan: 70")) == [("bridge-reflected", "error")]
    # Without an uplink nothing comes back, and macvlan's children are where they were made.
    assert make(f"{bridge}: wan, nat: true") == []
    assert make(f"{bridge}: wan, internal: true") == []
    assert make(MAC.replace("segment: lan", "segment: wan, mtu: 1400")) == []


def test_mixed_parent_by_a_shim(make: Make) -> None:
    apart = ("on: core-01, networks: [a]", "on: core-02, networks: [b]")
    assert make(MAC, IPV, groups=apart) == []
    assert ids(make(f"{MAC}, shim: true", IPV, groups=apart)) == [("mixed-parent", "error")]


def test_mtu_over_parent(make: Make) -> None:
    mac, ipv = (text.replace("segment: lan", "segment: wan, mtu: 1500") for text in (MAC, IPV))
    assert ids(make(mac)) == [("mtu-over-parent", "error")]
    assert ids(make(ipv)) == [("mtu-lost", "warning")]
    assert ids(make(f"{ipv}, vlan: 80")) == [("mtu-over-parent", "error")]
    assert make(mac.replace("1500", "1400")) == []


def test_overlapping_networks(make: Make) -> None:
    wider = MAC.replace("10.1.0.0/24", "10.0.0.0/12")
    assert ids(make(MAC, wider)) == [("overlapping-networks", "error")]
    assert make(MAC, wider.replace("segment: lan", "segment: wan")) == []


def test_docker_pool(make: Make) -> None:
    here = f"{MAC}, runtime: docker"
    there = here.replace("segment: lan", "segment: wan")
    assert ids(make(here, there)) == [("docker-pool", "error")]
    assert make(here, MAC.replace("segment: lan", "segment: wan")) == []


def test_docker_l3_twice(make: Make) -> None:
    line = "driver: ipvlan, mode: {}, segment: {}, subnet: 10.{}.0.0/24, runtime: {}"
    both = ("networks: [a, b]",)
    two = [line.format("l3", "lan", 1, "docker"), line.format("l3", "wan", 2, "docker")]
    assert ids(make(*two, groups=both)) == [("docker-l3-twice", "error")]
    assert make(*two, groups=("networks: [a]", "networks: [b]")) == []
    by_hand = [line.format("l3", "lan", 1, "iproute2"), line.format("l3", "wan", 2, "iproute2")]
    assert make(*by_hand, groups=both) == []
    switched = [line.format("l2", "lan", 1, "docker"), line.format("l2", "wan", 2, "docker")]
    assert make(*switched, groups=both) == []
    for mixed in (two[0], switched[1]), (switched[0], two[1]):
        assert ids(make(*mixed, groups=both)) == [("docker-l3-twice", "error")]
        inside = f"{mixed[0]}, internal: true", mixed[1]
        assert make(*inside, groups=both) == []


def test_podman_subnet_twice(make: Make) -> None:
    line = "driver: {}, segment: {}, subnet: 10.{}.0.0/24, runtime: {}"
    both = ("networks: [a, b]",)

    def found(*networks: str, groups: tuple[str, ...] = both) -> bool:
        return ("podman-subnet-twice", "error") in ids(make(*networks, groups=groups))

    first = line.format("macvlan", "lan", 1, "podman")
    assert found(first, line.format("macvlan", "wan", 1, "podman"))
    assert not found(first, line.format("macvlan", "wan", 2, "podman"))
    twin = line.format("macvlan", "wan", 1, "podman")
    assert not found(first, twin, groups=("networks: [a]", "networks: [b]"))
    assert not found(*(line.format("macvlan", where, 1, "iproute2") for where in ("lan", "wan")))


def test_cni_gateways_twice(make: Make) -> None:
    line = (
        "driver: macvlan, segment: lan, subnet: 10.{0}.0.0/24, subnet6: 'fd00:{0}::/64',"
        " gateway: 10.{0}.0.1, gateway6: 'fd00:{0}::1', default_route: {1}, runtime: {2}"
    )

    def found(*networks: str, groups: tuple[str, ...] = ("networks: [a, b]",)) -> bool:
        return ("cni-gateways-twice", "error") in ids(make(*networks, groups=groups))

    first, second = line.format(1, "gateway", "cni"), line.format(2, "gateway", "cni")
    assert found(first, second)
    assert not found(first, second, groups=("networks: [a]", "networks: [b]"))
    assert not found(*(line.format(number, "gateway", "iproute2") for number in (1, 2)))
    assert not found(first, line.format(2, "none", "cni"))
    assert not found(first, line.format(2, "on-link", "cni"))


PLACE = "driver: macvlan, segment: lan, runtime"


def test_pool_unused(make: Make) -> None:
    two = "subnets: [{subnet: 10.1.0.0/24}, {subnet: 10.2.0.0/24}]"
    assert ids(make(f"{PLACE}: docker, {two}")) == [("pool-unused", "warning")]
    fixed = "on: core-01, networks: [a], addresses: {a: 10.2.0.9}"
    assert make(f"{PLACE}: docker, {two}", groups=("networks: [a]", fixed)) == []
    # Where a container has an address of each subnet, none is unused.
    assert make(f"{PLACE}: podman, {two}") == []


def test_no_address(make: Make) -> None:
    two = "subnets: [{subnet: 10.1.0.0/24}, {subnet: 10.2.0.0/29}]"
    crowd = ("count: 2, networks: [a]",)
    assert make(f"{PLACE}: podman, {two}") == []
    assert ids(make(f"{PLACE}: podman, {two}", groups=crowd)) == [("no-address", "error")]


def test_gateway_in_range(make: Make) -> None:
    ranges = "ranges: {core-01: 10.1.0.32/27, core-02: 10.1.0.64/27}, gateway"
    found = ids(make(f"{MAC}, {ranges}: 10.1.0.40"))
    assert ("gateway-in-range", "warning") in found
    assert ids(make(f"{MAC}, {ranges}: 10.1.0.1")) == [("gateway-unowned", "warning")]


def filtered(*filters: str) -> tuple[str, ...]:
    """Return the groups of a network a, and then these filters."""
    listed = [f"  - {{{text}}}" for text in filters]
    return ("networks: [a]}\n" + "\n".join(["filters:", *listed])[:-1],)


def test_filter_nobody(make: Make) -> None:
    assert make(MAC, groups=filtered("on: a-1a, from: a, action: drop")) == []
    for text in ("on: a-3a, action: drop", "on: a, to: a-1b, action: drop"):
        assert ids(make(MAC, groups=filtered(text))) == [("filter-nobody", "error")]


def test_filter_unasked(make: Make) -> None:
    on_node = filtered("on: core-01, to: a, action: drop")
    assert ids(make(MAC, groups=on_node)) == [("filter-unasked", "warning")]
    assert make(MAC.replace("macvlan", "ipvlan, mode: l3s, routed: true"), groups=on_node) == []
    assert make(MAC, groups=filtered("on: a, from: a, action: drop")) == []


@pytest.mark.parametrize("text", ["from: a", "from: a-2a", "direction: out, to: a"])
def test_what_other_nodes_containers_say_to_a_node_passes_its_filter(
    make: Make, text: str, tmp_path: Path
) -> None:
    """The prediction says so as well: cells change with the filter."""
    one = filtered(f"on: core-01, {text}, action: drop")
    assert make(MAC, groups=one) == []
    file = tmp_path / "made.yml"
    with_it = load(file).plan
    without = replace(with_it, filters=(), rules={})
    assert [cell.reachable for cell in predict(with_it)] != [c.reachable for c in predict(without)]
    # Where all of them are on that node, it is about nobody that it hears.
    alone = one[0].replace("networks: [a]", "on: core-01, networks: [a]", 1)
    if text != "from: a-2a":
        assert ids(make(MAC, groups=(alone,))) == [("filter-unasked", "warning")]
        plan = load(file).plan
        plain = replace(plan, filters=(), rules={})
        assert [c.reachable for c in predict(plan)] == [c.reachable for c in predict(plain)]
    # An internal network has no wire.
    closed = make(MAC.replace("segment: lan", "segment: lan, internal: true"), groups=one)
    assert ("filter-unasked", "warning") in ids(closed)


@pytest.mark.parametrize(
    ("text", "unasked"),
    [
        ("on: core-01, to: a-1a, action: drop", "a-1a sends and gets"),
        ("on: core-01, to: 10.1.0.65, action: drop", "a-1a sends and gets"),
        ("on: core-01, from: 10.1.0.64/26, action: drop", "a-1a sends and gets"),
        ("on: core-01, to: 10.1.0.99, action: drop", ""),  # nobody's, or the spare one's
        ("on: core-01, to: 192.168.70.12, action: drop", ""),
        ("on: core-01, to: 0.0.0.0/0, action: drop", ""),
        ("on: a, to: a-1a, action: drop", ""),
    ],
)
def test_filter_unasked_of_a_name_or_an_address(make: Make, text: str, unasked: str) -> None:
    found = make(MAC, groups=filtered(text))
    assert ids(found) == ([("filter-unasked", "warning")] if unasked else [])
    assert all(unasked in one.message and "put it on a-1a," in one.cure for one in found)
    assert make(MAC.replace("macvlan", "bridge"), groups=filtered(text)) == []


def test_a_nodes_own_talk_with_a_container_passes_its_filter(make: Make) -> None:
    """In one subnet a node hears containers of others, and its filter is asked about that."""
    shared = MAC.replace("10.1.0.0/24", "192.168.70.0/24")
    for text, asked in (
        ("on: core-01, from: a-2a, action: drop", True),
        ("on: core-01, direction: out, to: a-2a, action: drop", True),
        ("on: core-01, to: a-2a, action: drop", False),
        ("on: core-01, direction: out, from: a-2a, action: drop", False),
    ):
        found = ids(make(shared, groups=filtered(text)))
        assert (("filter-unasked", "warning") in found) is not asked, text


def test_port_unmeasured(make: Make) -> None:
    text = "on: a, protocol: tcp, port: {}, action: drop"
    (finding,) = make(MAC, groups=filtered(text.format(5432)))
    assert ids([finding]) == [("port-unmeasured", "warning")]
    assert (finding.line, finding.column) == (11, 28)
    assert finding.cure == "protocols: [icmp, tcp, udp, tcp:5432]"
    named = filtered(text.format("5432, action: drop}\nprotocols: [tcp:5432]#"))
    assert make(MAC, groups=named) == []
    # Plain tcp asks there.
    assert make(MAC, groups=filtered(text.format(27007))) == []
    (finding,) = make(MAC, groups=("networks: [a], listens: [tcp:5433]",))
    assert ids([finding]) == [("port-unmeasured", "warning")]
    assert "somebody listens on tcp:5433" in finding.message
    assert (finding.line, finding.column) == (9, 31)


def test_a_tunnels_outer_port_is_asked_for_by_what_travels_in_it(make: Make) -> None:
    over = "driver: vxlan, vni: 7, segment: lan, subnet: 10.5.0.0/24"
    text = "on: core-01, protocol: udp, port: {}, action: drop"
    assert ids(make(over, groups=filtered(text.format(53)))) == [("port-unmeasured", "warning")]
    (port,) = {4789, 8472} - {
        number for number in (4789, 8472) if make(over, groups=filtered(text.format(number)))
    }
    assert port == 4789


def test_filter_forwards_nothing(make: Make) -> None:
    text = "on: {}, direction: forward, action: drop"
    for name in ("a", "core-01"):
        found = make(MAC, groups=filtered(text.format(name)))
        assert ids(found) == [("filter-forwards-nothing", "warning")]
    assert make(MAC, groups=filtered(text.format("core-01, bridged: true"))) == []


def test_address_taken(make: Make) -> None:
    tagged = f"{MAC}, vlan: 70"
    fixed = "on: core-02, name: web, networks: [a], addresses: {{a: 10.1.0.{}}}"
    (finding,) = make(tagged, groups=(fixed.format(11),))
    assert ids([finding]) == [("address-taken", "error")]
    assert "web has 10.1.0.11, and so has core-01" in finding.message
    # A node has no address in the subnet where nothing of it is on its own wire.
    assert make(MAC, groups=(fixed.format(11),)) == []
    assert make(tagged, groups=(fixed.format(10),)) == []
    assert make(f"{MAC}, internal: true", groups=(fixed.format(11),)) == []


def test_an_address_is_answered_for_in_another_network(make: Make) -> None:
    """A machine answers ARP on each interface for the addresses of all of them."""
    other = "driver: {}, segment: lan, vlan: 7, subnet: 10.{}.0.0/24"
    groups = (
        "on: core-01, name: one, networks: [a], addresses: {a: 10.1.0.9}",
        "on: core-02, name: two, networks: [a, b], addresses: {b: 10.%d.0.%d}",
    )

    def found(driver: str = "macvlan", net: int = 1, host: int = 9) -> list[tuple[str, str]]:
        both = (groups[0], groups[1] % (net, host))
        return ids(make(MAC, other.format(driver, net), groups=both))

    assert found() == [("address-answered", "error")]
    assert found(host=10) == found(net=2) == []
    # Where the node routes, nobody asks by ARP.
    l3 = "driver: ipvlan, mode: l3, segment: lan, subnet: 10.1.0.0/24"
    assert make(l3, other.format("macvlan", 1), groups=(groups[0], groups[1] % (1, 9))) == []


def test_one_address_for_two_containers_is_taken(make: Make) -> None:
    fixed = "on: core-0{0}, name: web-{0}, networks: [a], addresses: {{a: 10.1.0.{1}}}"
    (finding,) = make(MAC, groups=(fixed.format(1, 9), fixed.format(2, 9)))
    assert ids([finding]) == [("address-taken", "error")]
    assert "web-2 has 10.1.0.9, and so has web-1" in finding.message
    assert make(MAC, groups=(fixed.format(1, 9), fixed.format(2, 10))) == []
    # There all addresses come twice, and one finding says so.
    twice = make(f"{MAC}, sliced: false", groups=(fixed.format(1, 9), fixed.format(2, 9)))
    assert ids(twice) == [("duplicate-range", "error")]


def test_memory_short(make: Make) -> None:
    docker = f"{MAC}, runtime: docker"
    (finding,) = make(docker, groups=("count: 62, networks: [a]",))
    assert ids([finding]) == [("memory-short", "warning")]
    assert finding.line == 2
    assert "core-01 needs some " in finding.message
    assert " for 62 by docker) and has 512, and so do 1 more nodes" in finding.message
    (enough,) = re.findall(r"memory: (\d+)", finding.cure)
    assert 512 < int(enough) <= 1024
    assert make(docker, groups=("count: 20, networks: [a]",)) == []
    assert make(MAC, groups=("count: 62, networks: [a]",)) == []


def test_a_node_calls_its_management_eth0_whatever_its_hosts_files_do(tmp_path: Path) -> None:
    golden = ROOT / "tests/golden"
    found = lint(golden / "rules/fleet-interface-name.yml")
    assert ids(found) == [("fleet-interface-name", "warning")]
    # A host's NIC of another name is called so on its node.
    copytree(golden / "errors/fleet/alpha", tmp_path / "alpha")
    (tmp_path / "lab.yml").write_text("name: made\nfleet: {alpha: alpha}\n")
    assert ids(lint(tmp_path / "lab.yml")) == []


def test_a_hosts_ignition_file_may_be_newer_than_its_nodes_ignition() -> None:
    found = lint(ROOT / "tests/golden/rules/ignition-newer.yml")
    assert ids(found) == [("ignition-newer", "error")]


def test_every_rule_is_tested() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert [rule.id for rule in RULES if f'("{rule.id}", "{rule.severity}")' not in here] == []


@pytest.mark.parametrize(
    ("lab", "expected"),
    [
        ("coreos", []),
        ("docker-vlan", []),
        ("broken/seed-as-written", [("duplicate-range", 11), ("duplicate-range", 12)]),
        ("broken/seed-eth0", [("management-master", 10)]),
    ],
)
def test_errors_of_our_labs(lab: str, expected: list[tuple[str, int]]) -> None:
    findings = lint(ROOT / f"labs/{lab}.yml")
    assert [(f.id, f.line) for f in findings if f.severity == "error"] == expected


def test_unreadable_lab_is_a_lab_error(tmp_path: Path) -> None:
    with pytest.raises(LabError):
        lint(tmp_path / "none.yml")


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("labs/coreos.yml", 0),
        ("docker-vlan", 0),
        ("labs/broken/seed-as-written.yml", 1),
        ("tests/golden/errors/many.yml", 2),
        ("labs/nothing.yml", 2),
    ],
)
def test_verb_exit_code(
    argument: str, code: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["lint", argument]) == code
    output = capfd.readouterr()
    assert ("error: " in output.err) == (code == 2)
    assert "Traceback" not in output.err


def test_verb_takes_the_default_lab(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["lint", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["lab"] == "coreos"
    assert document["summary"] == {"errors": 0, "warnings": 2, "silenced": 0}
    assert set(document["findings"][0]) == {
        *("id", "severity", "file", "line", "column", "message", "reason", "cure", "source"),
        "related",
    }
    assert document["findings"][0]["file"] == "labs/coreos.yml"
