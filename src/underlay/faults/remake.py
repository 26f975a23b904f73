"""Making a container's child again, as planned or otherwise, whatever runtime made it first."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from underlay.faults.fault import Place
from underlay.faults.step import Step

if TYPE_CHECKING:
    from underlay.faults.scene import Child, Scene

# Run in the container's namespace with the node's tools: the child is born in the shell's own.
MAKE = """
interface=$1 parent=$2 address=$3 mac=$4 driver=$5 mode=$6 mtu=$7 default=$8
on_node="nsenter --target 1 --net --"
ip link delete "$interface" 2>/dev/null || :
set -- link "$parent" name underlay-new netns $$
test "$driver" = ipvlan || set -- "$@" address "$mac"
$on_node ip link add "$@" type "$driver" mode $mode
ip link set underlay-new name "$interface"
ip link set "$interface" mtu "$mtu"
ip address add "$address" dev "$interface"
ip link set "$interface" up
case $default in
    on-link) ip route replace default dev "$interface" ;;
    ?*) ip route replace default via "$default" dev "$interface" ;;
esac
"""


def child_at(scene: Scene, place: Place) -> Child:
    """Return the child that a place is about."""
    for child in scene.children:
        if (child.container, child.interface) == (place.target, place.device):
            return child
    raise LookupError(f"no child at {place}")


def unused_address(scene: Scene, place: Place) -> str:
    """Return an IPv4 address that nobody has: the last one of the child's node's slice, if free."""
    child = child_at(scene, place)
    pool = child.pool(4)
    taken = {one.address for one in scene.children} | {pool.gateway}
    last = ip_address(pool.slices[child.node].last)
    return next(str(last - number) for number in range(len(taken) + 1)
                if str(last - number) not in taken)  # fmt: skip


def remake(scene: Scene, place: Place, *, parent: str = "", mode: str = "", mac: str = "") -> Step:
    """Return the step that makes the place's child again; what isn't given is as planned."""
    child = child_at(scene, place)
    network = child.network
    planned = planned_mode(child)
    return Step(
        place.target,
        MAKE,
        (
            child.interface,
            parent or network.parent,
            f"{child.address}/{child.prefix}",
            mac or child.mac,
            network.driver,
            mode or planned,
            str(network.mtu),
            _default(child),
        ),
    )


def _default(child: Child) -> str:
    """Return ``on-link``, a gateway's address, or nothing: the child's default route."""
    network = child.network
    if network.default_route == "gateway":
        return child.pool(4).gateway
    return "on-link" if network.default_route == "on-link" else ""


def planned_mode(child: Child) -> str:
    """Return the child's mode in the words of ip link: an ipvlan mode with its flag."""
    network = child.network
    flag = network.flag or network.traits.default_flag
    return f"{network.mode} {flag}".strip()
