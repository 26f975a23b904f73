"""What counts as memory in use: not what the kernel has free and only doesn't call so."""

from __future__ import annotations

import os
from pathlib import Path

from underlay.cluster.providers.uml.sandbox import memory_kib
from underlay.proof.bench.memory import used_mib

MEMORY = "MemTotal: 8192000 kB\nMemFree: 6144000 kB\nMemAvailable: 7168000 kB\n"
ZONES = """Node 0, zone   Normal
  pages free     1536000
  pagesets
    cpu: 0
              count:    {first}
              high:     18000
    cpu: 1
              count:    {second}
              high:     18000
"""


def machine(folder: Path, first: int, second: int) -> Path:
    (folder / "proc").mkdir(exist_ok=True)
    (folder / "proc/meminfo").write_text(MEMORY)
    (folder / "proc/zoneinfo").write_text(ZONES.format(first=first, second=second))
    return folder


def test_free_pages_that_a_processor_keeps_are_not_in_use(tmp_path: Path) -> None:
    page = os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    assert used_mib(machine(tmp_path, 0, 0)) == 1000
    assert used_mib(machine(tmp_path, 18349, 2702)) == 1000 - 21051 * page


def test_this_machine_has_such_lists() -> None:
    assert "count:" in Path("/proc/zoneinfo").read_text()
    assert 0 < used_mib() < memory_kib()["MemTotal"] / 1024
