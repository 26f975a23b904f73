"""The ssh key of a lab: made on first use, kept in the user's cache, copied into the lab's state.

The rendered files hold its public half. A new key at every start would make every
render a new one, and let the cache of rendered files grow with each of them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from underlay.cluster.process import run
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The key of all labs that `check DIR` proves on the same nodes; no lab is called so.
SUITE = "_check"


def key_file(lab: str) -> Path:
    """Return where the lab's private key is, or will be, while the lab is up."""
    return paths.state(lab) / "key"


def kept_key(name: str) -> str:
    """Return the public key that is kept in the cache as ``name``, made if missing."""
    return _kept(name).with_suffix(".pub").read_text().strip()


def lab_key(lab: str, kept: str = "") -> str:
    """Return the lab's public key as one line, making the key pair where there is none.

    It is the one that is ``kept`` under that name, by default the lab's own. Both files of
    the pair are readable for their owner alone. Raises Infrastructure where ssh-keygen fails.
    """
    private = key_file(lab)
    public = private.with_suffix(".pub")
    if not public.exists():
        source_key = _kept(kept or lab)
        private.parent.mkdir(parents=True, exist_ok=True)
        # The public half last: it says that both are there.
        for source, target in ((source_key, private), (source_key.with_suffix(".pub"), public)):
            fresh = target.with_name(f".{target.name}-{os.getpid()}")
            # Closed from the start: a private key is nobody else's, not even for a moment.
            fresh.touch(mode=0o600)
            shutil.copyfile(source, fresh)
            fresh.rename(target)
    return public.read_text().strip()


def _kept(lab: str) -> Path:
    """Return the private key in the cache, made if missing or without its public half."""
    private = paths.cache() / "keys" / lab
    public = private.with_suffix(".pub")
    private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(private.parent):
        if not (public.exists() and private.exists()):
            fresh = private.with_name(f".{lab}-{os.getpid()}")
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"underlay-{lab}"]
            run([*words, "-f", str(fresh)], deadline=30)
            fresh.rename(private)
            fresh.with_name(f"{fresh.name}.pub").rename(public)
    return private


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep two checkouts from making a pair out of halves of two."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
