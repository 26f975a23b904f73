"""Up and down, and whatever may come in between; all of it in a copy of the checkout."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from barrier import Barrier
from cluster.commands import GRACE, clean_environment, run
from cluster.family import family
from cluster.left_behind import interfaces, processes, prove_nothing_is_left
from cluster.running import Checkout, Lab, written
from cluster.small_lab import small_lab
from underlay.proof.bench.command_line import PseudoTerminal

SMALL = small_lab("small", 1, count=2)
# Where `up` is held: the program that it calls next, and a word of how it does. While it makes
# the switch nobody can hold it: the sandbox sees no file of this host (test_sandbox.py does).
SANDBOX, SEEDS = ("unshare", "--map-root-user"), ("xorrisofs", "cidata")
BOOTING, ASKED = ("vagrant", "up"), ("ssh", "bash")


def points(*daily: tuple[str, str], lean: bool = False) -> list[Any]:
    """Return each point at which `up` is to be disturbed; some of them are for every day.

    No program makes the seeds of ``lean`` nodes.
    """
    return [
        pytest.param(each, id=each[0], marks=[] if each in daily else pytest.mark.all)
        for each in (SANDBOX, SEEDS, BOOTING, ASKED)
        if not (lean and each == SEEDS)
    ]


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
    assert any("unshare --user" in line for line in processes(small.checkout))
    done = small.down()
    assert done.code == 0, str(done)
    prove_nothing_is_left(small.checkout, before)
    assert not sockets.exists()


def identity(lab: Lab) -> tuple[object, ...]:
    """Return what changes when any part of the one-node ``lab`` is started anew."""
    boot = lab.shell("core-01", "cat /proc/sys/kernel/random/boot_id")
    containers = lab.shell("core-01", "crun list")
    return lab.sandbox, boot, containers


@pytest.mark.parametrize("point", points(SANDBOX, BOOTING))
def test_ctrl_c_during_up_cleans_up(
    copy: Checkout,
    point: tuple[str, str],
    barrier: Barrier,
    started: list[subprocess.Popen[str]],
) -> None:
    before = interfaces()
    held = barrier.hold(*point)
    process = copy.start("up", environment=barrier.environment)
    started.append(process)
    held.wait(lambda: process.poll() is None)
    os.killpg(process.pid, signal.SIGINT)
    held.release()
    assert process.wait(timeout=GRACE) == 130
    prove_nothing_is_left(copy, before)


@pytest.mark.parametrize("point", points(ASKED, lean=True))
def test_a_closed_terminal_during_up_cleans_up(
    small: Lab, point: tuple[str, str], barrier: Barrier
) -> None:
    small.down()
    before = interfaces()
    held = barrier.hold(*point)
    root = small.checkout.root
    words = [str(root / "underlay"), "up", str(small.file)]
    terminal = PseudoTerminal(words, clean_environment() | barrier.environment, root)

    def running() -> bool:
        terminal.watch(0.05)
        return terminal.process.poll() is None

    held.wait(running)
    terminal.close()
    held.release()
    assert terminal.process.wait(timeout=GRACE) == 130
    prove_nothing_is_left(small.checkout, before)


def test_a_second_ctrl_c_says_what_it_leaves(small: Lab, barrier: Barrier, tmp_path: Path) -> None:
    """Nobody waits for what was cut short: it ends at once, and `down` makes good for it."""
    before = interfaces()
    small.down()
    booting, ending = barrier.hold(*ASKED), barrier.hold("vagrant", "destroy")
    words = ("up", str(small.file))
    with family(small.checkout, tmp_path / "up", *words, environment=barrier.environment) as up:
        for point in (booting, ending):
            point.wait(lambda: up.running)
            os.kill(up.pid, signal.SIGINT)
            # The engine has ended, and an ssh of its own would end with the sandbox.
            booting.release()
        assert up.gone(up.members(), GRACE) is not None, up.members()
        assert up.ancestor.wait(timeout=GRACE) == 0
        assert up.code == 130
        assert up.words().splitlines()[-3:] == [
            "interrupted before all of the lab small was removed",
            "",
            "hint: underlay down --lab small",
        ]
    assert small.state.exists()
    done = small.down()
    assert done.code == 0, str(done)
    prove_nothing_is_left(small.checkout, before)


def control_path(lab: Lab) -> Path:
    """Return where the lab's shared ssh connections are, from its ssh_config."""
    lines = (lab.state / "ssh_config").read_text().splitlines()
    (path,) = {line.split('"')[1] for line in lines if line.strip().startswith("ControlPath ")}
    return Path(path)
