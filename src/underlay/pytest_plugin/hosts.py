"""Testinfra's hosts for what is in a lab: what it runs there goes the way of `underlay exec`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from underlay.cluster.access import run_in

if TYPE_CHECKING:
    from underlay.cluster.state.lab import LabState

# s; it ends what hangs. Whoever waits for more starts it in the background.
DEADLINE = 300.0


class LabBackend(BaseBackend):  # type: ignore[misc]  # testinfra has no type hints
    """Runs testinfra's commands as root in a node or a container of a lab."""

    NAME = "underlay"

    def __init__(self, state: LabState, target: str, *, own_files: bool) -> None:
        self._state, self._own_files = state, own_files
        super().__init__(target)

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """Run ``command``, a line for a shell in which each ``%s`` is one of ``args``, quoted.

        Raises Infrastructure past the deadline.
        """
        line = self.get_command(command, *args)
        words = ["sh", "-c", line]
        done = run_in(
            self._state, self.hostname, words, deadline=DEADLINE, own_files=self._own_files
        )
        return self.result(done.returncode, line.encode(), done.stdout, done.stderr)


def host(state: LabState, target: str, *, own_files: bool) -> Host:
    """Return testinfra's host for ``target``; with ``own_files`` in its own file system."""
    return Host(LabBackend(state, target, own_files=own_files))
