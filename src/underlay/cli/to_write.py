"""A file that a verb is to write: refused before anything else is done, or written whole."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from underlay.errors import BadInput, reason

if TYPE_CHECKING:
    from pathlib import Path


def refuse_misplaced(option: str, path: Path) -> None:
    """Raise BadInput where ``path``, which ``option`` names, is a folder or lies in none."""
    if path.is_dir():
        raise BadInput(f"{option} {path}: it is a folder, expected a file to write")
    folder = path.parent
    if not folder.is_dir():
        hint = f"mkdir -p {shlex.quote(str(folder))}"
        raise BadInput(f"{option} {path}: its folder isn't there", hint=hint)


def refuse_unwritable(option: str, path: Path) -> None:
    """Raise BadInput where nothing can be written at ``path``, which ``option`` names.

    What takes minutes, sends frames or boots nodes asks this first. Nothing is left for it.
    """
    from underlay.storage import temporary

    refuse_misplaced(option, path)
    try:
        with temporary.beside(path):
            pass
    except OSError as error:
        raise BadInput(f"{option} {path}: it can't be written: {reason(error)}") from error


def refuse_existing(option: str, path: Path, *, force: bool) -> None:
    """Raise BadInput where there is something at ``path`` that nobody allowed to write over."""
    if path.exists() and not force:
        raise BadInput(f"{option} {path}: it is there already", hint="--force writes over it")


def write(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all; raise BadInput where that can't be."""
    from underlay.storage.writing import write_whole

    try:
        write_whole(path, content)
    except OSError as error:
        folder = shlex.quote(str(path.parent))
        hint = "" if path.parent.exists() else f"mkdir -p {folder}"
        raise BadInput(f"{path} can't be written: {reason(error)}", hint=hint) from error
