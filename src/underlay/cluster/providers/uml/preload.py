"""The library that linux.uml is started with, compiled on first use of what is in preload/."""

from __future__ import annotations

import hashlib
from pathlib import Path

from underlay.cluster.process import run
from underlay.storage import paths
from underlay.storage.writing import whole

SOURCES = Path(__file__).with_name("preload")


def preload() -> Path:
    """Return the library to preload into linux.uml.

    What it is for stands in its sources. Raises Infrastructure where tcc fails.
    """
    sources = sorted(SOURCES.glob("*.c"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    library = paths.cache() / "uml" / f"preload-{digest}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with whole(library) as fresh:
            words = ["tcc", "-shared", "-nostdlib", "-o", str(fresh), *map(str, sources)]
            run(words, deadline=60)
    return library
