"""The verb ``capture``: a pcap file of a segment, a parent, or the inside of a container."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import err, print_document, progress
from underlay.cli.options import AsJson, LabOption
from underlay.cli.which_lab import running_state
from underlay.errors import BadInput, Infrastructure, did_you_mean, listed, nearest, reason

if TYPE_CHECKING:
    from underlay.plan import Plan

GROUP = "Running labs"
ORDER = 40

SNAP = 65535
STDOUT = "-"


def command(
    target: Annotated[
        str, typer.Argument(help="A segment, a container, or NODE:DEVICE such as core-01:eth1.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", help="The pcap file; `-` is stdout.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=0, help="Stop after so many frames.")] = 0,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, max=3600, help="Stop after so many seconds.")
    ] = 10,
    expression: Annotated[
        str | None,
        typer.Option(
            "--filter", metavar="EXPR", help="Only frames that pass this tcpdump expression."
        ),
    ] = None,
    lab: LabOption = None,
    as_json: AsJson = False,
) -> None:
    """Capture frames in a running lab into a pcap file.

    A segment is captured at its switch, each frame once. A container is captured at
    its own interfaces, a node at the parent that is named. Nothing is installed
    there. Wireshark and tcpdump read the file; without `--output` it is named after
    the lab and the target. An interrupt keeps what was captured until then. A filter
    is what tcpdump takes (man 7 pcap-filter), and is checked before capturing starts.

    Example:
      underlay capture lan --seconds 5
      underlay capture lannet-1a --count 20 --output asking.pcap
      underlay capture core-01:eth1 --output - | tcpdump -nr -
      underlay capture lan --filter 'arp or (vlan 70 and udp port 53)'
    """
    from underlay.errors import count as count_of
    from underlay.observe.capture import pcap, sniff
    from underlay.observe.frame_filter import compiled

    state = running_state(lab)
    plan = state.plan()
    machine, space, kind, devices = capture_point(plan, target)
    if output is not None and str(output) == STDOUT and as_json:
        raise BadInput("stdout takes either the capture or the document", hint="--output FILE")
    path = output or Path(f"{state.lab}-{target.replace(':', '-')}.pcap")
    spaces = {machine: [(space, kind, devices)]}
    program = None
    if expression is not None:
        nodes = [node.name for node in plan.nodes]
        program = compiled(state, machine if machine in nodes else nodes[0], expression)
    with progress(f"capturing at {target} for {seconds:g} s") as running:
        frames, missing = sniff(
            state, spaces, seconds=seconds, count=count, program=program, snap=SNAP
        )
        if missing:
            raise Infrastructure(f"can't capture at {target}: {'; '.join(missing.values())}")
        told = count_of(len(frames), "frame") if frames else f"no frames in {seconds:g} s"
        running.note(told)
    data = pcap(frames)
    if str(path) == STDOUT:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        path.write_bytes(data)
    except OSError as error:
        raise BadInput(f"{path} can't be written: {reason(error)}") from error
    if as_json:
        print_document("capture", {"file": str(path), "frames": len(frames), "bytes": len(data)})
    else:
        err.print(f"{path}: {count_of(len(frames), 'frame')}")


def capture_point(plan: Plan, target: str) -> tuple[str, str, str, list[str]]:
    """Return the machine, namespace, its kind, and the devices that ``target`` means."""
    from underlay.plan import SWITCH

    for segment in plan.segments:
        if segment.name == target:
            return SWITCH, SWITCH, "node", [segment.bridge]
    for container in plan.containers:
        if container.name == target:
            devices = [attachment.interface for attachment in container.attachments]
            return container.node, container.name, container.space_kind, devices
    node, _, device = target.partition(":")
    for planned in plan.nodes:
        if planned.name == node and device:
            return node, node, "node", [device]
    names = [s.name for s in plan.segments] + [c.name for c in plan.containers]
    names += [f"{n.name}:{nic.interface}" for n in plan.nodes for nic in n.nics]
    hint = (
        did_you_mean(nearest(target, names))
        or f"targets: {listed(names, more=f'underlay status --lab {plan.lab}')}"
    )
    raise BadInput(f"the lab {plan.lab} has no {target!r} to capture at", hint=hint)
