"""The verb ``status``: who is where in a running lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from underlay.cli.console import out, print_json
from underlay.cli.options import AsJson, LabOption
from underlay.cli.which_lab import running_state

if TYPE_CHECKING:
    from underlay.cluster.state.lab import LabState
    from underlay.plan import Plan, PortVlans

GROUP = "Running labs"
ORDER = 10

SENTENCES = {
    "running": "all nodes run; `underlay check` measures the lab",
    "partly": "not all nodes run; `underlay up` starts the missing ones",
    "stopped": "no node runs; `underlay up` boots fresh ones, `underlay down` tidies up",
}


def command(
    lab: LabOption = None,
    as_json: AsJson = False,
) -> None:
    """Show a running lab: its nodes, containers and switch.

    Example:
      underlay status
      underlay status --lab docker-vlan --json
    """
    state = running_state(lab)
    status = describe(state)
    if as_json:
        print_json(status)
    else:
        _show(status)


def describe(state: LabState) -> dict[str, Any]:
    """Return the status of a started lab as the document that ``--json`` prints."""
    from underlay.cluster.providers import provider

    plan = state.plan()
    states = provider(state.provider).states(plan, state.folder)
    running = sum(word == "running" for word in states.values())
    word = "running" if running == len(states) else "partly" if running else "stopped"
    return {
        "lab": state.lab,
        "provider": state.provider,
        "state": word,
        "nodes": [
            {
                "name": node.name,
                "state": states[node.name],
                "address": node.management.address.ip,
                "parents": {nic.segment: nic.interface for nic in node.nics},
            }
            for node in plan.nodes
        ],
        "containers": _containers(plan),
        "switch": {
            "machine": _machine(plan, states),
            "segments": [
                {
                    "name": segment.name,
                    "bridge": segment.bridge,
                    "ports": segment.ports,
                    "vlans": {name: _vlans(port) for name, port in segment.vlans.items()} or None,
                }
                for segment in plan.segments
            ],
        },
    }


def _machine(plan: Plan, states: dict[str, str]) -> dict[str, str] | None:
    """Return the machine that holds the bridges, or None where they are in the sandbox."""
    if plan.switch is None:
        return None
    machine = plan.switch
    address = machine.management.address.ip
    return {"name": machine.name, "state": states[machine.name], "address": address}


def _vlans(port: PortVlans) -> str:
    """Return a port's VLANs in the words of the lab file."""
    tagged = ", ".join(map(str, port.tagged))
    if not tagged:
        return f"access {port.untagged}"
    return f"trunk {tagged}" + (f", native {port.untagged}" if port.untagged else "")


def _containers(plan: Plan) -> list[dict[str, str]]:
    """Return one row per attachment, by the names that the matrix has for them."""
    from underlay.expect.ends import end_name

    rows = []
    for container in plan.containers:
        for attachment in container.attachments:
            rows.append(
                {
                    "name": end_name(container, attachment),
                    "node": container.node,
                    "network": attachment.network,
                    "runtime": container.runtime,
                    "address": attachment.address.ip,
                    "mac": attachment.mac,
                }
            )
    return rows


def _show(status: dict[str, Any]) -> None:
    out.print(f"{status['lab']} ({status['provider']}): {SENTENCES[status['state']]}\n")
    nodes = Table("node", "state", "management", "parents", box=None, pad_edge=False)
    for node in status["nodes"]:
        parents = ", ".join(f"{nic} in {segment}" for segment, nic in node["parents"].items())
        nodes.add_row(node["name"], node["state"].replace("_", " "), node["address"], parents)
    machine = status["switch"]["machine"]
    if machine:
        word = machine["state"].replace("_", " ")
        nodes.add_row(machine["name"], word, machine["address"], "a machine of its own")
    out.print(nodes)
    out.print()
    columns = ("node", "network", "runtime", "address", "mac")
    containers = Table("container", *columns, box=None, pad_edge=False)
    for row in status["containers"]:
        containers.add_row(row["name"], *(row[column] for column in columns))
    out.print(containers)
    out.print()
    switch = Table("segment", "bridge", "ports", box=None, pad_edge=False)
    for segment in status["switch"]["segments"]:
        ports = ", ".join(
            f"{port} to {node}"
            + (f" ({vlans})" if (vlans := (segment["vlans"] or {}).get(node)) else "")
            for node, port in segment["ports"].items()
        )
        switch.add_row(segment["name"], segment["bridge"], ports)
    out.print(switch)
