"""Faults by hand in the lab filters: its own filters go missing, and others come beside them."""

from __future__ import annotations

from cluster.hand import one

LAB = "filters"

OF_FILTERS = (
    one(
        "filter-gone", "db", "db", "iptables -D INPUT -j UNDERLAY-IN",
        "iptables -I INPUT -j UNDERLAY-IN", lab=LAB,
    ),
    one(
        "filter-gone", "closed", "closed", "iptables -F UNDERLAY-IN",
        "iptables-restore --noflush < /etc/underlay/filters/closed.v4", other=True, lab=LAB,
    ),
    # Both ports of db have a listener; closed has none for UDP port 53, which is refused then.
    one(
        "filter-gone", "db", "db", "iptables -F UNDERLAY-IN",
        "iptables-restore --noflush < /etc/underlay/filters/db.v4", other=True, lab=LAB,
        word="emptied",
    ),
    one(
        "filter-gone", "closed", "closed",
        "iptables -R UNDERLAY-IN 6 ! -p udp -m comment --comment 'filters[5]' -j DROP",
        "iptables-restore --noflush < /etc/underlay/filters/closed.v4", other=True, lab=LAB,
        word="changed",
    ),
    one(
        "filter-gone", "closed", "closed",
        "iptables -D INPUT -j UNDERLAY-IN; iptables -F UNDERLAY-IN; iptables -X UNDERLAY-IN",
        "iptables-restore --noflush < /etc/underlay/filters/closed.v4;"
        " iptables -I INPUT -j UNDERLAY-IN", other=True, lab=LAB, word="chain",
    ),
    # Beside the lab's own rules, which discard packets as well, and are no fault.
    one(
        "container-drops-protocol", "db", "db", "iptables -I INPUT -p icmp -j DROP",
        "iptables -D INPUT -p icmp -j DROP", lab=LAB, word="beside",
    ),
)  # fmt: skip
