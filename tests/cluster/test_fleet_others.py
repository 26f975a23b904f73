"""Kinds of files that no other fleet has, on nodes: each is acted on, and packets prove it.

Bodies of Docker's API, podman's JSON, pods, systemd-nspawn, loops of scripts, commands of user-data
that make networks, and a user's own image, an OCI archive, by Docker and by podman.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.archives import oci_archive
from cluster.fleet_up import fleet_up
from cluster.running import Checkout, Lab

pytestmark = pytest.mark.all

OWN_COMMAND = ["/bin/busybox", "httpd", "-f", "-p", "80"]


@pytest.fixture(scope="module")
def fleet(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Return the lab of that fleet, up, with an image of its user's."""

    def prepare(own: Path) -> None:
        oci_archive(own / "shop.tar", "localhost/mine/web:1", *OWN_COMMAND)

    with fleet_up(copy, tmp_path_factory.mktemp("fleet"), "others", prepare) as lab:
        yield lab


def test_what_the_files_say_is_what_packets_do(fleet: Lab) -> None:
    matrix = fleet.check()
    matrix.prove_green()
    assert matrix.summary["statements"] == 5
    assert matrix.summary["unplanned"] == 0, matrix.done.err
    assert fleet.status()["strangers"] == []


def test_a_body_of_dockers_api_and_a_loop_of_a_script(fleet: Lab) -> None:
    names = fleet.shell("one", "docker ps --format '{{.Names}}'").split()
    assert sorted(names) == ["app1", "app2", "db", "web"]
    form = "{{(index .IPAM.Config 0).IPRange}}"
    assert fleet.shell("one", f"docker network inspect --format '{form}' lan").strip() == (
        "10.9.1.64/26"
    )
    said = "\n".join(fleet.status()["put_aside"]["one"])
    assert "apt-get install -y docker.io: nothing is fetched on a node" in said
    assert "docker compose up -d: what its file starts is started by that file itself" in said


def test_an_oci_archive_runs_by_docker_and_by_podman(fleet: Lab) -> None:
    form = "'{{.Path}} {{join .Args \" \"}}'"
    for node, engine, name in (("one", "docker", "web"), ("one", "docker", "db"),
                               ("two", "podman", "app")):  # fmt: skip
        said = fleet.shell(node, f"{engine} inspect --format {form} {name}")
        assert said.split() == OWN_COMMAND
    # What is in a pod listens where the pod's own network is.
    address = "http://10.60.0.64/index.html"
    assert fleet.shell("cache", f"busybox wget -q -O - {address}") == "mine\n"


def test_commands_of_user_data_make_networks_and_users_are_let_through(fleet: Lab) -> None:
    names = fleet.shell("two", "podman network ls --format '{{.Name}}'; id -un keeper; date +%Z")
    assert {"lan", "guests", "keeper"} <= {*names.split()}
    assert names.split()[-1] in ("CET", "CEST")
    said = "\n".join(fleet.status()["put_aside"]["two"])
    assert "curl -fsSL https://get.example.com: nothing is fetched on a node" in said
    assert "taken out" not in said


def test_what_nothing_starts_isnt_started(fleet: Lab) -> None:
    units = "idle.service job.service cache.service apps-pod.service"
    done = fleet.execute("two", "systemctl", "is-active", *units.split())
    assert done.out.split() == ["inactive", "inactive", "active", "active"]


def test_a_container_that_is_made_anew_is_no_stranger(fleet: Lab) -> None:
    fleet.shell("one", "docker rm --force db && cd /srv/shop && docker compose up --detach")
    status = fleet.status()
    assert status["strangers"] == []
    assert "db" in fleet.shell("one", "docker ps --format '{{.Names}}'").split()
