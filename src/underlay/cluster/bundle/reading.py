"""Reading a bundle: nothing of it is used before each sum was found right."""

from __future__ import annotations

import hashlib
import re
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from underlay.cluster.bundle.contents import BLOCK, MANIFEST, SUMS, Manifest, parsed
from underlay.errors import BadInput, listed, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._+~-]*/){1,2}[A-Za-z0-9_][A-Za-z0-9._+~-]*")
SUM = re.compile(r"([0-9a-f]{64})  ((?:\w[\w.+~-]*/)?\w[\w.+~-]*)")
# Of a file that is read as text, and of how many files: a bundle has some three hundred and fifty.
LONGEST, MOST = 4 << 20, 5000


def check(file: Path, progress: Callable[[str], None], into: Path | None = None) -> Manifest:
    """Return what the bundle in ``file`` is, once each of its sums was found right.

    What is read is written to the folder ``into``, where that is given, as it goes; its content
    counts for nothing where this raises. Raises BadInput where ``file`` can't be read, is no
    bundle or is damaged, with the names of the files that are; OSError where ``into`` can't
    be written.
    """
    texts: dict[str, bytes] = {}
    found: dict[str, str] = {}
    try:
        opened = file.open("rb")
    except OSError as error:
        raise BadInput(f"cannot read {file}: {reason(error)}") from error
    progress(f"checking the sums of {file.name}")
    with opened:
        try:
            for entry, content in _members(opened):
                name = entry.name.partition("/")[2]
                if name in found:
                    raise ValueError(f"{name} is in it twice")
                target = into / name if into else None
                found[name], text = _taken(content, target, keep=name in (SUMS, MANIFEST))
                texts[name] = text
                if target and entry.mode & 0o100:
                    target.chmod(0o755)
            return _judged(texts, found)
        except (ValueError, tarfile.TarError, EOFError) as error:
            raise BadInput(
                f"{file} is no bundle, or is damaged: {error}",
                hint="copy it again, and compare  sha256sum FILE  with what `bundle` said",
            ) from error


def _members(opened: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Yield each file in a bundle with its content; ValueError where there is anything else."""
    # A stream: what is broken is noticed where it is, and not by a look at the end.
    with tarfile.open(fileobj=opened, mode="r|") as tar:
        for count, entry in enumerate(tar):
            content = tar.extractfile(entry) if entry.isreg() else None
            if content is None or not NAME.fullmatch(entry.name) or count > MOST:
                raise ValueError(f"unexpected {entry.name!r}")
            yield entry, content


def _taken(content: IO[bytes], target: Path | None, *, keep: bool) -> tuple[str, bytes]:
    """Read ``content``, write it to ``target``, and return its sum, and itself if it is kept."""
    digest, kept = hashlib.sha256(), b""
    if target is not None:
        target.parent.mkdir(exist_ok=True)
    output = target.open("xb") if target is not None else None
    try:
        while block := content.read(BLOCK):
            digest.update(block)
            if output is not None:
                output.write(block)
            if keep:
                kept += block
                if len(kept) > LONGEST:
                    raise ValueError("its list of files is too long")
    finally:
        if output is not None:
            output.close()
    return digest.hexdigest(), kept


def _judged(texts: dict[str, bytes], found: dict[str, str]) -> Manifest:
    if SUMS not in found:
        raise ValueError(f"it holds no {SUMS}")
    rows = [SUM.fullmatch(line) for line in texts[SUMS].decode().splitlines()]
    wanted = {row[2]: row[1] for row in rows if row is not None}
    if len(wanted) != len(rows):
        raise ValueError(f"{SUMS} can't be read")
    # SUMS isn't in itself; and the tar may have ended too early.
    names = (found.keys() | wanted.keys()) - {SUMS}
    wrong = sorted(name for name in names if found.get(name) != wanted.get(name))
    if wrong:
        raise ValueError(f"wrong content of {listed(wrong)}")
    return parsed(texts[MANIFEST])
