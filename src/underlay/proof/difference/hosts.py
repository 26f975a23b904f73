"""The hosts of a fleet as a revision of a git repository has them."""

from __future__ import annotations

from functools import partial
from posixpath import basename, dirname, normpath, relpath
from posixpath import join as joined
from typing import TYPE_CHECKING

from underlay.errors import did_you_mean, nearest
from underlay.fleet.document import Document
from underlay.fleet.folder import MAX_FILES, host_of, linked, stored
from underlay.lab.text import MAX_BYTES, quoted
from underlay.lint.derived import Nothing
from underlay.proof.difference.revisions import LINK

if TYPE_CHECKING:
    from pathlib import Path

    from underlay.fleet.host import Host
    from underlay.lint.derived import Reader
    from underlay.proof.difference.revisions import Entry, Revision


def at_revision(revision: Revision, lab: Entry, beside: Path) -> Reader:
    """Return what reads hosts of the lab file ``lab`` as they are in ``revision``.

    Messages put the revision and ``beside`` before their paths.
    """
    return partial(_read, revision, dirname(lab.path), beside)


def _read(revision: Revision, folder: str, beside: Path, name: str, path: str) -> Host:
    where = normpath(joined(folder, path))
    if path.startswith("/") or relpath(where, folder or ".").startswith(".."):
        expected = f"a folder or file below {folder or 'the lab file'}, where the lab file is"
        raise Nothing(f"{quoted(path)}, which lies elsewhere", expected)
    entries = revision.below(where)
    if not entries:
        near = nearest(path, _beside(revision, where, path))
        expected = "a folder with the host's configuration, or a file of it"
        found = f"{quoted(path)}, which {revision.name} hasn't"
        raise Nothing(found, expected, did_you_mean(near))
    able = [one for one in entries[:MAX_FILES] if one.mode != LINK and one.size <= MAX_BYTES]
    contents = revision.contents(able)
    files = (_file(revision, where, beside, one, contents.get(one.path)) for one in entries)
    return host_of(name, f"{revision.name}:{beside / where}", files)


def _file(
    revision: Revision, where: str, beside: Path, entry: Entry, content: bytes | None
) -> tuple[Document, bool]:
    shown = f"{revision.name}:{beside / entry.path}"
    within = relpath(entry.path, where) if entry.path != where else basename(where)
    if content is None and entry.mode == LINK:
        return linked(shown, within)
    # What is too large to be asked for is too large to be read, too.
    text = content if content is not None else bytes(min(entry.size, MAX_BYTES))
    return stored(shown, within, text, int(entry.mode, 8) & 0o777)


def _beside(revision: Revision, where: str, path: str) -> list[str]:
    """Return what lies beside a path that isn't there, as the lab file would have it."""
    whole = dirname(where)
    found = {
        relpath(one.path, whole or ".").split("/")[0]
        for one in (revision.below(whole) if whole else [])
    }
    return sorted(joined(dirname(path), name) for name in found)
