"""macvtap: a macvlan child whose frames a virtual machine reads, or here a container's TAP.

Measured beside macvlan, cell by cell: who reaches and hears whom is the same in every mode.
What differs is inside. The device takes all multicast, since it doesn't learn which groups its
guest joins (Linux drivers/net/macvlan.c, macvlan_compute_filter). A guest in passthru looks for
itself which frames are its own (drivers/net/tun.c, tun_get_user); a macvlan child takes all.
"""

from __future__ import annotations

from dataclasses import replace

from underlay.drivers import macvlan

DRIVER = replace(
    macvlan.DRIVER,
    name="macvtap",
    title="macvtap",
    position=70,
    attach="tap",
    keys=("allow",),
    runtimes=("iproute2",),
    runtimes_of={},
    handler="macvlan",
)
