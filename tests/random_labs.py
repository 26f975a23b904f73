"""Random labs, for Hypothesis: driver × mode × VLAN × subnet × placement × runtime.

Only labs that lint finds no error in come out, so the strategy may propose more than fits.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from underlay.errors import BadInput
from underlay.lab import DEFAULT_MODE, MODES
from underlay.lab_drivers import FLAGGED, RUNTIMES
from underlay.lab_file import read_lab_text
from underlay.lint import lint_lab
from underlay.plan import Plan, make_plan

NODES = 2
SEGMENTS = ("lan", "wan")
NODE_NAMES = tuple(f"core-{index:02}" for index in range(1, NODES + 1))
PLACES: tuple[Any, ...] = ("all", "all", *NODE_NAMES)


@st.composite
def labs(draw: st.DrawFn, runtimes: tuple[str, ...] = ("cni", "iproute2")) -> dict[str, Any]:
    """Return a lab of two nodes and two segments, as a lab file's mapping without a name.

    Its containers are started by ``runtimes`` only.
    """
    names = [f"net{position}" for position in range(draw(st.integers(1, 4)))]
    networks = {name: draw(_network(position, runtimes)) for position, name in enumerate(names)}
    by_runtime: dict[str, list[str]] = {}
    for name, network in networks.items():
        by_runtime.setdefault(network["runtime"], []).append(name)
    groups = []
    for alike in by_runtime.values():
        for name in alike:
            groups.append(draw(_group([name])))
        if len(alike) > 1 and draw(st.booleans()):
            groups.append(draw(_group(alike[:2])))
    return {
        "nodes": NODES,
        "segments": {
            "lan": {"subnet": "192.168.70.0/24"} | draw(_segment()),
            "wan": {"subnet": "192.168.80.0/24"} | draw(_segment()),
        },
        "networks": networks,
        "containers": groups,
    }


def planned(lab: dict[str, Any], name: str = "random") -> Plan | None:
    """Return the plan of ``lab``, or None where a check or lint finds an error in it."""
    with tempfile.TemporaryDirectory(prefix="underlay-random-") as folder:
        file = Path(folder) / "random.yml"
        file.write_text(text(lab, name), encoding="utf-8")
        try:
            lab, read = read_lab_text(file)
            found = lint_lab(lab, read)
        except BadInput:
            return None
    return None if any(one.severity == "error" for one in found) else make_plan(lab)


def text(lab: dict[str, Any], name: str) -> str:
    """Return the lab file of ``lab`` under ``name``; JSON is YAML, too."""
    return json.dumps({"name": name, **lab}, indent=2) + "\n"


@st.composite
def _segment(draw: st.DrawFn) -> dict[str, Any]:
    drawn = {key: draw(st.sampled_from([False, False, False, True])) for key in ("hairpin",)}
    drawn["isolated"] = draw(st.sampled_from([False] * 7 + [True]))
    return {key: value for key, value in drawn.items() if value}


@st.composite
def _network(draw: st.DrawFn, position: int, runtimes: tuple[str, ...]) -> dict[str, Any]:
    driver = draw(st.sampled_from(["macvlan", "macvlan", "ipvlan", "ipvlan", "bridge", "vlan"]))
    mode = draw(st.sampled_from([*MODES[driver], ""])) if MODES[driver] else ""
    able = RUNTIMES.get((driver, mode or DEFAULT_MODE.get(driver) or ""), ())
    network: dict[str, Any] = {
        "driver": driver,
        "segment": draw(st.sampled_from(SEGMENTS)),
        "subnet": f"20.{draw(st.sampled_from([position, position, position, 9]))}.1.0/24",
        "runtime": draw(st.sampled_from([name for name in runtimes if name in able] or ["cni"])),
    }
    if mode:
        network["mode"] = mode
    if driver == "ipvlan" and network["runtime"] in FLAGGED:
        network["flag"] = draw(st.sampled_from(["bridge", "private", "vepa"]))
    tag = draw(st.sampled_from([None, None, 70, 80]))
    if tag is not None or driver == "vlan":
        network["vlan"] = tag or 70
    for key, drivers in (
        ("internal", ("macvlan", "ipvlan", "bridge")),
        ("shim", ("macvlan", "ipvlan")),
        ("nat", ("bridge",)),
    ):
        if driver in drivers and draw(st.sampled_from([False] * 4 + [True])):
            network[key] = True
    route = draw(st.sampled_from(["", "", "", "none"]))
    return network | ({"default_route": route} if route else {})


@st.composite
def _group(draw: st.DrawFn, networks: list[str]) -> dict[str, Any]:
    return {
        "on": draw(st.sampled_from(PLACES)),
        "count": draw(st.integers(1, 2)),
        "networks": networks,
    }
