"""What verbs do on machines that exist: the options that lead there, and progress on stderr."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from underlay.cli.console import progress
from underlay.cli.options import PROBE_PATH, RATE
from underlay.errors import BadInput, count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from underlay.cluster.inventory import Machine
    from underlay.cluster.machines import Ways
    from underlay.lint import Loaded
    from underlay.proof.lab import Proof
    from underlay.proof.live import How
    from underlay.verdict import Verdict

RATES = (1.0, 10000.0)


@dataclass(frozen=True)
class OnMachines:
    """The machines of an inventory, and how they may be asked."""

    inventory: Path
    machines: tuple[Machine, ...]
    how: How

    def prove(
        self,
        loaded: Loaded,
        *,
        strict: bool = False,
        measured: Callable[[Verdict], None] | None = None,
    ) -> Proof:
        """Prove the lab of a file there, showing progress; raise BadInput as ``of_plan`` does."""
        from underlay.cluster.machines import ways_to
        from underlay.proof.live import of_plan, prove_machines

        own = of_plan(loaded.plan, self.machines)
        with progress(f"reading {count(len(own), 'machine')}") as running, ways_to(own) as ways:
            how = replace(self.how, strict=strict)
            return prove_machines(
                loaded.plan, ways, running.step, how, file=str(loaded.file), measured=measured
            )


def how_asked(
    inventory: Path | None,
    limit: str | None,
    rate: float,
    *,
    probe: bool,
    path: str,
    by_sudo: bool,
    flush: bool,
) -> How | None:
    """Return how options say that machines of ``inventory`` are asked; None without one.

    Raises BadInput where options contradict each other, or are about an inventory that isn't given.
    """
    if inventory is None:
        if limit is None and not (probe or by_sudo or flush) and (rate, path) == (RATE, PROBE_PATH):
            return None
        raise BadInput(
            "--limit, --probe, --probe-path, --sudo, --flush and --rate need --inventory: they are"
            " about its machines"
        )
    if probe and by_sudo:
        raise BadInput("--probe and --sudo are two ways to the same: one of them is enough")
    least, most = RATES
    if not least <= rate <= most:
        raise BadInput(f"--rate {rate:g}: expected {least:g} to {most:g} packets a second")
    if flush and not (probe or by_sudo):
        raise BadInput(
            "--flush needs --probe or --sudo: nobody but root empties neighbour tables",
            hint="underlay hosts --print-sudoers  says what allows that",
        )
    from underlay.proof.live import How

    return How(rate, probe or by_sudo, flush, "" if by_sudo else path)


def asked_machines(
    inventory: Path,
    limit: str | None,
    how: How,
    what: str | None,
    beside: Mapping[str, object],
    verb: str = "check",
) -> OnMachines:
    """Return the machines that options name; raise BadInput for what can't be given with them.

    ``beside`` are the other options, by their names, and what was given for them; ``verb`` is
    whose they are.
    """
    from underlay.cluster.inventory import machines_of

    if what is None:
        raise BadInput(
            "--inventory needs a lab FILE: it says what the machines are to be",
            hint=f"underlay {verb} LAB -i {shlex.quote(str(inventory))}",
        )
    for option, given in beside.items():
        if given:
            raise BadInput(f"{option} can't be given with --inventory: nothing is brought up there")
    return OnMachines(inventory, tuple(machines_of(inventory, limit or "")), how)


def lab_of_machines(what: str) -> Loaded:
    """Return the lab that ``what`` means as it is on machines that exist, and tell its remarks.

    Raises BadInput where ``what`` isn't one lab.
    """
    from underlay.cli.carried_over import tell_remarks
    from underlay.cli.lab_folder import files_of, read_all
    from underlay.lint.loaded import for_machines

    labs = read_all(files_of(what))
    if len(labs) > 1:
        raise BadInput(
            f"{what} has {len(labs)} labs, and machines that exist are of one",
            hint=f"one of its files, such as {labs[0].file}",
        )
    tell_remarks(labs[0], str(labs[0].file))
    return for_machines(labs[0])


@contextmanager
def ways_of(inventory: Path, lab: str | None, verb: str) -> Iterator[tuple[Loaded, Ways]]:
    """Yield the lab of machines that exist that ``--lab FILE`` means, and the ways to its machines.

    Raises BadInput where there is no such file, or the inventory has none of its hosts.
    """
    from underlay.cluster.inventory import machines_of
    from underlay.cluster.machines import ways_to
    from underlay.proof.live import of_plan

    if lab is None:
        raise BadInput(
            "--inventory needs --lab FILE: it says what the machines are to be",
            hint=f"underlay {verb} --lab FILE -i {shlex.quote(str(inventory))} --sudo",
        )
    loaded = lab_of_machines(lab)
    with ways_to(of_plan(loaded.plan, machines_of(inventory))) as ways:
        yield loaded, ways


def refuse_without_inventory(given: Mapping[str, bool]) -> None:
    """Raise BadInput where an option is ``given`` that is about an inventory's machines."""
    for option, is_given in given.items():
        if is_given:
            raise BadInput(f"{option} needs --inventory: it is about its machines")
