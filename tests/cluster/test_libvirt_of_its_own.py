"""Labs on libvirt where no daemon runs: each has one of its own, which ends with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.commands import run
from cluster.left_behind import command_lines, interfaces, processes, prove_nothing_is_left
from cluster.running import Checkout, Lab
from cluster.test_libvirt import PAIR, SLOW_UP
from cluster.test_rootless import Somebody, somebody  # noqa: F401 -- a fixture
from underlay.cluster.providers.libvirt import own, wiring
from underlay.cluster.providers.libvirt.provider import PROVIDER
from underlay.cluster.providers.libvirt.virsh import known, virsh
from underlay.cluster.providers.uml import sandbox
from underlay.errors import Infrastructure
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.storage import paths

ON_LIBVIRT = ("--provider", "libvirt")
# One processor of this host emulates each node's.
SINGLE = """\
name: NAME
nodes: 1
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: cni}
containers:
  - {on: all, count: 2, networks: [lannet]}
"""
DEAF = "sysctl -q -w net.ipv4.icmp_echo_ignore_all={}"
SETGROUPS = "import os; os.setgroups([]); print('no failure')"


def single(checkout: Checkout, folder: Path, name: str) -> Lab:
    """Return a lab of one node, which differs from others of its kind in its name alone."""
    file = folder / f"{name}.yml"
    file.write_text(SINGLE.replace("NAME", name))
    return Lab(checkout, name, file)


@pytest.fixture
def two(copy: Checkout, tmp_path: Path) -> Iterator[list[Lab]]:
    labs = [single(copy, tmp_path, name) for name in ("one", "other")]
    yield labs
    for lab in labs:
        if lab.state.exists():
            lab.down()


@pytest.mark.skipif(shutil.which("libvirtd") is None, reason="libvirtd is not installed")
def test_a_daemon_of_the_labs_own_is_seen_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without machines, which take their minutes: networks, a pool, and the end of all."""
    monkeypatch.delenv("LIBVIRT_DEFAULT_URI", raising=False)
    before, state = interfaces(), tmp_path / "state"
    state.mkdir()
    file = tmp_path / "pair.yml"
    file.write_text(PAIR)
    plan = make_plan(read_lab(file))
    said: list[str] = []
    own.ensure(state, said.append)
    living = sandbox.find(state)
    assert living is not None
    try:
        assert said == ["libvirtd does not answer: starting one of the lab's own"]
        wiring.make(plan, state)
        assert wiring.stands(plan, state)
        assert len(known(own.uri_of(state), "net")) == len(wiring.networks(plan, state))
        links = subprocess.run(
            living.enter(["ip", "-brief", "link"]), capture_output=True, text=True, timeout=10
        ).stdout
        assert {"br-lan", "br-wan", "br-mgmt_1", "br-mgmt_2"} <= set(
            re.findall(r"^\S+", links, re.M)
        )
        assert interfaces() == before
        own.ensure(state, said.append)
        assert sandbox.find(state) == living
    finally:
        living.stop()
    assert own.has_own(state)
    assert PROVIDER().states(plan, state) == dict.fromkeys(("core-01", "core-02"), "not_created")
    assert not PROVIDER().stands(state)
    with pytest.raises(Infrastructure, match="failed"):
        virsh(own.uri_of(state), "list")


def test_the_users_choice_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: where a daemon was named that doesn't answer, no other one is taken for it."""
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "qemu+unix:///system?socket=/nonsuch")
    with pytest.raises(Infrastructure, match="libvirtd does not answer"):
        own.ensure(tmp_path, print)
    assert sandbox.find(tmp_path) is None


@pytest.mark.all
def test_two_labs_of_equal_addresses_are_up_side_by_side(two: list[Lab]) -> None:
    before = interfaces()
    one, other = two

    def up(lab: Lab) -> None:
        done = lab.checkout.underlay("up", str(lab.file), *ON_LIBVIRT, deadline=SLOW_UP)
        assert done.code == 0, str(done)
        assert "libvirtd does not answer: starting one of the lab's own" in done.err

    with ThreadPoolExecutor() as threads:
        list(threads.map(up, two))
    assert interfaces() == before
    hosts = [lab.shell("core-01", "cat /proc/sys/kernel/random/boot_id") for lab in two]
    assert len(set(hosts)) == 2
    # Who is deaf in the one of them isn't in the other, where its namesake has the same address.
    with one.broken("lannet-1b", DEAF.format(1), DEAF.format(0)) as matrix:
        assert matrix.differing
        assert all("lannet-1b" in str(cell) for cell in matrix.differing), matrix.differing
        other.check().prove_green()
    one.check().prove_green()
    done = one.down()
    assert done.code == 0, str(done)
    other.check().prove_green()
    done = other.down()
    assert done.code == 0, str(done)
    prove_nothing_is_left(one.checkout, before)


@pytest.mark.all
def test_vagrant_by_hand_finds_the_labs_own_daemon(two: list[Lab]) -> None:
    lab = two[0]
    done = lab.checkout.underlay("up", str(lab.file), *ON_LIBVIRT, deadline=SLOW_UP)
    assert done.code == 0, str(done)
    variables = lab.verb("env", "--json").variables()
    words = ["vagrant", "ssh", "core-01", "-c", "hostname"]
    done = run(words, folder=lab.checkout.root, deadline=60, environment=variables)
    assert "core-01" in done.out, str(done)


@pytest.mark.all
def test_a_start_that_is_killed_leaves_nothing_running(two: list[Lab]) -> None:
    before = interfaces()
    lab = two[0]
    program = str(lab.checkout.root / "underlay")
    process = subprocess.Popen(
        [program, "up", str(lab.file), *ON_LIBVIRT],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "through Vagrant" in line:
            break
    limit = time.monotonic() + SLOW_UP
    while not machines(lab) and time.monotonic() < limit:
        time.sleep(0.2)
    assert machines(lab), "no machine was ever started"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    process.stderr.close()
    limit = time.monotonic() + 10
    while (left := [*machines(lab), *processes(lab.checkout)]) and time.monotonic() < limit:
        time.sleep(0.1)
    assert left == []
    done = lab.down()
    assert done.code == 0, str(done)
    prove_nothing_is_left(lab.checkout, before)


def machines(lab: Lab) -> list[str]:
    """Return the processes of qemu that have to do with ``lab``."""
    return [
        f"{number}: {line[:200]}"
        for number, line in command_lines()
        if "qemu-system" in line and str(lab.state) in line
    ]


@pytest.mark.all
def test_an_ordinary_user_needs_no_daemon(somebody: Somebody) -> None:  # noqa: F811
    """Neither root nor a group: the daemon is root in the user's own namespace alone."""
    before = interfaces()
    lab = single(somebody.checkout, somebody.home, "modest")
    for words in (
        ("up", str(lab.file), *ON_LIBVIRT),
        ("check",),
        ("exec", "switch", "--", "bridge", "link"),
    ):
        done = somebody(*words)
        assert done.code == 0, str(done)
    done = somebody("check", "--json")
    summary = json.loads(done.out)["summary"]
    assert summary["as_expected"] == summary["cells"] > 0, summary
    done = somebody("down")
    assert done.code == 0, str(done)
    prove_nothing_is_left(somebody.checkout, before)


def test_a_namespace_refuses_what_the_filter_answers(somebody: Somebody, tmp_path: Path) -> None:  # noqa: F811
    """The twin: without the filter the kernel refuses to set groups in an ordinary user's."""
    script = somebody.home / "setgroups.py"
    script.write_text(SETGROUPS)
    python = ("/usr/bin/python3", "-I", "-S")
    done = somebody.start(*sandbox.UNSHARE, *python, str(script))
    assert done.code != 0
    assert "PermissionError" in done.err, str(done)
    filtering = somebody.checkout.root / own.WITHOUT_GROUPS.relative_to(paths.root())
    done = somebody.start(*sandbox.UNSHARE, *python, str(filtering), str(script))
    assert (done.code, done.out) == (0, "no failure\n"), str(done)
