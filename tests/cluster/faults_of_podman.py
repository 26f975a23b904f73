"""Faults by hand in the lab podman-dhcp: what podman's containers with leases need."""

from __future__ import annotations

from cluster.hand import Hand, one

LAB = "podman-dhcp"
PODMAN = """
export CONTAINERS_CONF_OVERRIDE=/run/underlay/containers.conf
podman="podman --events-backend=none --cgroup-manager=cgroupfs"
"""
AGAIN = (
    PODMAN
    + """
$podman stop --time 0 {0} >/dev/null 2>&1 || :
! $podman start {0} >/dev/null 2>&1
"""
)
# A lease brings the address, and of the routes the router's alone.
BACK = (
    PODMAN
    + """
systemctl start netavark-dhcp-proxy.socket
$podman start {0} >/dev/null
within() {{ nsenter --target "$(cat /run/underlay/$1.pid)" --net ip route replace default $2; }}
"""
)
EACH = "leased-2a leased-2b tagged-2a both-2a"
ROUTES = """
within leased-2a "via 10.1.1.250 dev eth0"
within leased-2b "via 10.1.1.250 dev eth0"
within tagged-2a "dev eth0"
within both-2a "dev eth1"
"""
PODMAN_DHCP: tuple[Hand, ...] = (
    one(
        "lease-proxy-down", "core-02", "core-02",
        "systemctl stop netavark-dhcp-proxy.socket netavark-dhcp-proxy.service"
        + AGAIN.format(EACH),
        BACK.format(EACH) + ROUTES, lab=LAB,
    ),
    one(
        "lease-proxy-down", "core-02", "core-02",
        "systemctl mask --runtime --now netavark-dhcp-proxy.socket netavark-dhcp-proxy.service"
        " 2>/dev/null" + AGAIN.format("leased-2b"),
        "systemctl unmask --runtime netavark-dhcp-proxy.socket netavark-dhcp-proxy.service"
        " 2>/dev/null" + BACK.format("leased-2b")
        + 'within leased-2b "via 10.1.1.250 dev eth0"', other=True, lab=LAB,
    ),
)  # fmt: skip
