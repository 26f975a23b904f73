"""`check -i --probe` finds containers of every runtime that somebody else has started.

The machines are full nodes of another checkout's lab, with Docker and podman on them; see
foreign.py. The user has the pinned line in sudoers and no other right.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cluster.running import CHECK_DEADLINE, Checkout
from foreign import Foreign, foreign_machines
from underlay.observe.pinned import PATH, program, sudoers

pytestmark = pytest.mark.all

MIXED = """\
name: mixed
nodes: 2
segments:
  lan: {subnet: 192.168.72.0/24}
networks:
  docknet: {driver: macvlan, segment: lan, subnet: 20.2.1.0/24, runtime: docker}
  podnet: {driver: macvlan, segment: lan, subnet: 20.2.2.0/24, runtime: podman}
  cninet: {driver: macvlan, segment: lan, subnet: 20.2.3.0/24, runtime: cni}
containers:
  - {on: all, networks: [docknet]}
  - {on: all, networks: [podnet]}
  - {on: all, networks: [cninet]}
"""
# What systemd-machined has of a container that systemd-nspawn runs: a scope by its name, with the
# processes that are in its namespaces. The image has no systemd-nspawn.
AS_MACHINE = """
touch /run/held-namespace
mount --bind "/run/netns/$1" /run/held-namespace
umount "/run/netns/$1"
rm "/run/netns/$1"
unit="machine-$(systemd-escape "$1").scope"
systemd-run --quiet --collect --slice=machine.slice --unit="$unit" --scope \\
    nsenter --net=/run/held-namespace sleep 3600 </dev/null >/dev/null 2>&1 &
for _ in $(seq 50); do
    systemctl --quiet is-active "$unit" && exit
    sleep 0.2
done
exit 1
"""
AS_BEFORE = """
systemctl stop "machine-$(systemd-escape "$1").scope"
touch "/run/netns/$1"
mount --bind /run/held-namespace "/run/netns/$1"
umount /run/held-namespace
rm /run/held-namespace
"""


@pytest.fixture(scope="module")
def mixed(here: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    folder = tmp_path_factory.mktemp("mixed")
    with (
        here.copied_apart() as checkout,
        foreign_machines(checkout, folder, "mixed", MIXED) as machines,
    ):
        machines.install(PATH, program())
        with machines.sudoers(sudoers("visitor")):
            yield machines


def measured(here: Checkout, machines: Foreign) -> dict[str, Any]:
    words = ("check", str(machines.lab.file), "-i", str(machines.inventory), "--probe", "--json")
    done = here.underlay(*words, deadline=CHECK_DEADLINE)
    assert done.code == 0, str(done)
    found: dict[str, Any] = done.document()
    assert found["summary"]["cells"] == found["summary"]["as_expected"]
    return found


def test_containers_of_docker_podman_and_cni_are_found(here: Checkout, mixed: Foreign) -> None:
    runtimes = {container.name: container.runtime for container in mixed.lab.plan.containers}
    assert set(runtimes.values()) == {"docker", "podman", "cni"}
    found = measured(here, mixed)
    reached = {c["source"] for c in found["cells"] if c["observed"] == "reachable"}
    assert set(runtimes) <= reached


def test_a_container_that_systemd_knows_as_a_machine_is_found(
    here: Checkout, mixed: Foreign
) -> None:
    container = next(c for c in mixed.lab.plan.containers if c.runtime == "cni")
    mixed.root(container.node, AS_MACHINE, container.name)
    try:
        found = measured(here, mixed)
    finally:
        mixed.root(container.node, AS_BEFORE, container.name)
    own = {c["observed"] for c in found["cells"] if c["source"] == container.name}
    assert own == {"reachable", "unreachable"}
