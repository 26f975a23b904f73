"""The ssh key of a lab: made on first use, kept in the user's cache, copied into the lab's state.

The rendered files hold its public half. A new key at every start would make every
render a new one, and let the cache of rendered files grow with each of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.cluster.process import run
from underlay.storage import locks, paths
from underlay.storage.writing import whole, write_whole

if TYPE_CHECKING:
    from pathlib import Path

# The key of all labs that `check DIR` proves on the same nodes; no lab is called so.
SUITE = "_check"
DEADLINE = 120.0


def key_file(lab: str) -> Path:
    """Return where the lab's private key is, or will be, while the lab is up."""
    return paths.state(lab) / "key"


def cached_key(name: str) -> str:
    """Return the public key that the cache has as ``name``, making the pair if it is missing."""
    return _make_cached(name).with_suffix(".pub").read_text().strip()


def lab_key(lab: str, cached_as: str = "") -> str:
    """Return the lab's public key as one line, making the key pair where there is none.

    The cache has it under the name ``cached_as``, by default the lab's own. Both files of
    the pair are readable for their owner alone. Raises Infrastructure where ssh-keygen fails.
    """
    private = key_file(lab)
    public = private.with_suffix(".pub")
    if not public.exists():
        source_key = _make_cached(cached_as or lab)
        private.parent.mkdir(parents=True, exist_ok=True)
        # The public half last: it says that both are there.
        write_whole(private, source_key.read_bytes(), mode=0o600)
        write_whole(public, source_key.with_suffix(".pub").read_bytes(), mode=0o600)
    return public.read_text().strip()


def _make_cached(lab: str) -> Path:
    """Return the private key in the cache; make the pair where a half of it is missing."""
    private = paths.cache() / "keys" / lab
    public = private.with_suffix(".pub")
    private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Two checkouts would make a pair out of halves of two.
    with locks.held(private.parent / ".lock", "makes a key", deadline=DEADLINE):
        if not (public.exists() and private.exists()):
            # No half of an older pair may be there when a new half comes in.
            public.unlink(missing_ok=True)
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"underlay-{lab}"]
            with whole(public) as fresh_public, whole(private) as fresh:
                run([*words, "-f", str(fresh)], deadline=30)
                fresh.with_name(f"{fresh.name}.pub").rename(fresh_public)
    return private
