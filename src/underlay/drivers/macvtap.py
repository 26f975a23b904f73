"""macvtap: a macvlan child whose frames a virtual machine reads, or here a container's TAP.

Measured on a parent of its own beside macvlan, cell by cell: who reaches and hears whom is the
same in every mode. What differs is inside: the device takes all multicast, since it doesn't
learn which groups its guest joins (Linux drivers/net/macvlan.c, macvlan_compute_filter); and a
guest in passthru looks for itself which frames are its own (drivers/net/tun.c, tun_get_user).
"""

from __future__ import annotations

from underlay.drivers import macvlan
from underlay.drivers.driver import Driver

DRIVER = Driver(
    name="macvtap",
    title="macvtap",
    position=70,
    attach="tap",
    own_mac=True,
    reach=macvlan.DRIVER.reach,
    broadcast=macvlan.DRIVER.broadcast,
    modes=macvlan.DRIVER.modes,
    keys=("internal", "allow"),
    runtimes=("iproute2",),
    handler="macvlan",
)
