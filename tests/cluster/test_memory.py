"""What containers cost a node of its memory: measured, kept, held against the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.running import Checkout, Lab, written
from underlay.lint import load
from underlay.plan import memory
from underlay.proof.records.keeping import keep

LAB = """\
name: {name}
nodes: {{count: 1, memory: 1024, profile: {profile}}}
protocols: [icmp]
segments:
  lan: {{subnet: 192.168.70.0/24}}
networks:
  many: {{driver: macvlan, segment: lan, subnet: 10.7.0.0/16, runtime: {runtime}}}
containers:
  - {{count: {count}, networks: [many]}}
"""
FEW, MANY = 2, 22
# Docker containers of one node, what lint says they need, and what is far too little.
CONTAINERS, MIB, TOO_LITTLE = 62, 704, 384
FULL_DEADLINE = 900.0
# Its daemon goes on running when a node gets another lab: it is measured last.
STAYS = "docker"
# Caches are the kernel's to give back; it says what it could. What has just made the containers may
# still be ending, so the most of a few looks counts.
LOOK = """
most=0
for look in 1 2 3 4 5; do
    sync; echo 3 >/proc/sys/vm/drop_caches; sleep 1
    while read key value unit; do
        [ "$key" != MemAvailable: ] || [ $value -le $most ] || most=$value
    done </proc/meminfo
done
echo $most
"""

pytestmark = pytest.mark.all


@pytest.mark.parametrize("profile", ["full", "lean"])
def test_the_plan_knows_what_containers_cost(profile: str, here: Checkout, tmp_path: Path) -> None:
    runtimes = [runtime for kind, runtime in memory.RUNTIMES if kind == profile]
    runtimes.sort(key=STAYS.__eq__)
    used: dict[str, dict[int, float]] = {}
    lab: Lab | None = None
    try:
        for runtime in runtimes:
            for count in (FEW, MANY):
                name = f"m-{runtime}-{count}"
                file = tmp_path / f"{name}.yml"
                keys = {"name": name, "profile": profile, "runtime": runtime, "count": count}
                file.write_text(LAB.format(**keys))
                lab = _next(lab, Lab(here, name, file))
                free = int(lab.shell("core-01", LOOK)) / 1024
                used.setdefault(runtime, {})[count] = round(1024 - free, 1)
    finally:
        if lab is not None:
            lab.down()
    rows = {}
    for runtime, seen in used.items():
        each = (seen[MANY] - seen[FEW]) / (MANY - FEW)
        rows[runtime] = {
            "used_mib": {str(count): mib for count, mib in seen.items()},
            "each_mib": round(each, 2),
            "rest_mib": round(seen[FEW] - FEW * each, 1),
        }
    keep(f"memory-{profile}", rows, all_rows=True)
    for runtime, row in rows.items():
        cost = memory.RUNTIMES[profile, runtime]
        rest = memory.SYSTEM[profile] + cost.once
        assert row["each_mib"] == pytest.approx(cost.each, rel=0.25, abs=0.4), runtime
        assert row["rest_mib"] == pytest.approx(rest, rel=0.2), runtime


@pytest.mark.parametrize(("mib", "starts"), [(MIB, True), (TOO_LITTLE, False)])
def test_what_lint_proposes_is_enough_and_what_it_warns_of_is_not(
    here: Checkout, tmp_path: Path, mib: int, starts: bool
) -> None:
    name = f"m-{mib}"
    keys = {"name": name, "profile": "full", "runtime": "docker", "count": CONTAINERS}
    text = LAB.format(**keys).replace("memory: 1024", f"memory: {mib}")
    with written(here, tmp_path, name, text) as lab:
        loaded = load(lab.file)
        short = [found for found in loaded.findings if found.id == "memory-short"]
        assert [f"memory: {MIB}" in found.cure for found in short] == ([] if starts else [True])
        done = here.underlay("up", str(lab.file), deadline=FULL_DEADLINE)
        if starts:
            assert done.code == 0, str(done)
            running = lab.shell("core-01", "docker ps --quiet | wc -l")
            assert int(running) == CONTAINERS
            lab.check().prove_green()
        else:
            assert done.code == 3, str(done)
            # What the kernel ends for it may be a container (exit code 137), or the set-up itself;
            # or it has room for all but the programs that start one, and gets on too slowly.
            full = "error: core-01: out of memory: its kernel killed "
            slow = "error: core-01: its set-up did not finish within the deadline"
            assert full in done.err or slow in done.err, str(done)
            assert f"memory: {MIB}" in done.err, str(done)


def _next(before: Lab | None, lab: Lab) -> Lab:
    """Start ``lab``, or make the one that runs ``before`` it that; another may be up beside it."""
    if before is None:
        done = lab.up()
    else:
        words = ("switch", str(lab.file), "--lab", before.name)
        done = lab.checkout.underlay(*words, deadline=300)
    assert done.code == 0, str(done)
    return lab
