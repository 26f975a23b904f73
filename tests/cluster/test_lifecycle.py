"""Up and down, and whatever may come in between; all of it in a copy of the checkout."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.commands import GRACE, clean_environment, interrupt, run
from cluster.left_behind import interfaces, processes, prove_nothing_is_left
from cluster.running import Checkout, Lab, written
from underlay.proof.bench.pseudo_terminal import PseudoTerminal

SMALL = """\
name: small
nodes: 1
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: cni}
containers:
  - {on: all, count: 2, networks: [lannet]}
"""


@pytest.fixture(scope="module")
def small(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Return a lab of one node; each test starts it, unless the one before left it up."""
    with written(copy, tmp_path_factory.mktemp("small"), "small", SMALL) as lab:
        yield lab


def test_up_twice_is_up_once(small: Lab) -> None:
    done = small.up()
    assert done.code == 0, str(done)
    small.check().prove_green()
    first = identity(small)
    done = small.up()
    assert done.code == 0, str(done)
    assert identity(small) == first


def test_ansible_by_hand_finds_the_lab_that_is_up(small: Lab) -> None:
    done = small.up()
    assert done.code == 0, str(done)
    checkout = small.checkout
    command = [checkout.tool("ansible"), "-i", "inventory", "all", "-m", "ping"]
    done = run(command, folder=checkout.root, deadline=60)
    assert done.code == 0, str(done)
    assert "core-01 | SUCCESS" in done.out, str(done)


def test_a_killed_sandbox_is_stopped_and_tidied_up(small: Lab) -> None:
    before = interfaces()
    done = small.up()
    assert done.code == 0, str(done)
    first = small.sandbox
    os.kill(first["pid"], signal.SIGKILL)

    status = small.status()
    assert status["state"] == "stopped"
    assert {node["state"] for node in status["nodes"]} == {"not_created"}
    done = small.verb("check")
    assert done.code == 3, str(done)
    done = small.execute("core-01", "true")
    assert done.code == 125, str(done)
    done = small.down()
    assert done.code == 0, str(done)
    prove_nothing_is_left(small.checkout, before)

    done = small.up()
    assert done.code == 0, str(done)
    assert small.sandbox != first
    small.check().prove_green()


def test_down_leaves_nothing(small: Lab) -> None:
    before = interfaces()
    done = small.up()
    assert done.code == 0, str(done)
    sockets = control_path(small).parent
    assert sockets.is_dir()
    assert any("holder.py" in line for line in processes(small.checkout))
    done = small.down()
    assert done.code == 0, str(done)
    prove_nothing_is_left(small.checkout, before)
    assert not sockets.exists()


def identity(lab: Lab) -> tuple[object, ...]:
    """Return what changes when any part of the one-node ``lab`` is started anew."""
    boot = lab.shell("core-01", "cat /proc/sys/kernel/random/boot_id")
    containers = lab.shell("core-01", "crun list")
    return lab.sandbox, boot, containers


@pytest.mark.parametrize(
    "seconds",
    [1.5, *(pytest.param(moment, marks=pytest.mark.all) for moment in (0.8, 3.0, 4.5, 6.0, 8.0))],
)
def test_ctrl_c_during_up_cleans_up(
    copy: Checkout, seconds: float, started: list[subprocess.Popen[str]]
) -> None:
    before = interfaces()
    process = copy.start("up")
    started.append(process)
    time.sleep(seconds)
    assert process.poll() is None, "it was over before it could be interrupted"
    assert interrupt(process) == 130
    prove_nothing_is_left(copy, before)


@pytest.mark.parametrize(
    "seconds", [6.0, *(pytest.param(moment, marks=pytest.mark.all) for moment in (0.8, 2.0, 4.0))]
)
def test_a_closed_terminal_during_up_cleans_up(copy: Checkout, seconds: float) -> None:
    before = interfaces()
    terminal = PseudoTerminal([str(copy.root / "underlay"), "up"], clean_environment(), copy.root)
    terminal.watch(seconds)
    assert terminal.process.poll() is None, "it was over before the terminal could be closed"
    terminal.close()
    assert terminal.process.wait(timeout=GRACE) == 130
    prove_nothing_is_left(copy, before)


def control_path(lab: Lab) -> Path:
    """Return where the lab's shared ssh connections are, from its ssh_config."""
    lines = (lab.state / "ssh_config").read_text().splitlines()
    (path,) = {line.split('"')[1] for line in lines if line.strip().startswith("ControlPath ")}
    return Path(path)
