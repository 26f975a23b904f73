"""NICs that libvirt plugs into running machines, and by packets what containers there reach.

Each wire is one that people give their virtual machines: a bridge of libvirt's with and without
NAT, a filter against forged MAC addresses, ports kept apart, macvtap, large packets. Which packets
pass is found out by containers of this file's own, made by hand, and not by the engine.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from foreign import Foreign
from underlay.cluster.providers.libvirt.own import uri_of
from underlay.cluster.providers.libvirt.virsh import identity, virsh

FILTER = "no-mac-spoofing"
DEFINED = f"/etc/libvirt/nwfilter/{FILTER}.xml"
NETWORK = (
    "<network><name>{name}</name>{forward}<bridge name='br-{name}' stp='off' delay='0'/>"
    "<dns enable='no'/>{more}</network>"
)
NIC = "<interface {kind}<mac address='{mac}'/><model type='virtio'/></interface>"
ON_BRIDGE = "type='network'><source network='{name}'/>"
MACVTAP = "type='direct'{trust}><source dev='nic-{{name}}' mode='bridge'/>"
# As NICs are called by their place; ens5 and so on udev has given to all of them already.
NAME = "enp7s0f{}"
VLAN = 10


@dataclass(frozen=True)
class Wire:
    """A network of libvirt's, and how NICs get on it; ``mtu`` is what machines set there.

    ``port`` is what its bridge's ports are told. libvirt has no word for a hairpin, and the one
    that it has for isolated ports it writes into /sys, which in a lab's own sandbox is this host's.
    """

    kind: str = ON_BRIDGE
    forward: str = ""
    more: str = ""
    mtu: int = 1500
    port: str = ""


WIRES = {
    "jumbo": Wire(more="<mtu size='9000'/>", mtu=9000),
    # The machines alone were told of large packets.
    "narrow": Wire(mtu=9000),
    "hairpin": Wire(port="hairpin on"),
    "filtered": Wire(kind=f"{ON_BRIDGE}<filterref filter='{FILTER}'/>"),
    "isolated": Wire(port="isolated on"),
    "macvtap": Wire(kind=MACVTAP.format(trust="")),
    "nat": Wire(
        forward="<forward mode='nat'/>",
        more="<ip address='192.168.122.1' netmask='255.255.255.0'/>",
    ),
    "trusted": Wire(kind=MACVTAP.format(trust=" trustGuestRxFilters='yes'")),
}
PORTS = """
ip -brief link show master "$1" | while read -r port _; do
    ip link set "$port" type bridge_slave $2
done
"""
# What macvtap sits on: a NIC with something plugged in, as it has no carrier without.
HOSTS_NIC = """
ip link add "nic-$1" type veth peer name "far-$1"
ip link set "nic-$1" up
ip link set "far-$1" up
"""
# A NIC is there some time after libvirt has plugged it in.
NAMED = r"""
named() {
    for tries in $(seq 300); do
        old=$(grep -lxF "$1" /sys/class/net/*/address | head -n 1) && [ -n "$old" ] && break
        sleep 0.1
    done
    old=${old%/address}; old=${old##*/}
    ip link set "$old" down
    ip link set "$old" name "$2" mtu "$3" up
    ip address add "$4" dev "$2"
    for each in "$5" "$6" "$7"; do ip address add "$each/64" dev "$2" nodad; done
}
"""
# Containers by their mode: what a link of theirs is made with, and the phase in which they are
# there, as macvlan and ipvlan can't share a NIC and all of ipvlan's have one flag.
MODES = {
    "bri": ("macvlan", "type macvlan mode bridge"),
    "vep": ("macvlan", "type macvlan mode vepa"),
    "tag": ("macvlan", f"type vlan id {VLAN}"),
    "ipl": ("ipvlan", "type ipvlan mode l2"),
    "ipv": ("vepa", "type ipvlan mode l2 vepa"),
}
PHASES = ("macvlan", "ipvlan", "vepa")
# What sentences are about, by mode and whom one of its containers asks.
ABOUT = {
    ("bri", "between"): "macvlan-bridge-between",
    ("bri", "beside"): "macvlan-bridge-beside",
    ("bri", "itself"): "macvlan-bridge-itself",
    ("vep", "between"): "macvlan-vepa-between",
    ("vep", "beside"): "macvlan-vepa-beside",
    ("tag", "between"): f"vlan-{VLAN}",
    ("ipl", "between"): "ipvlan-l2-between",
    ("ipl", "beside"): "ipvlan-l2-beside",
    ("ipv", "beside"): "ipvlan-l2-vepa-beside",
}
# Asks all at once, and prints the questions that got an answer: one of four is enough.
ASK = r"""
while read -r question space words; do
    in=''
    [ "$space" = - ] || in="ip netns exec $space"
    (if $in ping -n -q -c 4 -i 0.5 -W 4 $words >/dev/null 2>&1; then echo "$question"; fi) &
done <<'END'
{}
END
wait
"""


def nic(wire: str) -> str:
    """Return what a wire's NIC is called on each machine."""
    return NAME.format([*WIRES].index(wire))


def plug(machines: Foreign, folder: Path) -> None:
    """Give each machine a NIC on each wire, with addresses; they end with the machines."""
    state = machines.lab.state
    uri = uri_of(state)
    virsh(uri, "nwfilter-define", DEFINED)
    for name, wire in WIRES.items():
        if "nic-" in wire.kind:
            machines.switch(HOSTS_NIC, name)
        else:
            text = NETWORK.format(name=name, forward=wire.forward, more=wire.more)
            virsh(uri, "net-create", _written(folder / f"{name}.xml", text))
    for number, machine in enumerate(machines.names, 1):
        for name, wire in WIRES.items():
            text = NIC.format(kind=wire.kind.format(name=name), mac=_mac(name, number))
            file = _written(folder / f"{name}-{number}.xml", text)
            virsh(uri, "attach-device", identity(state, "domain", machine), file, "--live")
    for name, wire in WIRES.items():
        if wire.port:
            machines.switch(PORTS, f"br-{name}", wire.port)
    machines.everywhere({m: _naming(n) for n, m in enumerate(machines.names, 1)})


def _written(file: Path, text: str) -> str:
    file.write_text(text)
    return str(file)


def _mac(wire: str, machine: int) -> str:
    return f"52:54:00:75:{[*WIRES].index(wire):02x}:{machine:02x}"


def _naming(machine: int) -> str:
    lines = [
        f"named {_mac(name, machine)} {nic(name)} {wire.mtu} {_address(name, machine)}/16"
        f" {' '.join(_addresses6(name, machine))}"
        for name, wire in WIRES.items()
    ]
    return NAMED + "\n".join(lines)


def _address(wire: str, machine: int, mode: str = "", which: int = 0) -> str:
    """Return the address of a machine, or with a mode of one of its containers; all in one /16."""
    third = [*MODES].index(mode) + 1 if mode else 0
    return f"10.{100 + [*WIRES].index(wire)}.{third}.{10 * machine + which}"


def _addresses6(wire: str, machine: int) -> list[str]:
    """Return addresses with groups of their own for neighbour discovery.

    macvtap knows groups by 8 bits of a hash, so that one may pass by chance.
    """
    return [f"fd00:75:{[*WIRES].index(wire)}::{which}{machine:02}" for which in range(1, 4)]


def reached_by_hand(machines: Foreign) -> dict[tuple[str, str], set[bool]]:
    """Return by wire and sentence whether echo requests got there, machine by machine."""
    found: dict[tuple[str, str], set[bool]] = defaultdict(set)
    for phase in PHASES:
        modes = [mode for mode, (of, _) in MODES.items() if of == phase]
        numbers = dict(enumerate(machines.names, 1))
        machines.everywhere({m: _attaching(n, modes) for n, m in numbers.items()})
        asked = {m: _questions(n, len(numbers), modes) for n, m in numbers.items()}
        scripts = {
            m: ASK.format("\n".join(line for lines in each.values() for line in lines))
            for m, each in asked.items()
        }
        answered = machines.everywhere(scripts)
        for machine, questions in asked.items():
            got = set(answered[machine].split())
            for key, lines in questions.items():
                found[key].add(all(line.split()[0] in got for line in lines))
        gone = [f"ip netns delete {space}" for mode in modes for space in _spaces(mode)]
        machines.everywhere(dict.fromkeys(machines.names, "\n".join(gone)))
    return dict(found)


def _spaces(mode: str) -> list[str]:
    return [f"{mode}-a", f"{mode}-b"]


def _attaching(machine: int, modes: list[str]) -> str:
    """Return what makes two containers of each mode, with a link on each wire."""
    script = []
    for mode in modes:
        for which, space in enumerate(_spaces(mode), 1):
            script.append(f"ip netns add {space}")
            made = [
                f"link add link {nic(wire)} name {wire}-{space} netns {space} {MODES[mode][1]}"
                for wire in WIRES
                # One VLAN of a number is all that a NIC can have.
                if mode != "tag" or which == 1
            ]
            inside = [
                line
                for wire in WIRES
                if mode != "tag" or which == 1
                for line in (
                    f"link set {wire}-{space} up",
                    f"address add {_address(wire, machine, mode, which)}/16 dev {wire}-{space}",
                )
            ]
            script += [_batch("ip", made), _batch(f"ip -n {space}", inside)]
    return "\n".join(script)


def _batch(program: str, lines: list[str]) -> str:
    return "\n".join([f"{program} -batch - <<'END'", *lines, "END"])


def _questions(machine: int, count: int, modes: list[str]) -> dict[tuple[str, str], list[str]]:
    """Return what a machine asks itself and the next one, by wire and sentence.

    Where there are several questions, all have to get an answer.
    """
    following = machine % count + 1
    found = {}
    for wire, of in WIRES.items():
        for (mode, where), sentence in ABOUT.items():
            to = {
                "between": _address(wire, following, mode or "bri", 1),
                "beside": _address(wire, machine, mode, 2),
                "itself": _address(wire, machine),
            }[where]
            if mode in modes:
                found[wire, sentence] = [f"{wire}/{sentence} {mode}-a {to}"]
        if "bri" in modes:
            whole = f"-M do -s {of.mtu - 28} {_address(wire, following)}"
            found[wire, "mtu"] = [f"{wire}/mtu - {whole}"]
            found[wire, "multicast6"] = [
                f"{wire}/multicast6/{number} - -6 {to}"
                for number, to in enumerate(_addresses6(wire, following))
            ]
    return found
