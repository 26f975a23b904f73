"""What makes nodes at their first boot, and which nodes it can make."""

from __future__ import annotations

from collections.abc import Iterator

from underlay.lab.text import Problem
from underlay.lint.keys.parts import Parts


def config(parts: Parts) -> Iterator[Problem]:
    """Ignition's units need systemd; what version its files are read as is asked where it runs."""
    if parts.nodes is None:
        return
    by_ignition = parts.nodes.config == "ignition"
    if by_ignition and parts.nodes.profile == "lean":
        yield parts.text.problem(
            ("nodes", "config"),
            "config: ignition on lean nodes",
            "profile: full beside it",
            "a lean node has no systemd, which would act on the units that Ignition writes",
            at_key=True,
        )
    if parts.nodes.ignition_as and not by_ignition:
        yield parts.text.problem(
            ("nodes", "ignition_as"),
            "ignition_as without Ignition",
            "config: ignition beside it",
            "hosts' files are read, and not applied, where cloud-init makes the nodes",
            at_key=True,
        )
    if parts.nodes.ignition_in != "host" and not by_ignition:
        yield parts.text.problem(
            ("nodes", "ignition_in"),
            "ignition_in without Ignition",
            "config: ignition beside it",
            "cloud-init makes the nodes, and that in their running system",
            at_key=True,
        )
