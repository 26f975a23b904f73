"""One file of a host as text: JSON, YAML or an INI file, with the place of every key.

A file may stand inside of another one, as cloud-config's ``write_files`` do; its
places are those of the file on disk all the same.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from dataclasses import dataclass, field
from typing import Any, NoReturn

from underlay.errors import Spot
from underlay.fleet.json_places import places_in
from underlay.lab.nodes import NotYaml
from underlay.lab.text import LabError, LabText, Place, text_of

# Files of real hosts are a few kilobytes; YAML's reader takes seconds for a megabyte.
MAX_BYTES = 1 << 18
# Where a JSON file is larger, its findings are about the file as a whole.
MARKED = 1 << 16


@dataclass(frozen=True)
class Report:
    """What reading a file had to say: the rule's id, where, the fact and the cure."""

    rule: str
    spot: Spot
    message: str
    cure: str


@dataclass
class Document:
    """A file of a host. ``kind`` says what reads it, ``target`` where it is on the host.

    ``target`` is empty where only the folder at hand is known. ``line`` and
    ``column`` are what to add to a place in ``text`` for the place on disk;
    ``inline`` says that all of it stands in one value, where no lines can be told.
    """

    file: str
    text: str
    kind: str = ""
    target: str = ""
    # Its path in the host's folder, empty for one that stands inside of another file.
    within: str = ""
    line: int = 0
    column: int = 0
    inline: bool = False
    # The permissions that the file has or gets on the host, None where that isn't known.
    mode: int | None = None
    mode_spot: Spot = field(default_factory=lambda: Spot(""))
    data: Any = None
    marks: LabText = field(default_factory=lambda: LabText(""))
    reports: list[Report] = field(default_factory=list)
    # Whether another file takes it in, so that nobody starts it by itself; and by which one, where
    # what it says is started by that.
    part: bool = False
    taken_by: Document | None = field(default=None, compare=False, repr=False)

    @property
    def starter(self) -> Document:
        """The file that somebody starts for what this one says: itself, or who takes it in."""
        return self.taken_by or self

    @property
    def name(self) -> str:
        """The file's own name on the host."""
        return (self.target or self.file).rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The folder that holds it: on the host where that is known, else here."""
        return (self.target or self.file).rpartition("/")[0]

    def value(self, place: Place) -> Any:
        """Return what stands at ``place``, None where nothing does."""
        value = self.data
        for step in place:
            if isinstance(value, dict):
                value = value.get(step)
            else:
                value = value[step] if isinstance(value, list) and isinstance(step, int) else None
        return value

    def spot(self, place: Place = ()) -> Spot:
        """Return where the key at ``place`` stands, or the nearest one around it."""
        mark = self.marks.key_mark(place)
        return self.at(mark.line, mark.column)

    def at(self, line: int, column: int = 1) -> Spot:
        """Return the place on disk of a line and column of ``text``."""
        if self.inline:
            return Spot(self.file, self.line + 1, self.column + 1)
        return Spot(self.file, self.line + line, self.column + column)

    def report(self, rule: str, spot: Spot, message: str, cure: str) -> None:
        """Note what was found while reading."""
        self.reports.append(Report(rule, spot, message, cure))


def read_json(document: Document) -> None:
    """Fill in ``data`` and the places of a JSON document; report what keeps it from being one."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        twice.update(key for key in keys if keys.count(key) > 1)
        return dict(pairs)

    def refuse(word: str) -> NoReturn:
        raise ValueError(f"{word} is no JSON")

    twice: set[str] = set()
    try:
        document.data = json.loads(document.text, object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        spot = document.at(error.lineno, error.colno)
        message = f"{error.msg[0].lower()}{error.msg[1:]}"
        document.report("json-syntax", spot, message, "mend the JSON; jq . FILE shows the place")
        return
    except RecursionError:
        cure = "a network's configuration is four levels deep"
        document.report("json-too-deep", document.at(1), "nested without end", cure)
        return
    except ValueError as error:
        document.report("json-syntax", document.at(1), str(error), "write a plain number")
        return
    _mark_json(document)
    for key in sorted(twice):
        places = [place for place in document.marks.keys if place[-1] == key]
        spot = document.spot(places[0]) if places else document.at(1)
        cure = "leave one of them out"
        document.report("json-duplicate-key", spot, f"the key {key!r} stands there twice", cure)


def _mark_json(document: Document) -> None:
    """Find the places of keys."""
    if len(document.text) <= MARKED:
        document.marks = places_in(document.file, document.text)


def read_yaml(document: Document) -> None:
    """Fill in ``data`` and the places of a YAML document; report what keeps it from being one."""
    try:
        document.marks = text_of(document.file, document.text)
    except NotYaml as error:
        spot = document.at(error.mark.line, error.mark.column)
        message = f"found {error.found}, expected {error.expected}"
        document.report("yaml-syntax", spot, message, "mend the YAML")
        return
    except LabError as error:
        problem = error.problems[0]
        cure = "write out what the aliases stand for"
        document.report("yaml-bomb", document.at(problem.line), problem.found, cure)
        return
    document.data = document.marks.data
    for problem in document.marks.problems:
        if problem.id == "duplicate-key":
            spot = document.at(problem.line, problem.column)
            message = f"{problem.where}: {problem.found}"
            document.report("yaml-duplicate-key", spot, message, "leave one of them out")


def inflated(raw: bytes) -> bytes:
    """Return what gzip made ``raw`` of; raise ValueError where it didn't, or without measure."""
    with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
        try:
            data = stream.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            # Python's own words quote bytes as it writes them.
            raise ValueError("gzip has not made it") from error
    if len(data) > MAX_BYTES:
        raise ValueError("too large")
    return data


def mapping(value: object) -> dict[str, Any]:
    """Return ``value`` where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:
    """Return ``value`` where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def word(value: object) -> str:
    """Return ``value`` where it is text, else an empty one."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """Return ``value`` where it is a whole number, also one in quotes, else None."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
