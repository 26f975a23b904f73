"""Which labs are compared: two files, the files of two folders, or what git has of either."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.errors import BadInput
from underlay.lab.text import shown
from underlay.lint import load
from underlay.lint.loaded import END_IN, load_bytes
from underlay.proof.difference.hosts import at_revision
from underlay.proof.difference.revisions import FOLDER, Entry, Revision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from underlay.lint import Loaded

SUFFIXES = (".yml", ".yaml")
# Only in a folder do names say which file is to be compared with which.
THE_FILE = ""


@dataclass(frozen=True)
class LabPair:
    """A lab before and now; one of them is None where a folder has it no more, or not yet."""

    name: str
    old: Loaded | None
    new: Loaded | None


@dataclass(frozen=True)
class Pairs:
    """All labs that are compared, by their files' names; ``folders`` says whether of folders."""

    pairs: tuple[LabPair, ...]
    folders: bool


@dataclass(frozen=True)
class _Given:
    """What one word names: a path, and the revision that it is looked for in, if any."""

    word: str
    path: str
    revision: str | None
    is_folder: bool = False


@dataclass(frozen=True)
class _Side:
    """The lab files that one word names, by their names, each with what reads it."""

    readers: Mapping[str, Callable[[], Loaded]]
    is_folder: bool


def read_pairs(old: str, new: str, file_of: Callable[[str], Path]) -> Pairs:
    """Return the labs that the words ``old`` and ``new`` name, read and planned.

    A word is a file or folder, REVISION:PATH, or ``REVISION:`` for the other word's path at that
    revision; ``file_of`` finds the file of a lab's name. Raises BadInput with all that is wrong
    with any of them, and Infrastructure where git can't be asked.
    """
    first, second = _given(old, file_of), _given(new, file_of)
    if not first.path and not second.path:
        hint = f"name the file in one of them: {old}labs/coreos.yml"
        raise BadInput(f"neither {old} nor {new} names a file", hint=hint)
    before, now = _side(first, second), _side(second, first)
    if before.is_folder != now.is_folder:
        folder, file = (old, new) if before.is_folder else (new, old)
        hint = "name two folders, or two files"
        raise BadInput(f"{folder} is a folder and {file} is a lab file", hint=hint)
    wrong: list[BadInput] = []
    was, is_now = _read(before, wrong), _read(now, wrong)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        told = "\n".join(error.message for error in wrong)
        raise BadInput(told, hint="`underlay lint FILE` looks at one of them")
    pairs = (LabPair(name, was.get(name), is_now.get(name)) for name in sorted({*was, *is_now}))
    return Pairs(tuple(pairs), before.is_folder)


def _read(side: _Side, wrong: list[BadInput]) -> dict[str, Loaded]:
    """Read all files of a side; what is wrong with any is added to ``wrong``."""
    labs = {}
    for name, read in side.readers.items():
        try:
            labs[name] = read()
        except BadInput as error:
            wrong.append(error)
    return labs


def _given(word: str, file_of: Callable[[str], Path]) -> _Given:
    path = Path(word).expanduser()
    if path.is_dir():
        return _Given(word, str(path), None, is_folder=True)
    revision, colon, rest = word.partition(":")
    if colon and not path.is_file():
        if not revision:
            raise BadInput(f"{word} has no revision before its colon", hint=f"try HEAD{word}")
        return _Given(word, rest, revision)
    try:
        return _Given(word, str(file_of(word)), None)
    except BadInput as error:
        # A revision alone is what people type first; a lab's name may look like one.
        hint = f"{error.hint}\na revision of git has a colon: {word}:"
        raise error if path.suffix in SUFFIXES else BadInput(error.message, hint=hint) from error


def _side(given: _Given, other: _Given) -> _Side:
    if given.revision is not None:
        return _at_revision(given.word, *_looked_for(given.revision, given.path, other))
    path = Path(given.path)
    if not given.is_folder:
        return _Side({THE_FILE: partial(load, path)}, is_folder=False)
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not files:
        raise BadInput(f"there is no lab file directly in {given.word}", hint=END_IN)
    return _Side({file.name: partial(load, file) for file in files}, is_folder=True)


def _looked_for(name: str, path: str, other: _Given) -> tuple[Revision, str, Path]:
    """Return the revision ``name``, the path to look for in it, and what messages put before it.

    Without a ``path`` it is that of the other word.
    """
    path = path or (other.path if other.revision is not None else "")
    if path:
        # As git has it: a path that begins with a dot counts from here, others from the root.
        return Revision(name, Path.cwd(), from_root=not path.startswith(".")), path, Path()
    here = Path(other.path).absolute()
    folder, path = (here, "") if other.is_folder else (here.parent, here.name)
    return Revision(name, folder, from_root=False), path, Path(shown(folder))


def _at_revision(word: str, revision: Revision, path: str, beside: Path) -> _Side:
    entry = revision.entry(path)
    if entry.kind != FOLDER:
        return _Side({THE_FILE: partial(_load_entry, revision, entry, beside)}, is_folder=False)
    files = [one for one in revision.inside(entry) if Path(one.path).suffix in SUFFIXES]
    if not files:
        raise BadInput(f"{word} has no lab file directly in it", hint=END_IN)
    readers = {Path(one.path).name: partial(_load_entry, revision, one, beside) for one in files}
    return _Side(readers, is_folder=True)


def _load_entry(revision: Revision, entry: Entry, beside: Path) -> Loaded:
    named = f"{revision.name}:{beside / entry.path}"
    read = at_revision(revision, entry, beside)
    return load_bytes(revision.folder / entry.path, named, revision.content(entry), read)
