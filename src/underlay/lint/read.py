"""Reading a lab file: YAML, then the models, then what no single key can tell.

All problems are raised at once, in file order, each with file, line, column, what
was found, what was expected, and the nearest thing that would do.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from underlay.errors import did_you_mean, nearest
from underlay.fleet.document import listed, mapping, word
from underlay.lab import Lab
from underlay.lab.messages import schema_problems
from underlay.lab.own import NOTHING_OWN, Own
from underlay.lab.text import LabError, LabText, Problem, quoted, read_text
from underlay.lint.archives import ARCHITECTURE, NoArchive, held
from underlay.lint.derived import Derived, Reader, derived, on_disk
from underlay.lint.keys.checks import cross_check
from underlay.lint.statements import statement_problems
from underlay.plan import Plan, make_plan
from underlay.plan.make import with_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.lab import Containers
    from underlay.lab.text import Place

__all__ = ["LabError", "Problem", "read_lab", "read_lab_text"]


def read_lab(path: Path) -> Lab:
    """Return the Lab in the file at ``path``; raise LabError with all of its problems."""
    return read_lab_text(path)[0]


def read_lab_text(path: Path) -> tuple[Lab, LabText]:
    """Return the Lab and the text it came from, which knows where everything stands."""
    whole = read_whole(read_text(path), path.absolute().parent)
    return whole.lab, whole.derived.text


class Whole(NamedTuple):
    """A lab, what its fleet leads to, and the plan where one was made for its statements."""

    lab: Lab
    derived: Derived
    plan: Plan | None


def read_whole(text: LabText, folder: Path, read: Reader | None = None) -> Whole:
    """Return the Lab that ``text`` says, with what its fleet leads to; paths count from ``folder``.

    ``read`` reads a host of the fleet; without it, hosts' files are those on the disk. Raises
    LabError with all of its problems.
    """
    found = derived(text, read or on_disk(folder))
    try:
        lab, plan = _planned(found.text, folder, found.own)
    except LabError as error:
        problems = [_of_lost(one, text, found) for one in error.problems]
        raise LabError(problems, text.file) from error
    return Whole(lab, found, plan)


def _of_lost(problem: Problem, text: LabText, found: Derived) -> Problem:
    """Return what is wrong about something that hosts' files name, with why no lab has it."""
    names = [problem.found.strip("'")] if problem.id == "expect-nobody" else []
    group = re.match(r"containers\[([0-9]+)\]", problem.where)
    if group:
        words = listed(mapping(text.data).get("containers"))[int(group[1]) :]
        names += [word(mapping(one).get("name")) for one in words[:1]]
    nic = problem.found.strip("'").partition(".")[0]
    for network in (one for host in found.hosts for one in host.networks):
        # Of a network that Docker cuts off from its parent no segment is made.
        cut_off = network.runtime == "docker" and network.internal
        if problem.id == "hosts" and cut_off and network.parent.partition(".")[0] == nic:
            spot = network.spot("master")
            hint = f"{network.name} is internal: Docker takes no notice of its parent ({spot})"
            return replace(problem, hint=hint)
    for name in names:
        if name in found.carried.lost:
            hint = f"hosts' files name {name}, and the lab hasn't it: {found.carried.lost[name]}"
            return replace(problem, hint=hint)
    return problem


def lab_of_text(text: LabText, folder: Path) -> Lab:
    """Return the Lab that ``text`` says by itself; paths in it count from ``folder``.

    Raises LabError with all of its problems.
    """
    return _planned(text, folder, NOTHING_OWN)[0]


def problems_of(text: LabText) -> list[Problem]:
    """Return all that keeps ``text`` from being a lab, nothing where it is one."""
    return _checked(text, NOTHING_OWN)[0]


def _planned(text: LabText, folder: Path, own: Own) -> tuple[Lab, Plan | None]:
    """Return the Lab that ``text`` says with its ``own``, and its plan if its check took one."""
    problems, plan = _checked(text, own)
    if problems:
        raise LabError(problems, text.file)
    lab = _beside(Lab.model_validate(text.data), folder, text).with_own(own)
    if started := _started_by_files(lab, text):
        raise LabError(started, text.file)
    return lab, with_images(plan, lab) if plan else None


def _checked(text: LabText, own: Own) -> tuple[list[Problem], Plan | None]:
    """Return all that keeps ``text`` from being a lab, and the plan by which statements are told.

    There is a plan only where there are statements, and nothing else is wrong.
    """
    if not isinstance(text.data, dict):
        return [*text.problems, _not_a_lab(text)], None
    problems = [*text.problems, *schema_problems(text), *cross_check(text)]
    if not text.data.get("expect"):
        return problems, None
    # Whom a statement names, only the plan knows: none can be made of what is wrong elsewhere.
    wrong = [_number_of(problem) for problem in problems]
    if None in wrong:
        return problems, None
    able = _with_others(text, {number for number in wrong if number is not None})
    lab = Lab.model_validate(able.data).with_own(own)
    plan = make_plan(lab)
    return [*problems, *statement_problems(lab, able, plan, leave_out=wrong)], plan


_STATEMENT = re.compile(r"expect\[([0-9]+)\]")
# A statement in the place of one that can't be read: it is about nobody, and nothing is said of it.
_IN_ITS_PLACE = "? -x ?"


def _number_of(problem: Problem) -> int | None:
    """Return the number of the statement that a problem is about, None where it is about others."""
    found = _STATEMENT.match(problem.where)
    return int(found[1]) if found else None


def _with_others(text: LabText, wrong: set[int]) -> LabText:
    """Return ``text`` with those statements alone that can be read, each in its own place."""
    if not wrong:
        return text
    said = text.data["expect"]
    expect = [_IN_ITS_PLACE if number in wrong else one for number, one in enumerate(said)]
    return LabText(text.file, {**text.data, "expect": expect}, text.keys, text.values)


def _beside(lab: Lab, folder: Path, text: LabText) -> Lab:
    """Return ``lab`` with the paths of its own images counted from ``folder``.

    Raises LabError, with the line, where an archive of a container's image isn't there, or where
    a container can't run what it holds.
    """
    lacking = [
        _no_image(text, ("images", number), name, folder)
        for number, name in enumerate(lab.images)
        if not _at(folder, name).is_file()
    ]
    for number, group in enumerate(lab.containers):
        if group.image:
            lacking += _unfit(text, ("containers", number, "image"), group, folder)
    if lacking:
        raise LabError(lacking, text.file)
    groups = [
        group.model_copy(update={"image": str(_at(folder, group.image))}) if group.image else group
        for group in lab.containers
    ]
    archives = [str(_at(folder, name)) for name in lab.images]
    lab = lab.model_copy(update={"images": archives, "containers": groups})
    if lab.image is None:
        return lab
    paths, problems = {}, []
    for key, value in lab.image.model_dump(exclude_none=True).items():
        try:
            paths[key] = str(folder / Path(value).expanduser())
        except RuntimeError:
            hint = f"write ./{value} for a file of that name"
            expected = "a path, or ~ and a user of this machine"
            problems.append(text.problem(("image", key), quoted(value), expected, hint))
    if problems:
        raise LabError(problems)
    return lab.model_copy(update={"image": lab.image.model_copy(update=paths)})


def _at(folder: Path, name: str) -> Path:
    """Return where a file that the lab names is; ``~`` of nobody is a name like others."""
    try:
        return folder / Path(name).expanduser()
    except RuntimeError:
        return folder / name


def _no_image(text: LabText, place: Place, name: str, folder: Path) -> Problem:
    """Say that an archive isn't there: the nearest one that is, or how one is made."""
    beside = _at(folder, name).parent
    # By what comes before the ending, which all of them have alike.
    names = (one.name for one in beside.glob("*.tar*") if one.name.isprintable())
    there = {one.partition(".tar")[0]: one for one in names}
    close = there.get(nearest(Path(name).name.partition(".tar")[0], there))
    hint = did_you_mean(close) if close else _saving(name)
    return text.problem(place, quoted(name), "an archive of an image", hint, id="no-image")


def _saving(name: str) -> str:
    """Return the command that makes an archive; it must not replace another kind of file.

    A name that a terminal can't show is no part of a command to be copied.
    """
    path = Path(name if name.isprintable() else "image")
    name = str(path)
    archive = name if ".tar" in path.name else str(path.with_name(f"{path.stem}.tar"))
    return f"docker save IMAGE -o {shlex.quote(archive)}"


def _unfit(text: LabText, place: Place, group: Containers, folder: Path) -> Iterator[Problem]:
    """Yield what keeps a container from running the image that it names."""
    name = group.image or ""
    path = _at(folder, name)
    if not path.is_file():
        yield _no_image(text, place, name, folder)
        return
    expected = "an archive of one image, of `docker save` or OCI"
    try:
        found = held(path)
    except NoArchive as error:
        hint = error.hint or _saving(name)
        yield text.problem(place, f"{quoted(name)}, {error}", expected, hint, id="no-image")
        return
    if len(found) > 1:
        what = f"{quoted(name)}, an archive of {len(found)} images"
        hint = _saving(name)
        yield text.problem(place, what, expected, hint, id="no-image")
    elif found[0].architecture != ARCHITECTURE:
        what = f"{quoted(name)}, an image for {quoted(found[0].architecture)}"
        hint = f"docker pull --platform linux/{ARCHITECTURE} IMAGE, and docker save"
        wanted = f"one for {ARCHITECTURE}, which nodes are"
        yield text.problem(place, what, wanted, hint, id="no-image")
    elif not group.command and not found[0].runs:
        what = f"{quoted(name)}, an image that names no command"
        yield text.problem(place, what, "command beside it", id="no-image")


def _started_by_files(lab: Lab, text: LabText) -> list[Problem]:
    """Return what of containers' programs nobody acts on, or nobody has.

    A file of the `fleet` says itself what its container runs; that it listens, the lab may say.
    """
    found = []
    started = {place for place, _ in lab.own.starters}
    for number, group in enumerate(lab.containers):
        for key in ("image", "command"):
            if getattr(group, key) and number in started:
                what = f"{key} of a container that a file of the fleet starts"
                wanted = f"{key} in that file"
                place: Place = ("containers", number, key)
                hint = "an image of its own is in an archive of `images`"
                found.append(text.problem(place, what, wanted, hint, at_key=True, id="program"))
        if group.ports and not (group.image or group.command or number in started):
            found.append(
                text.problem(
                    ("containers", number, "ports"),
                    "ports without a program that listens there",
                    "image or command beside them, or listens, by which Underlay answers",
                    f"listens: [{', '.join(f'tcp:{port}' for port in group.ports)}]",
                    at_key=True,
                    id="program",
                )
            )
    return found


def _not_a_lab(text: LabText) -> Problem:
    keys = "name, segments, networks and containers"
    if text.data is None:
        return text.problem((), "an empty file", f"a lab: {keys}", id="no-lab")
    found = "a list" if isinstance(text.data, list) else "a single value"
    return text.problem((), found, f"a mapping with the keys {keys}", id="no-lab")
