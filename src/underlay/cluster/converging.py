"""A running lab becomes what its lab file says now, by one Ansible task on all nodes.

What ``switch`` does over ssh itself, ``converge`` does as people who use Ansible expect it:
a second run changes nothing, ``--check`` says what would be changed, ``--diff`` shows it.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from underlay.cluster.interrupts import interrupts_wait
from underlay.cluster.node_files import files_of, judge
from underlay.cluster.process import refuse, tail
from underlay.cluster.providers import provider
from underlay.cluster.state.lab import LabState, unfinished
from underlay.cluster.state.lock import lock, turn
from underlay.cluster.state.run_folder import keep_failure
from underlay.cluster.switching import refuse_other_nodes, rendered, still_up
from underlay.errors import BadInput, Infrastructure, count
from underlay.plan import SWITCH
from underlay.storage import paths, temporary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from underlay.lint import Loaded
    from underlay.plan import Plan

DEADLINE = 600
GOOD, BAD = "runner_on_ok", ("runner_on_failed", "runner_on_unreachable")


@dataclass(frozen=True)
class Converged:
    """What became of a lab; ``changes`` and ``diffs`` are by node, the switch's by ``switch``.

    ``looked_at`` says by node of how many things of each kind it was seen what they are. The
    switch is never among them: of its bridges only the plan is compared with the one before.
    """

    state: LabState
    changes: dict[str, list[str]]
    diffs: dict[str, list[dict[str, str]]]
    looked_at: dict[str, dict[str, int]]

    @property
    def changed(self) -> int:
        """How many of the nodes, and of the switch, were changed or would be."""
        return sum(bool(said) for said in self.changes.values())


def converge(
    state: LabState,
    loaded: Loaded,
    progress: Callable[[str], None],
    *,
    check: bool = False,
    force: bool = False,
) -> Converged:
    """Make the running lab ``state`` what ``loaded`` says, its file as it is now.

    With ``check`` it is only said what differs.

    Raises BadInput where the lab has errors (without ``force``), another name, or needs other
    nodes; Infrastructure where a node can't become what it should.
    """
    from underlay.lint import refuse_errors

    file, plan = loaded.file, loaded.plan
    if not force:
        refuse_errors(loaded)
    with turn(state.lab, progress):
        known = still_up(state.lab)
        if plan.lab != known.lab:
            hint = f"underlay switch {shlex.quote(str(file))} --lab {known.lab}"
            raise BadInput(f"{file} is of a lab called {plan.lab} now", hint=hint)
        refuse_other_nodes(known, plan, file)
        return _converge(known, plan, progress, check=check)


def _converge(
    state: LabState, plan: Plan, progress: Callable[[str], None], *, check: bool
) -> Converged:
    from underlay.render import copy_rendered

    progress("rendering the nodes' files")
    entry = rendered(state, plan)
    mark = unfinished(state.folder)
    rewired = mark.exists() or _wiring(state.plan()) != _wiring(plan)
    changes = {SWITCH: ["segments and external hosts: made anew"] if rewired else []}
    try:
        if not check:
            with lock(state.lab, progress):
                mark.touch()
                state.write(plan)
                copy_rendered(entry, state.folder / "files")
                if rewired:
                    provider(state.provider).change_segments(plan, state.folder)
        progress(f"converging {count(len(plan.nodes), 'node')} by Ansible")
        results = _run(state, plan, entry, check=check)
    except Infrastructure as error:
        keep_failure(state.lab, "converge", error, alive=state)
        raise
    if not check:
        mark.unlink(missing_ok=True)
    changes |= {node: found["changes"] for node, found in sorted(results.items())}
    diffs = {node: found["diff"] for node, found in results.items()}
    looked_at = {node: found["looked_at"] for node, found in sorted(results.items())}
    return Converged(state, changes, diffs, looked_at)


def _wiring(plan: Plan) -> tuple[object, ...]:
    """Return what of a plan is the switch's."""
    return plan.segments, plan.hosts


def _run(state: LabState, plan: Plan, files: Path, *, check: bool) -> dict[str, dict[str, Any]]:
    """Run ansible/converge.yml; return each node's result of the module ``node_files``."""
    import ansible_runner

    from underlay.render import environment

    with temporary.folder("converge") as work:
        (work / "runner").mkdir()
        programs = paths.root() / "ansible" / "bin"
        for node in plan.nodes:
            held = [{"path": p, "content": c} for p, c in files_of(files / node.name).items()]
            (work / f"{node.name}.json").write_text(json.dumps(held), encoding="utf-8")
        # Ansible has a session of its own, which no Ctrl-C reaches. ansible-runner asks whether to
        # stop, and then ends Ansible with all that it has started.
        with interrupts_wait() as noted:
            done = ansible_runner.run(
                private_data_dir=str(work / "runner"),
                playbook=str(paths.root() / "ansible" / "converge.yml"),
                inventory=str(paths.root() / "inventory" / "underlay"),
                extravars={"files_of_nodes": str(work)},
                cmdline="--check --diff" if check else "--diff",
                envvars={
                    **environment(work),
                    "UNDERLAY_LAB": state.lab,
                    paths.HOME: str(paths.home()),
                    # Without a way of its own to share connections, Ansible takes the lab's.
                    "ANSIBLE_SSH_ARGS": "-o Compression=no",
                    "UNDERLAY_PYTHON": sys.executable,
                    "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
                },
                settings={"job_timeout": DEADLINE},
                quiet=True,
                cancel_callback=noted,
            )
        events = [event for event in done.events if event["event"] in (GOOD, *BAD)]
        said = done.stdout.read()
    results = {e["event_data"]["host"]: e["event_data"]["res"] for e in events}
    failures = [
        f"{e['event_data']['host']}: {e['event_data']['res'].get('msg', e['stdout'])}"
        for e in events
        if e["event"] != GOOD
    ]
    refuse(failures, f"the nodes are not all {plan.lab} yet")
    if set(results) != {node.name for node in plan.nodes}:
        raise Infrastructure(f"the nodes could not be converged to {plan.lab}", detail=tail(said))
    for node, result in () if check else results.items():
        failures += judge(result.get("said"), plan, node, files / node)
    refuse(failures)
    return results
