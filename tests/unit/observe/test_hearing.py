"""Who listens to groups: sockets of the families that are measured, and no others."""

from __future__ import annotations

import socket
from contextlib import closing
from types import SimpleNamespace
from typing import cast

from underlay.observe.on_node import hearing, rtnetlink
from underlay.observe.on_node.spaces import Space

GROUPS = ["239.255.27.7", "ff12::27:7"]


def test_groups_of_a_family_that_is_not_measured_are_left_alone() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as four:
        # This namespace has IPv6 addresses, if only its loopback's, but no socket for them.
        space = SimpleNamespace(netlink=rtnetlink.connect(), udp={4: four})
        hearing._join(cast("Space", space), GROUPS)
