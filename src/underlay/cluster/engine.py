"""What Vagrant's shim calls: one short command per action, answers as JSON on standard output.

    python -m underlay.cluster.engine plan
    python -m underlay.cluster.engine before|up|halt|destroy|state|ssh NODE
    python -m underlay.cluster.engine serve

``serve`` answers any number of the others, side by side: Vagrant asks a dozen
questions about three nodes, and starting Python for each cost more than the answers.
A request is a line ``{"id", "words"}`` on standard input. Lines ``{"id", "say"}`` on
standard output tell its progress; ``{"id", "answer"}`` or ``{"id", "error"}`` end it.

The lab is the file named by ``UNDERLAY_LAB``, the default lab without it. Whoever calls Vagrant
by hand has the engine make the lab ready for its nodes; ``underlay up`` does so itself while
Vagrant starts, and the engine waits for it (``UNDERLAY_AWAIT``). In both cases a node's kernel is
started here, by the action ``up`` that Vagrant carries out on that node.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.prepare import PREPARED, plan_of, prepare
from underlay.cluster.providers import DEFAULT, provider
from underlay.cluster.state.lab import LabState, remove, state_of_file
from underlay.cluster.state.lock import lock
from underlay.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    BadInput,
    Infrastructure,
    UnderlayError,
    reason,
)
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable

LAB = "UNDERLAY_LAB"
FORCE = "UNDERLAY_FORCE"
PROVIDER = "UNDERLAY_PROVIDER"
AWAIT = "UNDERLAY_AWAIT"
# Longer than a lab takes to be made ready: whoever makes it ends Vagrant and this where it fails.
PATIENCE, INTERVAL = 900.0, 0.01
# Begin the lines of an error that say what failed, and what to do next.
ERROR, HINT = "error: ", "hint: "


def main(arguments: list[str]) -> int:
    """Carry out one action; failures go to standard error as text."""
    try:
        if arguments == ["serve"]:
            serve()
            return EXIT_OK
        answer = act(*arguments)
    except UnderlayError as error:
        print(_error_text(error), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if answer is not None:
        print(json.dumps(answer))
    return EXIT_OK


def serve() -> None:
    """Answer requests, a thread each, until standard input ends; see the module's first lines."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    # What a library prints must not get between the answers.
    os.dup2(2, 1)
    writing = threading.Lock()

    def reply(number: int, word: str, value: object) -> None:
        with writing:
            answers.write(json.dumps({"id": number, word: value}) + "\n")

    def carry_out(number: int, words: list[str]) -> None:
        try:
            reply(number, "answer", act(*words, say=lambda line: reply(number, "say", line)))
        except UnderlayError as error:
            reply(number, "error", _error_text(error))
        except OSError as error:
            where = error.filename or paths.home()
            failure = Infrastructure(f"{reason(error)}: {where}", hint="underlay doctor")
            reply(number, "error", _error_text(failure))
        except Exception as error:  # noqa: BLE001 -- Vagrant would wait for ever for an answer
            reply(number, "error", f"{ERROR}the engine failed: {error!r}")

    for line in sys.stdin:
        request = json.loads(line)
        arguments = (request["id"], request["words"])
        threading.Thread(target=carry_out, args=arguments, daemon=True).start()


def _error_text(error: UnderlayError) -> str:
    hints = (HINT + line for line in error.hint.splitlines())
    return "\n".join(part for part in (f"{ERROR}{error.message}", error.detail, *hints) if part)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def act(action: str, node: str = "", *, say: Callable[[str], None] = _say) -> object:
    """Carry out ``action`` on ``node`` and return what to print; raise BadInput for other words.

    ``say`` is handed a line of progress at a time.
    """
    file = Path(os.environ.get(LAB) or paths.root() / "labs" / "coreos.yml")
    if action == "plan":
        return _plan(file)
    state = state_of_file(file)
    match action:
        case "before":
            state = _prepared(file, state, say)
            provider(state.provider).before(state.plan(), node, state.folder)
            return None
        case "up":
            _up(file, state, node, say)
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


def _up(file: Path, state: LabState | None, node: str, say: Callable[[str], None]) -> None:
    """Start one node, preparing the lab first unless that is done."""
    state = _prepared(file, state, say)
    by = provider(state.provider)
    by.start(state.plan(), node, state.folder)
    by.keep(state.folder)


def _prepared(file: Path, state: LabState | None, say: Callable[[str], None]) -> LabState:
    if os.environ.get(AWAIT) == "1":
        return _awaited(file)
    if state is None or not _is_prepared(state):
        force = os.environ.get(FORCE) == "1"
        from underlay.lint import load

        state, _ = prepare(load(file), os.environ.get(PROVIDER) or DEFAULT, say, force=force)
    return state


def _awaited(file: Path) -> LabState:
    """Return the lab's state once the command that has called Vagrant has made it ready."""
    limit = time.monotonic() + PATIENCE
    while True:
        state = state_of_file(file)
        if state is not None and _is_prepared(state):
            return state
        if time.monotonic() > limit:
            raise Infrastructure(
                f"{file} was not made ready for its nodes within {PATIENCE:.0f} s",
                hint="underlay up  makes it ready and calls Vagrant",
            )
        time.sleep(INTERVAL)


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
        states = by.states(plan, state.folder)
        # A switch that is a machine goes with the sandbox.
        gone = all(states[each.name] == "not_created" for each in plan.nodes)
        if action == "destroy" and gone:
            by.destroy(state.folder)
            remove(state.lab)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
