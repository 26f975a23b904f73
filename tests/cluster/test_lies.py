"""The lie benchmark: what four tools say of a lab under each fault, and what is so.

Each fault is brought about, a referee of the benchmark's own looks (tests/lies/referee.py), each
tool is run on neighbours' tables that are empty, and the fault is taken back until the referee
sees the healthy lab again. Rows are kept one by one in docs/proof/lies.json: what is cut short
leaves those that were whole. docs/reference.py makes docs/lies.md of them.

    ./underlay test --layer cluster --all -- -k test_lies
    ./underlay test --layer cluster --all -- -k 'test_lies and small-mtu'
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from testinfra.host import Host

from cluster.near import state_of
from cluster.running import Lab
from lies import page, record, tally
from lies.places import place_of, placed
from lies.questions import Cell, questions
from lies.referee import Look, Referee, look, on_node, unlike
from lies.tally import kept
from lies.tools import (
    FOLDER,
    PORT,
    TOOLS,
    WRITTEN,
    Bench,
    curl_files,
    debian_goss,
    put,
    put_goss_files,
    timed,
    versions,
)
from underlay.cluster.access import run_in, spawn_as_root
from underlay.cluster.process import close
from underlay.cluster.state.lab import LabState
from underlay.errors import Infrastructure
from underlay.expect import Prediction
from underlay.faults import Scene, running_fault
from underlay.faults.record import inject, mend

pytestmark = pytest.mark.all

# macvlan and ipvlan l2 by CNI; bridges, tunnels and VLANs beside the two drivers; ipvlan l3 and
# l3s over both families.
CHOSEN = page.LABS
HEALTHY = record.HEALTHY
# Seconds for a mended lab to be as before: duplicate address detection, networkd.
MENDED = 30.0


def places() -> Iterator[tuple[str, str]]:
    """Yield each lab with each fault that it has a place for, in the catalogue's order."""
    for name in CHOSEN:
        yield name, HEALTHY
        for fault in placed(name):
            yield name, fault


@pytest.fixture(scope="session")
def bench(
    lab: Lab, hosts: dict[str, Host], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Bench, Look]]:
    """Return the lab with all tools on its nodes, and what the referee sees while it is healthy."""
    state = state_of(lab)
    plan = state.plan()
    program, version = debian_goss(tmp_path_factory.getbasetemp().parent / "goss")
    script = (WRITTEN / "curl-client.sh").read_bytes()
    files = {**curl_files(), "goss": program.read_bytes(), "curl-client.sh": script}
    serving: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for node in plan.nodes:
            put(state, node.name, files)
        serve(state, serving)
        every = questions(plan)
        with Referee(state) as referee:
            healthy = look(referee, every)
        asked = [q for q in every if kept(q, healthy.truth)]
        made = Bench(lab, state, hosts, asked, serving)
        assert made.asked, healthy.truth
        put_goss_files(made)
        faults = [fault for name, fault in places() if name == lab.name and fault != HEALTHY]
        record.begin(lab.name, lab.file, every, healthy, versions(made, version), faults)
        yield made, healthy
    finally:
        for process in serving.values():
            close(process, 10)
        for node in plan.nodes:
            with suppress(Infrastructure):
                run_in(state, node.name, ["rm", "-rf", FOLDER], deadline=30)


def serve(state: LabState, serving: dict[str, subprocess.Popen[bytes]]) -> None:
    """Start the web servers of each node whose own have ended, or haven't been started yet.

    They end with the ssh connection that holds them, as a node's that hung does.
    """
    plan = state.plan()
    started = []
    for node in plan.nodes:
        if node.name in serving and serving[node.name].poll() is None:
            continue
        spaces = [[c.name, c.runtime] for c in plan.containers if c.node == node.name]
        task = {"spaces": spaces, "port": PORT, "folder": f"{FOLDER}/www"}
        serving[node.name] = spawn_as_root(state)(node.name, on_node("serving", task))
        started.append(serving[node.name])
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == b"serving\n"


@pytest.mark.parametrize(
    ("lab", "name"),
    [pytest.param(*row, id=f"{row[0]}-{row[1]}") for row in places()],
    indirect=["lab"],
    scope="session",
)
def test_what_tools_say(
    bench: tuple[Bench, Look], name: str, request: pytest.FixtureRequest
) -> None:
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def tell(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", end="", flush=True)

    made, healthy = bench
    state, every = made.state, questions(made.state.plan())
    scene = Scene(Prediction(state.plan()))
    place = None if name == HEALTHY else place_of(scene, name)
    where = str(place or "")
    left: list[Cell] = []
    try:
        if place:
            inject(state, scene, running_fault(name), place)
        with Referee(state) as referee:
            seen = look(referee, every, turn=len(name))
            changed = tally.changes(seen.truth, healthy.truth)
            tell(f"{name} {where}: referee {seen.seconds} s, {len(changed)} cells changed")
            tools = {}
            for word, tool in TOOLS.items():
                referee.flush_all()
                tools[word] = tally.row(timed(tool, made), seen.truth, changed)
                tell(f"  {word} {tools[word]['seconds']} s: {tools[word]['worth']}")
            mend(state)
            serve(state, made.serving)
            # A namespace that was made anew, or a node that hung, needs another one.
            left = unlike(referee, every, healthy)
    finally:
        mend(state)
        serve(state, made.serving)
        left = left and still_unlike(made, healthy)
    assert not left, f"{name} at {where} is mended, and not reached as before: {left}"
    record.keep(made.lab.name, name, record.row(where, seen, every, changed, tools))
    if name not in page.BY_COMPANY:
        assert not seen.sampled_reached, "who wasn't reached in company was reached alone"


def still_unlike(made: Bench, healthy: Look) -> list[Cell]:
    """Return what isn't as it was before anything was broken, after ``MENDED`` seconds at most."""
    every = questions(made.state.plan())
    end = time.monotonic() + MENDED
    while True:
        with Referee(made.state) as referee:
            left = unlike(referee, every, healthy)
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.5)


def test_the_files_are_where_the_page_says() -> None:
    assert Path(WRITTEN / "curl-client.sh").is_file()
