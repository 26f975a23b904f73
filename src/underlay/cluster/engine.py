"""What Vagrant's shim calls: one short command per action, answers as JSON on standard output.

    python -m underlay.cluster.engine plan
    python -m underlay.cluster.engine before|up|halt|destroy|state|ssh NODE

The lab is the file named by ``UNDERLAY_LAB``, the default lab without it.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from underlay import paths
from underlay.cluster.lab_state import LabState, lock, remove, state_of_file
from underlay.cluster.prepare import PREPARED, plan_of, prepare
from underlay.cluster.provider import DEFAULT, provider
from underlay.errors import EXIT_INTERRUPTED, EXIT_OK, BadInput, UnderlayError

LAB = "UNDERLAY_LAB"
FORCE = "UNDERLAY_FORCE"
PROVIDER = "UNDERLAY_PROVIDER"


def main(arguments: list[str]) -> int:
    """Carry out one action; failures go to standard error as text."""
    try:
        answer = act(*arguments)
    except UnderlayError as error:
        hint = f"hint: {error.hint}" if error.hint else ""
        parts = [f"error: {error.message}", error.detail, hint]
        print("\n".join(part for part in parts if part), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if answer is not None:
        print(json.dumps(answer))
    return EXIT_OK


def act(action: str, node: str = "") -> object:
    """Carry out ``action`` on ``node`` and return what to print; raise BadInput for other words."""
    file = Path(os.environ.get(LAB) or paths.root() / "labs" / "coreos.yml")
    if action == "plan":
        return _plan(file)
    state = state_of_file(file)
    match action:
        case "before":
            state = _prepared(file, state)
            provider(state.provider).before(state.plan(), node, state.folder)
            return None
        case "up":
            _up(file, state, node)
            return None
        case "state":
            return _state(state, node)
        case "ssh":
            return state and provider(state.provider).ssh(state.plan(), node, state.folder)
        case "halt" | "destroy":
            _stop(state, node, action)
            return None
    raise BadInput(f"the engine has no action {action!r}")


def _plan(file: Path) -> dict[str, object]:
    """Return the plan with the provider's name and, as ``machines``, what Vagrant is to make."""
    plan = plan_of(file)
    state = state_of_file(file)
    name = state.provider if state else os.environ.get(PROVIDER) or DEFAULT
    by = provider(name)
    folder = paths.state(plan.lab)
    machines = [by.machine(plan, node.name, folder) for node in plan.nodes]
    return {**asdict(plan), "provider": name, "machines": machines}


def _up(file: Path, state: LabState | None, node: str) -> None:
    """Start one node, preparing the lab first unless that is done."""
    state = _prepared(file, state)
    provider(state.provider).start(state.plan(), node, state.folder)


def _prepared(file: Path, state: LabState | None) -> LabState:
    if state is None or not _is_prepared(state):
        force = os.environ.get(FORCE) == "1"
        state, _ = prepare(file, os.environ.get(PROVIDER) or DEFAULT, _say, force=force)
    return state


def _is_prepared(state: LabState) -> bool:
    return (state.folder / PREPARED).exists() and provider(state.provider).stands(state.folder)


def _state(state: LabState | None, node: str) -> str:
    if state is None:
        return "not_created"
    return provider(state.provider).states(state.plan(), state.folder)[node]


def _stop(state: LabState | None, node: str, action: str) -> None:
    """Stop one node; once all are destroyed, nothing is left of the lab."""
    if state is None:
        return
    with lock(state.lab):
        plan = state.plan()
        by = provider(state.provider)
        by.stop(plan, node, state.folder)
        states = by.states(plan, state.folder).values()
        if action == "destroy" and all(word == "not_created" for word in states):
            by.destroy(state.folder)
            remove(state.lab)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
