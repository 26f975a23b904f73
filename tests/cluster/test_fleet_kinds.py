"""Scripts, user-data and images of hosts' own on nodes: what each kind of file does there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.archives import docker_archive
from cluster.fleet_up import fleet_up
from cluster.running import Checkout, Lab

pytestmark = pytest.mark.all


@pytest.fixture(scope="module")
def fleet(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Return the lab of a fleet of scripts and user-data, up, with an image of its user's."""
    words = ("/bin/busybox", "httpd", "-f", "-p", "80")

    def prepare(own: Path) -> None:
        docker_archive(own / "shop.tar", "localhost/mine/web:1", *words)

    with fleet_up(copy, tmp_path_factory.mktemp("fleet"), "kinds", prepare) as lab:
        yield lab


def test_what_the_files_say_is_what_packets_do(fleet: Lab) -> None:
    matrix = fleet.check()
    matrix.prove_green()
    assert matrix.summary["statements"] == 3
    assert matrix.summary["unplanned"] == 0, matrix.done.err


def test_a_users_own_image_runs_with_its_own_command(fleet: Lab) -> None:
    form = "podman inspect --format '{{.Path}} {{join .Args \" \"}}' shop"
    assert fleet.shell("two", form).split() == ["/bin/busybox", "httpd", "-f", "-p", "80"]
    address = "10.9.1.128"
    assert fleet.shell("web", f"busybox wget -q -O - http://{address}/index.html") == "mine\n"


def test_of_user_data_is_done_what_reaches_nothing_outside(fleet: Lab) -> None:
    assert fleet.shell("two", "sysctl -n net.ipv4.conf.all.arp_ignore").strip() == "1"
    said = "\n".join(fleet.status()["put_aside"]["two"])
    assert "taken out: packages" in said
    assert "taken out: runcmd: curl -fsSL https://get.example.com | sh" in said


def test_of_scripts_is_done_what_is_about_networks(fleet: Lab) -> None:
    form = "{{.HostConfig.Privileged}} {{.HostConfig.Memory}} {{json .HostConfig.Binds}}"
    assert fleet.shell("one", f"docker inspect --format '{form}' db").split()[:2] == ["false", "0"]
    status = fleet.status()
    assert "of db put aside: --memory, --privileged" in "\n".join(status["put_aside"]["one"])
    assert "docker pull: nothing is fetched" in "\n".join(status["put_aside"]["one"])
    assert "of worker put aside: -v" in "\n".join(status["put_aside"]["three"])
    assert status["strangers"] == []
