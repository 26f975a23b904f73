"""The verb ``status``: who is where in a running lab, by its plan and by what was seen of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from underlay.cli.applied import refuse_without_inventory, tell_states
from underlay.cli.console import out, print_document
from underlay.cli.options import AsJson, InventoryOption, LabOption, LimitOption
from underlay.cli.tables import table
from underlay.cli.which_lab import running_labs, running_state
from underlay.errors import BadInput, Infrastructure, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from underlay.cluster.state.lab import LabState
    from underlay.observe.evidence import Evidence
    from underlay.plan import Plan, PortVlans
    from underlay.proof.standing import Seen

GROUP = "Running labs"
ORDER = 10

SENTENCES = {
    "running": "all nodes run; `underlay check` measures the lab",
    "partly": "not all nodes run; `underlay up` starts the missing ones",
    "stopped": "no node runs; `underlay up` boots fresh ones, `underlay down` tidies up",
}
WORDS = {
    "as_planned": "as planned",
    "differs": "differs",
    "missing": "not there",
    "not_asked": "not asked",
}


def command(
    lab: LabOption = None,
    inventory: InventoryOption = None,
    limit: LimitOption = None,
    as_json: AsJson = False,
) -> None:
    """Show a running lab: its nodes, containers and switch, and what of them was seen.

    Who runs is asked of what runs them. Names, addresses and ports are the plan's; each node
    and the switch are asked once which interfaces and addresses they and their containers
    have, and the column `seen` says whether that is so. Whoever could not be asked is called
    that, with the reason. Containers that run there and that no plan knows are named, and what
    was put aside of your own files. Whether packets pass is not looked at: that is `underlay
    check`.

    Where several labs run and none is named, it says of each which of its nodes run.

    With --inventory it is what `underlay up -i` has applied to these machines, since when and by
    whom, whether a command was cut short there, and what of it isn't there any more.

    Example:
      underlay status
      underlay status --lab docker-vlan --json
      underlay status -i inventory.yml
    """
    if inventory is not None:
        if lab is not None:
            raise BadInput("--lab is for a lab of this checkout: --inventory shows all there is")
        raise typer.Exit(tell_states(inventory, limit or "", as_json=as_json))
    refuse_without_inventory(None, {"--limit": limit})
    if lab is None and not as_json and len(running_labs()) > 1:
        _show_all()
        return
    state = running_state(lab)
    status = describe(state)
    if as_json:
        print_document("status", status)
    else:
        _show(status)


def describe(state: LabState) -> dict[str, Any]:
    """Return the status of a started lab as the document that ``--json`` prints."""
    from underlay.cluster.beyond import look
    from underlay.proof import standing
    from underlay.proof.lab import look_into

    plan = state.plan()
    states = _states(state)
    evidence = look_into(state, plan, brief=True)
    answered, silent = standing.asked(plan, evidence)
    beyond = look(plan, state.folder, [name for name in answered if states.get(name) == "running"])
    return {
        "lab": state.lab,
        "provider": state.provider,
        "state": _word(states),
        "asked": answered,
        "not_asked": {**silent, **beyond.silent},
        "strangers": [asdict(one) for one in beyond.strangers],
        "put_aside": beyond.notes,
        "nodes": [
            {
                "name": node.name,
                "state": states[node.name],
                "address": node.management.address.ip,
                "parents": {nic.segment: nic.interface for nic in node.nics},
                **_seen(standing.of_node(evidence, node)),
            }
            for node in plan.nodes
        ],
        "containers": _containers(plan, evidence),
        "hosts": _hosts(plan),
        "switch": {
            "machine": _machine(plan, states),
            "segments": [
                {
                    "name": segment.name,
                    "bridge": segment.bridge,
                    "ports": segment.ports,
                    "vlans": {name: _vlans(port) for name, port in segment.vlans.items()} or None,
                    **_seen(standing.of_segment(evidence, segment)),
                }
                for segment in plan.segments
            ],
        },
    }


def _states(state: LabState) -> dict[str, str]:
    """Return the state of each of a lab's machines, asked of what runs them."""
    from underlay.cluster.providers import provider

    return provider(state.provider).states(state.plan(), state.folder)


def _word(states: Mapping[str, str]) -> str:
    """Return how many of these machines run, as a word of ``SENTENCES``."""
    running = sum(word == "running" for word in states.values())
    return "running" if running == len(states) else "partly" if running else "stopped"


def _show_all() -> None:
    """Print of each running lab which of its machines run."""
    shown = table("lab", "provider", "nodes")
    for name in running_labs():
        try:
            state = running_state(name)
        except Infrastructure as error:
            shown.add_row(name, "?", error.message)
            continue
        states = _states(state)
        idle = [node for node, word in states.items() if word != "running"]
        words = f"{len(states) - len(idle)} of {len(states)} run"
        shown.add_row(name, state.provider, words + (f", not {listed(idle)}" if idle else ""))
    out.print(shown)
    out.print("\n`underlay status --lab NAME` shows one of them")


def _seen(seen: Seen) -> dict[str, str | None]:
    return {"seen": seen.word, "found": seen.found or None}


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


def _containers(plan: Plan, evidence: Evidence) -> list[dict[str, Any]]:
    """Return one row per attachment, by the names that the matrix has for them."""
    from underlay.expect.ends import end_name
    from underlay.proof.standing import of_attachment

    rows: list[dict[str, Any]] = []
    for container in plan.containers:
        for attachment in container.attachments:
            rows.append(
                {
                    "name": end_name(container, attachment),
                    "node": container.node,
                    "network": attachment.network,
                    "runtime": container.runtime,
                    "address": attachment.address.ip,
                    "addresses": [address.ip for address in attachment.addresses if address],
                    "mac": attachment.mac,
                    **_seen(of_attachment(evidence, container, attachment)),
                }
            )
    return rows


def _hosts(plan: Plan) -> list[dict[str, Any]]:
    """Return one row per port of an external host, by its names in the plan: none was asked."""
    return [
        {
            "name": host.name,
            "segment": port.segment,
            "vlan": port.vlan,
            "interface": port.interface,
            "port": port.port,
            "addresses": [address.ip for address in port.addresses if address],
            "mac": port.mac,
        }
        for host in plan.hosts
        for port in host.ports
    ]


def _show(status: dict[str, Any]) -> None:
    out.print(f"{status['lab']} ({status['provider']}): {SENTENCES[status['state']]}\n")
    nodes = table("node", "state", "management", "parents", "seen")
    for node in status["nodes"]:
        parents = ", ".join(f"{nic} in {segment}" for segment, nic in node["parents"].items())
        word = node["state"].replace("_", " ")
        nodes.add_row(node["name"], word, node["address"], parents, WORDS[node["seen"]])
    machine = status["switch"]["machine"]
    if machine:
        word = machine["state"].replace("_", " ")
        nodes.add_row(machine["name"], word, machine["address"], "a machine of its own")
    out.print(nodes)
    out.print()
    columns = ("node", "network", "runtime", "address", "mac")
    containers = table("container", *columns, "seen")
    for row in status["containers"]:
        shown = {**row, "address": "\n".join(row["addresses"])}
        containers.add_row(row["name"], *(shown[column] for column in columns), WORDS[row["seen"]])
    out.print(containers)
    out.print()
    if status["hosts"]:
        _show_hosts(status["hosts"])
    switch = table("segment", "bridge", "ports", "seen")
    for segment in status["switch"]["segments"]:
        ports = ", ".join(
            f"{port} to {node}"
            + (f" ({vlans})" if (vlans := (segment["vlans"] or {}).get(node)) else "")
            for node, port in segment["ports"].items()
        )
        switch.add_row(segment["name"], segment["bridge"], ports, WORDS[segment["seen"]])
    out.print(switch)
    _show_found(status)


def _show_hosts(rows: list[dict[str, Any]]) -> None:
    columns = ("segment", "port", "interface", "address", "mac")
    hosts = table("host", *columns)
    for row in rows:
        segment = row["segment"] + (f", VLAN {row['vlan']}" if row["vlan"] else "")
        addresses = "\n".join(row["addresses"])
        hosts.add_row(row["name"], segment, row["port"], row["interface"], addresses, row["mac"])
    out.print(hosts)
    out.print()


def _show_found(status: dict[str, Any]) -> None:
    """Print what isn't as planned in words, and who was asked."""
    from underlay.cluster.beyond import Stranger
    from underlay.report.strangers import described

    rows = [*status["nodes"], *status["containers"], *status["switch"]["segments"]]
    for row in rows:
        if row["seen"] in ("differs", "missing"):
            out.print(f"\n{row['name']} {WORDS[row['seen']]}: {row['found'] or 'nothing is known'}")
    for one in status["strangers"]:
        out.print(f"\nnot planned: {described(Stranger(**one))}")
    for node, notes in status["put_aside"].items():
        out.print(f"\nput aside of {node}'s own files:")
        for note in notes:
            out.print(f"  {note}")
    asked = ", ".join(status["asked"]) or "nobody"
    out.print(f"\nasked for their interfaces and addresses: {asked}; all else is the plan's")
    for name, reason in status["not_asked"].items():
        out.print(f"not asked: {name}: {reason}")
