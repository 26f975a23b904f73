"""A command in a terminal of its own, which is closed like a window: hang-up, no more output."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class PseudoTerminal:
    """A running command, which sees a terminal wherever it looks; ``text`` is what it has shown."""

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._screen, inner = pty.openpty()
        self.text = b""
        try:
            self.process = subprocess.Popen(
                words,
                stdin=inner,
                stdout=inner,
                stderr=inner,
                start_new_session=True,
                env=environment,
                cwd=folder,
                # The session's leader takes the terminal, as a shell does.
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
            )
        finally:
            os.close(inner)

    def watch(self, seconds: float) -> None:
        """Read along for ``seconds``, or until the command ends: a full screen would stop it."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._screen], [], [], left)[0]:
                return
            # EIO says that nobody holds the other side any more.
            with suppress(OSError):
                if fresh := os.read(self._screen, 65536):
                    self.text += fresh
                    continue
            return

    def close(self) -> None:
        """Close the terminal: its leader gets SIGHUP, and whoever writes to it gets an error."""
        os.close(self._screen)
