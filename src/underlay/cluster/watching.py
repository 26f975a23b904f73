"""What is said while nodes boot: nobody should wait for minutes without a word.

That is what each node is waited for, in words of our own. Its console holds much more, and most of
that reads like a failure to whoever doesn't know it: a kernel prints what it can't do, and no line
at all for what goes well. Only the stage that cloud-init names there is told.
"""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from underlay.cluster.process import readable
from underlay.cluster.spans import KERNEL_TO_SSH, SSH_TO_READY, recorded
from underlay.errors import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

INTERVAL = 20.0
# A console's end, in bytes; cloud-init prints two tables of 5 KB between two of its stages.
END = 16384
# cloud-init, cmd/main.py (welcome_format); a lean node has none of it.
STAGE = re.compile(r"Cloud-init v\. \S+ running '([\w:-]+)'")
NO_SSH = "no ssh yet"
SET_UP = "its set-up"


@contextmanager
def watching(
    state: Path, progress: Callable[[str], None], interval: float = INTERVAL
) -> Iterator[None]:
    """Tell ``progress`` every ``interval`` seconds of the block what each node is waited for.

    Nodes are those in the lab's ``state`` folder whose console has been written to since then.
    """
    over = threading.Event()
    # A file's time is that of the kernel's last tick, which is a little earlier.
    began, since = time.monotonic(), time.time() - 1

    def watch() -> None:
        while not over.wait(interval):
            waiting = _waiting(state, began, since)
            progress(f"booting since {time.monotonic() - began:.0f} s{waiting}")

    thread = threading.Thread(target=watch, daemon=True)
    try:
        thread.start()
        yield
    finally:
        over.set()
        # An interrupt may have come before it was started.
        if thread.is_alive():
            thread.join()


def _waiting(state: Path, began: float, since: float) -> str:
    """Return what which nodes are waited for; ``since`` is when ``began`` was, in s of the epoch.

    A node that is ready isn't waited for.
    """
    spans = recorded(state, began)
    answers = {span.who for span in spans if span.what == KERNEL_TO_SSH}
    ready = {span.who for span in spans if span.what == SSH_TO_READY}
    found: defaultdict[str, list[str]] = defaultdict(list)
    for console in sorted(state.glob("nodes/*/console.log")):
        with suppress(OSError):
            node = console.parent.name
            if node in ready or console.stat().st_mtime < since:
                continue
            stages = STAGE.findall(console_end(console))
            said = SET_UP if node in answers else NO_SSH
            found[f"cloud-init runs {stages[-1]}" if stages else said].append(node)
    return "".join(f"; {listed(nodes)}: {what}" for what, nodes in found.items())


def console_end(console: Path, size: int = END) -> str:
    """Return the last ``size`` bytes of a console as text; nothing where there is none."""
    try:
        with console.open("rb") as file:
            file.seek(max(0, console.stat().st_size - size))
            text = file.read()
    except OSError:
        return ""
    return readable(text.decode(errors="replace"))
