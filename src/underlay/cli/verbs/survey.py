"""The verb ``survey``: what machines' cables, switch and kernels will let containers do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import err, out, people, print_document, progress
from underlay.cli.options import AsJson
from underlay.errors import EXIT_DIFFERS, EXIT_INFRASTRUCTURE, BadInput, reason

if TYPE_CHECKING:
    from underlay.survey.drift import Stable
    from underlay.survey.model import Survey

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
        bool, typer.Option("--force", help="Write over a lab file that is there already.")
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
    code 1 where something differs from the baseline, 3 where a machine could not be asked.

    Example:
      underlay survey -i hosts.yml
      underlay survey -i hosts.yml --segment lan=eth1 --send --vlans 10,20
      underlay survey -i hosts.yml --segment lan=eth1 --send -o lab.yml
      underlay survey -i hosts.yml --send --save rack.json
      underlay survey -i hosts.yml --send --baseline rack.json
    """
    from underlay.report.survey import survey_document, survey_text
    from underlay.report.terminal import page_form
    from underlay.survey.drift import stable
    from underlay.survey.inventory import survey_of
    from underlay.survey.lab_file import lab_text
    from underlay.survey.sentences import sentences
    from underlay.survey.surveying import Wanted

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
    _refuse_output(output, send=send, force=force)
    with progress("reading the inventory") as running:
        seen = survey_of(inventory, wanted, running.step, limit=limit)
    found = sentences(seen)
    changes = _drift(old, seen)
    if save:
        _write(save, stable(seen).model_dump_json(indent=2) + "\n")
    if as_json:
        print_document("survey", survey_document(seen, found, changes))
    else:
        width, plain = page_form(out)
        out.print(survey_text(seen, found, width=width, ascii_only=plain, sources=sources), end="")
    if output:
        _write(output, lab_text(seen, output.stem))
    for words in changes or ():
        people(as_json).print(f"drift: {words}")
    if changes == []:
        err.print(f"nothing drifted since {baseline}")
    if changes:
        raise typer.Exit(EXIT_DIFFERS)
    if seen.amiss or any(machine.failed for machine in seen.machines):
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

    from underlay.survey.drift import Stable

    try:
        return Stable.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BadInput(f"{file} can't be read: {reason(error)}", hint="--save wrote it") from error
    except ValidationError as error:
        said = error.errors()[0]
        where = ".".join(map(str, said["loc"])) or "the file"
        hint = "a file that `underlay survey --save FILE` wrote"
        raise BadInput(f"{file}: {where}: {said['msg']}", hint=hint) from error


def _drift(old: Stable | None, seen: Survey) -> list[str] | None:
    from underlay.survey.drift import drift, stable

    return None if old is None else drift(old, stable(seen))


def _refuse_output(output: Path | None, *, send: bool, force: bool) -> None:
    if output is None:
        return
    if not send:
        raise BadInput("-o needs --send: what a switch does is seen by frames alone")
    if output.is_dir():
        raise BadInput(f"{output} is a folder, expected a file", hint=f"-o {output / 'lab.yml'}")
    if output.exists() and not force:
        raise BadInput(f"{output} is there already", hint="--force writes over it")


def _write(file: Path, text: str) -> None:
    from underlay.storage.writing import write_whole

    try:
        write_whole(file, text)
    except OSError as error:
        raise BadInput(f"{file} can't be written: {reason(error)}") from error
