"""Each rule of the prediction, turned round: what was observed must contradict it.

The observations are those of docs/proof/labs.json, made by `underlay test --all` on
real nodes. A rule that no lab can contradict is untested: add the lab or delete the rule.
Of what was seen, as opposed to who was reached, a digest for each lab is there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest

from proof import digest, digest_of_values, unpacked
from underlay import expect
from underlay.drivers import DRIVERS
from underlay.drivers.rule import Rule
from underlay.expect import Expectation, Prediction, seen, tables
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.proof.records.keeping import read
from underlay.storage.paths import root

pytestmark = pytest.mark.all
# Measured where lint refuses the lab: labs/broken/, by tests/cluster/test_broken_labs.py.
ELSEWHERE = ("management-alone",)


def rules() -> list[Rule]:
    """Return every rule of a driver, or that stands in a module of ``expect``, by identity."""
    found: dict[int, Rule] = {}
    for one in DRIVERS.values():
        every = (*one.reach, *one.beside, *one.broadcast, *one.macs)
        found |= {id(rule): rule for rule in every}
    for entry in pkgutil.iter_modules(expect.__path__, f"{expect.__name__}."):
        for value in vars(importlib.import_module(entry.name)).values():
            for rule in value if isinstance(value, tuple) else (value,):
                if isinstance(rule, Rule):
                    found[id(rule)] = rule
    return [rule for rule in found.values() if rule.id not in ELSEWHERE]


def about_values() -> set[int]:
    """Return which rules say what is seen or who hears a broadcast, by identity."""
    every = (*tables.TABLES["broadcast"].values(), *seen.TABLES.values())
    return {id(rule) for table in every for rule in table}


@cache
def observed() -> dict[str, list[str]]:
    """Return what was seen of each cell of reachability, by lab, the smallest lab first."""
    found = {name: unpacked(row.observed) for name, row in read("labs").rows.items()}
    return dict(sorted(found.items(), key=lambda item: len(item[1])))


@cache
def observed_values() -> dict[str, str]:
    """Return the digest of what was seen, by lab, of those with cells of kind ``value``."""
    rows = read("labs").rows
    return {name: rows[name].values for name in observed() if rows[name].values is not None}


@cache
def plan(name: str) -> Plan:
    """Return the plan of the shipped lab called ``name``."""
    return make_plan(read_lab(root() / "labs" / f"{name}.yml"))


def predicted(name: str) -> list[Expectation]:
    """Return what is predicted for each cell of reachability of the lab called ``name``."""
    return list(Prediction(plan(name)).reach)


def predicted_values(name: str) -> str:
    """Return the digest of what is predicted to be seen in the lab called ``name``."""
    return digest_of_values(
        (cell.source, cell.destination, cell.protocol, cell.family, cell.value)
        for cell in Prediction(plan(name)).values
    )


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
    tables.forget_decisions()
    try:
        yield
    finally:
        for key, value in zip(("reachable", "stop"), before, strict=True):
            object.__setattr__(rule, key, value)
        tables.forget_decisions()


def test_the_observations_are_of_the_labs_as_they_are() -> None:
    proven = read("labs").rows
    shipped = {path.stem: digest(path) for path in (root() / "labs").glob("*.yml")}
    assert {name: row.file for name, row in proven.items()} == shipped
    for name, words in observed().items():
        said = [cell.reachable for cell in predicted(name)]
        assert said == [word == "reachable" for word in words], name


def test_what_was_seen_is_what_is_predicted_to_be_seen() -> None:
    asked = {name for name in observed() if plan(name).checks}
    assert set(observed_values()) == asked
    assert {name: predicted_values(name) for name in asked} == observed_values()


@pytest.mark.parametrize(
    "rule", [one for one in rules() if id(one) in about_values()], ids=lambda rule: rule.id
)
def test_a_rule_about_values_turned_round_is_contradicted(rule: Rule) -> None:
    with turned_round(rule):
        assert any(predicted_values(name) != was for name, was in observed_values().items())


@pytest.mark.parametrize(
    "rule", [one for one in rules() if id(one) not in about_values()], ids=lambda rule: rule.id
)
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
