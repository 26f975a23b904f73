"""What verbs do with a lab on machines that exist: what was changed, or would be, and is told."""

from __future__ import annotations

import shlex
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from underlay.cli.console import err, out, people, print_document, progress
from underlay.errors import EXIT_INFRASTRUCTURE, EXIT_OK, BadInput, count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from underlay.cluster.applying import OnMachine
    from underlay.lint import Loaded

PROVIDER = "hosts"


def refuse_without_inventory(provider: str | None, given: Mapping[str, object]) -> None:
    """Raise BadInput where what is ``given`` is about machines of an inventory, and none is."""
    if provider == PROVIDER:
        raise BadInput(
            "--provider hosts needs --inventory: the machines exist already",
            hint="underlay up LAB -i inventory.yml --dry-run",
        )
    for option, value in given.items():
        if value:
            raise BadInput(f"{option} needs --inventory: it is about machines that exist")


def refuse_beside_inventory(provider: str | None, given: Mapping[str, object]) -> None:
    """Raise BadInput where what is ``given`` is about nodes that are booted."""
    if provider not in (None, PROVIDER):
        raise BadInput(
            f"--provider {provider} boots nodes, and those of --inventory exist already",
            hint="--provider hosts, or none, with --inventory",
        )
    for option, value in given.items():
        if value:
            raise BadInput(f"{option} can't be given with --inventory: no node is booted there")


def apply_lab(
    verb: str,
    loaded: Loaded,
    inventory: Path,
    limit: str,
    *,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Apply a lab to machines of an inventory, or say what that would change; return the exit code.

    Raises BadInput where the lab has errors or what isn't applied, or a machine is missing, and
    Infrastructure where one can't be asked or something fails there.
    """
    from underlay.cluster import applying
    from underlay.cluster.inventory import machines_of
    from underlay.cluster.machines import ways_to
    from underlay.cluster.ssh import cached_key
    from underlay.lint import refuse_errors
    from underlay.lint.loaded import for_machines
    from underlay.render import render_all
    from underlay.storage import paths

    began = time.monotonic()
    loaded = for_machines(loaded)
    plan = loaded.plan
    if not force:
        refuse_errors(loaded)
    applying.refuse_unfit(plan)
    machines = applying.machines_for(plan, machines_of(inventory, limit), part=bool(limit))
    with progress(f"rendering the files of {plan.lab}") as running, ways_to(machines) as ways:
        (entry,) = render_all([plan], cached_key(plan.lab), paths.cache() / "files")
        found = applying.outlook(ways, plan, entry, running.step)
        in_the_way = any(one.conflicts for one in found)
        if not dry_run and not in_the_way:
            running.step(f"applying {plan.lab} to {len(machines)} machines")
            found = applying.apply(ways, plan, found, entry)
    seconds = round(time.monotonic() - began, 3)
    done = not dry_run and not in_the_way
    if as_json:
        print_document(verb, _document(plan.lab, found, seconds, done=done))
    _tell_changes(plan.lab, found, seconds, done=done, quiet=as_json)
    if done and not as_json:
        file, by = shlex.quote(str(loaded.file)), f"-i {shlex.quote(str(inventory))}"
        next_ones = (f"check {file} {by} --sudo", f"status {by}", f"down {by}")
        out.print(
            f"next: {' · '.join(f'underlay {each}' for each in next_ones)}",
            style="dim",
            markup=False,
        )
    return EXIT_INFRASTRUCTURE if in_the_way else EXIT_OK


def tell_states(inventory: Path, limit: str, *, as_json: bool) -> int:
    """Print what is applied on machines of an inventory, and return the exit code."""
    from underlay.cluster import applying
    from underlay.cluster.inventory import machines_of
    from underlay.cluster.machines import ways_to

    machines = machines_of(inventory, limit)
    with progress(f"asking {len(machines)} machines"), ways_to(machines) as ways:
        found = applying.states(ways)
    if as_json:
        print_document("status", {"machines": [_state(one) for one in found]})
    else:
        for one in found:
            out.print(f"{one.name}: {_standing(one)}", markup=False, soft_wrap=True)
        _tell_hints(found)
        if any(one.told or one.lost for one in found):
            by = f"-i {shlex.quote(str(inventory))}"
            err.print(
                f"\nhint: underlay up LAB {by}  repairs that, underlay down {by}  undoes all of it",
                markup=False,
                soft_wrap=True,
            )
    return EXIT_INFRASTRUCTURE if any(one.error for one in found) else EXIT_OK


def undo_lab(inventory: Path, limit: str, lab: str, *, as_json: bool) -> int:
    """Undo what was applied on machines of an inventory, and return the exit code."""
    from underlay.cluster import applying
    from underlay.cluster.inventory import machines_of
    from underlay.cluster.machines import ways_to

    began = time.monotonic()
    machines = machines_of(inventory, limit)
    with progress(f"undoing on {len(machines)} machines"), ways_to(machines) as ways:
        found = applying.undo(ways, lab)
    seconds = round(time.monotonic() - began, 3)
    if as_json:
        document = {"machines": [_undone(one) for one in found], "seconds": seconds}
        print_document("down", document)
    else:
        for one in found:
            out.print(f"{one.name}: {_gone(one)}", markup=False, soft_wrap=True)
            _tell_left(one)
        _tell_hints(found)
    return EXIT_INFRASTRUCTURE if any(one.error for one in found) else EXIT_OK


def _tell_changes(
    lab: str, found: Sequence[OnMachine], seconds: float, *, done: bool, quiet: bool
) -> None:
    """Print each change and each conflict by its machine, and their sum."""
    say = people(quiet)
    for one in found:
        cut = one.repaired or one.told
        if cut:
            what = "undone first" if one.repaired else "is undone first"
            err.print(f"{one.name}: {cut}: {what}", markup=False, soft_wrap=True)
        for change in one.changes if not quiet else ():
            say.print(f"{one.name}: {change}", markup=False, soft_wrap=True)
        _tell_left(one)
        for conflict in one.conflicts:
            err.print(f"{one.name}: in the way: {conflict.found}", markup=False, soft_wrap=True)
            err.print(f"  to do: {conflict.cure}", markup=False, soft_wrap=True)
    changes = count(sum(len(one.changes) for one in found), "change")
    conflicts = sum(len(one.conflicts) for one in found)
    where = count(len(found), "machine")
    if done:
        words = f"{lab} is applied to {where}: {changes}"
    else:
        words = f"{lab}: {changes} on {where}, none of which was made"
        words += f"; {conflicts} in the way" if conflicts else ""
    say.print(f"{words}, {seconds:.1f} s")


def _document(
    lab: str, found: Sequence[OnMachine], seconds: float, *, done: bool
) -> dict[str, Any]:
    return {
        "lab": lab,
        "provider": PROVIDER,
        "dry_run": not done,
        "changed": sum(bool(one.changes) for one in found),
        "machines": [
            {
                "name": one.name,
                "changes": list(one.changes),
                "conflicts": [{"found": c.found, "cure": c.cure} for c in one.conflicts],
                "repaired": one.repaired or one.told or None,
                "left": list(one.left),
            }
            for one in found
        ],
        "seconds": seconds,
    }


def _state(one: OnMachine) -> dict[str, Any]:
    since = datetime.fromtimestamp(one.since, UTC).isoformat() if one.since else None
    return {
        "name": one.name,
        "lab": one.lab or None,
        "since": since,
        "by": one.by or None,
        "told": one.told or None,
        "lost": list(one.lost),
        "containers": list(one.containers),
        "error": one.error or None,
        "hint": one.hint or None,
    }


def _standing(one: OnMachine) -> str:
    """Return in a sentence what is applied on a machine."""
    if one.error:
        return f"not asked: {one.error.removeprefix(f'{one.name}: ')}"
    if not one.lab:
        return "nothing is applied"
    since = datetime.fromtimestamp(one.since, UTC)
    said = f"{one.lab}, {count(len(one.containers), 'container')}"
    said += f", by {one.by} at {since:%Y-%m-%d %H:%M} UTC"
    said += f"; {one.told}" if one.told else ""
    return said + (f"; not there as it was made: {', '.join(one.lost)}" if one.lost else "")


def _undone(one: OnMachine) -> dict[str, Any]:
    return {
        "name": one.name,
        "lab": one.lab or None,
        "undone": list(one.changes),
        "left": list(one.left),
        "error": one.error or None,
        "hint": one.hint or None,
    }


def _gone(one: OnMachine) -> str:
    if one.error:
        return f"not undone: {one.error.removeprefix(f'{one.name}: ')}"
    if not one.lab:
        return "nothing was applied"
    return f"{one.lab}: down, {count(len(one.changes), 'change')} undone"


def _tell_left(one: OnMachine) -> None:
    for words in one.left:
        err.print(f"{one.name}: {words}", markup=False, soft_wrap=True)


def _tell_hints(found: Sequence[OnMachine]) -> None:
    for hint in dict.fromkeys(one.hint for one in found if one.hint):
        err.print(f"\nhint: {hint}", markup=False, soft_wrap=True)
