"""The plugin for pytest on real nodes: the example's project, as its users run it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from cluster.commands import Done, clean_environment, run
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import UP_DEADLINE, Checkout, Lab

EXAMPLE = "examples/pytest-project"
PLUGIN = ("-p", "underlay.pytest_plugin.plugin", "-p", "no:cacheprovider")
# A test that says where its process's lab has its state.
WHERE = """
def test_one(cluster): print("FOLDER", cluster.folder)
def test_two(cluster): print("FOLDER", cluster.folder)
"""
FILES = """\
name: files
nodes: 1
protocols: [icmp]
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  own: {driver: macvlan, segment: lan, subnet: 10.1.0.0/24, runtime: docker}
  bare: {driver: macvlan, segment: lan, vlan: 80, subnet: 10.2.0.0/24, runtime: iproute2}
containers:
  - {on: all, name: own, networks: [own]}
  - {on: all, name: bare, networks: [bare]}
"""
IN_FILES = """
def test_files(node, container, matrix):
    own, bare = container("own"), container("bare")
    assert own.check_output("hostname") == "own"
    assert own.file("/bin/busybox").exists and not own.file("/etc/debian_version").exists
    assert own.run("echo inside > /made-here").succeeded
    assert own.file("/made-here").content_string == "inside\\n"
    assert not node("core-01").file("/made-here").exists
    assert bare.file("/etc/debian_version").exists
    tools = container("own", tools="node")
    assert tools.file("/etc/debian_version").exists
    assert "10.1.0.129" in tools.interface("eth0").addresses
    assert "10.1.0.129" in own.check_output("ip address show dev eth0")
    assert own.run("no-such-program").rc == 127
    assert matrix.as_expected
"""


def pytest_in(checkout: Checkout, folder: Path, *words: str) -> Done:
    """Run pytest in ``folder`` with the checkout's plugin, as somebody who has it installed."""
    command = [checkout.tool("python"), "-P", "-m", "pytest", *PLUGIN, *words]
    environment = {"PYTHONPATH": str(checkout.root / "src")}
    return run(command, folder=folder, deadline=UP_DEADLINE, environment=environment)


# Two processes have a lab each, which tests/unit/pytest_plugin/test_sharing.py shows daily.
@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.all)])
def test_the_example_passes_and_fails_on_purpose_with_the_cause(
    copy: Checkout, processes: int
) -> None:
    before = interfaces()
    files = ("test_network.py", "test_on_purpose.py")
    done = pytest_in(copy, copy.root / EXAMPLE, "-n", str(processes), "-v", *files)
    assert done.code == 1, str(done)
    words = done.out
    assert "2 failed, 26 passed" in words, str(done)
    for line in (
        "assert web-1a does not reach db-2a by tcp:5432, not as predicted: a parent is down"
        " (core-02, eth1)",
        "Cause 1: a parent is down (parent-down)",
        "underlay exec core-02 --lab web -- ip link set eth1 up",
        "assert core-01 does not reach web-1a by icmp, as predicted: What a node sends through the",
        "PASSED test_network.py::test_web_servers_reach_databases[web-1a->db-2a-tcp:5432]",
    ):
        assert line in words, f"{line}\n{done}"
    # Each had a lab: xdist gives each process at least one test of so many.
    assert {f"[gw{number}]" for number in range(processes)} <= set(words.split()), str(done)
    prove_nothing_is_left(copy, before)


@pytest.mark.all
def test_processes_keep_a_lab_each_and_say_how_they_are_reached(
    copy: Checkout, tmp_path: Path
) -> None:
    before = interfaces()
    (tmp_path / "test_it.py").write_text(WHERE)
    file = copy.root / EXAMPLE / "web.yml"
    options = ("-n", "2", "-rA", "--underlay", str(file), "--underlay-keep", "always")
    done = pytest_in(copy, tmp_path, *options)
    try:
        assert done.code == 0, str(done)
        lines = [line.split() for line in done.out.splitlines()]
        folders = {words[1] for words in lines if words[:1] == ["FOLDER"]}
        assert len(folders) == 2, str(done)
        homes = {
            word.partition("=")[2] for words in lines for word in words if "UNDERLAY_HOME=" in word
        }
        assert len(homes) == 2, str(done)
        command = [str(copy.root / "underlay"), "exec", "--lab", "web", "web-1a", "--", "hostname"]
        for home in homes:
            there = {"UNDERLAY_HOME": home}
            found = run(command, folder=copy.root, deadline=60, environment=there)
            assert (found.code, found.out.strip()) == (0, "web-1a"), str(found)
    finally:
        done = copy.underlay("down", "--all")
    assert done.out.startswith("web, web: down"), str(done)
    prove_nothing_is_left(copy, before)


@pytest.mark.parametrize("lab", ["coreos"], indirect=True)
def test_a_lab_that_is_up_is_used_and_stays_up(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        """
def test_it(cluster, matrix, node, container):
    assert cluster.name == "coreos"
    assert matrix.reaches("lannet-1a", "lannet-2*")
    assert not matrix.reaches("core-01", "lannet-1a")
    assert node("core-02").check_output("hostname") == "core-02"
    assert container("ipnet-3b").check_output("hostname") == "ipnet-3b"
"""
    )
    done = pytest_in(lab.checkout, tmp_path, "--underlay", "coreos", "--underlay-keep", "never")
    assert done.code == 0, str(done)
    assert "lab coreos, which is up" in done.out
    assert lab.execute("core-01", "true").code == 0


@pytest.mark.all
def test_a_container_of_docker_has_its_own_files(copy: Checkout, tmp_path: Path) -> None:
    (tmp_path / "files.yml").write_text(FILES)
    (tmp_path / "test_it.py").write_text(IN_FILES)
    done = pytest_in(copy, tmp_path, "--underlay", "files.yml")
    assert done.code == 0, str(done)


@pytest.mark.all
def test_an_interrupt_leaves_nothing(copy: Checkout, tmp_path: Path) -> None:
    before = interfaces()
    (tmp_path / "test_it.py").write_text(
        "import pathlib, time\n"
        "def test_it(cluster):\n"
        f"    pathlib.Path({str(tmp_path)!r}, cluster.folder.parents[1].name).touch()\n"
        "    time.sleep(300)\n"
        "test_other = test_it\n"
    )
    words = ("-n", "2", "--underlay", str(copy.root / EXAMPLE / "web.yml"))
    process = subprocess.Popen(
        [copy.tool("python"), "-P", "-m", "pytest", *PLUGIN, *words],
        cwd=tmp_path,
        env=clean_environment() | {"PYTHONPATH": str(copy.root / "src")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        while process.poll() is None and sum(one.name.isdigit() for one in tmp_path.iterdir()) < 2:
            with_patience(process)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=120) == pytest.ExitCode.INTERRUPTED
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    prove_nothing_is_left(copy, before)


def with_patience(process: subprocess.Popen[bytes]) -> None:
    """Wait a moment for ``process``."""
    try:
        process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return
