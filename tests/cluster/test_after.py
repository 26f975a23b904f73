"""A lab after what happens in production, on nodes: what heals, what never does, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.running import Checkout, Lab, written
from underlay.proof.runs.file import read_run

# The one keeps its address and the other doesn't; neither keeps its MAC address.
LEAN = """\
name: after
nodes: {count: 2, profile: lean}
protocols: [icmp]
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: cni}
  quiet: {driver: macvlan, segment: lan, subnet: 20.1.2.0/24, runtime: iproute2}
containers:
  - {on: core-01, name: fixed, networks: [lannet], addresses: {lannet: 20.1.1.70}}
  - {on: core-01, name: silent, networks: [quiet]}
hosts:
  peer: {on: {lan: {}}}
"""
# Another address, one network less, and another container in its stead.
UPGRADED = (
    LEAN.replace("name: after", "name: after-new")
    .replace("20.1.1.70", "20.1.1.80")
    .replace(
        "  quiet: {driver: macvlan, segment: lan, subnet: 20.1.2.0/24, runtime: iproute2}\n", ""
    )
    .replace(
        "core-01, name: silent, networks: [quiet]}",
        "core-02, name: second, networks: [lannet], addresses: {lannet: 20.1.1.130}}",
    )
)
MOVED = LEAN.replace("containers:\n", "containers:\n  - {on: core-01, networks: [lannet]}\n")
# A shim is made by commands, and nothing of the lab's runs again on a full node that was rebooted.
SHIM = """\
name: after-shim
nodes: 1
protocols: [icmp]
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  mac:
    {driver: macvlan, shim: {routes: [10.1.1.0/24]}, segment: lan, subnet: 10.1.1.0/24,
     runtime: cni}
containers:
  - {on: core-01, name: web, networks: [mac], addresses: {mac: 10.1.1.70}}
hosts:
  peer: {on: {lan: {}}}
"""
HEALING = ("--healing", "90")
DEADLINE = 420


@pytest.fixture
def lean(copy: Checkout, tmp_path: Path) -> Iterator[Lab]:
    with written(copy, tmp_path, "after", LEAN) as made:
        assert made.up().code == 0
        yield made


def after(lab: Lab, *events: str, code: int) -> list[dict[str, Any]]:
    words = [word for event in events for word in ("--after", event)]
    done = lab.verb("check", *words, *HEALING, "--json", deadline=DEADLINE)
    assert done.code == code, str(done)
    found: list[dict[str, Any]] = done.document()["after"]
    return found


@pytest.mark.all
def test_a_neighbour_that_remembers_heals_and_a_reboot_loses_nothing_of_a_lean_node(
    lean: Lab,
) -> None:
    made_anew, booted = after(lean, "recreate", "reboot", code=0)
    changed = {(one["container"], one["what"]) for one in made_anew["changed"]}
    assert changed == {("fixed", "MAC address"), ("silent", "MAC address")}
    (first, _) = made_anew["nodes"]
    # The CNI plugin says so to everybody, `ip` to nobody.
    assert {one["container"] for one in first["announced"]} == {"fixed"}
    (stale,) = [one for one in made_anew["reasons"] if one["id"] == "stale-neighbour"]
    assert stale["where"] == "silent"
    assert stale["evidence"][0].endswith("nobody announced it")
    healed = {one["destination"]: one["healed"] for one in first["silent"]}
    assert healed["fixed"] is not None
    assert healed["fixed"] < stale["most"] < 60
    assert not made_anew["cells"]
    assert not booted["cells"]
    assert all(one["healed"] is not None for one in booted["nodes"][0]["silent"])
    assert "booted" in booted["nodes"][0]["did"][0]
    lean.verb("converge")


@pytest.mark.all
def test_an_address_that_nobody_fixes_is_lost_for_good_and_kept_in_the_run(
    copy: Checkout, tmp_path: Path
) -> None:
    file, kept = tmp_path / "after.yml", tmp_path / "run.json"
    file.write_text(MOVED)
    words = ("--after", "recreate", "--healing", "5", "--save", str(kept), "--json")
    done = copy.underlay("check", str(file), *words, deadline=DEADLINE)
    assert done.code == 1, str(done)
    (saved,) = read_run(kept).labs
    (event,) = saved.after
    assert [json.loads(event.model_dump_json())] == done.document()["labs"][0]["after"]
    assert {one.where for one in event.reasons if one.id == "address-changed"} == {"lannet-1a"}
    assert any(one.healed is None for one in event.silent)


@pytest.mark.all
def test_a_shim_that_no_file_brings_back_is_named(copy: Checkout, tmp_path: Path) -> None:
    with written(copy, tmp_path, "after-shim", SHIM) as lab:
        assert lab.up().code == 0
        done = lab.verb("check", "--after", "reboot", *HEALING, "--json", deadline=DEADLINE)
        assert done.code == 1, str(done)
        (event,) = done.document()["after"]
        (lost,) = [one for one in event["reasons"] if one["id"] == "interface-lost"]
        assert lost["where"] == "core-01"
        assert "sh-mac is gone" in lost["evidence"]
        worse = {(one["cell"]["source"], one["cell"]["destination"]) for one in event["cells"]}
        assert ("web", "core-01") in worse
        (cause,) = done.document()["causes"]
        assert (cause["id"], cause["where"]) == ("shim-missing", "core-01, sh-mac")


@pytest.mark.all
def test_an_upgrade_is_measured_against_its_own_prediction(copy: Checkout, tmp_path: Path) -> None:
    new, big, kept = tmp_path / "new.yml", tmp_path / "big.yml", tmp_path / "run.json"
    new.write_text(UPGRADED)
    big.write_text(LEAN.replace("name: after", "name: after-big").replace("count: 2", "count: 3"))
    with written(copy, tmp_path, "after", LEAN) as lab:
        assert lab.up().code == 0
        try:
            done = lab.verb("check", "--after", f"upgrade={new}", "--json", deadline=DEADLINE)
            assert done.code == 0, str(done)
            assert done.document()["lab"] == "after-new"
            (event,) = done.document()["after"]
            ends = {(one["what"], one["cell"]["source"]) for one in event["cells"]}
            assert {("new", "second"), ("gone", "silent")} <= ends
            assert ("fixed", "20.1.1.70", "20.1.1.80") in {
                (one["container"], one["before"], one["now"]) for one in event["changed"]
            }
            assert {one["id"] for one in event["reasons"]} <= {"away", "stale-neighbour"}
        finally:
            done = copy.underlay("switch", str(lab.file), deadline=120)
        assert done.code == 0, str(done)
        # Two nodes can't become three: what was measured before is told.
        words = ("--after", "recreate", "--after", f"upgrade={big}", "--after", "recreate")
        done = lab.verb("check", *words, "--save", str(kept), "--json", deadline=DEADLINE)
        assert done.code == 3, str(done)
        recreated, failed = done.document()["after"]
        assert recreated["error"] is None
        assert failed["error"]["message"]
        by_name = {one.lab: one for one in read_run(kept).labs}
        assert [one.event for one in by_name["after"].after] == ["recreate", "upgrade"]


@pytest.mark.all
def test_the_lab_of_a_file_is_down_again_after_what_happened_to_it(
    copy: Checkout, tmp_path: Path
) -> None:
    file = tmp_path / "after.yml"
    file.write_text(LEAN)
    done = copy.underlay("check", str(file), "--after", "recreate", "--json", deadline=DEADLINE)
    assert done.code == 0, str(done)
    (lab,) = done.document()["labs"]
    assert [one["event"] for one in lab["after"]] == ["recreate"]
    assert copy.underlay("status", deadline=60).code == 2
