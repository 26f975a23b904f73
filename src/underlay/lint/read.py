"""Reading a lab file: YAML, then the models, then what no single key can tell.

All problems are raised at once, in file order, each with file, line, column, what
was found, what was expected, and the nearest thing that would do.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

from underlay.fleet.document import listed, mapping, word
from underlay.lab import Lab
from underlay.lab.messages import schema_problems
from underlay.lab.text import LabError, LabText, Problem, quoted, read_text
from underlay.lint.derived import Derived, Reader, derived, on_disk
from underlay.lint.keys.checks import cross_check
from underlay.lint.statements import statement_problems
from underlay.plan import make_plan

__all__ = ["LabError", "Problem", "read_lab", "read_lab_text"]


def read_lab(path: Path) -> Lab:
    """Return the Lab in the file at ``path``; raise LabError with all of its problems."""
    return read_lab_text(path)[0]


def read_lab_text(path: Path) -> tuple[Lab, LabText]:
    """Return the Lab and the text it came from, which knows where everything stands."""
    lab, found = read_whole(read_text(path), path.absolute().parent)
    return lab, found.text


def read_whole(text: LabText, folder: Path, read: Reader | None = None) -> tuple[Lab, Derived]:
    """Return the Lab that ``text`` says, with what its fleet leads to; paths count from ``folder``.

    ``read`` reads a host of the fleet; without it, hosts' files are those on the disk. Raises
    LabError with all of its problems.
    """
    found = derived(text, read or on_disk(folder))
    try:
        lab = lab_of_text(found.text, folder)
    except LabError as error:
        problems = [_of_lost(one, text, found) for one in error.problems]
        raise LabError(problems, text.file) from error
    return lab.with_own(found.own), found


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
    problems = problems_of(text)
    if problems:
        raise LabError(problems, text.file)
    return _beside(Lab.model_validate(text.data), folder, text)


def problems_of(text: LabText) -> list[Problem]:
    """Return all that keeps ``text`` from being a lab, nothing where it is one."""
    if not isinstance(text.data, dict):
        return [*text.problems, _not_a_lab(text)]
    problems = [*text.problems, *schema_problems(text), *cross_check(text)]
    if not text.data.get("expect"):
        return problems
    # Whom a statement names, only the plan knows: none can be made of what is wrong elsewhere.
    wrong = [_number_of(problem) for problem in problems]
    if None in wrong:
        return problems
    able = _with_others(text, {number for number in wrong if number is not None})
    lab = Lab.model_validate(able.data)
    found = statement_problems(lab, able, make_plan(lab), leave_out=wrong)
    return [*problems, *found]


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

    Raises LabError, with the line, where an archive of a container's image isn't there.
    """
    archives = [str(folder / Path(name).expanduser()) for name in lab.images]
    lacking = [
        text.problem(
            ("images", number),
            quoted(lab.images[number]),
            "an archive of an image",
            f"docker save IMAGE -o {shlex.quote(lab.images[number])}",
            id="no-image",
        )
        for number, path in enumerate(archives)
        if not Path(path).is_file()
    ]
    if lacking:
        raise LabError(lacking)
    lab = lab.model_copy(update={"images": archives})
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


def _not_a_lab(text: LabText) -> Problem:
    keys = "name, segments, networks and containers"
    if text.data is None:
        return text.problem((), "an empty file", f"a lab: {keys}", id="no-lab")
    found = "a list" if isinstance(text.data, list) else "a single value"
    return text.problem((), found, f"a mapping with the keys {keys}", id="no-lab")
