"""Which lab a verb is about: a file for those that start one, a name for those that look at one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.errors import BadInput, Infrastructure, did_you_mean, listed, nearest
from underlay.storage.paths import root, states

if TYPE_CHECKING:
    from underlay.cluster.state.lab import LabState

DEFAULT_LAB = "coreos"
SUFFIXES = (".yml", ".yaml")


def resolve_lab(argument: str | None) -> Path:
    """Return the lab file that ``argument`` means; None means the default lab.

    ``argument`` is a path (it holds a slash or ends in .yml) or the name of a file
    in the checkout's ``labs/``, such as ``docker-vlan`` or ``broken/seed-eth0``.
    Raises BadInput, with the nearest name, where there is no such file.
    """
    argument = argument or DEFAULT_LAB
    path = Path(argument)
    if path.suffix in SUFFIXES or argument.startswith((".", "/", "~")) or argument.endswith("/"):
        path = path.expanduser()
        if path.is_file():
            return path
        if path.is_dir():
            raise BadInput(f"{argument} is a folder, not a lab file", hint=_of_folder(path))
        raise BadInput(f"{argument} is not there", hint=_beside(path) or _nearest_file(path.stem))
    named = root() / "labs" / f"{argument}.yml"
    if named.is_file():
        return named
    if path.is_file():
        return path
    if path.is_dir():
        raise BadInput(f"{argument} is a folder, not a lab file", hint=_of_folder(path))
    raise BadInput(f"there is no lab {argument!r} in labs/", hint=_nearest_file(argument))


def running_lab(name: str | None) -> str:
    """Return the name of the running lab that a verb is about; None means the only one.

    Raises BadInput where ``name`` isn't up, or where it is None and no lab or
    more than one is up; the message names those that are.
    """
    up = running_labs()
    if name is not None:
        if name in up:
            return name
        raise BadInput(f"the lab {name!r} is not up", hint=_hint_for(name, up))
    if len(up) == 1:
        return up[0]
    if not up:
        raise BadInput("no lab is up", hint="`underlay up` starts the default lab")
    raise BadInput(
        f"{len(up)} labs are up: {listed(up)}", hint=f"name one of them: `--lab {up[0]}`"
    )


def running_state(name: str | None) -> LabState:
    """Return the record of the lab that ``running_lab`` names; raise BadInput as it does.

    Raises Infrastructure where the record can't be read.
    """
    from underlay.cluster.state.lab import read_state

    lab = running_lab(name)
    state = read_state(lab)
    if state is None:
        raise Infrastructure(
            f"what is recorded about the lab {lab} can't be read", hint=f"underlay down --lab {lab}"
        )
    return state


def refuse_broken(state: LabState) -> None:
    """Raise BadInput where `break` has done something to the lab that only `mend` can undo."""
    from underlay.faults.record import recorded

    if done := recorded(state):
        raise BadInput(
            f"the lab {state.lab} is broken on purpose:"
            f" {listed(f'{one.fault} at {one.where}' for one in done)}",
            hint=f"underlay mend --lab {state.lab}  undoes it; where somebody has mended it by hand"
            " already, that does no harm",
        )


def running_labs() -> tuple[str, ...]:
    """Return the names of all labs with a state folder that says they were started, sorted."""
    return tuple(sorted(file.parent.name for file in states().glob("*/lab.json")))


def lab_names() -> tuple[str, ...]:
    """Return the names of all lab files in ``labs/``, the default one first."""
    folder = root() / "labs"
    names = [file.relative_to(folder).with_suffix("") for file in folder.rglob("*.yml")]
    return tuple(sorted(map(str, names), key=lambda name: (name != DEFAULT_LAB, name)))


def _of_folder(folder: Path) -> str:
    """Return which lab file may be meant by a folder, and how one is made of hosts' files."""
    beside = [folder.parent / f"{folder.name}{suffix}" for suffix in SUFFIXES]
    inside = sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES)
    near = next((path for path in (*beside, *inside) if path.is_file()), None)
    if near is not None:
        return f"did you mean {near}?"
    return f"underlay import {shlex.quote(str(folder))} -o lab.yml  makes one of hosts' files"


def _beside(path: Path) -> str:
    """Return which lab file in its folder may be meant by a path; nothing where none is like it."""
    there = {each.name: each for suffix in SUFFIXES for each in path.parent.glob(f"*{suffix}")}
    near = nearest(path.name, there)
    return did_you_mean(str(there[near])) if near else ""


def _nearest_file(word: str) -> str:
    names = lab_names()
    near = nearest(word, names) or next((n for n in names if n.rpartition("/")[2] == word), "")
    if near:
        return did_you_mean(repr(near))
    return f"the labs here are {listed(names, more='underlay labs')}"


def _hint_for(name: str, up: tuple[str, ...]) -> str:
    if not up and name not in lab_names():
        return "no lab is up; `underlay up FILE` starts one"
    if not up:
        return f"no lab is up; `underlay up {shlex.quote(name)}` starts it"
    near = nearest(name, up)
    return did_you_mean(repr(near)) if near else f"up now: {listed(up)}"
