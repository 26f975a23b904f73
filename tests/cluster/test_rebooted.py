"""A node that is booted again, as ``vagrant reload`` does it, is what it was: leases as well.

Podman's containers get their addresses from a DHCP server by a proxy that runs on the node. After
the boot it has to be there before the first of them starts, and the server has to lease the same
addresses again.
"""

from __future__ import annotations

import pytest

from cluster.running import Checkout, Lab

BOOT_ID = "cat /proc/sys/kernel/random/boot_id"

pytestmark = pytest.mark.all


@pytest.mark.parametrize("name", ["podman-dhcp", "shim-lease"])
def test_a_node_booted_again_gets_its_leases_again(copy: Checkout, name: str) -> None:
    lab = Lab(copy, name, copy.root / "labs" / f"{name}.yml")
    done = lab.up()
    assert done.code == 0, str(done)
    try:
        lab.check().prove_green()
        before = lab.shell("core-01", BOOT_ID)
        variables = lab.verb("env", "--json").variables()
        done = copy.vagrant("reload", "core-01", environment=variables)
        assert done.code == 0, str(done)
        assert lab.shell("core-01", BOOT_ID) != before
        assert all(row["seen"] == "as_planned" for row in lab.status()["containers"])
        lab.check().prove_green()
    finally:
        lab.down()
