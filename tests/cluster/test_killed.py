"""Commands that are killed, and machines that die: nothing is left, and the next command works."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from barrier import Barrier
from cluster.family import Family, family
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout, Lab, written
from cluster.small_lab import small_lab
from underlay.cluster.providers.uml import sandbox
from underlay.observe.patience import overload
from underlay.proof.bench.descendants import Process
from underlay.proof.bench.soak import GONE, waited

SMALL = small_lab("killed", 1, count=2)
PATIENCE = 60.0
HOLDER, KERNEL, ENGINE = "holder.py", "umid=core-", "underlay.cluster.engine"
# Where `up` is held: the program that it calls next, a word of how it does, who runs by then.
SANDBOX = ("unshare", "--map-root-user", ())
# Vagrant's own action is what starts kernels, so none runs before it does.
BOOTING = ("vagrant", "up", (HOLDER,))
ASKED = ("ssh", "bash", (HOLDER, ENGINE, KERNEL))
VAGRANT = re.compile(r"\S*ruby\S* \S*vagrant up ")
# Where `down` is: before anything has ended, and when nothing but records is left.
ENDING = ("vagrant", "destroy", False)
ENDED = ("vagrant", "destroy", True)


@pytest.fixture
def killed(copy: Checkout, tmp_path: Path) -> Iterator[Lab]:
    """A lab of one lean node, not up."""
    with written(copy, tmp_path, "killed", SMALL) as lab:
        yield lab


def noted(command: Family, *expected: str) -> list[Process]:
    """Return who lives of ``command``, once all that is ``expected`` to does."""

    def there() -> list[Process]:
        members = command.members()
        lines = [member.words for member in members]
        return members if all(any(w in line for line in lines) for w in expected) else []

    waited(lambda: there() or not command.running, PATIENCE)
    members = there()
    assert members, f"of {expected} something never ran:\n{command.words()}"
    return members


def prove_records_are_whole(checkout: Checkout) -> None:
    """Fail where a record of a lab has been cut in the middle."""
    for path in (checkout.root / ".underlay").rglob("*.json"):
        if not path.name.startswith("."):
            json.loads(path.read_text())


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("killed", ASKED),
        *(pytest.param("killed", each, marks=pytest.mark.all) for each in (SANDBOX, BOOTING)),
        *(pytest.param("coreos", each, marks=pytest.mark.all) for each in (BOOTING, ASKED)),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_nothing_is_left_of_a_killed_up(
    killed: Lab,
    name: str,
    point: tuple[str, str, tuple[str, ...]],
    barrier: Barrier,
    tmp_path: Path,
) -> None:
    """The kill is the command's own: nobody tells Vagrant, the engine, the sandbox or the nodes."""
    before = interfaces()
    copy = killed.checkout
    lab = killed if name == killed.name else Lab(copy, name, copy.root / "labs" / f"{name}.yml")
    program, word, there = point
    held = barrier.hold(program, word)
    words = ("up", str(lab.file))
    with family(copy, tmp_path / "up", *words, environment=barrier.environment) as up:
        held.wait(lambda: up.running)
        members = noted(up, *there)
        up.kill()
        held.release()
        patience = GONE * overload()
        gone = up.gone(members, patience)
        left = "\n".join(str(member) for member in up.members())
        assert gone is not None, f"of {len(members)} some live {patience:.0f} s later:\n{left}"
        print(f"{len(members)} processes, all gone {gone:.2f} s after the kill at {program}")
        assert up.ancestor.wait(timeout=PATIENCE) == 0
        assert up.code == -signal.SIGKILL
    assert interfaces() == before
    prove_records_are_whole(copy)
    if name != killed.name:
        done = copy.underlay("down", "--all")
        assert done.code == 0, str(done)
        prove_nothing_is_left(copy, before)
    done = lab.up()
    assert done.code == 0, str(done)
    lab.check().prove_green()
    done = lab.down()
    assert done.code == 0, str(done)
    prove_nothing_is_left(copy, before)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(ENDING, id="nothing has ended", marks=pytest.mark.all),
        pytest.param(ENDED, id="all has ended", marks=pytest.mark.all),
    ],
)
def test_a_killed_down_is_no_hindrance_to_up(
    killed: Lab, point: tuple[str, str, bool], barrier: Barrier, tmp_path: Path
) -> None:
    """Vagrant, which it has called, mustn't outlive it and end nodes of the lab that starts."""
    program, word, after = point
    held = barrier.hold(program, word, after=after)
    before = interfaces()
    done = killed.up()
    assert done.code == 0, str(done)
    words = ("down", "--lab", killed.name)
    with family(
        killed.checkout, tmp_path / "down", *words, environment=barrier.environment
    ) as down:
        held.wait(lambda: down.running)
        down.kill()
        held.release()
        when = f"`down` was killed {'after' if after else 'before'} {program} {word}"
        done = killed.up()
        assert done.code == 0, f"{when}\n{done}"
        assert not down.members(), f"{when}\n{down.members()}"
    prove_records_are_whole(killed.checkout)
    killed.check().prove_green()
    done = killed.down()
    assert done.code == 0, f"{when}\n{done}"
    prove_nothing_is_left(killed.checkout, before)


@pytest.mark.all
@pytest.mark.parametrize("was_up", [False, True], ids=["a new lab", "a lab with a node halted"])
def test_a_killed_vagrant_fails_up_and_hinders_nobody(
    killed: Lab, was_up: bool, barrier: Barrier, tmp_path: Path
) -> None:
    """Vagrant is killed while the node it has started boots, as by the kernel for its memory.

    ``up`` ends what it has made, and leaves a lab that it found as it was; the next one is whole.
    """
    before = interfaces()
    copy = killed.checkout
    if was_up:
        done = killed.up()
        assert done.code == 0, str(done)
        halted = copy.vagrant("halt", environment=killed.verb("env", "--json").variables())
        assert halted.code == 0, str(halted)
    program, word, there = ASKED
    held = barrier.hold(program, word)
    words = ("up", str(killed.file))
    with family(copy, tmp_path / "up", *words, environment=barrier.environment) as up:
        held.wait(lambda: up.running)
        # The sandbox of a lab that was up, and with it the kernels, are no descendants of this one.
        members = noted(up, *((ENGINE,) if was_up else there))
        (vagrant,) = (one for one in members if VAGRANT.search(one.words))
        os.kill(vagrant.pid, signal.SIGKILL)
        held.release()
        # Its ancestor notes its code a moment after its end.
        assert waited(lambda: up.code is not None, PATIENCE * overload()) is not None, up.words()
        assert up.code == 3, up.words()
        assert "error: vagrant was ended by SIGKILL" in up.words()
        if was_up:
            assert f"hint: underlay up {killed.file}  starts what is missing" in up.words()
            assert killed.status()["state"] != "stopped"
        else:
            assert up.gone(members, GONE * overload()) is not None, up.members()
            prove_nothing_is_left(copy, before)
        prove_records_are_whole(copy)
        done = killed.up()
        assert done.code == 0, str(done)
    killed.check().prove_green()
    done = killed.down()
    assert done.code == 0, str(done)
    prove_nothing_is_left(copy, before)


def test_after_a_reboot_up_makes_a_lab_whole(
    killed: Lab, started: list[subprocess.Popen[str]]
) -> None:
    """What a dead machine leaves: records of another boot, pids that are strangers' now, locks."""
    before = interfaces()
    done = killed.up()
    assert done.code == 0, str(done)
    living = sandbox.find(killed.state)
    assert living is not None
    living.stop()
    assert waited(lambda: not living.alive, PATIENCE) is not None
    stranger = subprocess.Popen(["sleep", "600"], text=True)
    started.append(stranger)
    began = sandbox.start_time(stranger.pid)
    assert began is not None
    write_identity(
        killed.state,
        dataclasses.replace(
            living,
            boot="00000000-0000-0000-0000-000000000000",
            pid=stranger.pid,
            started=began,
            outer=stranger.pid,
            outer_started=began,
        ),
    )
    leave_locks_and_sockets(killed)

    assert killed.status()["state"] == "stopped"
    done = killed.up()
    assert done.code == 0, str(done)
    assert stranger.poll() is None
    assert killed.sandbox["boot"] == sandbox.boot_id()
    killed.check().prove_green()
    done = killed.down()
    assert done.code == 0, str(done)
    assert stranger.poll() is None
    prove_nothing_is_left(killed.checkout, before)


def write_identity(state: Path, identity: sandbox.Sandbox) -> None:
    """Record ``identity`` as the sandbox of the lab in ``state``, in both places."""
    values = dataclasses.asdict(identity)
    (state / "sandbox.json").write_text(json.dumps(values))
    link = state / sandbox.IDENTITY
    link.unlink()
    link.symlink_to(":".join(str(value) for value in values.values()))


def leave_locks_and_sockets(lab: Lab) -> None:
    """Leave what only a process's orderly end removes: its signed locks, its ssh's sockets."""
    locks = lab.checkout.root / ".underlay" / "locks"
    locks.mkdir(exist_ok=True)
    signed = {"pid": os.getpid(), "command": "underlay up", "since": "2001-01-01T00:00:00+00:00"}
    for name in (lab.name, f"{lab.name}.turn"):
        (locks / name).write_text(json.dumps(signed))
    config = (lab.state / "ssh_config").read_text()
    path = next(line.split('"')[1] for line in config.splitlines() if "ControlPath" in line)
    folder = Path(path).parent
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    for node in lab.plan.nodes:
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(folder / node.name))
