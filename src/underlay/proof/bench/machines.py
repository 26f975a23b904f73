"""Machines that are timed as those of an inventory: what measures them knows no more of them.

They are lean nodes of a lab that is up, each with a container. A lab of more hosts than that has
the same ones first, with the same names and addresses. So what ``check -i`` does for many is timed
with some of them there, and the rest by plan alone.
"""

from __future__ import annotations

import json
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

from underlay.proof.bench.labs import PREFIX
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from underlay.proof.bench.labs import Stopwatch

ROWS_OF_HOSTS = "core-* -> *"
_LAB = """\
name: {name}
nodes: {{count: {hosts}, profile: lean, memory: 256}}
protocols: [icmp]
segments:
  hall: {{subnet: 192.168.64.0/22}}
networks:
  own: {{driver: macvlan, segment: hall, subnet: 10.7.0.0/16, runtime: iproute2}}
containers:
{containers}"""
_CONTAINER = (
    "  - {{on: core-{number:02}, name: own-{number:02}, networks: [own],"
    " addresses: {{own: 10.7.1.{number}}}}}\n"
)
# systemd lets everybody send echo requests (sysctl.d/50-default.conf), and lean nodes have none.
_ANYBODY = "echo '0 2147483647' >/proc/sys/net/ipv4/ping_group_range"


def hall(folder: Path, hosts: int) -> Path:
    """Write a lab of so many ``hosts``, each with a container whose address no number changes."""
    name = f"{PREFIX}hall-{hosts}"
    containers = "".join(_CONTAINER.format(number=number) for number in range(1, hosts + 1))
    file = folder / f"{name}.yml"
    text = _LAB.format(name=name, hosts=hosts, containers=containers)
    file.write_text(text, encoding="utf-8")
    return file


def inventory(folder: Path, lab: str, hosts: int) -> Path:
    """Write an inventory of the first so many nodes of ``lab``, which is up, and return it."""
    way = f"-F {shlex.quote(str(paths.state(lab) / 'ssh_config'))}"
    names: dict[str, dict[str, str]] = {f"core-{number:02}": {} for number in range(1, hosts + 1)}
    file = folder / f"{lab}-{hosts}.json"
    common = {"ansible_ssh_common_args": way}
    file.write_text(json.dumps({"all": {"vars": common, "hosts": names}}), encoding="utf-8")
    return file


@contextmanager
def machines(watch: Stopwatch, number: int) -> Iterator[str]:
    """Have so many machines up; hand out the name of the lab that they are nodes of."""
    with watch.lab(hall(watch.folder, number)) as (lab, _):
        for host in range(1, number + 1):
            watch.run("exec", "--lab", lab, f"core-{host:02}", "--", "sh", "-euc", _ANYBODY)
        yield lab
