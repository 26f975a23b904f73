"""The file of a run, written whole and read back; one cell stands on one line.

What can't be read as a run is told as any bad input is: where, what was found, what was expected.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from underlay.errors import BadInput, Spot, reason
from underlay.proof.runs.schema import DOCUMENT, VERSION, Run
from underlay.proof.runs.whole import problems, with_wholeness
from underlay.storage.writing import write_whole

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# Lists deeper than this stand on one line each.
OPEN = 3
MAKE = "a run is what check keeps: underlay check --save run.json"
CHANGED = "a file changed by hand or by another program can't be trusted: make it anew"
SHOWN = 3


def run_text(run: Run) -> str:
    """Return ``run`` as the text of its file, without what is as it is by default."""
    content = run.model_dump(mode="json", exclude_defaults=True)
    # What kind of file it is has to be read first.
    return _text({"document": run.document, "version": run.version, **content}, 0) + "\n"


def schema_of_runs() -> dict[str, Any]:
    """Return the JSON Schema of the file, for programs that read it."""
    made = Run.model_json_schema()
    # A file without these two is none; the models have them by default.
    made["required"] = ["document", "version", *made["required"]]
    made = with_wholeness(made)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A run of underlay check, version {VERSION}",
        **{key: value for key, value in made.items() if key != "title"},
    }


def write_run(run: Run, path: Path) -> None:
    """Write ``run`` to ``path``, whole or not at all. Raises OSError."""
    write_whole(path, run_text(run))


def read_run(path: Path) -> Run:
    """Return the run that the file ``path`` holds.

    Raises BadInput where it can't be read, is torn, is something else, or of another version.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} can't be read: {reason(error)}", hint=MAKE) from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is no run: it isn't text", hint=MAKE) from error
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise _not_json(path, text, error) from error
    except RecursionError as error:
        raise BadInput(f"{path} is no run: it is too deep", hint=MAKE) from error
    _refuse_others(path, content)
    try:
        run = Run.model_validate(content)
    except ValidationError as error:
        raise BadInput(
            f"{path} says that it is a run, and isn't one in full",
            detail="\n".join(_problem(one) for one in error.errors()[:SHOWN]),
            hint=CHANGED,
        ) from error
    _refuse_torn_apart(path, run)
    return run


def _not_json(path: Path, text: str, error: json.JSONDecodeError) -> BadInput:
    spot = Spot(str(path), error.lineno, error.colno)
    if not text.strip():
        return BadInput(f"{path} is empty, expected a run", hint=MAKE)
    if DOCUMENT in text[:200]:
        return BadInput(
            f"{spot}: the run ends or breaks here: {error.msg}, expected the rest of it",
            hint="it was torn on its way: copy it again, whole",
        )
    return BadInput(f"{spot}: this is no JSON: {error.msg}, expected a run", hint=MAKE)


def _refuse_others(path: Path, content: Any) -> None:
    if not isinstance(content, dict) or content.get("document") != DOCUMENT:
        printed = isinstance(content, dict) and {"cells", "labs"} & content.keys()
        what = "what --json prints" if printed else "another JSON document"
        raise BadInput(
            f'{path} is no run: it is {what}, expected one with "document": "{DOCUMENT}"',
            hint=MAKE,
        )
    version = content.get("version")
    if version != VERSION:
        made = content.get("versions")
        by = made.get("underlay") if isinstance(made, dict) else None
        raise BadInput(
            f"{path} is a run of version {version}, expected {VERSION}",
            hint=f"read it by the Underlay that made it{f': {by}' if by else ''}, or measure anew",
        )


def _refuse_torn_apart(path: Path, run: Run) -> None:
    found = list(islice(problems(run), SHOWN))
    if found:
        raise BadInput(
            f"{path} says that it is a run, and isn't one in full",
            detail="\n".join(found),
            hint=CHANGED,
        )


def _problem(one: ErrorDetails) -> str:
    place = ".".join(str(part) for part in one["loc"])
    return f"{place}: {one['msg'][:1].lower()}{one['msg'][1:]}"


def _text(value: Any, depth: int) -> str:
    """Return ``value`` as JSON, whose outer lists and mappings have a line for each of theirs."""
    outer = depth <= OPEN and value
    if outer and isinstance(value, dict):
        lines = [f"{json.dumps(key)}: {_text(one, depth + 1)}" for key, one in value.items()]
        return "{\n" + ",\n".join(lines) + "\n}"
    if outer and isinstance(value, list):
        return "[\n" + ",\n".join(_text(one, depth + 1) for one in value) + "\n]"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
