"""A lab whose tunnels had errors while it was made tells nobody of them once it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout, Lab

TEXT = """\
name: tunnelled
nodes: {count: 2, profile: lean}
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  tenant: {driver: gretap, key: 7, segment: lan, subnet: 10.6.1.0/24, runtime: iproute2}
containers:
  - {on: all, networks: [tenant]}
"""
# The other node can't be found, as while it boots. Linux gives up an address after three seconds.
SEND = """\
ip neighbour flush dev eth1
python3 - <<'END'
import socket, time
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as made:
    made.bind(("gt2-tenant", 0))
    for _ in range(8):
        made.send(bytes.fromhex("0180c2000001" + "02" * 6 + "88b5") + bytes(46))
time.sleep(4)
END
"""
# A container of core-02 speaks to core-01, whose answers go by the tunnel that had the errors.
CONNECT = """\
python3 - <<'END'
import socket
for _ in range(8):
    with socket.socket() as made:
        made.settimeout(5)
        try:
            made.connect(("10.6.1.11", 22))
            print("connected")
        except OSError as error:
            print(error.strerror)
END
"""


@pytest.fixture
def tunnelled(copy: Checkout, tmp_path: Path) -> Iterator[Lab]:
    file = tmp_path / "tunnelled.yml"
    file.write_text(TEXT)
    before = interfaces()
    lab = Lab(copy, "tunnelled", file)
    done = lab.up()
    if done.code:
        pytest.fail(str(done), pytrace=False)
    yield lab
    done = copy.underlay("down", "--all")
    assert done.code == 0, str(done)
    prove_nothing_is_left(copy, before)


def part(lab: Lab) -> None:
    """Have core-01's tunnel get errors for eight frames."""
    lab.shell("core-02", "ip link set eth1 down")
    lab.shell("core-01", SEND)
    lab.shell("core-02", "ip link set eth1 up")


@pytest.mark.all
def test_a_lab_that_is_switched_resets_no_connection(tunnelled: Lab) -> None:
    assert set(tunnelled.shell("tenant-2a", CONNECT).splitlines()) == {"connected"}
    part(tunnelled)
    # The twin: without that a kernel does so, for as many packets.
    assert "Connection reset by peer" in tunnelled.shell("tenant-2a", CONNECT)
    part(tunnelled)
    done = tunnelled.checkout.underlay("switch", str(tunnelled.file), "--lab", "tunnelled")
    assert done.code == 0, str(done)
    assert set(tunnelled.shell("tenant-2a", CONNECT).splitlines()) == {"connected"}
