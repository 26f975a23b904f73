"""One bench: the figures asked for, one after the other, and the document about them."""

from __future__ import annotations

import os
import platform
import statistics
import time
from typing import TYPE_CHECKING, Any

from underlay import __version__
from underlay.cluster import checkout
from underlay.cluster.providers.uml.sandbox import memory_kib
from underlay.errors import UnderlayError
from underlay.proof.bench.figures import (
    FIGURES,
    FLOOR,
    ICMP,
    LIBVIRT,
    MEASURES,
    ONE_A_NODE,
    ONE_BY_ONE,
    ONE_BY_ONE_SHARED,
    UP,
    Found,
)
from underlay.proof.bench.labs import Stopwatch
from underlay.proof.records.keeping import keep
from underlay.storage import temporary
from underlay.storage.paths import is_checkout, root

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# Seconds within which the whole bench ends.
LONGEST = 1200.0
QUICK = 600.0
# How many times as long another way takes: the figures whose quotient each is.
RATIOS = {
    "libvirt_ratio": (LIBVIRT, "up_to_matrix_s"),
    "floor_ratio": (UP, FLOOR),
    "ssh_ping_ratio": (ONE_BY_ONE, ICMP),
    "ssh_ping_shared_ratio": (ONE_BY_ONE_SHARED, ICMP),
    "ssh_fping_ratio": (ONE_A_NODE, ICMP),
}


def bench(wanted: set[str], say: Callable[[str], None], *, quick: bool = False) -> dict[str, Any]:
    """Measure the figures ``wanted`` and return the document about them.

    What can't be measured is in its ``not_run``, with the reason, and so is what was measured
    less often than it should have been. However it ends, no lab of the bench is left.
    """
    found, began = Found(), time.monotonic()
    facts = machine()
    with temporary.folder("bench") as folder:
        watch = Stopwatch(folder, QUICK if quick else LONGEST, say, quick=quick)
        for measure, names in MEASURES:
            chosen = [name for name in names if name in wanted]
            if not chosen:
                continue
            before = _load()
            try:
                watch.left  # noqa: B018 -- raises where the time is over
                measure(watch, found, set(chosen))
            except UnderlayError as error:
                found.fail(chosen, reason(error))
            found.load |= dict.fromkeys(chosen, (before, _load()))
    facts |= {"load_after": _load(), "seconds": round(time.monotonic() - began, 1)}
    return document(found, wanted, facts)


def document(found: Found, wanted: set[str], machine: dict[str, Any]) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    results: list[dict[str, Any]] = []
    for figure in FIGURES:
        values = found.seconds.get(figure.name)
        if figure.name not in wanted or not values:
            continue
        results.append(
            {
                "name": figure.name,
                "what": figure.what,
                "median": round(statistics.median(values), 3),
                "min": round(min(values), 3),
                "max": round(max(values), 3),
                "unit": "s",
                "runs": len(values),
                "aim": figure.aim,
                "load": dict(zip(("before", "after"), found.load[figure.name], strict=True)),
            }
        )
    return {
        "machine": machine,
        "results": results,
        "not_run": [
            {"name": figure.name, "reason": found.not_run[figure.name]}
            for figure in FIGURES
            if figure.name in found.not_run
        ],
        "growth": found.growth,
        **ratios({row["name"]: row["median"] for row in results}),
    }


def ratios(medians: Mapping[str, float]) -> dict[str, float | None]:
    """Return how many times as long other ways take, from the ``medians`` by figure.

    None stands for a quotient of which a figure is lacking.
    """
    found: dict[str, float | None] = {}
    for name, (slow, fast) in RATIOS.items():
        above, below = medians.get(slow), medians.get(fast)
        found[name] = round(above / below, 2) if above and below else None
    return found


def record(document: Mapping[str, Any]) -> Path:
    """Keep the figures of ``document`` in docs/proof/bench.json, and return its path."""
    rows = {row["name"]: {**row} for row in document["results"]}
    for name, row in rows.items():
        del row["name"], row["unit"]
        if name == "nodes_20_s":
            row["growth"] = document["growth"]
    return keep("bench", rows)


def machine() -> dict[str, Any]:
    """Return what the figures depend on: this machine, and how busy it is now."""
    return {
        "underlay": __version__,
        "commit": (checkout.commit(root()) or None) if is_checkout() else None,
        "dirty": is_checkout() and checkout.dirty(root()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": memory_kib()["MemTotal"] >> 10,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": _load(),
    }


def reason(error: UnderlayError) -> str:
    """Return ``error`` in one line: what failed, and the last thing that it said."""
    return ": ".join(filter(None, (error.message, _last(error.detail))))


def _load() -> float:
    return round(os.getloadavg()[0], 2)


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if not line.startswith("hint:")), "")
