"""The switch of a lab as commands: bridges, the nodes' ports, and the external hosts on it.

Everything is said as (arguments, text for standard input), to be run inside the sandbox:
by the holder when it starts, and by ``switch`` when running nodes become another lab.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.plan import Plan, PlannedHost, PlannedSegment

Command = tuple[list[str], str]

# Routers here tell nobody of shorter ways: a redirect would change who reaches whom.
_ROUTER = (
    "for name in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > /proc/sys/net/$name; done;"
    " for file in /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 > $file; done"
)


def setup(plan: Plan) -> list[Command]:
    """Return the commands that make the whole switch of ``plan`` in a fresh sandbox."""
    return [batch(links(plan)), *_policies(plan), *_hosts(plan)]


def changes(old: Plan, new: Plan) -> list[Command]:
    """Return the commands that make ``new``'s switch of ``old``'s: same segments and ports."""
    gone = [(["ip", "netns", "delete", host.name], "") for host in old.hosts]
    lines = [f"link set {segment.bridge} mtu {segment.mtu}" for segment in new.segments]
    lines += [line for segment in new.segments for line in _sizes(segment)]
    forget = [(["bridge", "fdb", "flush", "dev", segment.bridge], "") for segment in old.segments]
    return [*gone, batch(lines), *forget, *_policies(new), *_hosts(new)]


def links(plan: Plan) -> list[str]:
    """Return the ``ip -batch`` lines that make the bridges and ports of ``plan``.

    Each segment is a bridge with one tap per node. The management taps stand
    alone, a point-to-point link each, so that nodes can't reach each other there.
    """
    lines = ["link set lo up"]
    for segment in plan.segments:
        lines.append(
            f"link add {segment.bridge} mtu {segment.mtu} type bridge mcast_snooping 0 stp_state 0"
        )
        lines.append(f"link set {segment.bridge} addrgenmode none up")
        for port in segment.ports.values():
            lines.append(f"tuntap add dev {port} mode tap")
            lines.append(
                f"link set {port} mtu {segment.mtu} addrgenmode none master {segment.bridge} up"
            )
    for node in plan.nodes:
        port = management_port(node.index)
        lines.append(f"tuntap add dev {port} mode tap")
        lines.append(f"address add {node.management_peer}/30 dev {port}")
        lines.append(f"link set {port} addrgenmode none up")
    return lines


def management_port(index: int) -> str:
    """Return the tap of a node's management NIC; an underscore can't occur in segment names."""
    return f"mgmt_{index}"


def batch(lines: list[str]) -> Command:
    """Return one command for many lines of iproute2."""
    return ["ip", "-batch", "-"], "".join(f"{line}\n" for line in lines)


def _sizes(segment: PlannedSegment) -> Iterator[str]:
    for port in segment.ports.values():
        yield f"link set {port} mtu {segment.mtu}"


def _policies(plan: Plan) -> list[Command]:
    """What each port does beyond forwarding; a locked one knows its node's own MAC address."""
    lines, entries = [], []
    for segment in plan.segments:
        words = (
            f"hairpin {_word(segment.hairpin)} isolated {_word(segment.isolated)}"
            f" locked {_word(segment.locked)} learning {_word(not segment.locked)}"
        )
        for node in plan.nodes:
            port = segment.ports[node.name]
            lines.append(f"link set {port} type bridge_slave {words}")
            if segment.locked:
                own = next(nic.mac for nic in node.nics if nic.segment == segment.name)
                entries.append(f"fdb replace {own} dev {port} master static")
    known = [(["bridge", "-batch", "-"], "".join(f"{entry}\n" for entry in entries))]
    return [batch(lines), *(known if entries else [])]


def _word(on: bool) -> str:
    return "on" if on else "off"


def _hosts(plan: Plan) -> Iterator[Command]:
    """Each external host is a network namespace, cabled to the bridges of its segments."""
    bridges = {segment.name: segment.bridge for segment in plan.segments}
    for host in plan.hosts:
        yield ["ip", "netns", "add", host.name], ""
        lines = []
        for port in host.ports:
            lines.append(
                f"link add {port.port} mtu {port.mtu} type veth peer name {port.interface}"
                f" mtu {port.mtu} address {port.mac} netns {host.name}"
            )
            bridge = bridges[port.segment]
            lines.append(f"link set {port.port} addrgenmode none master {bridge} up")
        yield batch(lines)
        command, text = batch(list(_inside(host)))
        yield ["ip", "-n", host.name, *command[1:]], text
        if host.forwards:
            yield ["ip", "netns", "exec", host.name, "sh", "-c", _ROUTER], ""


def _inside(host: PlannedHost) -> Iterator[str]:
    yield "link set lo up"
    for port in host.ports:
        yield f"link set {port.interface} up"
        for address in port.addresses:
            # Nobody else has it: duplicate address detection would only delay the first probe.
            yield f"address add {address} dev {port.interface}" + (
                " nodad" if ":" in address else ""
            )
    for route in host.routes:
        via = f" via {route.via}" if route.via else ""
        yield f"route replace {route.to}{via} dev {route.interface}"
