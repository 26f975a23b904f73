"""ipvtap: an ipvlan child whose frames a virtual machine reads, or here a container's TAP.

Measured beside ipvlan in the same mode and flag, cell by cell: who reaches and hears whom is
the same in l2 and in l3. Its l3s is another matter, and refused.
"""

from __future__ import annotations

from dataclasses import replace

from underlay.drivers import ipvlan

DRIVER = replace(
    ipvlan.DRIVER,
    name="ipvtap",
    title="ipvtap",
    position=80,
    attach="tap",
    modes=("l2", "l3"),
    refused={
        # Linux drivers/net/ipvlan/ipvlan_l3s.c, ipvlan_nf_input, hands over what came in by
        # exchanging skb->dev at LOCAL_IN, where no receive handler (tap_handle_frame) is called.
        "l3s": "in l3s nothing that comes in by the wire gets to a tap: use ipvlan for it",
    },
    l3_modes=("l3",),
    keys=("flag", "routed"),
    runtimes=("iproute2",),
    runtimes_of={},
    handler="ipvlan",
)
