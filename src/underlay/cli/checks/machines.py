"""``check -i``: the machines of an inventory are measured where they are, and left as they are."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from underlay.cli.checks.how import tell_one
from underlay.cli.console import err
from underlay.cli.on_machines import lab_of_machines
from underlay.cli.recording import source_of_file

if TYPE_CHECKING:
    from underlay.cli.checks.how import Earlier, How
    from underlay.cli.on_machines import OnMachines
    from underlay.proof.choice import Choice
    from underlay.proof.runs.unrecorded import Unrecorded
    from underlay.verdict import Verdict


def check_machines(
    what: str,
    machines: OnMachines,
    choice: Choice,
    run: Unrecorded,
    how: How,
    earlier: Earlier | None,
) -> int:
    """Prove a lab of machines that exist, print the result, and return the exit code.

    Raises BadInput where ``what`` isn't one lab, or the inventory has none of its hosts.
    """
    from underlay.proof.live import PROVIDER
    from underlay.proof.result import LabResult, narrowed

    loaded = lab_of_machines(what)
    chosen = choice.of(loaded.plan) if choice else None
    run.of_labs([source_of_file(loaded)], PROVIDER, chosen)
    run.reach("measuring")
    proof = machines.prove(loaded, strict=how.strict, measured=run.measured)
    result = LabResult(proof.verdict, proof.explanation)
    run.add(result)
    result = narrowed(result, chosen) if chosen is not None else result
    code = tell_one(loaded.plan, result, run, how, earlier)
    hint = what_would_measure_more(result.verdict, machines)
    if hint and not how.quiet:
        err.print(f"\nhint: {hint}", markup=False, soft_wrap=True)
    return code


def what_would_measure_more(verdict: Verdict, machines: OnMachines) -> str:
    """Return by which command cells are measured that weren't, as far as rights are the reason.

    A reader has no rows of containers. Whose probe didn't start may lack the file, or its line.
    """
    from underlay.observe.live import NEEDS_PROBE

    inventory = shlex.quote(str(machines.inventory))
    unmeasured = [cell for cell in verdict.cells if not cell.measured]
    if not machines.how.probe:
        rows = {cell.source for cell in unmeasured if cell.reason == NEEDS_PROBE}
        if not rows:
            return ""
        return (
            f"rows of containers, such as {min(rows)}, are measured by the probe alone:"
            f" `underlay hosts -i {inventory}` says how it is allowed; --only 'nodes -> *' chooses"
            " rows of hosts"
        )
    if any("its probe " in cell.reason for cell in unmeasured):
        return f"underlay hosts -i {inventory}  says how it stands with the probe on each machine"
    return ""
