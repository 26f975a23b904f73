"""Shell scripts that make networks: which commands are found, and what their options say."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.fleet.folder import read_host
from underlay.fleet.formats.script import makes_something
from underlay.fleet.host import Host
from underlay.lint.hosts import lint_hosts

CREATE = "docker network create -d macvlan --subnet 10.1.0.0/24 -o parent=eth1 lan"


def host(folder: Path, *lines: str, name: str = "up.sh") -> Host:
    (folder / name).write_text("\n".join(("#!/bin/sh", *lines, "")))
    return read_host("a", folder)


@pytest.mark.parametrize(
    "line",
    [
        CREATE,
        f"sudo {CREATE}",
        f"/usr/bin/{CREATE}",
        f"true && {CREATE} || exit 1",
        f"if ! docker network inspect lan; then {CREATE}; fi",
        "docker network create --driver=macvlan --subnet=10.1.0.0/24 --opt parent=eth1 lan",
        "docker network create lan -d macvlan --subnet 10.1.0.0/24 \\\n  -o parent=eth1",
        "podman network create -d macvlan --subnet 10.1.0.0/24 -o parent=eth1 lan",
        "podman network create -d macvlan --subnet 10.1.0.0/24 --interface-name eth1 lan",
        f"NIC=eth1\n{CREATE.replace('eth1', '$NIC')}",
        f"export NIC='eth1'\n{CREATE.replace('eth1', '${NIC}')}",
    ],
)
def test_one_network(line: str, tmp_path: Path) -> None:
    (network,) = host(tmp_path, line).networks
    assert (network.name, network.driver, network.parent) == ("lan", "macvlan", "eth1")
    assert [str(pool.subnet) for pool in network.pools] == ["10.1.0.0/24"]
    assert network.runtime == ("podman" if "podman" in line else "docker")


@pytest.mark.parametrize(
    "text",
    [
        "docker network ls", "echo network create", "docker network rm lan", "docker-compose up",
        "#docker network",
    ],
)  # fmt: skip
def test_nothing_is_made(text: str) -> None:
    assert not makes_something(text)


def test_a_comment_and_a_quote_that_stays_open(tmp_path: Path) -> None:
    found = host(tmp_path, f"# {CREATE}", CREATE, f'{CREATE} "', name="x.sh")
    assert len(found.networks) == 1
    assert found.networks[0].spot().line == 3


def test_containers_with_their_networks(tmp_path: Path) -> None:
    found = host(
        tmp_path,
        "docker run -d --name web --network lan --ip 10.1.0.5 -p 80:80 nginx",
        "podman run --net=lan:ip=10.1.0.6,mac=02:00:00:00:00:01 --name=db postgres",
        "docker run --rm alpine true",
    )
    web, db, plain = found.containers
    assert [name for name, _, _ in web.networks] == ["lan"]
    assert [str(a) for a in web.networks[0][1]] == ["10.1.0.5"]
    assert (db.name, db.runtime, str(db.networks[0][1][0])) == ("db", "podman", "10.1.0.6")
    assert (plain.name, plain.networks) == ("line-4", (("bridge", (), ""),))


def test_lint_judges_a_script_s_network(tmp_path: Path) -> None:
    found = lint_hosts((host(tmp_path, CREATE.replace("parent=eth1", "parnt=eth1")),))
    assert {finding.id for finding in found} == {"docker-option-unknown", "docker-parent-missing"}
    assert {finding.line for finding in found} == {2}


def test_nothing_is_run(tmp_path: Path) -> None:
    host(tmp_path, f"touch {tmp_path}/ran", f"{CREATE} $(touch {tmp_path}/ran)")
    assert not (tmp_path / "ran").exists()
