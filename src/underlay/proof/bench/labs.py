"""The labs that are timed: copies of shipped ones, and generated ones, under names of their own.

With names of their own they never meet a lab that is up already.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from underlay.storage.paths import root

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "bench-"

_MANY = """\
name: {name}
nodes: {{count: {nodes}, profile: {profile}, memory: {memory}}}
protocols: [{protocols}]
segments:
  lan: {{subnet: 192.168.70.0/24}}
networks:
  many: {{driver: {driver}, segment: lan, subnet: 10.7.0.0/16, runtime: {runtime}}}
containers:
  - {{on: all, count: {count}, networks: [many]}}
"""


def copy(shipped: str, folder: Path) -> Path:
    """Write the shipped lab called ``shipped`` under a name of its own into ``folder``."""
    text = (root() / "labs" / f"{shipped}.yml").read_text(encoding="utf-8")
    file = folder / f"{PREFIX}{shipped}.yml"
    file.write_text(re.sub(r"^name: .*$", f"name: {PREFIX}{shipped}", text, flags=re.MULTILINE))
    return file


def many(
    name: str,
    folder: Path,
    *,
    nodes: int = 3,
    count: int,
    profile: str = "lean",
    memory: int = 512,
    protocols: str = "icmp, tcp, udp",
    driver: str = "macvlan",
    runtime: str = "iproute2",
) -> Path:
    """Write a lab of ``count`` containers on each of ``nodes`` nodes, all in one network."""
    file = folder / f"{PREFIX}{name}.yml"
    file.write_text(
        _MANY.format(
            name=f"{PREFIX}{name}", nodes=nodes, count=count, profile=profile, memory=memory,
            protocols=protocols, driver=driver, runtime=runtime,
        )
    )  # fmt: skip
    return file
