"""The catalogue: what every entry says, where faults fit, and what break refuses."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from underlay.errors import BadInput
from underlay.expect import Prediction
from underlay.faults import BOOT, RUNNING, Entry, Fault, Scene, running_fault
from underlay.faults.choosing import choose_place
from underlay.faults.entries import entries
from underlay.faults.scene import cell_of
from underlay.lint import load
from underlay.lint.read import read_lab
from underlay.observe.evidence import Evidence
from underlay.observe.observation import Observation, Seen
from underlay.plan import make_plan
from underlay.proof.explain import explain
from underlay.proof.records.keeping import read
from underlay.proof.records.schema import FaultRow
from underlay.verdict import judge

ROOT = Path(__file__).resolve().parents[3]
LABS = ROOT / "labs"
CATALOGUE = ROOT / "src" / "underlay" / "faults" / "catalogue"


def scene_of(lab: str) -> Scene:
    return Scene(Prediction(make_plan(read_lab(LABS / f"{lab}.yml"))))


@pytest.fixture(scope="module")
def coreos() -> Scene:
    return scene_of("coreos")


@pytest.fixture(scope="module")
def docker_vlan() -> Scene:
    return scene_of("docker-vlan")


def test_there_are_enough() -> None:
    assert len(entries()) >= 60
    assert len({entry.id for entry in entries()}) == len(entries())
    assert {entry.stage for entry in entries()} == {"file", "boot", "running"}


def test_the_catalogue_is_what_its_folder_has() -> None:
    """Each module has faults in the catalogue, and each class there has its place in a fault."""
    named = {path.stem for path in CATALOGUE.glob("*.py")} - {"__init__", "boot"}
    made = [type(fault) for fault in RUNNING]
    assert {kind.__module__.rpartition(".")[2] for kind in made} == named
    for name in named:
        module = importlib.import_module(f"underlay.faults.catalogue.{name}")
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, Fault) and kind.__module__ == module.__name__:
                assert any(issubclass(one, kind) for one in made), f"{kind} is of no fault"


def test_the_page_has_what_the_catalogue_has() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    layers = list(dict.fromkeys(fault.layer for fault in RUNNING))
    in_order = sorted(RUNNING, key=lambda fault: layers.index(fault.layer))
    assert re.findall("^### (.*)$", page, re.MULTILINE) == [fault.id for fault in in_order]
    for entry in BOOT:
        assert entry.cure.partition("|")[0] in page, entry.id


def test_every_fault_was_brought_about_by_hand_on_real_nodes() -> None:
    proven = {row.fault for row in read("faults").rows.values() if isinstance(row, FaultRow)}
    assert [fault.id for fault in RUNNING if fault.id not in proven] == []


def test_the_version_needs_no_fault() -> None:
    program = """
import json, sys
from underlay.cli import main
main(["--version"])
print(json.dumps([name for name in sys.modules if name.startswith("underlay.faults")]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.id)
def test_every_entry_says_all_there_is_to_say(entry: Entry) -> None:
    for name in (field.name for field in fields(Entry)):
        text = getattr(entry, name)
        assert text, name
        assert not text.endswith(".") or name in ("cause", "symptom"), f"{name}: {text}"


@pytest.mark.parametrize("fault", RUNNING, ids=lambda fault: fault.id)
def test_what_can_be_broken_can_be_mended(fault: Fault, coreos: Scene, docker_vlan: Scene) -> None:
    for scene in (coreos, docker_vlan):
        for place in fault.places(scene):
            assert fault.inject(scene, place)
            assert fault.undo(scene, place) or fault.keeps(scene, place)
            assert fault.effect(scene, place).every <= scene.every


@pytest.mark.parametrize("fault", RUNNING, ids=lambda fault: fault.id)
def test_a_fault_runs_the_scripts_that_it_names(fault: Fault) -> None:
    """An inherited ``inject`` would leave a class's own ``break_script`` without use."""

    def definer(name: str) -> type:
        return next(kind for kind in type(fault).__mro__ if name in vars(kind))

    for script, method in (("break_script", "inject"), ("mend_script", "undo")):
        found = definer(method)
        assert found is Fault or issubclass(found, definer(script)), fault.id


def test_most_faults_fit_the_labs(coreos: Scene, docker_vlan: Scene) -> None:
    def fitting(scene: Scene) -> set[str]:
        return {
            fault.id
            for fault in RUNNING
            if any(fault.effect(scene, place).every for place in fault.places(scene))
        }

    assert len(fitting(coreos)) >= 40
    assert {"wrong-vlan", "vlan-id", "vlan-not-on-trunk", "container-stopped"} <= fitting(
        docker_vlan
    )


def test_a_shim_that_is_gone_is_found_by_its_name_and_takes_what_asks_the_node() -> None:
    scene, fault = scene_of("shim"), running_fault("shim-missing")
    place = next(fault.places(scene))
    assert str(place) == "core-02, sh-mac"
    effect = fault.effect(scene, place)
    assert {cell[:2] for cell in effect.certain} == {
        (name, "core-02") for name in ("mac-1a", "mac-1b", "mac-2a", "mac-2b")
    }
    assert ("core-02", "mac-2a", "icmp", 4) in effect.possible
    assert not any("ip-2a" in cell for cell in effect.every)
    there = [{"ifname": name, "ifindex": 1} for name in ("eth1", "eth2", "sh-ip", "sh-mac")]

    def found(links: list[dict[str, object]]) -> list[str]:
        evidence = Evidence({"core-02": {"spaces": {"core-02": {"links": links}}}})
        return [str(one.place) for one in fault.find(scene, evidence)]

    assert found(there) == []
    assert found(there[:-1]) == ["core-02, sh-mac"]
    assert found(there[1:2]) == ["core-02, sh-mac", "core-02, sh-ip"]


SHIMLESS_ANSWER = """\
name: stop
nodes: {count: 1, profile: lean}
protocols: [icmp]
segments: {lan: {subnet: 192.168.70.0/24}}
networks: {mac: {driver: macvlan, shim: true, segment: lan, subnet: 10.1.1.0/24, runtime: cni}}
containers: [{on: core-01, name: web, networks: [mac], addresses: {mac: 10.1.1.70}}]
hosts: {peer: {on: {lan: {}}}}
"""


@pytest.mark.parametrize("gone", [True, False])
def test_a_shim_that_is_gone_is_why_a_cell_stops_elsewhere(gone: bool, tmp_path: Path) -> None:
    """The node has no route to the containers, so that none is reached either way."""
    file = tmp_path / "stop.yml"
    file.write_text(SHIMLESS_ANSWER)
    scene = Scene(Prediction(load(file).plan))
    cell = ("web", "core-01", "icmp", 4)
    there = ("eth1", *([] if gone else ["sh-mac"]))
    links = [
        {"ifname": name, "ifindex": n, "mtu": 1500, "flags": ["UP", "LOWER_UP"], "operstate": "UP"}
        for n, name in enumerate(there, 1)
    ]
    seen = tuple(
        Seen(
            *(one.source, one.destination, one.protocol),
            "reachable" if one.reachable else "unreachable",
            stopped_at="no_neighbour" if cell_of(one) == cell else one.stop,
            arrived=one.reachable,
        )
        for one in scene.prediction.reach
    )
    verdict = judge("stop", "uml", scene.prediction.cells, Observation(seen, {}, {}))
    evidence = Evidence({"core-01": {"spaces": {"core-01": {"links": links}}}})
    assert [one.elsewhere for one in verdict.cells if one.differs] == [True]
    causes = explain(scene, verdict.cells, evidence).causes
    assert [
        (one.finding.fault.id, one.where, one.sureness, one.cells)
        for one in causes
        if one.finding.fault.id == "shim-missing"
    ] == ([("shim-missing", "core-01, sh-mac", "proven", (cell,))] if gone else [])


def test_a_parent_that_is_down_takes_macvlan_siblings_along(coreos: Scene) -> None:
    down = running_fault("parent-down")
    lost = {
        place.device: down.effect(coreos, place).certain
        for place in down.places(coreos)
        if place.node == "core-02"
    }
    assert ("lannet-2a", "lannet-2b", "icmp", 4) in lost["eth1"]
    assert ("ipnet-2a", "ipnet-2b", "icmp", 4) not in lost["eth2"]
    assert ("ipnet-2a", "ipnet-1b", "udp", 4) in lost["eth2"]


def test_break_takes_the_place_that_is_named(coreos: Scene) -> None:
    place = choose_place(coreos, running_fault("parent-down"), "core-03", None)
    assert (place.node, place.device) == ("core-03", "eth1")
    place = choose_place(coreos, running_fault("echo-ignored"), None, "ipnet-2b")
    assert place.target == "ipnet-2b"


@pytest.mark.parametrize(
    ("fault", "node", "container", "words"),
    [
        ("wrong-vlan", None, None, "no macvlan network on a VLAN"),
        ("mtu-too-small", None, None, "would change no cell"),
        ("macvlan-private", None, "ipnet-1a", "makes no sense at ipnet-1a"),
        ("parent-down", "core-09", None, "there is no node"),
        ("echo-ignored", None, "lannet-9z", "there is no container"),
    ],
)
def test_break_refuses_what_makes_no_sense(
    coreos: Scene, fault: str, node: str | None, container: str | None, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        choose_place(coreos, running_fault(fault), node, container)


def test_a_misspelt_fault_has_a_neighbour() -> None:
    with pytest.raises(BadInput) as caught:
        running_fault("parent-dwon")
    assert "parent-down" in caught.value.hint
