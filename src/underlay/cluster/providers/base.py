"""What a provider of nodes must do.

Vagrant starts and stops the nodes of every provider; the rest of Underlay knows
a provider only by this seam.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from underlay.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from underlay.plan import Plan


class Provider(Protocol):
    """A way to run nodes. ``state`` is the lab's state folder throughout."""

    name: str
    # Whether running nodes can become another lab's; where not, ``rewire`` says so.
    switches: bool
    # Whether it has lean nodes; where not, a lab's lean nodes are booted as full ones.
    lean: bool

    def prepare(self, plan: Plan, state: Path, progress: Callable[[str], None]) -> None:
        """Make all that nodes need before they start, and write ``ssh_config``; idempotent."""

    def stands(self, state: Path) -> bool:
        """Whether what ``prepare`` made is still there."""

    def machine(self, plan: Plan, node: str, state: Path) -> dict[str, Any]:
        """Return the JSON object from which the Vagrantfile makes a machine.

        ``name`` is the node's. The other keys are for Vagrant's own providers: ``ssh``,
        ``settings``, ``calls``, ``networks``, and ``engine``, which says that Vagrant
        calls ``before`` and ``start`` around its ``up``. It may be asked for before
        ``prepare``.
        """

    def before(self, plan: Plan, node: str, state: Path) -> None:
        """Make what one node alone needs before Vagrant starts it."""

    def boot(self, plan: Plan, state: Path) -> None:
        """Start ahead of Vagrant what can be started without it, and return at once; idempotent."""

    def start(self, plan: Plan, node: str, state: Path) -> None:
        """Start one node, unless Vagrant has, and return when it is ready; idempotent."""

    def rewire(self, plan: Plan, state: Path) -> None:
        """Make the switch under running nodes that of ``plan``, and ``ssh_config``; idempotent.

        Raises BadInput where the provider can't.
        """

    def stop(self, plan: Plan, node: str, state: Path) -> None:
        """Stop one node; its disk is lost."""

    def keep(self, state: Path) -> None:
        """Let what ``prepare`` made outlive this process: the lab is up."""

    def states(self, plan: Plan, state: Path) -> dict[str, str]:
        """Return ``running``, ``poweroff`` or ``not_created`` for each node."""

    def ssh(self, plan: Plan, node: str, state: Path) -> dict[str, object] | None:
        """Return how Vagrant reaches a node by ssh, or None where it doesn't run."""

    def pace(self, state: Path) -> float:
        """Return how many times slower than ordinary the lab's nodes may be; 1 is ordinary."""

    def switch(self, state: Path, arguments: list[str]) -> list[str]:
        """Return what runs ``arguments`` as root where the segments' bridges are."""

    def outside(self, state: Path, arguments: list[str]) -> list[str]:
        """Return what runs ``arguments`` as root where external hosts' namespaces are."""

    def destroy(self, state: Path) -> None:
        """End whatever still runs of the lab, by identity."""


def no_switching(name: str) -> BadInput:
    """Return what a provider raises whose switch stays as the nodes were started with."""
    return BadInput(
        f"nodes of provider {name} can't become another lab's while they run",
        hint="underlay down  and  underlay up LAB",
    )
