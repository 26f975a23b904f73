"""What a node's kernel says of its own boot."""

from __future__ import annotations

import pytest

from cluster.running import Lab

LEFT_OUT = "initcall_blacklist=raid6_select_algo"
# btrfs comes after RAID 6 and brings both along: its lines say that this stretch was logged.
AFTER_IT = "Btrfs loaded"


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
