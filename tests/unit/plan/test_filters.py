"""Packet filters in the plan: whose they are, whom names stand for, and what rules they make."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from underlay.lint import load
from underlay.plan import Plan, plan_from_json
from underlay.plan.filter_rules import hooked
from underlay.storage.paths import programs, root

LAB = """\
name: made
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24, subnet6: "fd00:70::/64"}
networks:
  a: {driver: macvlan, segment: lan, subnet: 10.1.0.0/24, subnet6: "fd00:1::/64"}
containers:
  - {networks: [a]}
  - {on: core-01, name: db, networks: [a], listens: ["tcp:5432"]}
  - {name: web, networks: [a]}
hosts:
  far: {on: {lan: {}}, listens: ["udp:53"]}
filters:
"""
EVERYBODY = ("a-1a", "db", "web-1a", "a-2a", "web-2a")


def planned(folder: Path, *filters: str) -> Plan:
    file = folder / "made.yml"
    file.write_text(LAB + "\n".join(f"  - {{{text}}}" for text in filters) + "\n")
    return load(file).plan


@pytest.mark.parametrize(
    ("on", "spaces"),
    [
        ("db", ("db",)),
        ("web", ("web-1a", "web-2a")),
        ("web-2a", ("web-2a",)),
        ("core-02", ("core-02",)),
        ("far", ("far",)),
        ("[db, core-01, db]", ("db", "core-01")),
    ],
)
def test_whose_a_filter_is(on: str, spaces: tuple[str, ...], tmp_path: Path) -> None:
    (one,) = planned(tmp_path, f"on: {on}, action: drop").filters
    assert one.spaces == spaces


def test_a_network_is_all_of_its_containers(tmp_path: Path) -> None:
    (one,) = planned(tmp_path, "on: a, action: drop").filters
    assert sorted(one.spaces) == sorted(EVERYBODY)


def test_names_stand_for_addresses_of_both_families(tmp_path: Path) -> None:
    first, second, third = planned(
        tmp_path,
        "on: a, from: a, action: drop",
        "on: a, from: db, to: core-01, action: drop",
        "on: a, from: 10.1.0.7, action: drop",
    ).filters
    assert first.sources == ("10.1.0.0/24", "fd00:1::/64")
    assert [one.partition("/")[2] for one in second.sources] == ["32", "128"]
    assert "192.168.70.11/32" in second.destinations
    assert third.sources == ("10.1.0.7/32",)
    assert (first.line, third.line) == (14, 16)


def test_who_listens(tmp_path: Path) -> None:
    listens = planned(tmp_path, "on: db, action: drop").listens
    assert listens == {"db": ("tcp:5432",), "far": ("udp:53",)}


def test_it_survives_json(tmp_path: Path) -> None:
    plan = planned(tmp_path, "on: db, action: drop", "on: far, action: drop")
    assert plan_from_json(plan.to_json()) == plan


def test_a_rule_of_one_family_is_in_no_other(tmp_path: Path) -> None:
    rules = planned(tmp_path, "on: db, protocol: tcp, from: 10.1.0.7, action: drop").rules["db"]
    assert "-s 10.1.0.7/32 -p tcp" in rules["v4"]
    assert "DROP" not in rules["v6"]
    assert "--icmpv6-type 135 -j RETURN" in rules["v6"]


def test_a_node_s_management_is_spared(tmp_path: Path) -> None:
    rules = planned(tmp_path, "on: core-01, action: drop", "on: core-01, action: drop,"
                    " direction: out").rules["core-01"]["v4"]  # fmt: skip
    lines = rules.splitlines()
    for spared, taken in (("-A UNDERLAY-IN -i eth0 -j RETURN", "UNDERLAY-IN -m"),
                          ("-A UNDERLAY-OUT -o eth0 -j RETURN", "UNDERLAY-OUT -m")):  # fmt: skip
        assert lines.index(spared) < next(n for n, line in enumerate(lines) if taken in line)


def test_jumps_are_added_for_a_new_namespace(tmp_path: Path) -> None:
    text = planned(tmp_path, "on: far, action: drop").rules["far"]["v4"]
    assert "-A INPUT -j UNDERLAY-IN\nCOMMIT\n" in hooked(text)
    assert "OUTPUT" not in hooked(text)


def test_nft_reads_what_is_written_for_hosts() -> None:
    """In a user and network namespace of its own; a machine that allows none proves nothing."""
    nft = shutil.which("nft", path=programs())
    if nft is None:
        pytest.skip("nft is not installed: apt-get install nftables")
    inside = ["unshare", "--user", "--map-root-user", "--net", "--"]
    tried = subprocess.run([*inside, nft, "list", "ruleset"], check=False, timeout=30,
                           capture_output=True, text=True)  # fmt: skip
    if tried.returncode:
        pytest.skip(f"this kernel lets nobody try a ruleset: {tried.stderr.strip()}")
    rules = load(root() / "labs" / "filter-router.yml").plan.rules
    written = {name: texts["nft"] for name, texts in rules.items() if "nft" in texts}
    assert set(written) == {"firewall", "printer"}
    for text in written.values():
        subprocess.run([*inside, nft, "-f", "-"], input=text, text=True, check=True, timeout=30)
