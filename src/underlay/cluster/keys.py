"""The ssh key of a lab: made on first use, kept in the lab's state folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from underlay import paths
from underlay.cluster.process import run

if TYPE_CHECKING:
    from pathlib import Path


def key_file(lab: str) -> Path:
    """Return where the lab's private key is, or will be."""
    return paths.state(lab) / "key"


def lab_key(lab: str) -> str:
    """Return the lab's public key as one line, making the key pair where there is none."""
    private = key_file(lab)
    if not private.with_suffix(".pub").exists():
        private.parent.mkdir(parents=True, exist_ok=True)
        fresh = private.with_name(f".key-{os.getpid()}")
        run(
            [
                "ssh-keygen",
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                f"underlay-{lab}",
                "-f",
                str(fresh),
            ],
            deadline=30,
        )
        fresh.rename(private)
        fresh.with_name(f"{fresh.name}.pub").rename(private.with_suffix(".pub"))
    return private.with_suffix(".pub").read_text().strip()
