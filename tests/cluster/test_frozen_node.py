"""A node that is frozen, killed or behind a lossy wire: check ends in time, and says who it was."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.family import family
from cluster.running import CHECK_DEADLINE, Checkout, Lab, written
from cluster.small_lab import small_lab
from underlay.cluster.state import run_folder
from underlay.observe import evidence
from underlay.observe.measure import START
from underlay.proof.bench.soak import waited

LAB = small_lab("frozen", 3, count=2)
COLD = "core-02"
# Of ptrace(2), and of waitpid(2) for whom one hasn't started: __WALL.
SEIZE, CONTINUE, DETACH, ALL_KINDS = 0x4206, 7, 17, 0x40000000
LOST = "an alarm of the kernel's clock was lost"
# A node that waits for its clock again and again, for about three seconds of it.
TIMES = 5
WAITING = "i=0; while [ $i -lt 300 ]; do sleep 0.01; i=$((i + 1)); done"
# All that waits for a node which says nothing, one after the other, and what else a check takes.
ENDS = START + evidence.DEADLINE + run_folder.JOURNAL_DEADLINE + CHECK_DEADLINE / 2


@pytest.fixture(scope="module")
def awake(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of three lean nodes that is up."""
    with written(copy, tmp_path_factory.mktemp("frozen"), "frozen", LAB) as lab:
        done = lab.up()
        if done.code:
            pytest.fail(str(done), pytrace=False)
        yield lab


def kernel(lab: Lab, node: str) -> int:
    """Return the pid of a node's kernel: a child of the sandbox's first process."""
    holder = lab.sandbox["pid"]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if int(stat[1]) == holder and f"umid={node}".encode() in words:
                found.append(int(entry.name))
    (pid,) = found
    return pid


@contextmanager
def frozen(lab: Lab, node: str) -> Iterator[None]:
    """Have a node's kernel stopped, with all that runs on it."""
    pid = kernel(lab, node)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def take_alarms(pid: int, number: int, seconds: float) -> int:
    """Keep so many alarms from a process, one second apart; return how many were by then.

    It is traced meanwhile (ptrace(2)), and all other signals get there.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    limit, taken = time.monotonic() + seconds, 0
    while taken < number and time.monotonic() < limit:
        assert libc.ptrace(SEIZE, pid, None, None) == 0, os.strerror(ctypes.get_errno())
        came = 0
        # It lives by its alarms, and stops at one within a second.
        while came != signal.SIGALRM:
            _, status = os.waitpid(pid, ALL_KINDS)
            assert os.WIFSTOPPED(status), status
            came = os.WSTOPSIG(status)
            if came != signal.SIGALRM:
                assert libc.ptrace(CONTINUE, pid, None, came) == 0
        assert libc.ptrace(DETACH, pid, None, None) == 0
        taken += 1
        time.sleep(1)
    return taken


def theirs(lab: Lab, cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of a check's cells that have an end on the frozen node."""
    on_it = {c.name for c in lab.plan.containers if c.node == COLD} | {COLD}
    return [cell for cell in cells if on_it & {cell["source"], cell["destination"]}]


def prove_named_and_not_claimed(lab: Lab, code: int | None, text: str, when: str) -> int:
    """Fail unless a check's JSON names the frozen node, and claims nothing that isn't so of it.

    What was decided before it froze stays decided. Returns how many cells weren't measured there.
    """
    assert code == 3, f"{when}: exit {code}\n{text[-2000:]}"
    start = text.index("{\n")
    document, _ = json.JSONDecoder().raw_decode(text[start:])
    cells = document["cells"]
    cold = theirs(lab, cells)
    lost = [cell for cell in cold if cell["observed"] == "not_measured"]
    assert lost, when
    assert len(cold) < len(cells)
    for cell in lost:
        assert COLD in cell["reason"], (when, cell)
    for cell in cells:
        assert cell["observed"] in (cell["expected"], "not_measured"), (when, cell)
    assert document["summary"]["not_measured"] >= len(lost)
    assert document["summary"]["differs"] == 0
    return len(lost)


@pytest.mark.all
def test_check_of_a_frozen_node(awake: Lab) -> None:
    awake.check().prove_green()
    with frozen(awake, COLD):
        began = time.monotonic()
        done = awake.verb("check", "--json", deadline=ENDS)
        took = f"after {time.monotonic() - began:.1f} s"
        lost = prove_named_and_not_claimed(awake, done.code, done.out, took)
        assert lost == len(theirs(awake, done.document()["cells"])), "something was asked of it"
        done = awake.verb("check", deadline=ENDS)
        assert done.code == 3, str(done)
        assert f"{COLD}: " in done.out, str(done)
    awake.check().prove_green()


@pytest.mark.all
def test_a_node_that_freezes_during_check(awake: Lab, tmp_path: Path) -> None:
    with family(
        awake.checkout, tmp_path / "check", "check", "--lab", awake.name, "--json"
    ) as check:

        def asked() -> bool:
            """Whether the way to the node's probe is open."""
            lines = [member.words for member in check.members()]
            return any(line.startswith("ssh ") and f" {COLD} " in line for line in lines)

        assert waited(asked, CHECK_DEADLINE) is not None, check.words()
        with frozen(awake, COLD):
            took = waited(lambda: check.code is not None, ENDS)
            assert took is not None, check.words()
            prove_named_and_not_claimed(awake, check.code, check.words(), f"after {took:.1f} s")
    awake.check().prove_green()


@pytest.mark.all
def test_one_lossy_container_costs_its_own_cells_at_most(awake: Lab) -> None:
    lossy = "lannet-1a"
    netem = ["ip", "netns", "exec", lossy, "tc", "qdisc"]
    awake.verb(
        "exec", "core-01", "--", *netem, "add", "dev", "eth0", "root", "netem", "loss", "40%"
    )
    try:
        cells = awake.verb("check", "--json", deadline=ENDS).document()["cells"]
    finally:
        awake.verb("exec", "core-01", "--", *netem, "delete", "dev", "eth0", "root")
    for cell in cells:
        if lossy not in (cell["source"], cell["destination"]):
            assert cell["observed"] == cell["expected"], cell
    # Two packets in three cells get through, and silence is decided like an answer.
    assert not [cell for cell in cells if cell["observed"] == "not_measured"]


@pytest.mark.all
def test_a_killed_node_outranks_the_switch_ports_that_are_dead_for_it(awake: Lab) -> None:
    """The last test of this lab: its node doesn't come back."""
    os.kill(kernel(awake, COLD), signal.SIGKILL)
    causes = awake.verb("explain", "--json", deadline=ENDS).document()["causes"]
    assert [(cause["id"], cause["where"]) for cause in causes] == [("node-hung", COLD)]


@pytest.mark.all
def test_a_node_whose_kernel_loses_alarms_of_its_clock_goes_on(awake: Lab) -> None:
    """Kernels lose some by themselves on busy hosts: from then on they waited for ever."""
    console = awake.state / "nodes" / COLD / "console.log"
    assert LOST not in console.read_text(errors="replace")
    for _ in range(TIMES):
        with ThreadPoolExecutor() as others:
            waiting = others.submit(awake.shell, COLD, WAITING)
            assert take_alarms(kernel(awake, COLD), 3, CHECK_DEADLINE) == 3
            waiting.result(timeout=CHECK_DEADLINE)
        if LOST in console.read_text(errors="replace"):
            break
    assert LOST in console.read_text(errors="replace")
    awake.check().prove_green()
