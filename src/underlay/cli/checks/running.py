"""``check`` without a file: the lab that is up is measured where it is, and stays up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.cli.checks.how import tell_one
from underlay.cli.console import err
from underlay.cli.lab_proof import captured, prove_lab
from underlay.cli.recording import source_of
from underlay.cli.which_lab import running_state

if TYPE_CHECKING:
    from underlay.cli.checks.how import Earlier, How
    from underlay.cluster.state.lab import LabState
    from underlay.proof.choice import Choice
    from underlay.proof.lab import Proof
    from underlay.proof.runs.unrecorded import Unrecorded


def check_running(
    lab: str | None,
    choice: Choice,
    run: Unrecorded,
    how: How,
    earlier: Earlier | None,
) -> int:
    """Prove the lab that is up, print the result, and return the exit code."""
    from underlay.proof.result import LabResult, narrowed

    state = running_state(lab)
    chosen = choice.of(state.plan()) if choice else None
    if run.kept:
        run.of_labs([source_of(state)], state.provider, chosen)
    run.reach("measuring")
    proof = prove_lab(state, strict=how.strict, measured=run.measured)
    run.add(LabResult(proof.verdict, proof.explanation))
    run.reach("looking for causes")
    captures = captured(state, proof) if run.captures else ()
    result = LabResult(proof.verdict, proof.explanation, captures=captures)
    run.add(result)
    result = narrowed(result, chosen) if chosen is not None else result
    code = tell_one(state.plan(), result, run, how, earlier)
    if result.verdict.exit_code:
        _keep(state, proof)
    return code


def _keep(state: LabState, proof: Proof) -> None:
    """Keep the cells, their causes and the nodes' logs, and say where, as the last line."""
    from underlay.cluster.state.run_folder import keep_run
    from underlay.report.document import document
    from underlay.report.explanation import causes

    documents = {"cells": document(proof.verdict), "causes": causes(proof.explanation)}
    folder = keep_run(state.lab, "check", documents, alive=state)
    if folder is not None:
        err.print(f"kept: {folder}")
