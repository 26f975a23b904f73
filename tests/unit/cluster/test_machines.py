"""How machines are spoken to: the words of ssh, and what comes of one that doesn't answer."""

from __future__ import annotations

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
