"""Several files in one text, as test cases keep them.

`-- core-01/net.d/20-lannet.conf --` begins a file of the host core-01, in the way of Go's
txtar archives.
"""

from __future__ import annotations

import re
from pathlib import Path

HEAD = re.compile(r"^-- (.+) --\n", re.MULTILINE)


def files_of(text: str) -> dict[str, str]:
    """Return the files of an archive by their names."""
    _, *parts = HEAD.split(text)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def unpack(files: dict[str, str], folder: Path) -> list[str]:
    """Write ``files`` below ``folder``; return their hosts as NAME=DIR.

    A keyfile gets the mode that NetworkManager wants of it, which a repository can't keep.
    """
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if name.endswith(".nmconnection"):
            path.chmod(0o600)
    return [f"{host}={host}" for host in sorted({Path(name).parts[0] for name in files})]
