"""What the host adds to the User Mode Linux kernel so that it runs on every processor."""

from __future__ import annotations

import hashlib
from pathlib import Path

from underlay.cluster.process import run
from underlay.storage import paths
from underlay.storage.writing import whole

SOURCE = Path(__file__).with_name("xstate.c")


def preload() -> Path:
    """Return the library to preload into linux.uml, compiled on first use.

    Why it is needed stands in ``xstate.c``. Raises Infrastructure where tcc fails.
    """
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    library = paths.cache() / "uml" / f"xstate-{digest}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with whole(library) as fresh:
            run(["tcc", "-shared", "-nostdlib", "-o", str(fresh), str(SOURCE)], deadline=60)
    return library
