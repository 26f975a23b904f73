"""Which labs are compared: two files, the files of two folders, or what git has of either."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.errors import BadInput, UnderlayError
from underlay.lab.text import shown
from underlay.lint import load
from underlay.lint.loaded import load_bytes
from underlay.proof.difference.revisions import FOLDER, Revision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

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
    """What one argument names: a path, and the revision that it is looked for in, if any."""

    word: str
    path: str
    revision: str | None
    is_folder: bool = False


def read_pairs(old: str, new: str, file_of: Callable[[str], Path]) -> Pairs:
    """Return the labs that the words ``old`` and ``new`` name, read and planned.

    A word is a file or folder, REVISION:PATH, or ``REVISION:`` for the other word's path at that
    revision; ``file_of`` finds the file of a lab's name. Raises BadInput with all that is wrong
    with any of them, and Infrastructure where git can't be asked.
    """
    given = (_given(old, file_of), _given(new, file_of))
    if not any(one.path for one in given):
        hint = f"name the file in one of them: {old}labs/coreos.yml"
        raise BadInput(f"neither {old} nor {new} names a file", hint=hint)
    wrong: list[str] = []
    sides = [_labs(one, other, wrong) for one, other in (given, (given[1], given[0]))]
    (before, of_folder), (now, also_of_folder) = sides
    if of_folder != also_of_folder:
        folder, file = (old, new) if of_folder else (new, old)
        raise BadInput(
            f"{folder} is a folder and {file} is a lab file",
            hint="name two folders, or two files",
        )
    if wrong:
        raise BadInput("\n".join(wrong), hint="`underlay lint FILE` looks at one of them")
    names = sorted({*before, *now})
    pairs = tuple(LabPair(name, before.get(name), now.get(name)) for name in names)
    return Pairs(pairs, of_folder)


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


def _labs(given: _Given, other: _Given, wrong: list[str]) -> tuple[Mapping[str, Loaded], bool]:
    """Return the labs that an argument names, by file name, and whether it is a folder."""
    if given.revision is not None:
        return _at_revision(given, other, wrong)
    path = Path(given.path)
    if not given.is_folder:
        return {THE_FILE: load(path)}, False
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not files:
        raise BadInput(f"there is no lab file directly in {given.word}", hint="they end in .yml")
    return _all(((file.name, file, None, str(file)) for file in files), wrong), True


def _at_revision(
    given: _Given, other: _Given, wrong: list[str]
) -> tuple[Mapping[str, Loaded], bool]:
    name = str(given.revision)
    if given.path:
        folder = Path.cwd()
        # As git has it: a path that begins with a dot counts from here, others from the root.
        revision = Revision(name, folder, from_root=not given.path.startswith("."))
        path = given.path
    elif other.revision is not None:
        folder, path = Path.cwd(), other.path
        revision = Revision(name, folder, from_root=not path.startswith("."))
    else:
        here = Path(other.path).absolute()
        folder = here if other.is_folder else here.parent
        path = "" if other.is_folder else here.name
        revision = Revision(name, folder, from_root=False)
    beside = Path(shown(folder)) if not given.path and other.revision is None else Path()
    entry = revision.entry(path)
    if entry.kind != FOLDER:
        named = f"{name}:{beside / entry.path}"
        content = revision.content(entry)
        return {THE_FILE: load_bytes(folder / entry.path, named, content)}, False
    entries = [one for one in revision.inside(entry) if Path(one.path).suffix in SUFFIXES]
    if not entries:
        raise BadInput(f"{given.word} has no lab file directly in it", hint="they end in .yml")
    labs = (
        (
            Path(one.path).name,
            folder / one.path,
            revision.content(one),
            f"{name}:{beside / one.path}",
        )
        for one in entries
    )
    return _all(labs, wrong), True


def _all(
    files: Iterable[tuple[str, Path, bytes | None, str]], wrong: list[str]
) -> dict[str, Loaded]:
    """Read all files of a folder; what is wrong with any is added to ``wrong``."""
    labs = {}
    for name, file, content, named in files:
        try:
            labs[name] = load(file) if content is None else load_bytes(file, named, content)
        except UnderlayError as error:
            wrong.append("\n".join(filter(None, (error.message, error.detail))))
    return labs
