"""The labs whose rendered files are kept in tests/golden/files, and who renders them."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.render import render_all
from underlay.storage import paths

# What Ignition makes of VLANs is another lab's, made by it.
BY_IGNITION = "docker-vlan-by-ignition"
LABS = ("coreos", "docker-vlan", "ignition", BY_IGNITION)
FLEET = "fleet-mixed"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdvbGRlbmdvbGRlbmdvbGRlbmdvbGRlbmdvbGRl golden"
# In a run of Ansible each lab has another name.
RUNS = ((*(lab for lab in LABS if lab != BY_IGNITION), FLEET), (BY_IGNITION,))

Rendered = Callable[[str], Path]


def plan_of(lab: str) -> Plan:
    """Return the plan of one of ``LABS``, or of the fleet, as its user names it from the root."""
    if lab == FLEET:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(paths.root())
            return make_plan(read_lab(Path("tests/fleets/mixed/lab.yml")))
    file = lab.removesuffix("-by-ignition")
    plan = make_plan(read_lab(paths.root() / "labs" / f"{file}.yml"))
    if lab == file:
        return plan
    return replace(plan, nodes=tuple(replace(node, config="ignition") for node in plan.nodes))


def rendered_in(folder: Path) -> Rendered:
    """Return a function that gives the folder of a lab's rendered files, rendered once.

    Processes that share the tests share ``folder``: a run of Ansible takes some four processor
    seconds, whether of one lab or of several.
    """
    folder.mkdir(exist_ok=True)

    @cache
    def run_of(labs: tuple[str, ...]) -> dict[str, Path]:
        with (folder / f"{labs[0]}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = render_all([plan_of(each) for each in labs], KEY, folder / "cache")
        return dict(zip(labs, entries, strict=True))

    return lambda lab: run_of(next(labs for labs in RUNS if lab in labs))[lab]
