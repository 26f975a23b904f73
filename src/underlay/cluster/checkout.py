"""Which commit of Underlay runs here, so that results of different commits can be told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.cluster.process import run
from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE = 30.0


def commit(folder: Path) -> str:
    """Return the commit that is checked out in ``folder``; empty where it is no repository."""
    return _git(folder, "rev-parse", "HEAD").strip()


def dirty(folder: Path) -> bool:
    """Whether ``folder`` holds changes that its commit doesn't.

    What proofs leave there doesn't count: their records, and the evidence of faults.
    """
    left = (":!docs/proof", ":!tests/unit/proof/evidence")
    return bool(_git(folder, "status", "--porcelain", "--", ".", *left).strip())


def committed(folder: Path, path: str) -> str | None:
    """Return what stands in ``path`` at the commit that is checked out in ``folder``.

    It is empty where that commit has no such file, and None where ``folder`` is no repository.
    """
    return _git(folder, "show", f"HEAD:{path}") if commit(folder) else None


def _git(folder: Path, *arguments: str) -> str:
    """What git says; nothing where there is no git or no repository."""
    # A folder in somebody else's repository would be given their commit.
    if not (folder / ".git").exists():
        return ""
    try:
        return run(["git", *arguments], deadline=DEADLINE, folder=folder).stdout
    except Infrastructure:
        return ""
