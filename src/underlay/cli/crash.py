"""Where the traceback of an unexpected exception goes: a file, never the user's terminal."""

from __future__ import annotations

import os
import platform
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path

from underlay import __version__
from underlay.storage.paths import home

KEPT = 20


def write_crash(error: BaseException) -> Path:
    """Write ``error``'s traceback under ``crashes/`` in Underlay's state; return the file's path.

    The oldest beyond ``KEPT`` are removed. Where that folder can't be written to, the file goes
    to the one for temporary files.
    """
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + f"-{os.getpid()}.log"
    head = f"underlay {__version__}, Python {platform.python_version()}, {platform.platform()}\n\n"
    text = head + "".join(traceback.format_exception(error))
    try:
        folder = home() / "crashes"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        # A traceback may quote names that aren't UTF-8.
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
        _forget_oldest(path)
    except OSError:
        handle, other = tempfile.mkstemp(prefix="underlay-", suffix=".log")
        path = Path(other)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    return path


def _forget_oldest(newest: Path) -> None:
    """Remove the oldest beyond ``KEPT``; their names begin with when they were written."""
    others = sorted(path for path in newest.parent.glob("*Z-*.log") if path != newest)
    for path in others[: max(0, len(others) + 1 - KEPT)]:
        with suppress(OSError):
            path.unlink()
