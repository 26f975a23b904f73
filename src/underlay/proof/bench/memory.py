"""How much memory of this machine is in use, without what is free and only isn't counted so."""

from __future__ import annotations

import os
from pathlib import Path

from underlay.cluster.providers.uml.sandbox import memory_kib

_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def used_mib(root: Path = Path("/")) -> float:
    """Return the memory that is neither available nor in a processor's list of free pages, in MiB.

    A page that was freed lies in a list of the processor that freed it until the kernel takes it
    back, and /proc/meminfo counts it as used meanwhile. Since Linux 6.7 these lists grow with what
    a machine frees at a time: 110 to 200 MiB on two processors after a lab, and 40 MiB more or less
    after the same lab (mm/page_alloc.c, ``nr_pcp_high``; ``pagesets`` in /proc/zoneinfo).
    """
    memory = memory_kib(root)
    return (memory["MemTotal"] - memory["MemAvailable"]) / 1024 - _listed_pages(root) * _PAGE_MIB


def _listed_pages(root: Path) -> int:
    """Return how many pages lie in such lists, of all zones and processors."""
    lines = (root / "proc/zoneinfo").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.lstrip().startswith("count:"))
