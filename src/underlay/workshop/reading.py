"""Reading a course: YAML, then the models, then what no single key can tell.

All problems of all its files are raised at once, each with file, line, what was found, what was
expected, and the nearest thing that would do. What only a lab's plan knows, such as who is in
it, is judged by ``before_boot.py``.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from underlay.errors import BadInput, did_you_mean, listed, nearest
from underlay.lab.messages import one_of
from underlay.lab.text import LabError, LabText, Place, Problem, quoted, read_text, shown
from underlay.storage import paths
from underlay.workshop.course import FEWEST_HINTS, Course, CourseFile, Exercise, Stage, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic_core import ErrorDetails

COURSE_FILE, EXERCISE_FILE = "course.yml", "exercise.yml"
Model = TypeVar("Model", bound=BaseModel)


class CourseError(LabError):
    """A course cannot be used. ``problems`` holds all that was found, file by file."""

    def __init__(self, problems: list[Problem], course: Path) -> None:
        """Take the problems of the course in the folder ``course``."""
        super().__init__(problems, str(course / COURSE_FILE))
        word = shlex.quote(shown(course))
        self.hint = f"mend the files, then run `underlay workshop prove {word} --no-nodes`"


def shipped() -> Path:
    """Return the folder of the courses that Underlay ships."""
    return paths.root() / "courses"


def courses(folder: Path | None = None) -> list[Course]:
    """Return the courses in ``folder``, by default those that are shipped, by name.

    Raises CourseError for one that can't be used.
    """
    found = sorted((folder or shipped()).glob(f"*/{COURSE_FILE}"))
    return [load_course(path.parent) for path in found]


def find_course(word: str) -> Path:
    """Return the folder that ``word`` means: a path, or the name of a course that is shipped.

    Raises BadInput, with the nearest name, where there is none.
    """
    path = Path(word).expanduser()
    if (path / COURSE_FILE).is_file():
        return path
    if path.name == COURSE_FILE and path.is_file():
        return path.parent
    names = sorted(one.parent.name for one in shipped().glob(f"*/{COURSE_FILE}"))
    if word in names:
        return shipped() / word
    if path.is_dir():
        raise BadInput(f"{word} is a folder without {COURSE_FILE}", hint="underlay workshop list")
    hint = did_you_mean(nearest(word, names)) or f"courses: {listed(names)}"
    raise BadInput(f"there is no course {word!r}", hint=hint)


def load_course(folder: Path) -> Course:
    """Return the course in ``folder``; raise CourseError with all of its problems."""
    text = _text(folder / COURSE_FILE, folder)
    head, problems = _read(text, CourseFile)
    names = list(head.exercises) if head else []
    problems += _folders(text, folder, names)
    exercises = []
    for name in names:
        if not (folder / name / EXERCISE_FILE).is_file():
            continue
        exercise, found = _exercise(folder, name)
        problems += found
        exercises += [exercise] if exercise else []
    if head is None or problems:
        raise CourseError(problems, folder)
    sum_of = sum(one.minutes for one in exercises)
    if sum_of > head.minutes:
        found_sum = f"{head.minutes}, while its exercises take {sum_of}"
        expected = f"at least {sum_of} minutes"
        raise CourseError([text.problem(("minutes",), found_sum, expected)], folder)
    return Course(folder.resolve(), head.title, head.description, head.minutes, tuple(exercises))


def _text(file: Path, course: Path) -> LabText:
    try:
        return read_text(file)
    except LabError as error:
        raise CourseError(list(error.problems), course) from error


def _exercise(course: Path, name: str) -> tuple[Exercise | None, list[Problem]]:
    """Return an exercise, None where it isn't one, and what is wrong with it."""
    folder = course / name
    try:
        text = read_text(folder / EXERCISE_FILE)
    except LabError as error:
        return None, list(error.problems)
    exercise, problems = _read(text, Exercise)
    if exercise is None:
        return None, problems
    problems += _files(text, folder, exercise)
    problems += _steps(text, ("setup",), exercise.setup)
    for number, stage in enumerate(exercise.stages):
        problems += _stage(text, ("stages", number), stage)
    for number, guard in enumerate(exercise.guards):
        if not guard.breach:
            place = ("guards", number, "breach")
            expected = "deeds that do what must not be done, by which the guard is proven"
            problems.append(text.problem(place, "an empty list", expected))
    return exercise.within(folder.resolve(), text), problems


def _read(text: LabText, model: type[Model]) -> tuple[Model | None, list[Problem]]:
    """Return what a file says by ``model``, and why it doesn't."""
    if not isinstance(text.data, dict):
        found = "an empty file" if text.data is None else quoted(text.data)
        keys = ", ".join(_keys(model.model_json_schema()))
        return None, [*text.problems, text.problem((), found, f"a mapping of {keys}")]
    try:
        return model.model_validate(text.data), list(text.problems)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        schema = model.model_json_schema()
        return None, [*text.problems, *(_told(text, one, schema, details) for one in details)]


def _told(
    text: LabText, detail: ErrorDetails, root: dict[str, Any], details: Sequence[ErrorDetails]
) -> Problem:
    steps = tuple(one for one in detail["loc"])
    if detail["type"] == "extra_forbidden":
        place, key = steps[:-1], str(steps[-1])
        choices = _keys(_schema(root, place))
        hint = did_you_mean(nearest(key, choices))
        spot = text.spot(steps)
        around = text.problem(place, f"the key {quoted(key)}", one_of(choices))
        where = (spot.file, spot.line, spot.column, around.where)
        return Problem(*where, around.found, around.expected, hint, "unknown-key")
    if detail["type"] == "missing":
        expected = f"{steps[-1]}: {_expected(_schema(root, steps))}"
        place = steps[:-1]
        return text.problem(place, f"no {steps[-1]!r}", expected, at_key=True, id="missing-key")
    schema = _schema(root, steps)
    value = detail["input"]
    return text.problem(steps, quoted(value), _expected(schema), _hint(value, schema))


def _resolved(root: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follow references, and leave null out of what a key may be; what is said at the key stays."""
    beside = {key: schema[key] for key in ("expected",) if key in schema}
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return {**(_resolved(root, options[0]) if len(options) == 1 else schema), **beside}


def _schema(root: dict[str, Any], place: Place) -> dict[str, Any]:
    schema = _resolved(root, root)
    for step in place:
        inner = (
            schema.get("items", {})
            if isinstance(step, int)
            else schema.get("properties", {}).get(step, {})
        )
        schema = _resolved(root, inner)
    return schema


def _keys(schema: dict[str, Any]) -> list[str]:
    return list(schema.get("properties", {}))


def _expected(schema: dict[str, Any]) -> str:
    """Return in words what ``schema`` takes."""
    if "expected" in schema:
        return str(schema["expected"])
    if "const" in schema or "enum" in schema:
        return one_of([str(one) for one in schema.get("enum", [schema.get("const")])])
    if schema.get("type") == "integer":
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    if schema.get("type") == "boolean":
        return "true or false"
    if schema.get("type") == "array":
        most = schema.get("maxItems")
        return f"a list of 1 to {most}" if most else "a list"
    if "properties" in schema:
        return f"a mapping of {', '.join(_keys(schema))}"
    return "text"


def _hint(value: object, schema: dict[str, Any]) -> str:
    if schema.get("type") == "array" and isinstance(value, (str, dict)):
        return "write '- ' before it, or [ ] around it"
    if schema.get("type") == "string" and isinstance(value, (int, float)):
        return f"write '{quoted(value)}', in quotes"
    words = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return did_you_mean(nearest(value, [str(one) for one in words]))


def _folders(text: LabText, folder: Path, names: list[str]) -> Iterator[Problem]:
    """Yield exercises without a folder, folders without an exercise, and one that is twice."""
    there = sorted(one.parent.name for one in folder.glob(f"*/{EXERCISE_FILE}"))
    for number, name in enumerate(names):
        place = ("exercises", number)
        if name not in there:
            left = [one for one in there if one not in names]
            hint = did_you_mean(nearest(name, left))
            found = f"{quoted(name)}, which has no {name}/{EXERCISE_FILE}"
            yield text.problem(place, found, "the name of a folder with an exercise", hint)
        elif name in names[:number]:
            yield text.problem(place, f"{quoted(name)} a second time", "each exercise once")
    for name in there if names else ():
        if name not in names:
            spot = shown(folder / name / EXERCISE_FILE)
            found = f"{spot}, an exercise that {COURSE_FILE} doesn't name"
            yield text.problem(("exercises",), found, "every folder's exercise in the list")


def _files(text: LabText, folder: Path, exercise: Exercise) -> Iterator[Problem]:
    for key in ("lab", "story", "aha"):
        name = getattr(exercise, key)
        path = folder / name
        if not path.is_file():
            near = nearest(name, sorted(one.name for one in folder.iterdir()))
            expected = f"a file in {shown(folder)}"
            yield text.problem(
                (key,), f"{quoted(name)}, no such file", expected, did_you_mean(near)
            )
        elif not path.read_bytes().strip():
            yield text.problem((key,), f"{quoted(name)}, an empty file", "something to read")


def _stage(text: LabText, place: Place, stage: Stage) -> Iterator[Problem]:
    """Yield what a stage lacks for it to be begun, solved and got wrong."""
    yield from _steps(text, (*place, "setup"), stage.setup)
    if len(stage.hints) < FEWEST_HINTS:
        expected = f"at least {FEWEST_HINTS}, from gentle to plain"
        yield text.problem((*place, "hints"), quoted(list(stage.hints)), expected)
    answer = stage.answer
    if answer is not None:
        where = (*place, "answer")
        if bool(answer.on) != bool(answer.run):
            yield text.problem(where, "one of on and run", "both, or neither")
        elif not (answer.run or answer.accept):
            yield text.problem(where, "no right answer", "on and run, or accept")
    if not stage.judges_cells:
        for key in ("solve", "wrong"):
            if getattr(stage, key):
                expected = "expect beside it: without, only the answer counts"
                yield text.problem((*place, key), f"{key} beside answer", expected)
        return
    if not (stage.red or stage.unplanned or stage.expect):
        expected = "red, unplanned: true, or expect: it begins with something wrong"
        yield text.problem(place, "a stage in which nothing is wrong", expected, at_key=True)
    for key, what in (
        ("solve", "what a learner does to solve it"),
        ("wrong", "a plausible wrong solution"),
    ):
        if not getattr(stage, key):
            where = (*place, key)
            yield text.problem(where, f"no {key!r}", f"{key}: {what}", id="missing-key")


def _steps(text: LabText, place: Place, steps: Sequence[Step]) -> Iterator[Problem]:
    for number, step in enumerate(steps):
        where = (*place, number)
        kinds = [key for key in ("break", "run", "mend") if getattr(step, _FIELD.get(key, key))]
        if len(kinds) != 1:
            found = " beside ".join(kinds) or "none of break, run and mend"
            yield text.problem(where, found, "one of break, run and mend in each step")
        elif kinds == ["run"] and not step.on:
            yield text.problem(where, "run without on", "on: a node, a container or switch")
        elif kinds != ["run"] and step.on:
            hint = "a fault's place is named by node or container" if kinds == ["break"] else ""
            yield text.problem((*where, "on"), f"on beside {kinds[0]}", "it beside run alone", hint)
        elif kinds != ["break"] and (step.node or step.container):
            key = "node" if step.node else "container"
            expected = "on" if kinds == ["run"] else "it beside break alone"
            yield text.problem((*where, key), f"{key} beside {kinds[0]}", expected)


_FIELD = {"break": "fault"}
