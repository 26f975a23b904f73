"""Machines that are timed as those of an inventory: what measures them knows no more of them.

They are lean nodes of a lab that is up, each with a container. A lab of more hosts than that has
the same ones first, with the same names and addresses. So what ``check -i`` does for many is timed
with some of them there, and the rest by plan alone.
"""

from __future__ import annotations

import json
import shlex
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.cluster.inventory import Machine
from underlay.cluster.machines import Answered, Ways
from underlay.expect import Prediction, machines, pairs
from underlay.observe.commands import unpacked
from underlay.proof.bench.labs import PREFIX
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from underlay.plan import Plan
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


class Answering(Ways):
    """Machines that are none: all have answered already, each as ``plan`` predicts it.

    What is done with their answers is timed; nothing is said of what it takes to get them.
    """

    def __init__(self, plan: Plan) -> None:
        """Predict what each will say."""
        super().__init__((Machine(name, name) for name in machines(plan)), Path())
        stops = {
            (e.source, e.destination, e.family, e.protocol): e.stop
            for e in Prediction(plan).cells
            if not e.reachable
        }
        self._stops = {
            (number, protocol): stop
            for number, pair in enumerate(pairs(plan))
            for protocol in plan.protocols
            if (stop := stops.get((pair.source.name, pair.destination.name, pair.family, protocol)))
        }

    def ask(
        self,
        arguments: Mapping[str, Sequence[str]],
        *,
        deadline: float,
        given: Mapping[str, str] | str = "",
        become: bool = False,
    ) -> dict[str, Answered]:
        """Return what readers would answer to the tasks in ``given``."""
        assert not isinstance(given, str)
        return {name: Answered(name, 0, self._said(given[name]), "") for name in arguments}

    def _said(self, given: str) -> str:
        task: dict[str, Any] = unpacked(given.splitlines()[1])
        rows = [
            [number, protocol, 1, {"stop": self._stops.get((number, protocol), ""), "rtt": 0.5}]
            for number, _own, _there, *protocols in task["cells"]
            for protocol in protocols
        ]
        sizes = [[number, 1500, ""] for number, *_ in task["sizes"]]
        said = {"rows": rows, "sizes": sizes, "unread": [], "icmp": "socket", "seen": {}}
        return json.dumps(said)


@contextmanager
def machines_up(watch: Stopwatch, number: int) -> Iterator[str]:
    """Have so many machines up; hand out the name of the lab that they are nodes of."""
    with watch.lab(hall(watch.folder, number)) as (lab, _):
        for host in range(1, number + 1):
            watch.run("exec", "--lab", lab, f"core-{host:02}", "--", "sh", "-euc", _ANYBODY)
        yield lab
