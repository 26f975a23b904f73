"""Children added and deleted again and again leave nothing behind, with every runtime.

What the plugins' and Docker's own test suites try on a mocked host is tried on a real node: links,
addresses, namespaces, leases, mounts and processes are counted before and after. A name that is
taken and a subnet that overlaps must leave nothing either.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.running import Checkout, Lab, written

# Whatever stays of one is seen after a few; MANY look for what stays of one in a hundred.
FEW, MANY = 5, 500
# s for one time; a loaded machine takes several times as long as a quiet one.
EACH = {"cni": 4.0, "iproute2": 4.0, "docker": 40.0, "podman": 20.0}
# s: Docker takes the files of namespaces away once a minute, in podman's turn as well (moby,
# libnetwork/osl/namespace_linux.go, gpmCleanupPeriod).
GARBAGE = 65
LEAN = """\
name: repeated
nodes: {count: 1, profile: lean}
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  mac: {driver: macvlan, segment: lan, vlan: 71, subnet: 10.1.1.0/24}
  ip: {driver: ipvlan, segment: lan, vlan: 72, subnet: 10.1.2.0/24, runtime: iproute2}
  other: {driver: macvlan, segment: lan, vlan: 73, subnet: 10.1.3.0/24}
containers:
  - {on: all, networks: [mac]}
  - {on: all, networks: [ip]}
"""
FULL = """\
name: engines
nodes: 1
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  dock: {driver: macvlan, segment: lan, vlan: 71, subnet: 10.1.1.0/24, runtime: docker}
  byp: {driver: macvlan, segment: lan, vlan: 72, subnet: 10.1.2.0/24, runtime: podman}
containers:
  - {on: all, networks: [dock]}
  - {on: all, networks: [byp]}
"""
# What must be the same before and after; processes by their names, without the kernel's threads
# and without those of whoever asks.
COUNTED = r"""
count() {
    ip -oneline link show | sed 's/^[0-9]*: //; s/[@:].*//' | sort
    ip -oneline address show | sed 's/^[0-9]*: //; s/ *valid_lft.*//' | sort
    ls /run/netns /var/run/docker/netns /run/user/0/netns 2>/dev/null | sort
    find /var/lib/cni/networks -type f -name '*.*.*.*' 2>/dev/null | sort
    cut -d ' ' -f 2 /proc/mounts | sort
    ps -o comm= --ppid 2 -p 2 -N | grep -vxE 'sshd.*|sudo|sh|ps|grep|sort|.udev-worker.' | sort
}
"""
PODMAN = (
    "env CONTAINERS_CONF_OVERRIDE=/run/underlay/containers.conf podman --events-backend=none"
    " --cgroup-manager=cgroupfs --log-level=error"
)
POD = (
    f"{PODMAN} run --rm --pull=never --no-hosts --no-hostname --cgroups=disabled"
    " --log-driver=none --security-opt=seccomp=unconfined"
)
CNI = "/usr/libexec/underlay/cni"
ONCE = {
    "cni": (
        "ip netns add again;"
        f" {CNI} add mac again /run/netns/again eth0 >/dev/null;"
        f" {CNI} del mac again /run/netns/again eth0;"
        " ip netns delete again"
    ),
    "iproute2": (
        "ip netns add again;"
        " ip link add link eth1.72 name new0 netns again type ipvlan mode l2;"
        " ip -netns again link delete new0;"
        " ip netns delete again"
    ),
    "docker": "docker run --rm --network dock underlay/busybox true",
    "podman": f"{POD} --network byp localhost/underlay/busybox true",
}
# Twice eth0 in one namespace; what fails must give back its link and its lease.
CLASH = {
    "cni": (
        f"ip netns add again; {CNI} add mac again /run/netns/again eth0 >/dev/null;"
        f" if {CNI} add other again /run/netns/again eth0 >/dev/null; then exit 9; fi;"
        f" {CNI} del other again /run/netns/again eth0 2>/dev/null || :;"
        f" {CNI} del mac again /run/netns/again eth0; ip netns delete again"
    ),
    "iproute2": (
        "ip netns add again; on='netns again type ipvlan mode l2';"
        " ip link add link eth1.72 name eth9 $on;"
        " if ip link add link eth1.72 name eth9 $on; then exit 9; fi;"
        " ip netns delete again"
    ),
}


@pytest.fixture(scope="module")
def lean(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from _up(copy, tmp_path_factory.mktemp("lean"), "repeated", LEAN)


@pytest.fixture(scope="module")
def full(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from _up(copy, tmp_path_factory.mktemp("full"), "engines", FULL)


def _up(copy: Checkout, folder: Path, name: str, text: str) -> Iterator[Lab]:
    with written(copy, folder, name, text) as lab:
        done = lab.up()
        assert done.code == 0, str(done)
        yield lab
        lab.check().prove_green()


def prove_nothing_is_left(
    lab: Lab, script: str, times: int, seconds: float, later: int = 0
) -> None:
    """Run ``script`` once, so that what stays for good is there, then ``times``; compare.

    ``later`` is the time in seconds after which the runtime takes away what it has done with.
    """
    again = f"n=0; while [ $n -lt {times} ]; do {script}; n=$((n + 1)); done"
    # What ends asynchronously gets a moment, before and after: the kernel frees namespaces in the
    # background, and Docker's own go last.
    steady = (
        f"sleep {later}; before=$(count); for try in 1 2 3 4 5 6 7 8 9 10; do sleep 1;"
        ' now=$(count); [ "$now" = "$before" ] && break; before=$now; done'
    )
    settled = (
        f"try=0; while [ $try -lt {10 + later} ]; do"
        ' [ "$(count)" = "$before" ] && break; sleep 1; try=$((try + 1)); done'
    )
    told = 'after=$(count); [ "$after" = "$before" ] || { echo "$before" >/run/before;'
    told += ' echo "$after" | diff /run/before - || exit 8; }'
    whole = f"{COUNTED}\n{script}\n{steady}\n{again}\n{settled}\n{told}"
    words = ("core-01", "--", "sh", "-euc", whole)
    done = lab.verb("exec", *words, deadline=120 + 3 * later + times * seconds)
    assert done.code == 0, str(done)


@pytest.mark.parametrize("runtime", ["cni", pytest.param("iproute2", marks=pytest.mark.all)])
@pytest.mark.parametrize("times", [FEW, pytest.param(MANY, marks=pytest.mark.all)])
def test_a_child_added_and_deleted_again_leaves_nothing(
    lean: Lab, runtime: str, times: int
) -> None:
    prove_nothing_is_left(lean, ONCE[runtime], times, EACH[runtime])


@pytest.mark.all
@pytest.mark.parametrize("runtime", ["docker", "podman"])
@pytest.mark.parametrize("times", [FEW, MANY])
def test_an_engines_containers_leave_nothing(full: Lab, runtime: str, times: int) -> None:
    prove_nothing_is_left(full, ONCE[runtime], times, EACH[runtime], GARBAGE)


@pytest.mark.parametrize("runtime", [pytest.param("cni", marks=pytest.mark.all), "iproute2"])
def test_a_name_that_is_taken_leaves_nothing(lean: Lab, runtime: str) -> None:
    prove_nothing_is_left(lean, CLASH[runtime], 3, EACH[runtime])


@pytest.mark.all
def test_docker_refuses_an_overlapping_subnet_and_podman_takes_it(full: Lab) -> None:
    made = "network create --driver macvlan --subnet 10.1.1.0/25"
    done = full.execute("core-01", "sh", "-c", f"docker {made} -o parent=eth1 lapping")
    assert done.code != 0, str(done)
    assert "overlaps" in done.err
    full.shell(
        "core-01",
        f"{PODMAN} network create --driver macvlan --subnet 10.1.2.0/25 -o parent=eth1 lapping;"
        f" {PODMAN} network rm lapping",
    )
    full.check().prove_green()
