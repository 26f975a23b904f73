"""Statements are held against cells that fare alike at once: never otherwise than one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from random_labs import labs, planned, rounds
from underlay.expect import Prediction, ends
from underlay.expect.intent import key_of, of_predictions, stands_of
from underlay.expect.intent.judgement import _predicted, judged
from underlay.lint import load
from underlay.plan import Plan, PlannedStatement
from underlay.proof.bench.fleets import fleet
from unit.cells_made import cells_made

ROOT = Path(__file__).resolve().parents[4]
FILES = sorted([*(ROOT / "labs").glob("intent*.yml"), *(ROOT / "examples").glob("*/lab.yml")])
DAILY, ALL = 8, 300


def stands_one_by_one(statements: tuple[PlannedStatement, ...], plan: Plan) -> None:
    prediction = Prediction(plan)
    by_kind = of_predictions(statements, prediction)
    each = judged(statements, ends(plan), prediction.cells, _predicted)
    assert len(by_kind) == len(each)
    for one, other in zip(by_kind, each, strict=True):
        assert one.statement == other.statement
        assert one.word == other.word
        assert len(one.cells) == len(other.cells)
        assert tuple(one.cells) == other.cells
        assert one.broken == other.broken
        assert one.untold == other.untold == ()


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_shipped_statements_stand_as_cell_by_cell(file: Path) -> None:
    plan = load(file).plan
    assert plan.intent
    stands_one_by_one(plan.intent, plan)


@st.composite
def said(draw: st.DrawFn, plan: Plan) -> PlannedStatement:
    """Return any statement about who reaches whom in ``plan``."""
    keys = [key_of(end) for end in ends(plan)]
    some = st.lists(st.sampled_from(keys), unique=True, min_size=1)
    protocols = draw(st.lists(st.sampled_from(plan.protocols), unique=True, min_size=1))
    return PlannedStatement(
        number=0,
        text="",
        sources=tuple(draw(some)),
        destinations=tuple(draw(some)),
        never=draw(st.booleans()),
        protocols=tuple(protocols),
        family=draw(st.sampled_from([0, 0, 4, 6])),
    )


@rounds(DAILY)
@given(labs(nodes=3), st.data())
def test_statements_of_a_random_lab_stand_as_cell_by_cell(
    lab: dict[str, Any], data: st.DataObject
) -> None:
    stand_at_random(lab, data)


@pytest.mark.all
@rounds(ALL)
@given(labs(nodes=3), st.data())
def test_statements_of_hundreds_of_random_labs_stand_as_cell_by_cell(
    lab: dict[str, Any], data: st.DataObject
) -> None:
    stand_at_random(lab, data)


def stand_at_random(lab: dict[str, Any], data: st.DataObject) -> None:
    plan = planned(lab)
    assume(plan is not None)
    assert plan is not None
    stands_one_by_one((data.draw(said(plan)), data.draw(said(plan))), plan)


def looked_at(hosts: int, folder: Path) -> int:
    """Return how many cells are made to tell that a fleet keeps its statements."""
    plan = load(fleet(folder / str(hosts), hosts)).plan
    stands, made = cells_made(lambda: stands_of(Prediction(plan)))
    assert all(one.word == "kept" for one in stands)
    assert sum(len(one.cells) for one in stands) > hosts * hosts
    return made


def test_more_hosts_of_a_kind_need_no_more_cells_to_be_looked_at(tmp_path: Path) -> None:
    assert looked_at(4, tmp_path) == looked_at(9, tmp_path)
