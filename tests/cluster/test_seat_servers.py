"""Seats on two machines, over which Ansible spreads them; the machines are namespaces here.

Each has a network, processes, mounts and a state of its own, and an ssh server, by which Ansible
comes in as it does to any machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncssh
import pytest
from ruamel.yaml import YAML

from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout
from course_folder import ON_ONE_NODE, course_in

NAMESPACES = (
    "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--",
)  # fmt: skip
PORT = 2200
DEADLINE = 900.0


@contextmanager
def machine(folder: Path, public: bytes) -> Iterator[dict[str, object]]:
    """Run a machine with an ssh server; yield what an inventory says of it."""
    folder.mkdir()
    (folder / "home").mkdir()
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(folder / "host_key"))
    (folder / "authorized_keys").write_bytes(public)
    program = Path(__file__).with_name("ssh_server.py")
    server = subprocess.Popen(
        [*NAMESPACES, sys.executable, "-P", str(program), str(folder), str(PORT)],
        env={**os.environ, "UNDERLAY_HOME": str(folder / "state"), "HOME": str(folder / "home"),
             "XDG_CACHE_HOME": str(Path.home() / ".cache")},
    )  # fmt: skip
    try:
        limit = time.monotonic() + 60
        while not (folder / "ready").exists():
            assert server.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.1)
        way = f"nsenter --target {server.pid} --net busybox nc 127.0.0.1 {PORT}"
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        yield {
            "ansible_host": "127.0.0.1",
            "ansible_port": PORT,
            "ansible_ssh_common_args": f'{options} -o ProxyCommand="{way}"',
        }
    finally:
        server.kill()
        server.wait(timeout=60)


@pytest.fixture
def machines(copy: Checkout, tmp_path: Path) -> Iterator[Path]:
    """Return the inventory of two machines."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(tmp_path / "key"))
    (tmp_path / "key").chmod(0o600)
    before = interfaces()
    with ExitStack() as stack:
        public = key.export_public_key()
        hosts = {
            name: stack.enter_context(machine(tmp_path / name, public))
            for name in ("room-a", "room-b")
        }
        shared = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(tmp_path / "key"),
            "underlay": str(copy.root / "underlay"),
        }
        hosts["room-b"]["seats_at_most"] = 1
        with (tmp_path / "inventory.yml").open("w") as file:
            YAML().dump({"all": {"vars": shared, "hosts": hosts}}, file)
        yield tmp_path / "inventory.yml"
    prove_nothing_is_left(copy, before)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of the trainer's own, which no server has."""
    return course_in(tmp_path, **ON_ONE_NODE)


# Daily tests/unit/cli/test_workshop_on_servers.py has Ansible ask servers for theirs, and
# test_seats.py proves those of one machine.
@pytest.mark.all
def test_two_machines_share_the_seats(copy: Checkout, machines: Path, course: Path) -> None:
    words = ("-i", str(machines), "--json")
    done = copy.underlay(
        "workshop", "up", str(course), "--seats", "2", "--port", "0", *words, deadline=DEADLINE
    )
    assert done.code == 0, str(done)
    rows = {row["server"]: row for row in done.document()["servers"]}
    seats = {name: [each["seat"] for each in row["entries"]] for name, row in rows.items()}
    # One more each for the trainer.
    assert seats == {
        "room-a": ["seat-00", "seat-01"],
        "room-b": ["seat-00", "seat-01"],
    }
    assert all(each["password"] for row in rows.values() for each in row["entries"])
    for name, its in seats.items():
        state = machines.parent / name / "state/workshops/two-rooms"
        assert json.loads((state / "workshop.json").read_text())["seats"] == len(its) - 1
    # By ssh, as `up` was: what all of them say, seat by seat.
    done = copy.underlay("workshop", "watch", "two-rooms", *words, deadline=DEADLINE)
    assert done.code == 0, str(done)
    assert [one["seat"] for one in done.document()["seats"]] == [
        f"{name}/{seat}" for name, its in seats.items() for seat in its
    ]
    assert all(one["whole"] for one in done.document()["seats"])
    done = copy.underlay("workshop", "down", "two-rooms", *words, deadline=DEADLINE)
    assert done.code == 0, str(done)
    for name in seats:
        assert not (machines.parent / name / "state/workshops").exists()


def test_more_seats_than_the_servers_take_are_refused(
    copy: Checkout, machines: Path, course: Path
) -> None:
    inventory = YAML().load(machines.read_text())
    inventory["all"]["hosts"]["room-a"]["seats_at_most"] = 2
    with machines.open("w") as file:
        YAML().dump(inventory, file)
    done = copy.underlay("workshop", "up", str(course), "--seats", "4", "-i", str(machines))
    assert done.code == 2, str(done)
    assert "the servers take 3 seats at most, not 4" in done.err


# Daily tests/unit/cli/test_workshop_on_servers.py sees each server asked to end what it began, and
# test_seats.py that one that is asked so ends it.
@pytest.mark.all
def test_where_one_server_fails_none_has_a_seat(
    copy: Checkout, machines: Path, course: Path
) -> None:
    inventory = YAML().load(machines.read_text())
    inventory["all"]["hosts"]["room-b"]["underlay"] = "/nonexistent/underlay"
    with machines.open("w") as file:
        YAML().dump(inventory, file)
    words = ("workshop", "up", str(course), "--seats", "2", "--port", "0", "-i", str(machines))
    done = copy.underlay(*words, deadline=DEADLINE)
    assert done.code == 3, str(done)
    assert "room-b: " in done.err
    assert not (machines.parent / "room-a" / "state/workshops").exists()
