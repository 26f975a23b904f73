"""The lab of those tests that need any lab at all: macvlan containers on one segment."""

from __future__ import annotations

LEAN = "{{count: {}, profile: lean}}"
TEXT = """\
name: {name}
nodes: {nodes}
{more}segments:
  lan: {{subnet: 192.168.70.0/24}}
networks:
  lannet: {{driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: {runtime}}}
containers:
  - {{on: all, count: {count}, networks: [lannet]}}
"""


def small_lab(
    name: str, nodes: int, *, count: int, lean: bool = True, runtime: str = "cni", more: str = ""
) -> str:
    """Return the text of a lab of ``nodes``, lean ones or full, with ``count`` containers on each.

    ``more`` are lines of whole keys beside the others.
    """
    said = LEAN.format(nodes) if lean else str(nodes)
    return TEXT.format(name=name, nodes=said, count=count, runtime=runtime, more=more)
