"""The verb ``check``: a lab's matrix, measured and judged; of a running lab, or of many files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from underlay.cli.checks.how import Earlier, How, tell_where
from underlay.cli.interrupt import within
from underlay.cli.lab_folder import shard_of
from underlay.cli.on_machines import asked_machines, how_asked
from underlay.cli.options import (
    PROBE_PATH,
    RATE,
    AsJson,
    FlushOption,
    InventoryOption,
    LabOption,
    LimitOption,
    NotOption,
    OnlyOption,
    ProbeOption,
    ProbePathOption,
    ProtocolOption,
    RateOption,
    SudoOption,
    Wide,
)
from underlay.cli.pausing import refuse_without_terminal
from underlay.cli.probing import (
    FormatOption,
    OutputOption,
    TimeoutOption,
    nagios_result,
    refuse_beside_probe,
)
from underlay.cli.recording import baseline_of, metrics_to, recorded_in
from underlay.errors import EXIT_INFRASTRUCTURE, BadInput

if TYPE_CHECKING:
    from underlay.proof.choice import Choice

GROUP = "Labs"
ORDER = 30


def command(
    what: Annotated[
        str | None,
        typer.Argument(help="A lab, or a folder of labs, to start anew."),
    ] = None,
    lab: LabOption = None,
    provider: Annotated[
        str | None, typer.Option(help="With FILE or DIR: what runs the nodes, uml by default.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="With FILE or DIR: leave the last lab up.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="What is reachable and not planned differs, too.")
    ] = False,
    pause: Annotated[
        bool,
        typer.Option(
            "--pause-on-fail",
            help="With FILE or DIR: leave a lab that isn't green as it is until Enter is pressed.",
        ),
    ] = False,
    only: OnlyOption = None,
    without: NotOption = None,
    protocol: ProtocolOption = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keep the run in FILE, for `underlay report` and --baseline."
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Compare with the run in FILE; only what is worse counts."
        ),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write JUnit XML to FILE, however the run ends."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the run to FILE as a page to look at."),
    ] = None,
    after: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EVENT",
            help="Have recreate, restart, reboot or upgrade=FILE (a lab, or an ext4 image) happen,"
            " and measure again; may be repeated.",
        ),
    ] = None,
    healing: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="With --after: how long to ask cells that fell silent, 60 s."
        ),
    ] = 60.0,
    shard: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="With DIR: only share K of N of its labs."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="With DIR: at most N labs at once, by default as many as there is room for.",
        ),
    ] = None,
    shape: FormatOption = "text",
    output: OutputOption = None,
    timeout: TimeoutOption = None,
    inventory: InventoryOption = None,
    pattern: LimitOption = None,
    rate: RateOption = RATE,
    probe: ProbeOption = False,
    probe_path: ProbePathOption = PROBE_PATH,
    by_sudo: SudoOption = False,
    flush: FlushOption = False,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Measure who reaches whom in a lab and compare it with the prediction.

    Every container probes every other one and every node, and the nodes probe the
    containers, by ICMP, TCP and UDP. A cell is reachable only if the destination
    named in it received the probe and its answer came back. Neighbour tables are
    flushed first. Where something differs, the lab is looked into, and what `underlay
    explain` would say of it follows. Exit code 0 means that all cells were measured
    and are as expected, 1 that a cell differs, 3 that something could not be measured.
    What the lab file expects, who must reach whom and who never, is held against the packets
    as well: a broken statement makes it 1, also where every cell is as predicted.

    After the cells it looks for what is there and wasn't asked for: addresses that the plan
    gives nobody, link-local addresses and broadcasts that get into another network, and ARP
    answers for addresses of nobody's. Each was heard as a frame, and is shown as reachable,
    not planned. With --strict that is a difference as well.

    For work on one thing, --only, --not and --protocol choose the cells that are shown and that
    count, of one lab. All are measured: who is silent is believed only if others heard them.

    Without FILE or DIR it is the lab that is up. A lab file, or all `*.yml` directly in
    a folder, are brought up in sandboxes of their own, which never touch a running lab:
    labs that need the same nodes are proven on one boot, and labs of other nodes beside them, as
    processors and memory allow, or --jobs says. Nothing is left up. One lab's matrix
    and causes are printed, of several a line each. Their nodes are started by Underlay itself,
    without Vagrant; `underlay up` is what Vagrant has to do with.

    With --pause-on-fail a lab that isn't green stays as it is until you press Enter, and how to
    look at it from another terminal is said; without a terminal that is an error at once.

    With --save the run is kept as one file: cells, causes with their evidence, the lab file,
    versions and dates. It is written also where the run ends early, and says how far it came;
    `underlay report` makes every format of it, later and elsewhere. --junit writes JUnit XML, as
    surely: a suite per pair of networks and a case per source, which fails where a cell differs;
    what wasn't measured is an error. --html writes the page that `report --format html` makes.

    With --baseline FILE, a run that --save kept, it says what is better, worse, new and gone since
    then. Exit code 1 means then that something is worse, or new and not as it should be; what
    differs as it did before doesn't count. 3 is as without it.

    With --after the lab is measured, something that happens in production is done to it, node by
    node, and it is measured again: recreate makes all containers anew, restart restarts the
    runtimes, reboot boots each node from its disk, upgrade=FILE switches to another lab file.
    With upgrade=IMAGE.ext4 nodes take the image's /usr, read-only, and boot one by one, as CoreOS
    updates: one that doesn't come back stops it.
    Given several times, they happen one after the other. All the while the other nodes ask by
    ICMP, without flushing what they know of their neighbours: what fell silent, what healed and
    when, and which addresses and MAC addresses changed is said. Only what a file fixes stays.
    Exit code 1 means that a cell is lost and didn't heal; with --strict, that any fell silent.

    With --shard, machines that know nothing of each other share a folder's labs, as the jobs of a
    CI's matrix do: each measures its share and keeps it with --save, and `underlay report` joins
    the runs and names what is missing. Labs of the same nodes stay together.

    With --format it is a probe of monitoring, which compares nothing and takes no --after.
    prometheus prints metrics for node_exporter's textfile collector; with --output they take the
    file's place in one step, also where the check fails, and exit codes are as above. nagios
    prints one line with performance data, and its exit codes are Nagios's: 0 OK, 1 WARNING where
    something is reachable and not planned, 2 CRITICAL where a cell differs or a statement is
    broken, 3 UNKNOWN where anything wasn't measured, nodes don't boot, the command line is wrong
    or --timeout is over.

    With --inventory nothing is brought up: FILE is a lab of machines that exist, which Ansible's
    inventory names as the lab does, and each is asked over ssh, as whatever user that is. Rows of
    these hosts are measured, and between them the largest packet that comes whole; a container's
    row is not, as nobody but root enters its namespace. Nothing is installed, changed or flushed:
    verdicts are warm, as every report says. Probes carry a mark, go to addresses of the plan alone,
    and to no host that the inventory lacks. A machine that isn't reached costs its own cells.
    With --probe all rows are measured, by one program that sudo lets the user run: `underlay hosts`
    prints it, and the line that allows it. It enters the containers that are there. With --sudo,
    who may do everything there needs no such program: what `underlay up -i` applied is measured so.

    Example:
      underlay check
      underlay check --lab docker-vlan --json
      underlay check --strict
      underlay check --only 'web* -> db' --protocol tcp:5432
      underlay check flat
      underlay check labs --json
      underlay check coreos --save run.json --junit junit.xml
      underlay check coreos --html coreos.html
      underlay check coreos --baseline run.json
      underlay check labs --jobs 1
      underlay check labs --shard 2/4 --save run-2.json
      underlay check --format prometheus -o /var/lib/prometheus/node-exporter/underlay.prom
      underlay check flat --format nagios --timeout 50
      underlay check shim --after recreate --after reboot --healing 90
      underlay check old.yml --after upgrade=new.yml
      underlay check ignition --after upgrade=next.ext4
      underlay check rack.yml -i inventory.yml --only 'core-* -> *'
      underlay check guests.yml -i inventory.yml --sudo
    """
    from underlay.proof.choice import Choice

    choice = Choice(tuple(only or ()), tuple(without or ()), tuple(protocol or ()))
    if what is not None and lab is not None:
        raise BadInput("--lab is for a lab that is up, FILE and DIR are not")
    if what is None and (provider is not None or keep):
        raise BadInput("--provider and --keep need a FILE or DIR to start")
    if jobs is not None and (what is None or after):
        raise BadInput(
            "--jobs is for a folder's labs, of which several are at work at once",
            hint="underlay check labs --jobs 2",
        )
    part = shard_of(shard, what, baseline=baseline is not None, after=bool(after))
    machines = None
    how_there = how_asked(
        inventory, pattern, rate, probe=probe, path=probe_path, by_sudo=by_sudo, flush=flush
    )
    if inventory is not None and how_there is not None:
        beside = {
            "--provider": provider if provider != "hosts" else None,
            "--keep": keep,
            "--pause-on-fail": pause,
            "--after": after,
            "--shard": shard,
            "--jobs": jobs,
        }
        machines = asked_machines(inventory, pattern, how_there, what, beside)
    if pause:
        if what is None:
            raise BadInput("--pause-on-fail needs a FILE or DIR: a lab that is up stays up")
        refuse_without_terminal()
    of: Literal["running", "files"] = "running" if what is None or machines else "files"
    probes = {"--json": as_json, "--after": bool(after), "--baseline": baseline is not None}
    refuse_beside_probe(shape, output, {**probes, "--pause-on-fail": pause})
    if after:
        _refuse_beside_after(choice, baseline=baseline is not None, pause=pause)
        from underlay.cli import after as happening

        events = happening.events_asked_for(after, healing)
        with (
            recorded_in(save, junit, html, of=of, strict=strict, choice=choice) as run,
            within(timeout) as limit,
        ):
            how_long = {"healing": healing}
            if what is None:
                code = happening.check_running(
                    lab, events, run, strict=strict, as_json=as_json, **how_long
                )
            else:
                code = happening.check_file(
                    what, provider, events, run, keep=keep, strict=strict, as_json=as_json,
                    **how_long,
                )  # fmt: skip
        code = EXIT_INFRASTRUCTURE if limit.passed else code
        tell_where(save, code, ended=what is not None and not keep)
        raise typer.Exit(code)
    from underlay.cli.checks.files import check_files
    from underlay.cli.checks.machines import check_machines
    from underlay.cli.checks.running import check_running

    before = baseline_of(baseline)
    earlier = Earlier(str(baseline), before) if before else None
    how = How(provider, keep, strict, as_json, pause, wide, shape != "text", part, jobs)
    with (
        recorded_in(
            save,
            junit,
            html,
            metrics=metrics_to(output, lab) if shape == "prometheus" else None,
            of=of,
            strict=strict,
            choice=choice,
            before=(str(baseline), before) if before else None,
            wanted=before is not None or shape == "nagios",
        ) as run,
        within(timeout) as limit,
    ):
        if machines is not None and what is not None:
            code = check_machines(what, machines, choice, run, how, earlier)
        elif what is None:
            code = check_running(lab, choice, run, how, earlier)
        else:
            code = check_files(what, choice, run, how, earlier)
    code = EXIT_INFRASTRUCTURE if limit.passed else code
    tell_where(save, code, ended=what is not None and not keep and machines is None)
    raise typer.Exit(nagios_result(run.so_far) if shape == "nagios" else code)


def _refuse_beside_after(choice: Choice, *, baseline: bool, pause: bool) -> None:
    """Raise BadInput for what --after can't be given with."""
    for given, option, why in (
        (baseline, "--baseline", "it compares with what was before the event"),
        (bool(choice), "--only, --not and --protocol", "all cells are asked meanwhile"),
        (pause, "--pause-on-fail", "--keep leaves the lab as the last event has left it"),
    ):
        if given:
            raise BadInput(
                f"{option} can't be given with --after: {why}",
                hint="underlay check LAB --after recreate --save run.json",
            )
