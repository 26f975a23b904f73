"""Twenty machines, of which an inventory alone is known: each tier says the truth of them all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.commands import Done
from cluster.running import CHECK_DEADLINE, Checkout
from cluster.surveyed import ROOT_RIGHTS, lies, looks, looks_before, survey
from foreign import USER, Foreign, foreign_machines
from underlay.observe.pinned import PATH, program, sudoers

pytestmark = pytest.mark.all

# One segment that takes what comes, and one whose switch takes the machines' own addresses alone.
PARTS = {"plain": ("mac", ""), "locked": ("mac", ", locked: true")}
MANY = """\
name: hall
nodes: {count: 20, profile: lean, memory: 256}
protocols: [icmp]
segments:
  plain: {subnet: 192.168.60.0/24}
  locked: {subnet: 192.168.61.0/24, locked: true}
networks:
  plain-bri: {driver: macvlan, segment: plain, subnet: 10.1.0.0/22, runtime: iproute2}
  plain-vep: {driver: macvlan, mode: vepa, segment: plain, subnet: 10.2.0.0/22, runtime: iproute2}
  locked-bri: {driver: macvlan, segment: locked, subnet: 10.3.0.0/22, runtime: iproute2}
  locked-vep: {driver: macvlan, mode: vepa, segment: locked, subnet: 10.4.0.0/22, runtime: iproute2}
containers:
  - {on: all, count: 2, networks: [plain-bri]}
  - {on: all, count: 2, networks: [plain-vep]}
  - {on: all, count: 2, networks: [locked-bri]}
  - {on: all, count: 2, networks: [locked-vep]}
"""


@pytest.fixture(scope="module")
def hall(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """Return twenty machines; their user may become root only where a test says so."""
    folder = tmp_path_factory.mktemp("hall")
    with foreign_machines(copy, folder, "hall", MANY) as machines:
        yield machines


def checked(here: Checkout, hall: Foreign, *words: str) -> Done:
    command = ("check", str(hall.lab.file), "-i", str(hall.inventory), "--json", *words)
    return here.underlay(*command, deadline=CHECK_DEADLINE)


def test_what_a_survey_says_is_what_packets_do(here: Checkout, hall: Foreign) -> None:
    with hall.sudoers(ROOT_RIGHTS):
        before = looks_before(hall)
        done = survey(here, hall, PARTS, "--send")
        assert looks(hall) == before
    assert done.code == 0, str(done)
    wrong, held = lies(done.document(), hall.lab.check(), PARTS)
    assert not wrong, "\n".join(wrong)
    assert held == 8


def test_rows_of_hosts_are_measured_by_anybody(here: Checkout, hall: Foreign) -> None:
    done = checked(here, hall, "--only", "core-* -> *")
    assert done.code == 0, str(done)
    summary = done.document()["summary"]
    assert summary["cells"] == summary["as_expected"] == 20 * 160


def test_all_rows_are_measured_by_the_probe(here: Checkout, hall: Foreign) -> None:
    hall.install(PATH, program())
    with hall.sudoers(sudoers(USER)):
        done = checked(here, hall, "--probe")
    assert done.code == 0, str(done)
    summary = done.document()["summary"]
    # 160 containers and 20 machines, each way, and no end to itself.
    assert summary["cells"] == summary["as_expected"] == 160 * 159 + 2 * 20 * 160
