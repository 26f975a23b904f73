"""``up`` on nodes that aren't what they should be: it says which, in the node's own words."""

from __future__ import annotations

import re
from pathlib import Path

from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout, written
from cluster.small_lab import small_lab

LAB = small_lab("says", 1, count=2, runtime="iproute2")
# Its process is gone, and nobody has told the node program.
DIES = "read process since </run/underlay/lannet-1b/pid; kill -9 $process"


def test_up_says_what_of_a_node_does_not_run(here: Checkout, tmp_path: Path) -> None:
    with written(here, tmp_path, "says", LAB) as lab:
        assert lab.up().code == 0
        lab.shell("core-01", DIES)
        done = lab.up()
        assert (done.code, done.out) == (3, ""), str(done)
        assert done.err.count("error: core-01: lannet-1b: its process has ended") == 1, str(done)
        assert "hint: underlay converge --lab says" in done.err, str(done)
        lab.shell("core-01", "mv /etc/underlay/node.json /root/")
        assert "error: core-01: there is no /etc/underlay/node.json" in lab.up().err
        lab.shell("core-01", "mv /root/node.json /etc/underlay/")
        assert here.underlay("converge", "--lab", "says").code == 0
        assert lab.up().code == 0


def test_a_start_that_fails_is_called_by_its_cause(here: Checkout, tmp_path: Path) -> None:
    """Files that say what the kernel refuses."""
    before = interfaces()
    copy = here.copied(tmp_path / "underlay")
    module = copy.root / "ansible/module_utils/underlay_node/iproute2.py"
    text, changed = re.subn(r'"mode", network\["mode"\]', '"mode", "sideways"', module.read_text())
    assert changed == 1
    module.write_text(text)
    with written(copy, tmp_path, "says", LAB) as lab:
        done = lab.up()
        assert done.code == 3, str(done)
        cause = r"^error: core-01: lannet-1[ab]: ip link add .* sideways"
        assert re.search(cause, done.err, re.MULTILINE)
        assert "vagrant failed" not in done.err, str(done)
        prove_nothing_is_left(copy, before)
