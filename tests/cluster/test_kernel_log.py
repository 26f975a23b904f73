"""What a node's kernel does and leaves while it boots."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster.running import Lab
from underlay.cluster.providers.uml import sandbox

LEFT_OUT = "initcall_blacklist=raid6_select_algo"
# btrfs comes after RAID 6 and brings both along: its lines say that this stretch was logged.
AFTER_IT = "Btrfs loaded"
# What a node writes to its disk while it boots is below 2 MiB; ext4's thread adds 45.
WRITTEN = 30 << 20


@pytest.mark.parametrize("lab", ["coreos"], indirect=True)
def test_no_quickest_routine_of_raid_6_is_looked_for(lab: Lab) -> None:
    """That is 0.85 s of each boot, for nobody; docs/findings.md has how it was measured.

    Without the word a kernel writes a line with ``raid6:`` for each routine that it has tried.
    The journal keeps what the kernel's own ring may have lost by the time that tests look.
    """
    words = lab.shell("core-01", "cat /proc/cmdline").split()
    assert LEFT_OUT in words
    said = lab.shell("core-01", "journalctl --dmesg --boot --quiet --no-pager --output cat")
    lines = said.splitlines()
    assert any(line.startswith(AFTER_IT) for line in lines), said
    assert [line for line in lines if line.startswith("raid6:")] == []


@pytest.mark.parametrize("lab", ["coreos"], indirect=True)
def test_no_tables_of_inodes_are_written(lab: Lab) -> None:
    """They are zeros as mke2fs has left them, and a node's writes are this host's memory."""
    mounted = lab.shell("core-01", "cat /proc/mounts").splitlines()
    (root,) = [line.split()[3] for line in mounted if line.split()[1:3] == ["/", "ext4"]]
    assert "noinit_itable" in root.split(",")
    living = sandbox.find(lab.state)
    assert living is not None
    disk = Path(f"/proc/{living.pid}/root{sandbox.SHM}/core-01.cow")
    assert os.stat(disk).st_blocks * 512 < WRITTEN
