"""An external host begins as a kernel does, whatever the machine's own was told."""

from __future__ import annotations

import subprocess

from underlay.cluster.providers.uml import wiring
from underlay.storage import paths

# A namespace takes over what the machine's kernel was told, which no test changes: it is told here.
TOLD = """
for name in rp_filter arp_ignore; do echo 2 > /proc/sys/net/ipv4/conf/default/$name; done
"""
SHOWN = """
ip link add far type veth peer name near
cat /proc/sys/net/ipv4/conf/near/rp_filter /proc/sys/net/ipv4/conf/near/arp_ignore
"""


def shown(*scripts: str) -> list[str]:
    """Return what an interface has that is made after ``scripts``."""
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "sh", "-euc", "\n".join(scripts) + SHOWN],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={"PATH": paths.programs()},
    )
    return done.stdout.split()


def test_what_the_machine_was_told_is_not_taken_over() -> None:
    assert shown(TOLD) == ["2", "2"]
    assert shown(TOLD, wiring.AS_AT_BOOT) == ["0", "0"]
