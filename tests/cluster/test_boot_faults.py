"""Faults that show when a lab starts: forced past lint, `up` fails and says which it was.

The labs are those of lint's own rules: what lint says before, the kernel or Docker says then.
"""

from __future__ import annotations

import pytest

from cluster.running import UP_DEADLINE, Checkout
from underlay.faults import BOOT

pytestmark = pytest.mark.all

# By the fault: the lab, and the words of the kernel, the plugin or Docker.
CASES = {
    "parent-busy": ("mixed-parent", "evice or resource busy"),
    "passthru-taken": ("passthru-single", "nvalid argument"),
    "docker-parent-taken": ("docker-parent", "is already using parent interface eth1"),
    "docker-pool-overlap": ("docker-pool", "Pool overlaps with other one on this address space"),
}


@pytest.mark.parametrize("fault", CASES)
def test_up_says_what_keeps_a_lab_from_starting(copy: Checkout, fault: str) -> None:
    assert fault in {entry.id for entry in BOOT}
    name, words = CASES[fault]
    file = f"tests/golden/rules/{name}.yml"
    refused = copy.underlay("up", file)
    assert refused.code == 2, str(refused)
    done = copy.underlay("up", file, "--force", deadline=UP_DEADLINE)
    assert done.code == 3, str(done)
    assert words in done.err, str(done)
    assert not copy.state(name).exists(), "nothing of the lab is left"
