"""Hosts' own files on nodes: the programs that they are for act on them, and packets prove it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest

from cluster.fleet_up import fleet_up
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout, Lab


@pytest.fixture(scope="module")
def fleet(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Return the lab of a fleet that has hosts of three kinds, up, with files of its own."""
    before = interfaces()
    with fleet_up(copy, tmp_path_factory.mktemp("fleet"), "mixed") as lab:
        yield lab
    prove_nothing_is_left(copy, before)


def test_what_the_files_say_is_what_packets_do(fleet: Lab) -> None:
    matrix = fleet.check()
    matrix.prove_green()
    assert matrix.summary["statements"] == 2
    assert matrix.summary["unplanned"] == 0, matrix.done.err


def test_files_are_at_their_paths_word_for_word(fleet: Lab) -> None:
    for host in sorted((fleet.file.parent / "hosts").iterdir()):
        files = {f"/{one.relative_to(host)}": one for one in host.rglob("*") if one.is_file()}
        assert len(files) >= 4
        said = fleet.shell(host.name, 'sha256sum "$@"', *files)
        found = {path: digest for digest, path in map(str.split, said.splitlines())}
        assert found == {p: sha256(one.read_bytes()).hexdigest() for p, one in files.items()}


def test_the_real_programs_have_acted_on_them(fleet: Lab) -> None:
    unit = "networkctl status ens3.70 --json=short"
    for node, script, said in (
        ("core-01", "docker compose ls; docker network ls", ("shop", "shop_lan")),
        ("core-02", "ls /var/lib/cni/networks/lan", ("10.9.1.128",)),
        ("core-03", "systemctl is-active cache.service; podman network ls", ("active", "lan")),
    ):
        out = fleet.shell(node, f"{script}; {unit}")
        assert all(word in out for word in (*said, "/etc/systemd/network/20-ens3.70.network"))


def test_what_was_put_aside_is_said(fleet: Lab) -> None:
    status = fleet.status()
    said = "\n".join(status["put_aside"]["core-01"])
    assert "of web put aside: ports, volumes, command" in said
    assert "a stand-in runs as db, for its image postgres:16" in said
    assert "put aside: PublishPort, Volume" in "\n".join(status["put_aside"]["core-03"])
    assert "core-02" not in status["put_aside"]
    assert status["strangers"] == []


@pytest.mark.all
def test_a_container_that_no_plan_knows_is_named(fleet: Lab) -> None:
    fleet.shell("core-01", "docker run --detach --name visitor --network none nginx:1.27")
    fleet.shell("core-03", "podman run --detach --name guest --network none redis:7")
    found = {(one["node"], one["runtime"], one["name"]) for one in fleet.status()["strangers"]}
    assert found == {("core-01", "docker", "visitor"), ("core-03", "podman", "guest")}
    checked = fleet.verb("check")
    assert "Runs, not planned" in checked.out
    assert "visitor" in checked.out
    fleet.shell("core-01", "docker rm --force visitor")
    fleet.shell("core-03", "podman rm --force --time 0 guest")
    assert fleet.status()["strangers"] == []


def test_a_nodes_root_has_no_way_to_the_hosts_files(fleet: Lab) -> None:
    done = fleet.execute("core-01", "mount", "-t", "hostfs", "none", "/mnt", "-o", "hostfs=/")
    assert done.code != 0


# Daily test_intent.py breaks statements by packets, and tests/unit/lint finds the mistake in files.
@pytest.mark.all
def test_a_parent_that_was_mistyped_is_seen_by_intent_and_packets(fleet: Lab) -> None:
    """The file says so itself, so that the prediction follows it: what is wanted doesn't."""
    unit = fleet.file.parent / "hosts" / "core-03" / "etc/containers/systemd/lan.network"
    before = unit.read_text()
    unit.write_text(before.replace("parent=ens3.70", "parent=ens3"))
    try:
        refused = fleet.checkout.underlay("lint", str(fleet.file))
        assert "network-vlan-differs: lan is untagged on core-03, VLAN 70 on core-01" in refused.out
        words = ("switch", str(fleet.file), "--lab", fleet.name, "--force")
        switched = fleet.checkout.underlay(*words, deadline=600)
        assert switched.code == 0, str(switched)
        matrix = fleet.check()
        assert matrix.done.code == 1
        assert matrix.summary["differs"] == 0, matrix.done.err
        assert matrix.summary["statements_broken"] == 2
        assert matrix.cells["web", "cache", "icmp"]["observed"] == "unreachable"
        assert matrix.summary["unplanned"] == 0, matrix.done.err
    finally:
        unit.write_text(before)
