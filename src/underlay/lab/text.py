"""A lab file as text: YAML read into plain data, with the place of every key and value.

Words are resolved by YAML 1.2's core schema, so ``on``, ``no`` and 070 mean what
they look like. Nothing here knows what a lab is.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import stat
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from underlay.errors import BadInput, Spot, did_you_mean, nearest
from underlay.lab.nodes import MAX_DEPTH, MAX_VALUES, Mark, Node, NotYaml, Unsure, quickly

# A lab of 20 nodes, 16 networks and 64 groups of containers takes some 20 KiB.
MAX_BYTES = 1 << 20

TEXT_TAGS = ("!", "tag:yaml.org,2002:str")

_INT = re.compile(r"[-+]?[0-9]{1,18}")
_OTHER_INT = re.compile(r"0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a lab file. ``line`` and ``column`` count from 1; 0 is the whole file.

    ``where`` is the dotted key (empty for the file itself), ``hint`` the change
    to try (may be empty), ``id`` the kind of problem, one of ``lint/problems.py``'s.
    """

    file: str
    line: int
    column: int
    where: str
    found: str
    expected: str
    hint: str = ""
    id: str = "bad-value"

    @property
    def fact(self) -> str:
        """What was found instead of what, without its place in the file.

        Without anything expected, ``found`` is a sentence of its own.
        """
        text = f"found {self.found}, expected {self.expected}" if self.expected else self.found
        return f"{self.where}: {text}" if self.where else text

    def __str__(self) -> str:
        """Return the problem as people read it: one line, and one more for the hint."""
        spot = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        text = f"{spot}: {self.fact} [{self.id}]"
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class LabError(BadInput):
    """A lab file cannot be used. ``problems`` holds all that was found, in file order."""

    def __init__(self, problems: list[Problem], lab: str = "") -> None:
        """Take the problems; ``lab`` is the lab's own file, where they may be in others."""
        file = lab or problems[0].file
        unique = dict.fromkeys(
            sorted(problems, key=lambda p: (p.file != file, p.file, p.line, p.column))
        )
        self.problems: tuple[Problem, ...] = tuple(unique)
        super().__init__(
            "\n".join(str(problem) for problem in self.problems),
            hint=f"mend the file, then run `underlay lint {shlex.quote(file)}`"
            if _exists(file)
            else "",
        )


@dataclass
class LabText:
    """What a file says: ``data`` in plain types, and where each key and value stands.

    ``keys`` and ``values`` map a place, such as ``("networks", "lannet", "mode")``,
    to its mark. ``problems`` are those seen while reading; ``data`` is None where
    the text isn't YAML. ``elsewhere`` has the files of places that stem from another file, and
    ``written`` where a place is in the file itself, if that is another one. ``content`` is the
    text itself, where it was read from a file.
    """

    file: str
    data: Any = None
    keys: dict[Place, Mark] = field(default_factory=dict)
    values: dict[Place, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    elsewhere: dict[Place, str] = field(default_factory=dict)
    written: dict[Place, Place] = field(default_factory=dict)
    content: str = ""

    def problem(
        self,
        place: Place,
        found: str,
        expected: str,
        hint: str = "",
        *,
        at_key: bool = False,
        id: str = "bad-value",
    ) -> Problem:
        """Return a Problem with what stands at ``place`` (or at the nearest place around it)."""
        spot = self.spot(place, at_key=at_key)
        near = self._near(place)
        shown = (*self.written.get(near, near), *place[len(near) :])
        where = (spot.file, spot.line, spot.column, dotted(shown))
        return Problem(*where, found, expected, hint, id)

    def spot(self, place: Place, *, at_key: bool = True) -> Spot:
        """Return where the key at ``place`` stands, or its value; else the nearest around it."""
        mark = self.key_mark(place) if at_key else self.mark(place)
        return Spot(self.elsewhere.get(self._near(place), self.file), *mark)

    def mark(self, place: Place) -> Mark:
        """Return where the value at ``place`` begins, or the nearest value around it."""
        return self.values.get(self._near(place), Mark(1, 1))

    def key_mark(self, place: Place) -> Mark:
        """Return where the key at ``place`` begins; list items have no key but themselves."""
        return self.keys.get(place) or self.mark(place)

    def _near(self, place: Place) -> Place:
        while place not in self.values and place:
            place = place[:-1]
        return place


def read_text(path: Path) -> LabText:
    """Return what the file at ``path`` says; raise LabError where it cannot be read as YAML."""
    file = shown(path)
    return text_of_bytes(file, _bytes(path, file))


def text_of_bytes(file: str, content: bytes) -> LabText:
    """Return what a file's ``content`` says; messages call the file ``file``.

    Raises LabError where it cannot be read as YAML.
    """
    if len(content) > MAX_BYTES:
        expected = "a lab file of some kilobytes"
        raise LabError([Problem(file, 0, 0, "", "more than 1 MiB", expected, id="too-large")])
    text = _decode(file, content)
    try:
        result = text_of(file, text)
    except NotYaml as error:
        raise LabError(
            [
                Problem(
                    *(file, error.mark.line, error.mark.column, "", error.found, error.expected),
                    id="yaml-syntax",
                )
            ]
        ) from error
    if result.problems and result.data is None:
        raise LabError(result.problems)
    return result


def text_of(file: str, text: str) -> LabText:
    """Return what ``text`` says, which came from ``file``; raise NotYaml where it isn't YAML.

    Raises LabError where it grows without bound once aliases are filled in.
    """
    result = LabText(file, content=text)
    root = _parsed(text)
    if root is not None:
        result.data = _Flattening(result).value(root, ())
    return result


def dotted(place: Place) -> str:
    """Return ``place`` as people write it: ``containers[1].networks[0]``, counted from 0."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            word = step if step.isprintable() and len(step) <= 40 else quoted(step)
            text += f".{word}" if text else word
    return text


def quoted(value: object) -> str:
    """Return a value from a lab file as an error message shows it, in few characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        names = (w if w.isprintable() else repr(w) for w in map(str, list(value)[:4]))
        return f"a mapping of {', '.join(names)}" if value else "{}"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value)
    length = len(value) if isinstance(value, str) else len(text)
    return text if len(text) <= 60 else f"{text[:50]}… ({length} characters)"


def shown(path: Path) -> str:
    """Return ``path`` as messages show it: relative to the working folder where it is inside."""
    try:
        whole, folder = path.absolute().parts, Path.cwd().parts
    except OSError:
        return str(path)
    # Path.relative_to compares with each folder above: too slow for each file of a large fleet.
    inside = whole[: len(folder)] == folder
    return str(Path(*whole[len(folder) :])) if inside else str(path)


# A fleet before and after a change has the same text in most of its files, and reading YAML is the
# largest part of what `diff` takes.
@lru_cache(maxsize=256)
def _parsed(text: str) -> Node | None:
    """Return the root node of the one document in ``text``, None where there is none.

    Nobody changes it: it is the same one for the same text. Raises NotYaml.
    """
    try:
        return quickly(text)
    except Unsure:
        from underlay.lab.yaml_syntax import carefully

        return carefully(text)


def _scalar(node: Node) -> Any:
    """A scalar's value by YAML 1.2's core schema: text where it is quoted or tagged.

    Numbers of absurd length stay text, too.
    """
    word = node.word
    if node.style or node.tag:
        return word
    if word in _WORDS:
        return _WORDS[word]
    if _INT.fullmatch(word):
        return int(word)
    if _OTHER_INT.fullmatch(word):
        return int(word, 0)
    if _FLOAT.fullmatch(word):
        return float(word)
    return word


class _Flattening:
    """Turns nodes into plain data, and notes every place on the way."""

    def __init__(self, text: LabText) -> None:
        self.text = text
        self.count = 0

    def value(self, node: Node, place: Place) -> Any:
        self.count += 1
        mark = node.mark
        if self.count > MAX_VALUES or len(place) > MAX_DEPTH:
            raise LabError([self._bomb(mark)])
        self.text.values[place] = mark
        if node.tag and not (node.kind == "scalar" and node.tag in TEXT_TAGS):
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._add("yaml-tag", mark, place, f"the tag {tag}", "a value without a tag")
        if node.kind == "scalar":
            return _scalar(node)
        if node.kind == "sequence":
            return [self.value(item, (*place, i)) for i, item in enumerate(node.items)]
        return self._mapping(node, place)

    def _mapping(self, node: Node, place: Place) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.pairs:
            mark = key.mark
            word = _scalar(key) if key.kind == "scalar" else None
            if not isinstance(word, str):
                kind = {"sequence": "a list", "mapping": "a mapping"}.get(key.kind, quoted(word))
                self._add("key-no-word", mark, place, f"{kind} as a key", "a word")
            elif word in data:
                first = self.text.keys[(*place, word)]
                found = f"the key {quoted(word)} a second time"
                hint = f"the first is on line {first.line}"
                self._add("duplicate-key", mark, place, found, "it once", hint)
            else:
                self.text.keys[(*place, word)] = mark
                data[word] = self.value(value, (*place, word))
                if value.kind == "scalar" and not (value.word or value.style):
                    # YAML has an empty value begin where the next key does, maybe past the end.
                    self.text.values[(*place, word)] = mark
        return data

    def _bomb(self, mark: Mark) -> Problem:
        found = f"more than {MAX_VALUES} values or {MAX_DEPTH} levels once aliases are filled in"
        where = (self.text.file, mark.line, mark.column, "")
        return Problem(*where, found, "a lab of a few hundred", id="too-large")

    def _add(
        self, kind: str, mark: Mark, place: Place, found: str, expected: str, hint: str = ""
    ) -> None:
        problem = Problem(
            self.text.file, mark.line, mark.column, dotted(place), found, expected, hint, kind
        )
        self.text.problems.append(problem)


def _bytes(path: Path, file: str) -> bytes:
    """Return the file's content. Devices and pipes are never opened: they may not end."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise LabError([_whole(file, "a folder", "a lab file", _nearest_file(path))])
        if not stat.S_ISREG(status.st_mode):
            raise LabError([_whole(file, "a device or a pipe", "a regular file")])
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise LabError([_whole(file, "no such file", "a lab file", _nearest_file(path))]) from error
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "?"
        found = f"a file that cannot be read ({reason.lower()})"
        if isinstance(error, ValueError) or error.errno == errno.ENAMETOOLONG:
            found = "no possible file name"
        raise LabError([_whole(file, found, "a lab file")]) from error
    return content


def _decode(file: str, content: bytes) -> str:
    """Return UTF-8 text without its byte order mark and with plain line ends."""
    bad = content.find(b"\0")
    found = "a NUL byte: this is no text"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if bad < 0 or error.start < bad:
            bad, found = error.start, f"the byte 0x{content[error.start]:02x}, not UTF-8"
    if bad >= 0:
        before = content[:bad]
        line, column = before.count(b"\n") + 1, bad - before.rfind(b"\n")
        raise LabError([Problem(file, line, column, "", found, "UTF-8 text", id="not-text")])
    return text


def _whole(file: str, found: str, expected: str, hint: str = "") -> Problem:
    return Problem(file, 0, 0, "", found, expected, hint, "unreadable-file")


def _nearest_file(path: Path) -> str:
    folder = path if path.is_dir() else path.parent
    try:
        names = sorted(p.name for p in folder.iterdir() if p.suffix in (".yml", ".yaml"))
    except OSError:
        return ""
    near = "".join(names[:1]) if folder == path else nearest(path.name, names)
    return did_you_mean(shown(folder / near)) if near else ""


def _exists(file: str) -> bool:
    try:
        return Path(file).is_file()
    except (OSError, ValueError):
        return False
