"""The verb ``survey``: what machines' cables, switch and kernels will let containers do."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import err, out, people, print_document, progress
from underlay.cli.options import AsJson
from underlay.cli.to_write import refuse_existing, refuse_unwritable, write
from underlay.errors import EXIT_DIFFERS, EXIT_INFRASTRUCTURE, BadInput, reason

if TYPE_CHECKING:
    from underlay.observe.survey.drift import Coverage, Stable
    from underlay.observe.survey.model import Survey

GROUP = "Your machines"
ORDER = 10


def command(
    inventory: Annotated[
        Path, typer.Option("--inventory", "-i", help="An Ansible inventory of the machines.")
    ],
    segments: Annotated[
        list[str] | None,
        typer.Option(
            "--segment",
            metavar="NAME=NIC,…",
            help="NICs meant to be one segment: NIC for all machines, HOST:NIC; may be repeated.",
        ),
    ] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Send marked frames between the machines' NICs, as root.")
    ] = False,
    vlans: Annotated[
        str, typer.Option("--vlans", metavar="LIST", help="Tags to send, such as 10,20 or 10-12.")
    ] = "",
    macs: Annotated[
        int, typer.Option("--macs", min=2, max=64, help="How many MAC addresses a port is asked.")
    ] = 4,
    rate: Annotated[
        int, typer.Option("--rate", min=1, max=1000, help="Frames a second from each machine.")
    ] = 200,
    listen: Annotated[
        float,
        typer.Option(
            "--listen",
            metavar="SECONDS",
            min=0,
            max=1800,
            help="Listen as root for routers and DHCP servers.",
        ),
    ] = 0.0,
    discover: Annotated[
        bool,
        typer.Option(
            "--discover", help="Ask for them: a router solicitation and a DHCPDISCOVER a NIC."
        ),
    ] = False,
    limit: Annotated[
        str, typer.Option("--limit", metavar="PATTERN", help="Only machines of Ansible's pattern.")
    ] = "",
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the stable facts to this file.")
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline", help="Compare with such a file; exit 1 where something drifted."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write a lab file that mirrors the machines' segments."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a file that is there already.")
    ] = False,
    sources: Annotated[
        bool, typer.Option("--sources", help="Below each sentence, the source of its rule.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what your machines' cables and switch will let containers do.

    Machines are reached by ssh, as Ansible's inventory and your ssh_config say, and read as an
    ordinary user: NICs and who configures them, VLANs, bridges, bonds, addresses, routes, kernel
    modules (none is loaded), runtimes and sysctls. Nothing is changed, installed or sent.

    What a switch does only frames can show. With --send each machine's Python sends some hundred
    of them as root (sudo -n), at a fixed rate, to the other machines' NICs and to MAC addresses
    of its own making behind its own: which NICs share a segment, whether ports pass several MAC
    addresses, VLAN tags, large packets and multicast, whether they reflect (hairpin), and who
    answers for the machines' addresses. Nothing is made there but sockets, which end with the
    command, however that ends. A switch that takes offence at a MAC address may close its port:
    the NIC by which ssh comes in is left alone unless --segment names it.

    It ends with sentences, each with what was seen, and "not known" where nobody looked. With
    -o it writes a lab whose switch does the same, so that the network can be tried on nodes. Exit
    code 1 where something differs from the baseline, 3 where a machine could not be asked or
    nothing could be compared.

    Example:
      underlay survey -i hosts.yml
      underlay survey -i hosts.yml --segment lan=eth1 --send --vlans 10,20
      underlay survey -i hosts.yml --segment lan=eth1 --send -o lab.yml
      underlay survey -i hosts.yml --send --save rack.json
      underlay survey -i hosts.yml --send --baseline rack.json
    """
    from underlay.observe.survey.drift import coverage, drift, stable
    from underlay.observe.survey.inventory import survey_of
    from underlay.observe.survey.lab_file import lab_text
    from underlay.observe.survey.sentences import sentences
    from underlay.observe.survey.surveying import Wanted
    from underlay.report.survey import survey_document, survey_text
    from underlay.report.terminal import page_form

    old = _read_baseline(baseline) if baseline else None
    wanted = Wanted(
        segments=stated(segments or []),
        send=send,
        listen=listen,
        discover=discover,
        vlans=tags(vlans),
        macs=macs,
        rate=rate,
    )
    if wanted.vlans and not send:
        raise BadInput("--vlans needs --send: whether a tag passes is seen by frames alone")
    _refuse_files(save, output, send=send, force=force)
    with progress("reading the inventory") as running:
        seen = survey_of(inventory, wanted, running.step, limit=limit)
    found = sentences(seen)
    changes = drift(old, stable(seen)) if old else None
    compared = coverage(old, seen) if old else None
    if save:
        write(save, stable(seen).model_dump_json(indent=2) + "\n")
    if as_json:
        print_document("survey", survey_document(seen, found, changes, compared))
    else:
        width, plain = page_form(out)
        out.print(survey_text(seen, found, width=width, ascii_only=plain, sources=sources), end="")
    if output:
        write(output, lab_text(seen, output.stem))
    if changes is not None and compared is not None:
        _tell_drift(changes, compared, baseline, as_json=as_json)
    if not (send or as_json) and any(not machine.failed for machine in seen.machines):
        out.print(f"next: {_next(seen, inventory)}", style="dim", markup=False, soft_wrap=True)
    if changes:
        raise typer.Exit(EXIT_DIFFERS)
    nothing = compared is not None and not compared.compared
    if nothing or seen.amiss or any(machine.failed for machine in seen.machines):
        raise typer.Exit(EXIT_INFRASTRUCTURE)


def stated(texts: list[str]) -> dict[str, list[tuple[str, str]]]:
    """Return the (machine, NIC) of each segment that the command line names; machines may be ''.

    Raises BadInput for what isn't NAME=NIC.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        ports = [part.strip().rpartition(":") for part in rest.split(",")]
        if not name or not equals or not all(nic for _, _, nic in ports):
            hint = "--segment lan=eth1, or --segment lan=core-01:eth1,core-02:ens3"
            raise BadInput(f"--segment {text}: expected NAME=NIC or NAME=HOST:NIC,…", hint=hint)
        if name in found:
            raise BadInput(f"--segment {name} is named twice", hint="name all of its NICs at once")
        found[name] = [(machine, nic) for machine, _, nic in ports]
    return found


def tags(text: str) -> tuple[int, ...]:
    """Return the VLAN tags of a list such as 10,20-22; raise BadInput for another."""
    found: list[int] = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        first, dash, last = part.partition("-")
        ends = [first, last] if dash else [first, first]
        if not all(end.isdecimal() and 1 <= int(end) <= 4094 for end in ends):
            hint = "--vlans 10,20 or --vlans 10-12: each from 1 to 4094"
            raise BadInput(f"--vlans: found {part!r}, expected a VLAN tag", hint=hint)
        found += range(int(ends[0]), int(ends[1]) + 1)
    if len(set(found)) > 64:
        raise BadInput(f"--vlans names {len(set(found))} tags, expected 64 at most")
    return tuple(sorted(set(found)))


def _read_baseline(file: Path) -> Stable:
    from pydantic import ValidationError

    from underlay.observe.survey.drift import Stable

    try:
        return Stable.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BadInput(f"{file} can't be read: {reason(error)}", hint="--save wrote it") from error
    except ValidationError as error:
        said = error.errors()[0]
        where = ".".join(map(str, said["loc"])) or "the file"
        hint = "a file that `underlay survey --save FILE` wrote"
        raise BadInput(f"{file}: {where}: {said['msg']}", hint=hint) from error


def _refuse_files(save: Path | None, output: Path | None, *, send: bool, force: bool) -> None:
    """Raise BadInput for what can't be written, before any machine is reached."""
    if output is not None and not send:
        raise BadInput("-o needs --send: what a switch does is seen by frames alone")
    for option, path in (("--save", save), ("-o", output)):
        if path is not None:
            refuse_unwritable(option, path)
            refuse_existing(option, path, force=force)


def _tell_drift(
    changes: list[str], coverage: Coverage, baseline: Path | None, *, as_json: bool
) -> None:
    """Print each change, and what they are out of: what wasn't compared may have drifted."""
    for words in changes:
        people(as_json).print(f"drift: {words}", markup=False)
    if not coverage.compared:
        err.print(f"nothing of {baseline} could be compared", markup=False)
    else:
        told = f"compared with {baseline}" if changes else f"nothing drifted since {baseline}"
        err.print(f"{told}: {'; '.join(coverage.compared)}", markup=False)
    for words in coverage.left:
        err.print(f"not compared: {words}", markup=False)


def _next(seen: Survey, inventory: Path) -> str:
    """Return the command that asks the switch, with an interface that all machines have."""
    from underlay.observe.survey.surveying import may_send

    there = [
        {link.name for link in machine.links if may_send(machine, link)}
        for machine in seen.machines
        if not machine.failed
    ]
    shared = sorted(set.intersection(*there)) if there else []
    nic = shared[0] if shared else "NIC"
    return f"underlay survey -i {shlex.quote(str(inventory))} --segment lan={nic} --send"
