"""The switch of a lab as commands: bridges, the nodes' ports, and the external hosts on it.

Everything is said as (arguments, text for standard input), to be run inside the sandbox:
by the holder when it starts, and by ``switch`` when running nodes become another lab.

Where the host's kernel may lack what a lab asks of its switch (VLAN filtering:
CONFIG_BRIDGE_VLAN_FILTERING), the switch is a machine, whose kernel has it. Then the sandbox
has a cable for each of its ports: a bridge of two ports, the machine's and the one of who is on
the other end. The bridges are made in the machine, at its boot and when a lab is switched.
Where an external host speaks VLANs, the hosts are in that machine, too, and have no cables.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from underlay.cluster.port_policies import Command, batch, multicast, policies, stations
from underlay.plan.filter_rules import hooked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.plan import Plan, PlannedHost, PlannedSegment

# Routers here tell nobody of shorter ways: a redirect would change who reaches whom.
_ROUTER = (
    "for name in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > /proc/sys/net/$name; done;"
    " for file in /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 > $file; done"
)

# A namespace takes over what the machine's kernel was told of IPv4 (ip-sysctl.rst,
# devconf_inherit_init_net): systemd sets rp_filter to 2, others arp_ignore. Here hosts begin as a
# kernel does.
AS_AT_BOOT = (
    "for name in rp_filter arp_filter arp_ignore arp_announce arp_accept accept_local proxy_arp"
    " drop_gratuitous_arp drop_unicast_in_l2_multicast; do"
    " for file in /proc/sys/net/ipv4/conf/*/$name; do echo 0 > $file; done; done"
)

# All that isn't the nodes' own: their ports stay, as their kernels hold them open.
_CLEAR = (
    "for kind in veth bridge; do"
    " ip -oneline link show type $kind | sed 's/^[0-9]*: *//; s/[@:].*//' | while read -r name; do"
    " ip link delete $name; done; done;"
    " for host in $(ls /run/netns 2>/dev/null); do"
    " ip netns pids $host | xargs --no-run-if-empty kill; ip netns delete $host || exit; done"
)

# A node's kernel, which the switch's is, knows nf_tables for bridges alone.
_NFT = {"nft": ["nft", "-f", "-"]}
_IPTABLES = {
    "v4": ["iptables-restore", "--wait", "--noflush"],
    "v6": ["ip6tables-restore", "--wait", "--noflush"],
}

# As a daemon it would change its groups, which the sandbox's user namespace forbids. A
# shell gives what it starts with & an empty standard input, even after `<&0`.
_DNSMASQ = (
    "exec 3<&0; /usr/sbin/dnsmasq --no-daemon --conf-file=- --pid-file= <&3 >/dev/null 2>&1 &"
)

# Arguments are pairs: the name of a port that stays, and the one that it is to have. First all
# give up their names, as another may need them. A port must not be down for a moment: a node's
# kernel that can't send takes its card for broken and never looks at it again. Before Linux 6.2
# a port that is up can't be renamed.
_RENAME = """
name() { ip -oneline link show dev "$1" | sed 's/^[0-9]*: *//; s/[@:].*//'; }
rename() {
    ip link set dev "$1" name "$2" 2>/dev/null && return
    ip link set dev "$1" down && ip link set dev "$1" name "$2" && ip link set dev "$1" up
}
each() {
    word=$1; shift
    while [ $# -gt 0 ]; do $word "$1" "$2" || exit; shift 2; done
}
give_up() { [ "$(name "$1")" = "$2" ] || rename "$1" "old_$1"; }
take() { [ "$(name "$1")" = "$2" ] || rename "$1" "$2"; }
each give_up "$@"
each take "$@"
"""
# The node program's place is taken, and its words: `ready.py` waits for either.
_MACHINE_PROGRAM = """\
#!/bin/sh
trap 'printf "{\\"failed\\": [\\"its set-up as a switch\\"]}\\n"; trap - EXIT' EXIT
set -e
COMMANDS
trap - EXIT
echo '{"failed": []}'
"""


def setup(plan: Plan) -> list[Command]:
    """Return the commands that make the whole switch of ``plan`` in a fresh sandbox."""
    return [batch(links(plan)), *_hosts_here(plan), *_at_ports(plan)]


def changes(plan: Plan) -> list[Command]:
    """Return the commands that make a running lab's switch that of ``plan``: same cards.

    Bridges and hosts are made anew, so that nothing is known of what was there, and the
    nodes' ports, which their kernels hold open, get their new names. It may be done twice.
    """
    names = [name for port, stays, _ in _cards(plan) for name in (stays, port)]
    lines = list(_bridges(plan))
    # By the name that stays: ip remembers which port a name meant at first.
    for port, stays, segment in _cards(plan):
        lines.append(join(stays, segment.mtu, _master(plan, port, segment.bridge)))
    lines += [_plug_in(number) for number in _cables(plan).values()]
    return [clear(), rename(names), batch(lines), *_hosts_here(plan), *_at_ports(plan)]


def clear() -> Command:
    """Return the command that takes away all that isn't the machines' own: their ports stay."""
    return ["sh", "-c", _CLEAR], ""


def rename(names: list[str]) -> Command:
    """Return the command that gives ports other names; ``names`` are pairs, see ``_RENAME``."""
    return ["sh", "-c", _RENAME, "sh", *names], ""


def links(plan: Plan) -> list[str]:
    """Return the ``ip -batch`` lines that make the bridges and ports of ``plan``.

    Each segment is a bridge with one tap per node. The management taps stand
    alone, a point-to-point link each, so that nodes can't reach each other there.
    """
    lines = ["link set lo up", *_bridges(plan)]
    for port, stays, segment in _cards(plan):
        lines.append(f"tuntap add dev {port} mode tap")
        lines.append(f"link property add dev {port} altname {stays}")
        lines.append(join(port, segment.mtu, _master(plan, port, segment.bridge)))
    for number in _cables(plan).values():
        assert plan.switch
        name = card_name(plan.switch.index, number)
        lines.append(f"tuntap add dev plug_{number} mode tap")
        lines.append(f"link property add dev plug_{number} altname {name}")
        lines.append(_plug_in(number))
    for node in plan.machines:
        port = management_port(node.index)
        lines.append(f"tuntap add dev {port} mode tap")
        lines.append(f"address add {node.management_peer}/30 dev {port}")
        lines.append(f"link set {port} addrgenmode none up")
    return lines


def _cards(plan: Plan) -> Iterator[tuple[str, str, PlannedSegment]]:
    """Yield of every card in a segment its port, the name of that which stays, and the segment."""
    segments = {segment.name: segment for segment in plan.segments}
    for node in plan.nodes:
        for number, (card, _, nic) in enumerate(node.cards, 1):
            own = [member.port for member in nic.members if member.interface == card]
            segment = segments[nic.segment]
            port = own[0] if own else segment.ports[node.name]
            yield port, card_name(node.index, number), segment


def _cables(plan: Plan) -> dict[str, int]:
    """Return the switch's own NIC, counted from 1, by the name of the port that it is."""
    nics = plan.switch.nics if plan.switch else ()
    return {nic.interface: number for number, nic in enumerate(nics, 1)}


def _bridges(plan: Plan) -> Iterator[str]:
    """The sandbox's bridges: the segments', or the cables of a switch that is a machine.

    What a cable learned would only be wrong later: it has two ends, and floods to the other.
    """
    if plan.switch is None:
        for segment in plan.segments:
            yield from bridge(segment)
    for number in _cables(plan).values():
        yield f"link add cable_{number} type bridge mcast_snooping 0 stp_state 0 ageing_time 0"
        yield f"link set cable_{number} addrgenmode none up"


def bridge(segment: PlannedSegment) -> list[str]:
    """Return the lines that make a segment's bridge; no port is in a VLAN that nobody asked for."""
    name = segment.bridge
    filtering = " vlan_filtering 1 vlan_default_pvid 0" if segment.vlans else ""
    return [
        f"link add {name} mtu {segment.mtu} type bridge mcast_snooping {int(segment.snooping)}"
        f" stp_state 0{filtering}",
        f"link set {name} addrgenmode none up",
    ]


def _plug_in(number: int) -> str:
    return join(f"plug_{number}", 1500, f"cable_{number}")


def _master(plan: Plan, port: str, own: str) -> str:
    """Return the bridge that a port is in: its segment's ``own``, or the one of a cable."""
    number = _cables(plan).get(port)
    return f"cable_{number}" if number else own


def join(port: str, mtu: int, master: str) -> str:
    """Return the line that makes ``port`` one of the bridge ``master``'s."""
    return f"link set {port} mtu {mtu} addrgenmode none master {master} up"


def card_name(index: int, card: int) -> str:
    """Return the second name of the port of a node's card, under which its kernel opens it.

    It stays when the port is called after another segment; no segment's port is called so.
    """
    return f"card_{index}_{card}"


def management_port(index: int) -> str:
    """Return the tap of a node's management NIC; an underscore can't occur in segment names."""
    return f"mgmt_{index}"


def _at_ports(plan: Plan) -> list[Command]:
    """What is set at the ports, unless the switch is a machine and does it itself."""
    return [] if plan.switch else [*policies(plan, plan.nodes), *multicast(plan)]


def _hosts_here(plan: Plan) -> list[Command]:
    """The external hosts, unless they are in the switch that is a machine."""
    return [] if plan.hosts_at_switch else list(_hosts(plan, _NFT))


def _hosts(plan: Plan, filters: dict[str, list[str]]) -> Iterator[Command]:
    """Each external host is a network namespace, cabled to the bridges of its segments.

    ``filters`` says which of its texts a packet filter's program there reads.
    """
    bridges = {segment.name: segment.bridge for segment in plan.segments}
    for host in plan.hosts:
        yield ["ip", "netns", "add", host.name], ""
        # ip's own ways in mount a /sys, which a container whose own is covered in parts forbids.
        enter = ["nsenter", f"--net=/run/netns/{host.name}"]
        yield [*enter, "sh", "-c", AS_AT_BOOT], ""
        lines = []
        for port in {port.port: port for port in host.ports}.values():
            lines.append(
                f"link add {port.port} mtu {port.mtu} type veth peer name {port.nic}"
                f" mtu {port.mtu} address {port.mac} netns {host.name}"
            )
            master = _master(plan, port.port, bridges[port.segment])
            lines.append(f"link set {port.port} addrgenmode none master {master} up")
        yield batch(lines)
        command, text = batch(_inside(host))
        yield [*enter, *command], text
        if host.forwards:
            yield [*enter, "sh", "-c", _ROUTER], ""
        if host.services:
            yield [*enter, "sh", "-c", _DNSMASQ], host.services
        for kind, text in plan.rules.get(host.name, {}).items():
            if kind in filters:
                yield [*enter, *filters[kind]], hooked(text)


def _inside(host: PlannedHost) -> Iterator[str]:
    yield "link set lo up"
    for nic in dict.fromkeys(port.nic for port in host.ports):
        yield f"link set {nic} up"
    for port in host.ports:
        if port.link:
            made = f"name {port.interface} mtu {port.mtu}"
            yield f"link add link {port.link} {made} type vlan id {port.vlan}"
            yield f"link set {port.interface} up"
    for port in host.ports:
        for address in port.addresses:
            # Nobody else has it: duplicate address detection would only delay the first probe.
            nodad = " nodad" if address.family == 6 else ""
            yield f"address add {address} dev {port.interface}{nodad}"
    for route in host.routes:
        via = f" via {route.via}" if route.via else ""
        yield f"route replace {route.to}{via} dev {route.interface}"


def machine_program(plan: Plan) -> bytes:
    """Return what the switch of ``plan`` runs at its boot, in place of the node program."""
    named = [
        f"link property add dev {port} altname {stays}"
        for stays, port in _machine_ports(plan).items()
    ]
    commands = [batch(named), *_machine_bridges(plan)]
    text = "".join(f"{shlex.join(arguments)} <<'END'\n{said}END\n" for arguments, said in commands)
    return _MACHINE_PROGRAM.replace("COMMANDS\n", text).encode()


def machine_changes(plan: Plan) -> list[Command]:
    """Return the commands that make a running switch that of ``plan``; they may be run twice."""
    names = [name for pair in _machine_ports(plan).items() for name in pair]
    return [clear(), rename(names), *_machine_bridges(plan)]


def _machine_ports(plan: Plan) -> dict[str, str]:
    """Each port by the name that stays."""
    assert plan.switch
    index = plan.switch.index
    return {card_name(index, number): port for port, number in _cables(plan).items()}


def _machine_bridges(plan: Plan) -> list[Command]:
    assert plan.switch
    bridges = {segment.name: segment.bridge for segment in plan.segments}
    lines = [line for segment in plan.segments for line in bridge(segment)]
    stays = {port: name for name, port in _machine_ports(plan).items()}
    # By the name that stays: ip remembers which port a name meant at first.
    for nic in plan.switch.nics:
        lines.append(join(stays[nic.interface], nic.mtu, bridges[nic.segment]))
    vlans = batch(_machine_vlans(plan), "bridge")
    hosts = _hosts(plan, _IPTABLES) if plan.hosts_at_switch else ()
    return [batch(lines), *hosts, vlans, *policies(plan, plan.nodes), *multicast(plan)]


def _machine_vlans(plan: Plan) -> Iterator[str]:
    """Each port's VLANs, as bridge(8) has them: with their tags, or the one without."""
    for segment in plan.segments:
        for station, port in stations(plan, segment):
            own = segment.vlans.get(station)
            for vlan in own.tagged if own else ():
                yield f"vlan add dev {port} vid {vlan}"
            if own and own.untagged is not None:
                yield f"vlan add dev {port} vid {own.untagged} pvid untagged"
