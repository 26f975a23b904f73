"""The data plane measured for real, each driver once; `underlay bench` is the long way to do it."""

from __future__ import annotations

import pytest

from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout
from underlay.proof.bench.dataplane import DRIVERS, PLACES

# The bench ends within ten minutes, and tidies up after that.
DEADLINE = 900.0
FIGURES = ("throughput_gbit_s", "cpu_s_per_gbit", "connections_per_s")


@pytest.mark.all
def test_every_driver_is_measured_in_both_places(copy: Checkout) -> None:
    before = interfaces()
    done = copy.underlay("bench", "dataplane", "--quick", "--json", deadline=DEADLINE)
    assert done.code == 0, str(done)
    document = done.document()
    assert document["not_run"] == []
    assert "User Mode Linux" in document["caveat"]
    rows = {(row["driver"], row["where"]): row for row in document["results"]}
    assert list(rows) == [(driver, where) for driver in DRIVERS for where in PLACES]
    for row in rows.values():
        assert all(row[figure] > 0 for figure in FIGURES), row
        latency = row["latency_ms"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"], row
        assert 0 <= latency["lost"] < 1, row
    prove_nothing_is_left(copy, before)
