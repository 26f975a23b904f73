"""How machines are spoken to: the words of ssh, and what comes of one that doesn't answer."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from underlay.cluster.inventory import Machine
from underlay.cluster.machines import Ways, ways_to
from underlay.errors import Infrastructure

# What is run in place of a connection: none of these tests sends anything anywhere.
NOBODY = ("-F", "none", "-o", "ProxyCommand=false")
SILENT = ("-F", "none", "-o", "ProxyCommand=sleep 60")


@pytest.fixture
def ways() -> Iterator[Ways]:
    machines = [
        Machine("web", "192.0.2.1", 2222, "ops", "/keys/rack", ("-J", "door")),
        Machine("root", "192.0.2.2", user="root"),
        Machine("nobody", "192.0.2.3", ssh_arguments=NOBODY),
        Machine("silent", "192.0.2.4", ssh_arguments=SILENT),
    ]
    with ways_to(machines) as ways:
        yield ways


def test_ssh_is_told_what_the_inventory_says_and_each_word_stays_one(ways: Ways) -> None:
    words = ways.command("web", ["echo", "a b", "$HOME"])
    assert words[-3:] == ["--", "192.0.2.1", "echo 'a b' '$HOME'"]
    assert words[-11:-3] == ["-p", "2222", "-l", "ops", "-i", "/keys/rack", "-J", "door"]
    options = [word for before, word in pairwise(words) if before == "-o"]
    assert {"BatchMode=yes", "ClearAllForwardings=yes"} <= set(options)


def test_who_is_known_is_left_to_the_user(ways: Ways) -> None:
    assert "HostKey" not in (said := " ".join(ways.command("web", ["true"])))
    assert "KnownHosts" not in said


def test_root_is_become_by_a_sudo_that_asks_nothing_or_is_there(ways: Ways) -> None:
    assert ways.command("web", ["id"], become=True)[-1] == "sudo -n -- id"
    assert ways.command("root", ["id"], become=True)[-1] == "id"


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("Python 3.9.2", ""),
        ("Python 3.13.5", ""),
        ("Python 3.100.0", ""),
        ("Python 4.0.0", ""),
        ("Python 3.12.0rc1+", ""),
        ("Python 3.8.20", "is Python 3.8.20: "),
        ("Python 3.7.10 (7.3.5, of a compiler)\n[PyPy 7.3.5]", "is Python 3.7.10: "),
        ("Warning: no such processor\nPython 3.7.10 (7.3.5)\n[PyPy]", "is Python 3.7.10: "),
        ("Warning: no such processor\nPython 3.11.13 (7.3.20)\n[PyPy]", ""),
        ("Python 3.8.0+", "is Python 3.8.0: "),
        ("Python 2.7.18", "is Python 2.7.18: "),
    ],
)
def test_a_machine_says_whether_its_python_will_do(tmp_path: Path, says: str, told: str) -> None:
    """As a shell there does, to a Python that says so and runs what it is given."""
    python = tmp_path / "a python"
    (tmp_path / "said").write_text(f"{says}\n")
    asked = f'if [ "$1" = -V ]; then exec cat {tmp_path}/said; fi'
    python.write_text(f'#!/bin/sh\n{asked}\necho ran "$@"\ncat\n')
    python.chmod(0o755)
    done = as_there(Machine("web", "192.0.2.1", user="root", python=str(python)), text="its input")
    if told:
        assert (done.returncode, done.stdout) == (127, "")
        assert done.stderr == f"{python} {told}Python 3.9 or newer is needed\n"
    else:
        assert (done.stdout, done.stderr) == ("ran -c a b\nits input", "")


@pytest.mark.parametrize("python", ["/nowhere/python3", "nowhere-python3", "/etc/hostname"])
def test_a_machine_says_that_it_has_no_such_python(python: str) -> None:
    done = as_there(Machine("web", "192.0.2.1", user="root", python=python))
    assert (done.returncode, done.stdout) == (127, "")
    words = f"there is no {python} for this user: Python 3.9 or newer is needed\n"
    assert done.stderr == words


def as_there(machine: Machine, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run here what a machine's shell would be handed, for a program of its Python's."""
    with ways_to([machine]) as ways:
        words = ways.command(machine.name, [machine.python, "-c", "a b"], become=True)[-1]
    return subprocess.run(
        ["sh", "-c", words], input=text, capture_output=True, text=True, timeout=30, check=False
    )


def test_the_interpreter_of_a_file_is_asked_where_it_is_named(ways: Ways) -> None:
    """By the user, before sudo is asked for anything."""
    words = ways.command("web", ["/usr/bin/true"], become=True, python="/nowhere/python3")
    assert words[-1].endswith(" sh /nowhere/python3 sudo -n -- /usr/bin/true")
    assert "nowhere" not in ways.command("web", ["/usr/bin/true"], become=True)[-1]


def test_nothing_is_sent_to_a_machine_outside_the_inventory(ways: Ways) -> None:
    with pytest.raises(Infrastructure, match="wob is no machine of the inventory") as refused:
        ways.ask({"web": ["true"], "wob": ["true"]}, deadline=5)
    assert refused.value.hint == "did you mean web?"


def test_one_that_is_not_reached_costs_its_own_answer(ways: Ways) -> None:
    began = time.monotonic()
    found = ways.ask({"nobody": ["true"], "silent": ["true"]}, deadline=3)
    assert time.monotonic() - began < 15
    assert found["nobody"].error.startswith("nobody: ssh did not get there: ")
    assert found["nobody"].hint.startswith("ssh -F none -o ProxyCommand=false 192.0.2.3  by hand")
    assert found["silent"].error == "silent did not answer within 3 s"


def test_the_sockets_are_this_user_s_alone_and_go() -> None:
    with ways_to([Machine("web", "192.0.2.1")]) as ways:
        said = ways.command("web", ["true"])
        path = next(word for word in said if word.startswith("ControlPath="))
        folder = Path(path.partition("=")[2]).parent
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
