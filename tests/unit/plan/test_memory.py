"""What a node needs of its memory, and that the figures are those that nodes were measured with."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan, memory
from underlay.proof.records.keeping import read
from underlay.storage.paths import root

LAB = """\
name: full
nodes: {count: 2, memory: 512}
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  a: {driver: macvlan, segment: lan, subnet: 10.1.0.0/16, runtime: docker}
  b: {driver: macvlan, segment: lan, subnet: 10.2.0.0/16, runtime: cni}
containers:
  - {on: core-01, count: 40, networks: [a]}
  - {on: core-01, count: 3, networks: [b]}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "full.yml").write_text(LAB)
    return make_plan(read_lab(tmp_path / "full.yml"))


@pytest.mark.parametrize("profile", ["full", "lean"])
def test_the_figures_are_those_that_were_measured(profile: str) -> None:
    measured = read(f"memory-{profile}").rows
    assert {kind for kind in memory.RUNTIMES if kind[0] == profile} == {
        (profile, runtime) for runtime in measured
    }
    for runtime, row in measured.items():
        cost = memory.RUNTIMES[profile, runtime]
        assert row.each_mib == pytest.approx(cost.each, rel=0.25, abs=0.4), runtime
        assert row.rest_mib == pytest.approx(memory.SYSTEM[profile] + cost.once, rel=0.2)


def test_a_node_needs_itself_its_runtimes_and_its_containers(plan: Plan) -> None:
    first, second = (memory.need(plan, node) for node in plan.nodes)
    docker, cni = memory.RUNTIMES["full", "docker"], memory.RUNTIMES["full", "cni"]
    alone = memory.SYSTEM["full"] + memory.SPARE
    assert second.mib == pytest.approx(alone, abs=1)
    by_docker = docker.once + docker.programs + 40 * docker.each
    assert first.mib == pytest.approx(alone + by_docker + cni.once + 3 * cni.each, abs=1)
    assert first.parts[1:] == (
        f"{memory.ceil(cni.once + 3 * cni.each)} for 3 by cni",
        f"{memory.ceil(by_docker)} for 40 by docker",
    )


@pytest.mark.parametrize(("mib", "enough"), [(10, 256), (256, 256), (257, 320), (700, 704)])
def test_what_would_do(mib: int, enough: int) -> None:
    assert memory.Need(mib, ()).enough == enough


def test_no_shipped_lab_is_short_of_memory() -> None:
    for path in sorted((root() / "labs").rglob("*.yml")):
        plan = make_plan(read_lab(path))
        for node in plan.nodes:
            assert memory.need(plan, node).mib <= node.memory, path.name
