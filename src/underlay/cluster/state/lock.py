"""Who is at work on a lab: one command at a time changes or measures it, and says so.

There are two locks. A command holds the lab's *turn* from its first step to its last;
whoever comes second is told who has it, since when and under which pid, and waits.
The processes that a command starts on its way hold the *lock* for the moments in which
they change files: Vagrant starts all nodes at once, and each of them asks for it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from underlay.storage import locks, paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Longer than any `up` takes; who still waits then waits for something that hangs.
PATIENCE = 900.0

# Turns that this process has: `up` calls `down` when it fails.
_mine: set[str] = set()


@contextmanager
def turn(
    lab: str, waiting: Callable[[str], None] = lambda _: None, *, patience: float | None = None
) -> Iterator[None]:
    """Hold the lab's turn while a command is at work on it; re-entrant.

    ``waiting`` is told who is at work. Raises Infrastructure, which says so too,
    where that lasts longer than ``patience`` (by default ``PATIENCE``) seconds.
    """
    if lab in _mine:
        yield
        return
    longest = PATIENCE if patience is None else patience
    with _hold(f"{lab}.turn", lab, waiting, longest):
        _mine.add(lab)
        try:
            yield
        finally:
            _mine.discard(lab)


@contextmanager
def lock(lab: str, waiting: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Hold the lab's lock: one process at a time makes, changes or removes its files.

    ``waiting`` is told when somebody else holds it. Raises Infrastructure as ``turn`` does.
    """
    with _hold(lab, lab, waiting, PATIENCE):
        yield


def holder(lab: str) -> locks.Holder | None:
    """Return who has the lab's turn, None where nobody has it."""
    return locks.holder(paths.locks() / f"{lab}.turn")


def forget_unheld() -> None:
    """Remove the files of labs' locks that nobody has: of commands that were killed."""
    locks.forget_unheld(paths.locks())
    paths.remove_empty(paths.locks(), paths.home())


@contextmanager
def _hold(name: str, lab: str, waiting: Callable[[str], None], patience: float) -> Iterator[None]:
    busy = f"is at work on the lab {lab}"
    try:
        with locks.held(paths.locks() / name, busy, deadline=patience, waiting=waiting):
            yield
    finally:
        paths.remove_empty_home()
