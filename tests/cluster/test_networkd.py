"""What nodes have made stays as it is where systemd-networkd is started again.

Its watchdog does that after a node stood still for minutes, an update of the package does it, and
so do people. A node that was switched from another lab has none at work.
"""

from __future__ import annotations

import pytest

from cluster.running import Lab

AGAIN = """
systemctl try-restart systemd-networkd
for _ in $(seq 150); do
    networkctl list --no-legend | grep -Eq 'configuring|pending|initialized' || break
    sleep 0.2
done
"""


@pytest.mark.parametrize(
    "lab",
    [
        # Its VLAN sub-interfaces are networkd's own, and every parent has containers.
        "docker-vlan",
        *(
            pytest.param(name, marks=pytest.mark.all)
            for name in (
                "coreos",
                "one-of-each",
                "router-segments",
                "two-networks",
                "overlay-vxlan",
            )
        ),
    ],
    indirect=True,
)
def test_networkd_started_again_takes_nothing_away(lab: Lab) -> None:
    lab.check().prove_green()
    for node in lab.plan.nodes:
        lab.shell(node.name, AGAIN)
    lab.check().prove_green()
