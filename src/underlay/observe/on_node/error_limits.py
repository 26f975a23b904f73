"""How many ICMP errors a namespace sends: as many as it likes, while it is measured.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.

A kernel sends one peer six errors at once, and one a second from then on (ip-sysctl.rst,
icmp_ratelimit; Linux net/ipv4/inetpeer.c, inet_peer_xrlim_allow). The node as a whole has a limit
for all (icmp_msgs_per_sec), and one for what its routes refuse (error_cost; Linux
net/ipv4/route.c, ip_error). A cell that is refused when it is asked alone would be silent
among others for that. So the limits are lifted, and are as before when the probe ends. What a
probe that was killed leaves behind is a kernel that tells more.
"""

from __future__ import annotations

import contextlib
import os

FOLDER = "/proc/sys/net"
LIFTED = {
    "ipv4/icmp_ratelimit": b"0",
    "ipv6/icmp/ratelimit": b"0",
    # The node's own namespace alone has these.
    "ipv4/route/error_cost": b"0",
    "ipv4/icmp_msgs_per_sec": b"1000000",
    "ipv4/icmp_msgs_burst": b"100000",
}


class ErrorLimits:
    """The limits of the namespace in which this is made; lifted at once."""

    def __init__(self) -> None:
        self._before: dict[int, bytes] = {}
        for name, value in LIFTED.items():
            # Where there is no such limit, or it mayn't be changed, it stays as it is.
            with contextlib.suppress(OSError):
                limit = os.open(f"{FOLDER}/{name}", os.O_RDWR)
                before = os.pread(limit, 32, 0)
                os.pwrite(limit, value, 0)
                self._before[limit] = before

    def restore(self) -> None:
        """Set the limits as they were before; nothing where that has been done."""
        for limit, before in self._before.items():
            with contextlib.suppress(OSError):
                os.pwrite(limit, before, 0)
            os.close(limit)
        self._before.clear()
