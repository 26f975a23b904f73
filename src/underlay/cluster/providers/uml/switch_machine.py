"""The bridges of a switch that is a machine: as commands, at its boot and when a lab is switched.

The host's kernel may lack VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING); that of the nodes has it.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from underlay.cluster.port_policies import batch, multicast, policies, stations
from underlay.cluster.providers.uml.wiring import bridge, card_name, clear, join, rename

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.cluster.port_policies import Command
    from underlay.plan import Plan

# The node program's place is taken, and its words: `ready.py` waits for either.
_PROGRAM = """\
#!/bin/sh
trap 'printf "{\\"failed\\": [\\"its set-up as a switch\\"]}\\n"; trap - EXIT' EXIT
set -e
COMMANDS
trap - EXIT
echo '{"failed": []}'
"""


def program(plan: Plan) -> bytes:
    """Return what the switch of ``plan`` runs at its boot, in place of the node program."""
    named = [
        f"link property add dev {port} altname {stays}" for stays, port in _names(plan).items()
    ]
    commands = [batch(named), *_build(plan)]
    text = "".join(f"{shlex.join(arguments)} <<'END'\n{said}END\n" for arguments, said in commands)
    return _PROGRAM.replace("COMMANDS\n", text).encode()


def changes(plan: Plan) -> list[Command]:
    """Return the commands that make a running switch that of ``plan``; they may be run twice."""
    names = [name for pair in _names(plan).items() for name in pair]
    return [clear(), rename(names), *_build(plan)]


def _names(plan: Plan) -> dict[str, str]:
    """Each port by the name that stays."""
    assert plan.switch
    nics = enumerate(plan.switch.nics, 1)
    return {card_name(plan.switch.index, number): nic.interface for number, nic in nics}


def _build(plan: Plan) -> list[Command]:
    assert plan.switch
    bridges = {segment.name: segment.bridge for segment in plan.segments}
    lines = [line for segment in plan.segments for line in bridge(segment)]
    stays = {port: name for name, port in _names(plan).items()}
    # By the name that stays: ip remembers which port a name meant at first.
    for nic in plan.switch.nics:
        lines.append(join(stays[nic.interface], nic.mtu, bridges[nic.segment]))
    vlans = "".join(f"{line}\n" for line in _vlans(plan))
    at_ports = [*policies(plan, plan.nodes), *multicast(plan)]
    return [batch(lines), (["bridge", "-batch", "-"], vlans), *at_ports]


def _vlans(plan: Plan) -> Iterator[str]:
    """Each port's VLANs, as bridge(8) has them: with their tags, or the one without."""
    for segment in plan.segments:
        for station, port in stations(plan, segment):
            own = segment.vlans.get(station)
            for vlan in own.tagged if own else ():
                yield f"vlan add dev {port} vid {vlan}"
            if own and own.untagged is not None:
                yield f"vlan add dev {port} vid {own.untagged} pvid untagged"
