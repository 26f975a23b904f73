"""What a receiver sees of a packet that arrives: its addresses, and its size.

In each check's table the first rule that holds decides. Where it says that the receiver
doesn't see what was sent, it says what shows instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.drivers import DRIVERS
from underlay.drivers.rule import Fact, Rule, facts, first
from underlay.expect.tables import relation

if TYPE_CHECKING:
    from underlay.expect.path import Arrival

_NAT = "Linux net/netfilter/nf_nat_masquerade.c"

SOURCE: tuple[Rule, ...] = (
    Rule(
        id="source-masqueraded",
        relation="any",
        facts=facts("masqueraded"),
        reachable=False,
        because="The node masquerades: the receiver sees the node's address.",
        reference=_NAT,
    ),
    Rule(
        id="source-as-sent",
        relation="any",
        reachable=True,
        because=(
            "The receiver sees the address that the packet left with, unless somebody masquerades."
        ),
        reference=_NAT,
    ),
)

MACS: tuple[Rule, ...] = (
    *dict.fromkeys(rule for driver in DRIVERS.values() for rule in driver.macs),
    Rule(
        id="mac-of-sender",
        relation="any",
        reachable=True,
        because=(
            "A frame carries the MAC address of the interface that sent it: a macvlan child's own, "
            "an ipvlan child's parent's, or that of the last router."
        ),
        reference="Linux drivers/net/macvlan.c; drivers/net/ipvlan/ipvlan_core.c",
    ),
)

# Reachable would be: whatever the sender's own interface lets out gets there.
SIZE: tuple[Rule, ...] = (
    Rule(
        id="size-of-least-mtu",
        relation="any",
        reachable=False,
        because=(
            "No interface sends a packet that is larger than its MTU, and the switch drops larger "
            "ones."
        ),
        reference=(
            "RFC 1191; Linux net/ipv4/ip_output.c, ip_fragment; net/core/dev.c, is_skb_forwardable"
        ),
    ),
)

TABLES: dict[str, tuple[Rule, ...]] = {"source": SOURCE, "macs": MACS, "pmtu": SIZE}


def seen_rule(check: str, arrival: Arrival) -> Rule:
    """Return the rule that says what ``check`` finds at the end of a packet's last wire."""
    sender, taker = arrival.over[-1], arrival.into[-1]
    found: frozenset[Fact] = facts("masqueraded") if arrival.masqueraded else facts()
    return first(TABLES[check], relation(sender, taker), sender.mode, taker.mode, found)
