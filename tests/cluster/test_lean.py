"""Lean nodes: without systemd, cloud-init and Docker, and with the same verdicts as full ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout, Lab, written

BOTH = """\
name: both
nodes: {{count: 2, profile: {profile}}}
segments:
  lan: {{subnet: 192.168.70.0/24, subnet6: "fd00:70::/64"}}
networks:
  tagged: {{driver: macvlan, segment: lan, vlan: 70, subnet: 10.70.0.0/24, runtime: cni}}
  shared: {{driver: ipvlan, segment: lan, subnet: 10.80.0.0/24, runtime: iproute2}}
containers:
  - {{on: all, networks: [tagged]}}
  - {{on: all, networks: [shared]}}
checks: [source, pmtu, arp]
"""

# An orphan ends, and nothing is left of it; containers are processes that sleep, too.
COLLECTED = """
setsid sh -c 'sleep 0.2 & exit'
tries=0
while ps -eo stat=,args= | grep -E '^Z|^[^ ]+ +sleep 0[.]2$'; do
    tries=$((tries + 1)); test $tries -lt 100
    sleep 0.1
done
"""


@pytest.fixture
def lean(copy: Checkout, tmp_path: Path) -> Iterator[Lab]:
    with written(copy, tmp_path, "both", BOTH.format(profile="lean")) as lab:
        yield lab


@pytest.mark.all
def test_a_lean_lab_comes_up_is_green_and_leaves_nothing(lean: Lab) -> None:
    before = interfaces()
    done = lean.up()
    assert done.code == 0, str(done)
    lean.check().prove_green()
    assert lean.shell("core-01", "cat /proc/1/comm").strip() == "sh"
    assert not lean.shell("core-01", "pgrep -x 'systemd|dockerd|containerd' || true").strip()
    # Who ends is collected: the first process is a shell, no init.
    lean.shell("core-02", COLLECTED)
    done = lean.down()
    assert done.code == 0, str(done)
    prove_nothing_is_left(lean.checkout, before)


@pytest.mark.all
def test_full_and_lean_nodes_give_the_same_cells(lean: Lab) -> None:
    cells = {}
    for profile in ("lean", "full"):
        lean.file.write_text(BOTH.format(profile=profile))
        done = lean.up()
        assert done.code == 0, str(done)
        done = lean.verb("check", "--json")
        assert done.code == 0, str(done)
        cells[profile] = done.document()["cells"]
        lean.down()
    for one, other in zip(cells["lean"], cells["full"], strict=True):
        # How long an answer took, and whether it was asked for twice, is no verdict.
        assert {**one, "rtt_ms": 0, "attempts": 0} == {**other, "rtt_ms": 0, "attempts": 0}
