"""What verbs do on machines that exist: the options that lead there, and progress on stderr."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from underlay.cli.console import progress
from underlay.errors import BadInput, count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from underlay.cluster.inventory import Machine
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

    def prove(self, loaded: Loaded, *, strict: bool, measured: Callable[[Verdict], None]) -> Proof:
        """Prove the lab of a file there, showing progress; raise BadInput as ``of_plan`` does."""
        from underlay.cluster.machines import ways_to
        from underlay.proof.live import of_plan, prove_machines

        own = of_plan(loaded.plan, self.machines)
        with progress(f"reading {count(len(own), 'machine')}") as running, ways_to(own) as ways:
            how = replace(self.how, strict=strict)
            return prove_machines(
                loaded.plan, ways, running.step, how, file=str(loaded.file), measured=measured
            )


def asked_machines(
    inventory: Path,
    limit: str | None,
    how: How,
    what: str | None,
    beside: Mapping[str, object],
) -> OnMachines:
    """Return the machines that options name; raise BadInput for what can't be given with them.

    ``beside`` are the other options, by their names, and what was given for them.
    """
    from underlay.cluster.inventory import machines_of

    if what is None:
        raise BadInput(
            "--inventory needs a lab FILE: it says what the machines are to be",
            hint=f"underlay check LAB -i {inventory}",
        )
    for option, given in beside.items():
        if given:
            raise BadInput(f"{option} can't be given with --inventory: nothing is brought up there")
    least, most = RATES
    if not least <= how.rate <= most:
        raise BadInput(f"--rate {how.rate:g}: expected {least:g} to {most:g} packets a second")
    if how.flush and not how.probe:
        raise BadInput(
            "--flush needs --probe or --sudo: nobody but root empties neighbour tables",
            hint="underlay hosts --print-sudoers  says what allows that",
        )
    return OnMachines(inventory, tuple(machines_of(inventory, limit or "")), how)
