"""The settings of a namespace that are others while it is measured: its kernel keeps out of that.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.

**ICMP errors** are sent as many as there are. A kernel sends one peer six of them at once, and one
a second from then on (ip-sysctl.rst, icmp_ratelimit; Linux net/ipv4/inetpeer.c,
inet_peer_xrlim_allow). The node as a whole has a limit for all (icmp_msgs_per_sec), and one for
what its routes refuse (error_cost; Linux net/ipv4/route.c, ip_error). A cell that is refused when
it is asked alone would be silent among others for that.

**Routers are looked for** by nobody. An interface that has heard of no router asks everybody for
one a second after it was made, four seconds later, and from then on ever more seldom (Linux
net/ipv6/addrconf.c, addrconf_rs_timer; RFC 7559). In an overlay that has its node look for the
other nodes, which know from that where it is: in the first checks of a lab a node that can't be
found would be reached.

All is as before when the probe ends. What a probe that was killed leaves behind is a kernel that
tells more, and looks for no router. An interface whose turn to ask came meanwhile doesn't ask
again before it comes up anew. A router that comes later tells of itself.
"""

from __future__ import annotations

import contextlib
import os

FOLDER = "/proc/sys/net"
ERROR_LIMITS = {
    "ipv4/icmp_ratelimit": b"0",
    "ipv6/icmp/ratelimit": b"0",
    # The node's own namespace alone has these.
    "ipv4/route/error_cost": b"0",
    "ipv4/icmp_msgs_per_sec": b"1000000",
    "ipv4/icmp_msgs_burst": b"100000",
}
INTERFACES = "ipv6/conf"
NO_INTERFACES = ("all", "default", "lo")


class Settings:
    """The settings of the namespace in which this is made; changed at once."""

    def __init__(self) -> None:
        self._before: dict[int, bytes] = {}
        for name, value in (ERROR_LIMITS | _no_solicitations()).items():
            # Where there is no such setting, or it mayn't be changed, it stays as it is.
            with contextlib.suppress(OSError):
                setting = os.open(f"{FOLDER}/{name}", os.O_RDWR)
                before = os.pread(setting, 32, 0)
                os.pwrite(setting, value, 0)
                self._before[setting] = before

    def restore(self) -> None:
        """Set everything as it was before; nothing where that has been done."""
        for setting, before in self._before.items():
            with contextlib.suppress(OSError):
                os.pwrite(setting, before, 0)
            os.close(setting)
        self._before.clear()


def _no_solicitations() -> dict[str, bytes]:
    """Return what keeps the namespace's interfaces from looking for routers."""
    try:
        names = os.listdir(f"{FOLDER}/{INTERFACES}")
    except OSError:
        return {}  # without IPv6
    own = (name for name in names if name not in NO_INTERFACES)
    return {f"{INTERFACES}/{name}/router_solicitations": b"0" for name in own}
