"""How a record is read, and how rows get into it.

Rows that are kept take the place of those of the same names; all others stay, each with its
own origin. Whoever keeps some holds the folder meanwhile, so that several may. A file is
written whole or not at all.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from underlay.cluster import checkout
from underlay.errors import BadInput
from underlay.proof.records import schema
from underlay.proof.records.content import DEPENDS
from underlay.proof.records.origin import here
from underlay.proof.records.schema import SCHEMAS, Origin, sum_of
from underlay.storage.paths import root
from underlay.storage.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Where the records are in a checkout.
PLACE = ("docs", "proof")
KEYS = {"record", "origins", "rows"}
LENGTH_OF_KEY = 8


@dataclass(frozen=True)
class Record:
    """A record: its rows by name, and what they are of, by the key that they name."""

    name: str
    origins: dict[str, Origin] = field(default_factory=dict)
    rows: dict[str, Any] = field(default_factory=dict)

    def origin(self, row: str) -> Origin:
        """Return what the row called ``row`` is of."""
        return self.origins[self.rows[row].origin]


def complete(record: Record) -> dict[str, Any]:
    """Return what the shares of the full proof say together.

    It is ``complete`` where all shares of the same tests have run on one commit as it is.
    """
    rows = list(record.rows.values())
    origins = [record.origin(name) for name in record.rows]
    same = len({(row.of, row.names) for row in rows}) == len({o.commit for o in origins}) == 1
    every = bool(rows) and {row.part for row in rows} == set(range(1, rows[0].of + 1))
    layers = [layer for row in rows for layer in row.layers]
    return {
        "complete": same and every and not any(o.dirty or o.commit is None for o in origins),
        **{key: sum(getattr(layer, key) for layer in layers) for key in COUNTS},
    }


def _nothing(record: Record) -> dict[str, Any]:
    """What most records say beside their rows."""
    return {}


COUNTS = ("passed", "failed", "skipped")
# What follows from all rows of a record, and stands in its file as well.
DERIVED: dict[str, Callable[[Record], dict[str, Any]]] = {"tests": complete}


def _of_one_cut(rows: dict[str, Any]) -> dict[str, Any]:
    """Return those of ``rows`` that the newest is of: others were cut into another number."""
    of = max(rows.values(), key=lambda row: row.date).of if rows else 0
    return {name: row for name, row in rows.items() if row.of == of}


# Which rows of a record stay where those of two folders are joined; all, where it isn't named.
JOINED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"tests": _of_one_cut}


def folder() -> Path:
    """Return the folder of the records."""
    return root().joinpath(*PLACE)


def file(name: str) -> Path:
    """Return the file of the record called ``name``."""
    return folder() / f"{name}.json"


def read(name: str) -> Record:
    """Return the record called ``name``, an empty one where there is none yet.

    Raises BadInput for what this code hasn't written: unknown keys, rows that aren't as they
    should be, and such as don't fit their sum.
    """
    path = file(name)
    if not path.is_file():
        return Record(name)
    return parse(name, path.read_text(encoding="utf-8"))


def committed(name: str) -> Record:
    """Return the record called ``name`` as the commit has it that is checked out.

    What was kept since then doesn't change it. Outside a repository it is what ``read`` returns,
    and raises what that does.
    """
    path = file(name)
    above = path.parents[len(PLACE)]
    text = checkout.committed(above, path.relative_to(above).as_posix())
    if text is None:
        return read(name)
    return parse(name, text) if text else Record(name)


def parse(name: str, text: str, shown: str = "") -> Record:
    """Return the record called ``name`` that ``text`` is; raise BadInput as ``read`` does.

    What it raises calls the file ``shown``, by default as it is called in this checkout.
    """
    shown = shown or f"{'/'.join(PLACE)}/{name}.json"
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _refused(shown, f"no JSON document ({error})") from error
    keys = KEYS | DERIVED.get(name, _nothing)(Record(name)).keys()
    if not isinstance(document, dict) or document.keys() != keys or document["record"] != name:
        found = sorted(document) if isinstance(document, dict) else type(document).__name__
        raise _refused(shown, f"found {found}, expected the keys {sorted(keys)} of {name}")
    try:
        origins = {key: Origin.model_validate(each) for key, each in document["origins"].items()}
        model = SCHEMAS[name]
        rows = {key: model.validate_python(row) for key, row in document["rows"].items()}
    except ValidationError as error:
        raise _refused(shown, str(error)) from error
    for key, row in document["rows"].items():
        origin = document["origins"].get(row["origin"])
        if origin is None:
            raise _refused(shown, f"the row {key} names an origin that isn't there")
        if row["sum"] != sum_of(row, origin):
            raise _refused(shown, f"the row {key} was changed since it was written")
    record = Record(name, origins, rows)
    for key, value in DERIVED.get(name, _nothing)(record).items():
        if document[key] != value:
            raise _refused(shown, f"{key} is {document[key]}, and of its rows {value}")
    return record


def keep(name: str, rows: Mapping[str, Mapping[str, Any]], *, all_rows: bool = False) -> Path:
    """Write ``rows`` into the record called ``name`` and return its path.

    Each row is what its model in ``schema`` says, without what all rows have: that they get
    here, from this commit and machine. With ``all_rows`` the record has no others afterwards.
    Raises BadInput where there is no such record, or the one that is there can't be read.
    """
    if name not in SCHEMAS:
        raise BadInput(f"there is no record {name!r}", hint=f"records: {', '.join(SCHEMAS)}")
    origin, date = here(DEPENDS[name]), datetime.now(UTC).isoformat(timespec="seconds")

    def merged(record: Record) -> Record:
        return merge(record, {key: (row, date, origin) for key, row in rows.items()})

    return change(name, merged, fresh=all_rows)


def merge(record: Record, rows: Mapping[str, tuple[Mapping[str, Any], str, Origin]]) -> Record:
    """Return ``record`` with ``rows`` in the place of those of the same names.

    Each comes with its date and its origin.
    """
    model = SCHEMAS[record.name]
    found, origins = dict(record.rows), dict(record.origins)
    for name, (row, date, origin) in rows.items():
        key = key_of(origin)
        origins[key] = origin
        whole = model.validate_python({"origin": key, "date": date, **row, "sum": ""})
        total = sum_of(_as_json(whole), _as_json(origin))
        found[name] = whole.model_copy(update={"sum": total})
    return Record(record.name, origins, found)


def take_over(other: Path) -> dict[str, int]:
    """Take over newer rows of the records in the folder ``other``, as another checkout has them.

    A row is newer where there is none of its name here, or one of an earlier date. Returns how many
    were taken of each record that is there. Raises BadInput, before anything is written, where
    there is none at all or one that can't be read.
    """
    there = {
        name: parse(name, path.read_text(encoding="utf-8"), str(path))
        for name in SCHEMAS
        if (path := other / f"{name}.json").is_file()
    }
    if not there:
        raise BadInput(
            f"{other}: found no record, expected files such as labs.json and tests.json",
            hint=f"give the folder {'/'.join(PLACE)} of a checkout in which a share ran",
        )
    return {name: _take_newer(record) for name, record in there.items()}


def _take_newer(there: Record) -> int:
    taken = 0

    def joined(here: Record) -> Record:
        nonlocal taken
        newer = {
            name: row
            for name, row in there.rows.items()
            if name not in here.rows or here.rows[name].date < row.date
        }
        rows = JOINED.get(here.name, dict)(here.rows | newer)
        taken = len(rows.keys() & newer.keys())
        origins = here.origins | {row.origin: there.origin(name) for name, row in newer.items()}
        return Record(here.name, origins, rows)

    change(there.name, joined)
    return taken


def change(name: str, how: Callable[[Record], Record], *, fresh: bool = False) -> Path:
    """Write what ``how`` makes of the record called ``name``, or ``fresh`` of an empty one."""
    path = file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _held(path.parent):
        write_whole(path, as_text(how(Record(name) if fresh else read(name))))
    return path


def as_text(record: Record) -> str:
    """Return the record as it stands in its file: a line for each row, sorted by name."""
    used = {row.origin for row in record.rows.values()}
    origins = {key: _as_json(record.origins[key]) for key in sorted(used)}
    rows = {name: _as_json(record.rows[name]) for name in sorted(record.rows)}
    derived = DERIVED.get(record.name, _nothing)(record)
    head = [
        f" {json.dumps(k)}: {json.dumps(v)}" for k, v in {"record": record.name, **derived}.items()
    ]
    return "{\n" + ",\n".join([*head, _lines("origins", origins), _lines("rows", rows)]) + "\n}\n"


def key_of(origin: Origin) -> str:
    """Return the key by which rows name ``origin``."""
    text = json.dumps(_as_json(origin), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH_OF_KEY]


def _lines(key: str, entries: dict[str, Any]) -> str:
    inside = [
        f"  {json.dumps(name, ensure_ascii=False)}: {json.dumps(entry, ensure_ascii=False)}"
        for name, entry in entries.items()
    ]
    return f' "{key}": {{\n' + ",\n".join(inside) + "\n }"


def _as_json(model: schema.Strict) -> dict[str, Any]:
    """What stands in the file of ``model``: nothing of what is none, but of what may be unknown."""
    document = model.model_dump(mode="json", by_alias=True)
    optional = {name for name, each in type(model).model_fields.items() if not each.is_required()}
    return {
        key: value for key, value in document.items() if value is not None or key not in optional
    }


def _refused(shown: str, what: str) -> BadInput:
    return BadInput(
        f"{shown} was not written by the code that measures: {what}",
        hint="git restore it, or measure anew: docs/contributing/record.md",
    )


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold the folder ``path``, which others do who keep rows."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
