"""Where things are: the checkout, the cache that outlives labs, and each lab's state folder."""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """Return the checkout's root folder, which holds ``Vagrantfile`` and ``labs/``."""
    return Path(__file__).resolve().parents[2]


def cache() -> Path:
    """Return the folder of caches: images and rendered files, all named by content hash."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "underlay"


def states() -> Path:
    """Return the folder that holds one state folder per lab."""
    return root() / ".underlay" / "labs"


def state(lab: str) -> Path:
    """Return the state folder of the lab called ``lab``; it need not exist."""
    return states() / lab
