"""Hosts' own files as a lab: one small fleet for each kind of file, and the lab that it leads to.

A fleet is one text file that holds several: see tests/archive.py. Beside it lies the lab file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from archive import files_of, unpack
from underlay.expect import predict
from underlay.fleet import read_hosts
from underlay.fleet.carried import Carried, carry, lab_text
from underlay.lint import Loaded, load

CASES = Path(__file__).resolve().parent / "fleets"
FLEETS = sorted(path.stem for path in CASES.glob("*.txt"))

Golden = Callable[[Path, str], None]


def imported(case: str, folder: Path) -> tuple[Carried, str]:
    """Return the lab that a fleet leads to, and its text; the working folder is ``folder``."""
    pairs = unpack(files_of((CASES / f"{case}.txt").read_text(encoding="utf-8")), folder)
    hosts = read_hosts(pairs, inside=True)
    carried = carry(hosts, {}, case)
    files = len({document.file for host in hosts for document in host.documents})
    return carried, lab_text(carried, files)


def loaded(text: str, folder: Path) -> Loaded:
    file = folder / "lab.yml"
    file.write_text(text, encoding="utf-8")
    return load(file)


@pytest.mark.parametrize("case", FLEETS)
def test_fleet(case: str, tmp_path: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    carried, text = imported(case, tmp_path)
    lab = loaded(text, tmp_path)
    assert not lab.errors
    assert lab.text.data == carried.lab
    assert any(cell.reachable for cell in predict(lab.plan))
    golden(CASES / f"{case}.yml", text)


def test_each_lab_is_of_a_fleet() -> None:
    assert {path.stem for path in CASES.iterdir()} == set(FLEETS)


def test_names_ranges_and_gateways_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = loaded(imported("cni-networkd", tmp_path)[1], tmp_path).plan
    assert [node.name for node in plan.nodes] == ["alpha", "beta", "gamma"]
    assert {node.nics[0].interface for node in plan.nodes} == {"ens3"}
    lannet, iot = plan.networks
    assert (lannet.name, lannet.mode, lannet.parent, lannet.file) == (
        "lannet", "private", "ens3", "20-lannet.conf",
    )  # fmt: skip
    assert (iot.name, iot.driver, iot.parent, iot.vlan, iot.mtu) == (
        "iot", "ipvlan", "ens3.70", 70, 1400,
    )  # fmt: skip
    (pool,) = lannet.pools
    assert pool.gateway == "192.168.70.1"
    assert (pool.slices["beta"].first, pool.slices["beta"].last) == (
        "192.168.70.30", "192.168.70.39",
    )  # fmt: skip
    assert [(route.to, route.via) for route in lannet.routes] == [("10.9.0.0/16", "192.168.70.2")]
    assert [c.name for c in plan.containers if c.node == "alpha"] == ["lannet-1a", "iot-1a"]
    assert plan.containers[0].attachments[0].address.ip == "192.168.70.10"
