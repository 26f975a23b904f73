"""Nodes that are updated to an image that lacks something: what is lost, who is spared, and why.

That a good one loses nothing is shown every day, of nodes that Ignition makes (test_ignition.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.images import change, copied
from cluster.running import Checkout, Lab, written

pytestmark = pytest.mark.all

LAB = """\
name: updated
nodes: 2
protocols: [icmp]
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: cni}
containers:
  - {on: all, networks: [lannet]}
"""
NETWORKD, PLUGIN = "/usr/lib/systemd/systemd-networkd", "/usr/lib/cni/macvlan"
# The device that /usr is of, where it is a file system of its own.
USR = "awk '$2 == \"/usr\" {print $1, $4}' /proc/mounts"
DEADLINE = 900


@pytest.fixture
def updated(copy: Checkout, tmp_path: Path) -> Iterator[Lab]:
    with written(copy, tmp_path, "updated", LAB) as made:
        done = made.up()
        assert done.code == 0, str(done)
        yield made


def without(path: str, folder: Path) -> Path:
    image = copied(folder / "next.ext4")
    change(image, f"rm {path}")
    return image


def test_without_a_plugin_networks_do_not_come_back_and_each_node_says_why(
    updated: Lab, tmp_path: Path
) -> None:
    """Locksmith asks for the machine alone: the second node is updated as well."""
    image = without(PLUGIN, tmp_path)
    words = ("--after", f"upgrade={image}", "--healing", "5", "--json")
    done = updated.verb("check", *words, deadline=DEADLINE)
    assert done.code == 1, str(done)
    (event,) = done.document()["after"]
    assert [one["node"] for one in event["nodes"]] == ["core-01", "core-02"]
    found = [one for one in event["reasons"] if one["id"] == "usr-lacks"]
    assert [one["where"] for one in found] == ["lannet-1a", "lannet-2a"]
    for one in found:
        assert PLUGIN in one["evidence"][0]
        assert 'failed to find plugin "macvlan"' in one["evidence"][1]
    assert {one["id"] for one in event["reasons"]} <= {"usr-lacks", "away"}
    # It is the node's until it is made anew, also where the file is gone by then.
    image.unlink()
    updated.verb("check", "--after", "reboot", "--healing", "5", deadline=DEADLINE)
    assert updated.shell("core-02", USR).startswith("/dev/ubdc ro")
    assert updated.down().code == 0
    assert updated.up().code == 0
    assert updated.shell("core-02", USR) == ""
    updated.check().prove_green()


def test_a_node_that_does_not_come_back_stops_the_update(updated: Lab, tmp_path: Path) -> None:
    image = without(NETWORKD, tmp_path)
    words = ("--after", f"upgrade={image}", "--after", "reboot", "--healing", "5", "--json")
    done = updated.verb("check", *words, deadline=DEADLINE)
    assert done.code == 3, str(done)
    assert "core-01 did not come back, and the update stops with it" in done.err, str(done)
    assert "not updated, with the /usr of before: core-02" in done.err, str(done)
    (event,) = done.document()["after"]
    (turn,) = event["nodes"]
    assert turn["node"] == "core-01"
    assert NETWORKD in turn["lost"]["message"]
    assert {one["healed"] for one in turn["silent"]} == {None}
    assert len(turn["silent"]) == turn["asked"]
    assert updated.shell("core-02", USR) == ""
