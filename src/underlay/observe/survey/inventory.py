"""The machines of an inventory, as the surveyor wants them led: by Python, as user or as root."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from underlay.cluster.inventory import machines_of
from underlay.cluster.machines import ways_to
from underlay.observe.survey.surveying import survey

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from underlay.observe.survey.machines import Start
    from underlay.observe.survey.model import Survey
    from underlay.observe.survey.surveying import Wanted


@contextmanager
def led(inventory: Path, limit: str = "") -> Iterator[tuple[list[str], Start]]:
    """Yield the names of an inventory's machines, and what starts programs on them by ssh.

    Raises BadInput where Ansible can't read it, or it names no machine.
    """
    machines = machines_of(inventory, limit)
    pythons = {machine.name: machine.python for machine in machines}
    with ways_to(machines) as ways:

        def start(name: str, arguments: list[str], as_root: bool) -> subprocess.Popen[bytes]:
            _, *rest = arguments
            return ways.start(name, [pythons[name], *rest], become=as_root)

        yield [machine.name for machine in machines], start


def survey_of(
    inventory: Path, wanted: Wanted, tell: Callable[[str], None], *, limit: str = ""
) -> Survey:
    """Return what is seen of the machines of ``inventory``. Raises BadInput as ``led`` does."""
    tell(f"reading {inventory}")
    with led(inventory, limit) as (names, start):
        return survey(start, names, wanted, tell)
