"""A lab on machines that exist: applied, told about and undone, by the node program as root.

The files are those that Ansible's roles render for any node. The program travels with each call and
lies in memory there; what it changes it writes down before, in a journal on the machine
(ansible/module_utils/underlay_node/host_journal.py), which is all that anybody keeps of it.
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from underlay.cluster.node_files import files_of, program
from underlay.cluster.process import tail
from underlay.errors import BadInput, Infrastructure, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from underlay.cluster.inventory import Machine
    from underlay.cluster.machines import Ways
    from underlay.plan import Plan, PlannedNetwork

# s for ssh and Python; and for another command that is at work there (host_journal.PATIENCE).
DEADLINE = 120.0
# s more for each container of a machine.
EACH = 5.0
# The program comes as a line, the task as another: on a machine that others use too nothing of them
# stands in the list of processes, and no file is written.
TAKE = """\
import base64, json, os, sys
held = os.memfd_create("underlay")
with open(held, "wb", closefd=False) as file:
    file.write(base64.b64decode(sys.stdin.buffer.readline()))
sys.path.insert(0, f"/proc/self/fd/{held}")
from underlay_node import host
print(json.dumps(host.main(json.loads(sys.stdin.buffer.readline()))))
"""
RUNTIMES = ("cni", "iproute2")
HINT_SUDO = "a lab is applied by root: ansible_user is to be one whom sudo lets do everything"


@dataclass(frozen=True)
class Conflict:
    """What is in a lab's way on a machine: what was ``found`` there, and the ``cure``."""

    found: str
    cure: str


class Asked(NamedTuple):
    """An address that a machine asks for by an ``interface``; ``whose`` it is to be, in words."""

    interface: str
    address: str
    whose: str


@dataclass(frozen=True)
class OnMachine:
    """What is applied on a machine, and what would be changed there, or was.

    ``lab`` is empty where none is applied, ``since`` when that was, in seconds of the epoch, and
    ``by`` whom. ``told`` says what became of a command that was cut short, and ``lost`` what isn't
    there any more. ``left`` is what wasn't undone, as it is somebody else's by now. ``error`` is
    why nothing is known.
    """

    name: str
    lab: str = ""
    since: int = 0
    by: str = ""
    told: str = ""
    lost: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    left: tuple[str, ...] = ()
    repaired: str = ""
    error: str = ""
    hint: str = ""
    asked: tuple[Asked, ...] = field(default=(), repr=False)
    holds: tuple[str, ...] = field(default=(), repr=False)


def refuse_unfit(plan: Plan) -> None:
    """Raise BadInput where the lab of ``plan`` has what is not applied to machines that exist.

    Each line names one such thing. What would change a machine's own addresses, filters or
    forwarding is never applied; Docker, podman and bridges are not yet.
    """
    found = [words for network in plan.networks for words in _unfit(network)]
    found += [
        f"container {container.name}: it runs a program of its own"
        for container in plan.containers
        if container.has_program or container.started_by
    ]
    for node in plan.nodes:
        found += [f"{node.name}: {one.interface}, a {one.kind} of its own" for one in node.links]
        found += [f"{node.name}: it forwards"] if node.forwards else []
        found += [f"{node.name}: files of its own"] if node.own else []
        found += [f"{node.name}: the bond {nic.interface}" for nic in node.nics if nic.bond]
    found += [f"the external host {host.name}" for host in plan.hosts]
    found += ["packet filters"] if plan.filters or plan.rules else []
    if found:
        raise BadInput(
            f"the lab {plan.lab} has what isn't applied to machines that exist: {found[0]}",
            detail="\n".join(found[1:]),
            hint="there are containers of runtime cni and iproute2, over macvlan, ipvlan and VLANs;"
            " docs/your-machines.md",
        )


def _unfit(network: PlannedNetwork) -> list[str]:
    """Return what of a network is not applied to machines that exist."""
    found = []
    if network.runtime not in RUNTIMES:
        found.append(f"runtime: {network.runtime}")
    if network.traits.attach not in ("child", "moved"):
        found.append(f"driver: {network.driver}")
    if network.mode == "passthru":
        found.append("mode: passthru, which takes its parent from the machine")
    if network.ipam not in ("", "host-local", "static", "none"):
        found.append(f"ipam: {network.ipam}")
    if network.slaac:
        found.append("addresses by SLAAC")
    if network.nat:
        found.append("NAT")
    return [f"network {network.name}: {words}" for words in found]


def machines_for(plan: Plan, found: list[Machine], *, part: bool) -> list[Machine]:
    """Return the machines of an inventory that are the nodes of ``plan``.

    Raises BadInput where one is missing; where only a ``part`` of them is asked for, where all are.
    """
    names = [node.name for node in plan.nodes]
    own = [machine for machine in found if machine.name in names]
    missing = [name for name in names if name not in {machine.name for machine in own}]
    if not own or (missing and not part):
        raise BadInput(
            f"the inventory lacks {listed(missing)} of {plan.lab}",
            hint=f"it names {listed(machine.name for machine in found)}; --limit PATTERN  applies a"
            " part",
        )
    return own


def outlook(
    ways: Ways, plan: Plan, entry: Path, progress: Callable[[str], None]
) -> list[OnMachine]:
    """Return what applying ``plan`` would change on each machine, and what is in the way.

    ``entry`` holds its rendered files. Nothing is changed. Addresses are asked for on the wire:
    each machine asks for its own and for the next one's, as nobody hears a child of his own parent.
    Raises Infrastructure where a machine can't be asked.
    """
    progress(f"looking at {len(ways.machines)} machines")
    tasks = {name: {"word": "look", "files": files_of(entry / name)} for name in ways.machines}
    found = _all_of(_told(ways, tasks, plan), "look at")
    held = {address for one in found for address in one.holds}
    wanted = {
        one.name: [each for each in one.asked if each.address not in held]
        for one in found
        if not one.conflicts
    }
    names = list(wanted)
    to_ask = {
        name: {"word": "ask", "asked": [*wanted[name], *_of_next(plan, wanted, names, number)]}
        for number, name in enumerate(names)
    }
    to_ask = {name: task for name, task in to_ask.items() if task["asked"]}
    if not to_ask:
        return found
    progress(f"asking whether somebody has addresses of {plan.lab}")
    having: dict[str, str] = {}
    for name, document in _documents(ways, to_ask, DEADLINE).items():
        if document["error"]:
            raise Infrastructure(f"{name}: {document['error']}")
        for address, mac in document["answers"].items():
            having.setdefault(address, f"{mac} answered {name}")
    return [_with_answers(one, having) for one in found]


def apply(ways: Ways, plan: Plan, before: list[OnMachine], entry: Path) -> list[OnMachine]:
    """Apply ``plan`` to the machines of ``ways``, and return what was changed on each.

    ``before`` is their ``outlook``. Where one fails, or this is interrupted, what this call has
    begun is undone everywhere; a machine to which the lab had been applied before stays as far as
    it came. Raises Infrastructure then.
    """
    tasks = {name: {"word": "apply", "files": files_of(entry / name)} for name in ways.machines}
    begun = [one.name for one in before if not one.lab or one.told]
    try:
        found = _told(ways, tasks, plan)
        failed = [f"{one.name}: {one.error}" for one in found if one.error]
        failed += [f"{one.name}: {each.found}" for one in found for each in one.conflicts]
        if failed:
            raise Infrastructure(failed[0], detail="\n".join(failed[1:]), hint=_hint(found))
    except BaseException as error:
        left = _undone(ways, begun, plan.lab)
        if isinstance(error, Infrastructure) and left:
            error.detail = "\n".join(filter(None, [error.detail, *left]))
            error.hint = "underlay down -i INVENTORY"
        raise
    return found


def undo(ways: Ways, lab: str = "") -> list[OnMachine]:
    """Undo on each machine of ``ways`` whatever was applied there, or only the lab ``lab``.

    One that can't be asked, or where something can't be undone, has an ``error``.
    """
    return _told(ways, {name: {"word": "undo", "lab": lab} for name in ways.machines})


def states(ways: Ways) -> list[OnMachine]:
    """Return what is applied on each machine of ``ways``; one that can't be asked has an error."""
    return _told(ways, {name: {"word": "state"} for name in ways.machines})


def _undone(ways: Ways, names: Iterable[str], lab: str) -> list[str]:
    """Undo what a command has begun on machines; return what may be left there, in words."""
    tasks = {name: {"word": "undo", "lab": lab} for name in names}
    with suppress(KeyboardInterrupt):
        return [f"{one.name}: {one.error}" for one in _told(ways, tasks) if one.error]
    return [f"{name}: interrupted before it was undone" for name in tasks]


def _of_next(
    plan: Plan, wanted: Mapping[str, list[Asked]], names: list[str], number: int
) -> list[Asked]:
    """Return what a machine asks for the next one, by its own interfaces in the same segments."""
    following = names[(number + 1) % len(names)]
    if following == names[number]:
        return []
    own = {nic.segment: nic.interface for nic in plan.node(names[number]).nics}
    segments = {nic.interface: nic.segment for nic in plan.node(following).nics}
    return [
        each._replace(interface=own[segments[each.interface]])
        for each in wanted[following]
        if segments.get(each.interface) in own
    ]


def _with_answers(one: OnMachine, having: Mapping[str, str]) -> OnMachine:
    found = tuple(
        Conflict(f"{each.whose} is in use: {having[each.address]}", "another one in the lab file")
        for each in one.asked
        if each.address in having
    )
    return replace(one, conflicts=(*one.conflicts, *found))


def _told(
    ways: Ways, tasks: Mapping[str, Mapping[str, Any]], plan: Plan | None = None
) -> list[OnMachine]:
    """Have machines do their tasks; return what came of it, in the order of the tasks."""
    containers = len(plan.containers) if plan else 0
    found = _documents(ways, tasks, DEADLINE + EACH * containers / max(1, len(tasks)))
    return [_on_machine(name, found[name]) for name in tasks]


def _on_machine(name: str, document: Mapping[str, Any]) -> OnMachine:
    def words(key: str) -> tuple[str, ...]:
        return tuple(document.get(key, ()))

    return OnMachine(
        name,
        lab=document.get("lab", ""),
        since=document.get("since", 0),
        by=document.get("by", ""),
        told=document.get("told", ""),
        lost=words("lost"),
        containers=words("containers"),
        changes=words("changes") or words("undone"),
        conflicts=tuple(Conflict(**one) for one in document.get("conflicts", ())),
        left=words("left"),
        repaired=document.get("repaired", ""),
        error=document["error"],
        hint=document.get("hint", ""),
        asked=tuple(Asked(*each) for each in document.get("asked", ())),
        holds=words("holds"),
    )


def _documents(
    ways: Ways, tasks: Mapping[str, Mapping[str, Any]], deadline: float
) -> dict[str, dict[str, Any]]:
    """Have machines do their tasks at once; return each one's document, with ``error`` in any."""
    carried = base64.b64encode(program()).decode()
    answers = ways.ask(
        {name: [ways.machines[name].python, "-I", "-S", "-c", TAKE] for name in tasks},
        deadline=deadline,
        given={name: f"{carried}\n{json.dumps(task)}\n" for name, task in tasks.items()},
        become=True,
    )
    found: dict[str, dict[str, Any]] = {}
    for name, answer in answers.items():
        if answer.error:
            found[name] = {"error": answer.error, "hint": answer.hint}
            continue
        try:
            found[name] = json.loads(answer.out)
        except ValueError:
            said = tail(answer.err, 1) or f"exit code {answer.code}"
            found[name] = {"error": f"the node program did not run: {said}", "hint": HINT_SUDO}
    return found


def _all_of(found: list[OnMachine], what: str) -> list[OnMachine]:
    """Return ``found``; raise Infrastructure where a machine couldn't be asked."""
    failed = [one for one in found if one.error]
    if failed:
        said = [f"{one.name}: {one.error.removeprefix(f'{one.name}: ')}" for one in failed]
        raise Infrastructure(
            f"can't {what} {said[0]}", detail="\n".join(said[1:]), hint=_hint(failed)
        )
    return found


def _hint(found: Iterable[OnMachine]) -> str:
    return "\n".join(dict.fromkeys(one.hint for one in found if one.hint))
