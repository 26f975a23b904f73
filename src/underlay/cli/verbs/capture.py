"""The verb ``capture``: a pcap file of a segment, a parent, or the inside of a container.

Of a lab that is up, or of machines that exist.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import err, print_document, progress
from underlay.cli.on_machines import refuse_without_inventory, ways_of
from underlay.cli.options import AsJson, InventoryOption, LabOrFile
from underlay.cli.which_lab import running_state
from underlay.errors import (
    EXIT_INFRASTRUCTURE,
    BadInput,
    Infrastructure,
    did_you_mean,
    listed,
    nearest,
    reason,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.observe.capture import Caught
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
    lab: LabOrFile = None,
    inventory: InventoryOption = None,
    by_sudo: Annotated[
        bool,
        typer.Option(
            "--sudo", help="With --inventory: capture there by a sudo that allows everything."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Capture frames in a running lab into a pcap file.

    A segment is captured at its switch, each frame once. A container is captured at
    its own interfaces, a node at the parent that is named. Nothing is installed
    there. Wireshark and tcpdump read the file; without `--output` it is named after
    the lab and the target. An interrupt keeps what was captured until then. A filter
    is what tcpdump takes (man 7 pcap-filter), and is checked before capturing starts.

    With --inventory it is at machines that exist, which --lab FILE says, by --sudo: the pinned
    program captures nothing, so that who may run it reads nobody's traffic. Nothing is sent,
    installed or written there; interfaces are promiscuous meanwhile. A segment's switch is none of
    these machines: capture at the parent of one.

    Example:
      underlay capture lan --seconds 5
      underlay capture lannet-1a --count 20 --output asking.pcap
      underlay capture core-01:eth1 --output - | tcpdump -nr -
      underlay capture lan --filter 'arp or (vlan 70 and udp port 53)'
      underlay capture guestnet-2a --lab guests.yml -i inventory.yml --sudo
    """
    from underlay.errors import count as count_of
    from underlay.observe.capture import pcap

    if output is not None and str(output) == STDOUT and as_json:
        raise BadInput("stdout takes either the capture or the document", hint="--output FILE")
    wanted = Wanted(target, seconds, count, expression)
    if inventory is None:
        refuse_without_inventory({"--sudo": by_sudo})
        named, caught = _of_lab(lab, wanted)
    else:
        named, caught = _on_machines(inventory, lab, wanted, by_sudo=by_sudo)
    path = output or Path(f"{named}-{target.replace(':', '-')}.pcap")
    data, number = pcap(caught.frames), len(caught.frames)
    if str(path) == STDOUT:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        try:
            path.write_bytes(data)
        except OSError as error:
            raise BadInput(f"{path} can't be written: {reason(error)}") from error
        if not as_json:
            err.print(f"{path}: {count_of(number, 'frame')}")
    lost, cut_short = sum(caught.lost.values()), _why(caught)
    if lost:
        what = count_of(lost, "frame")
        err.print(f"not in the file: {what} that came faster than they were read")
    if as_json:
        sizes = {"frames": number, "bytes": len(data), "lost": lost}
        print_document("capture", {"file": str(path), **sizes, "cut_short": cut_short or None})
    if cut_short:
        err.print(f"error: the capture ends too early: {cut_short}")
        raise typer.Exit(EXIT_INFRASTRUCTURE)


@dataclass(frozen=True)
class Wanted:
    """What is captured: at which ``target``, for how long, and which frames."""

    target: str
    seconds: float
    count: int
    expression: str | None


def _of_lab(lab: str | None, wanted: Wanted) -> tuple[str, Caught]:
    """Return the name of the lab that is up, and what was captured in it."""
    from underlay.observe.capture import sniff
    from underlay.observe.frame_filter import compiled

    state = running_state(lab)
    plan = state.plan()
    machine, space, kind, devices = capture_point(plan, wanted.target)
    program = None
    if wanted.expression is not None:
        nodes = [node.name for node in plan.nodes]
        program = compiled(state, machine if machine in nodes else nodes[0], wanted.expression)

    def listen() -> Caught:
        return sniff(
            state, {machine: [(space, kind, devices)]}, seconds=wanted.seconds, count=wanted.count,
            program=program, snap=SNAP,
        )  # fmt: skip

    return state.lab, _listened(wanted, listen)


def _on_machines(
    inventory: Path, lab: str | None, wanted: Wanted, *, by_sudo: bool
) -> tuple[str, Caught]:
    """Return the name of the lab of machines that exist, and what was captured there.

    Raises BadInput where the target is none of their own.
    """
    from underlay.observe.live import ABSENT
    from underlay.observe.live_capture import compiled_there, sniff_there
    from underlay.plan import SWITCH

    if not by_sudo:
        raise BadInput(
            "capture -i needs --sudo: nobody but root sees frames there",
            hint="the pinned program captures nothing, so that who may run it reads nobody's"
            " traffic; `underlay trace -i … --probe` says what both ends sent and received",
        )
    with ways_of(inventory, lab, f"capture {shlex.quote(wanted.target)}") as (loaded, ways):
        plan = loaded.plan
        machine, space, kind, devices = capture_point(plan, wanted.target)
        if machine == SWITCH:
            parents = [
                f"{node.name}:{nic.interface}"
                for node in plan.nodes
                for nic in node.nics
                if nic.segment == wanted.target and node.name in ways.machines
            ]
            raise BadInput(
                f"the switch of {wanted.target} isn't one of the inventory's machines",
                hint=f"its parents are {listed(parents)}",
            )
        if machine not in ways.machines:
            raise BadInput(f"{machine} {ABSENT}", hint=f"it names {listed(ways.machines)}")
        program = None
        if wanted.expression is not None:
            program = compiled_there(ways, machine, wanted.expression)

        def listen() -> Caught:
            return sniff_there(
                plan, ways, {machine: [(space, kind, devices)]}, seconds=wanted.seconds,
                count=wanted.count, program=program, snap=SNAP,
            )  # fmt: skip

        return plan.lab, _listened(wanted, listen)


def _listened(wanted: Wanted, listen: Callable[[], Caught]) -> Caught:
    """Return what ``listen`` captures, showing progress.

    Raises Infrastructure where nobody listened; who was gone later has heard what came before.
    """
    from underlay.errors import count as count_of

    with progress(f"capturing at {wanted.target} for {wanted.seconds:g} s") as running:
        caught = listen()
        frames = len(caught.frames)
        if caught.missing and not frames:
            raise Infrastructure(f"can't capture at {wanted.target}: {_why(caught)}")
        running.note(count_of(frames, "frame") if frames else f"no frames in {wanted.seconds:g} s")
    return caught


def _why(caught: Caught) -> str:
    return "; ".join(dict.fromkeys(caught.missing.values()))


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
