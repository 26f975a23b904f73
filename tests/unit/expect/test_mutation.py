"""Each rule of the prediction, turned round: what was observed must contradict it.

The observations are those of docs/proof/labs.json, made by `underlay test --all` on
real nodes. A rule that no lab can contradict is untested: add the lab or delete the rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest

import underlay.expect as package
from proof import digest, file, unpacked
from underlay.drivers.rule import Rule
from underlay.expect import Expectation, path, predict
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.storage.paths import root

pytestmark = pytest.mark.all
# Measured where lint refuses the lab: labs/broken/, by tests/cluster/test_broken_labs.py.
ELSEWHERE = ("management-alone",)


def rules() -> list[Rule]:
    """Return every rule that stands in a module of ``underlay.expect``, by identity."""
    found: dict[int, Rule] = {}
    for module in vars(package).values():
        for value in getattr(module, "__dict__", {}).values():
            for rule in value if isinstance(value, tuple) else (value,):
                if isinstance(rule, Rule):
                    found[id(rule)] = rule
    return [rule for rule in found.values() if rule.id not in ELSEWHERE]


@cache
def observed() -> dict[str, list[str]]:
    """Return what was seen of each cell of reachability, by lab, the smallest lab first."""
    proven = json.loads(file("labs").read_text())["labs"]
    seen = {name: unpacked(entry["observed"]) for name, entry in proven.items()}
    return dict(sorted(seen.items(), key=lambda item: len(item[1])))


@cache
def plan(name: str) -> Plan:
    """Return the plan of the shipped lab called ``name``."""
    return make_plan(read_lab(root() / "labs" / f"{name}.yml"))


def predicted(name: str) -> list[Expectation]:
    """Return what is predicted for each cell of reachability of the lab called ``name``."""
    return [cell for cell in predict(plan(name)) if cell.kind == "reach"]


@cache
def labs_by_rule() -> dict[str, list[str]]:
    """Return the labs in which each rule speaks, by the ids that cells carry."""
    found: dict[str, list[str]] = {}
    for name in observed():
        for rule in sorted({cell.rule for cell in predicted(name)}):
            found.setdefault(rule, []).append(name)
    return found


def against(name: str) -> int:
    """Return how many cells of a lab were seen otherwise, or to stop elsewhere, than predicted."""
    return sum(
        not agrees(cell, seen) for cell, seen in zip(predicted(name), observed()[name], strict=True)
    )


def agrees(cell: Expectation, seen: str) -> bool:
    """Whether what was seen, a word or where it stopped, is what the cell says."""
    if cell.reachable or seen == "reachable":
        return cell.reachable and seen == "reachable"
    return seen in ("unreachable", cell.stop, *cell.also)


@contextmanager
def turned_round(rule: Rule) -> Iterator[None]:
    """Let ``rule`` say the opposite, wherever it stands."""
    before = (rule.reachable, rule.stop)
    object.__setattr__(rule, "reachable", not rule.reachable)
    object.__setattr__(rule, "stop", "" if rule.reachable else "no_answer")
    path._decided.cache_clear()
    try:
        yield
    finally:
        for key, value in zip(("reachable", "stop"), before, strict=True):
            object.__setattr__(rule, key, value)
        path._decided.cache_clear()


def test_the_observations_are_of_the_labs_as_they_are() -> None:
    proven = json.loads(file("labs").read_text())["labs"]
    shipped = {path.stem: digest(path) for path in (root() / "labs").glob("*.yml")}
    assert {name: entry["file"] for name, entry in proven.items()} == shipped
    for name, seen in observed().items():
        said = [cell.reachable for cell in predicted(name)]
        assert said == [word == "reachable" for word in seen], name


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_a_rule_turned_round_is_contradicted(rule: Rule) -> None:
    # Where it speaks in a cell's own words first; some rules show in others' cells alone.
    speaking = [
        name
        for word, names in labs_by_rule().items()
        if word == rule.id or word.startswith(f"{rule.id}-")
        for name in names
    ]
    labs = list(dict.fromkeys((*speaking, *observed())))
    before = {name: against(name) for name in labs}
    with turned_round(rule):
        assert any(against(name) > before[name] for name in labs)
