"""Who reaches whom over a plain 802.1q sub-interface that was moved into the container.

One rule is enough: the container has the whole sub-interface, so a node can give a VLAN to
one container only (a lab file that says otherwise is refused) and keeps no address in it.
"""

from __future__ import annotations

from underlay.drivers.driver import Driver
from underlay.drivers.rule import Rule

_RECEIVE = "Linux net/8021q/vlan_core.c, vlan_do_receive"

RULES: tuple[Rule, ...] = (
    Rule(
        id="vlan-across",
        relation="across",
        reachable=True,
        because="A frame with the tag of both goes up to the other container's sub-interface.",
        reference=_RECEIVE,
    ),
)

DRIVER = Driver(
    name="vlan",
    title="802.1q sub-interface",
    position=40,
    attach="moved",
    own_mac=False,
    reach=RULES,
    needed={"vlan": "vlan: 70"},
    # main/vlan of containernetworking/plugins.
    runtimes=("cni", "iproute2"),
)
