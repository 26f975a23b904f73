"""docs/proof/lies.json: for each lab what the referee saw and tools said, a row for each fault.

Rows are kept as they come: a run that is cut short leaves those that were whole, and a later one
goes on beside them. Truth is written in the order of the lab's cells.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lies.questions import Cell, Question
from lies.referee import Look, order_of
from lies.tally import runs
from proof import of_lab
from underlay.proof.records import keeping
from underlay.proof.records.keeping import Record
from underlay.proof.records.schema import LiesLabRow, LiesRow

NAME = "lies"
HEALTHY = "healthy"


def begin(
    lab: str,
    path: Path,
    asked: list[Question],
    healthy: Look,
    versions: Mapping[str, str],
    faults: Collection[str],
) -> None:
    """Note what a lab's rows are about; rows of another lab file, or of other cells, go.

    ``faults`` are those that the lab has a place for: fewer rows are a part of them, and rows of
    others, which have lost their place, go.
    """
    row = {
        **of_lab(path),
        "cells": order_of(asked),
        "healthy": packed(healthy, asked),
        "versions": dict(versions),
        "faults": len(faults),
    }
    before = lab_rows(keeping.read(NAME)).get(lab)
    if before and (before.file, before.healthy) != (row["file"], row["healthy"]):
        keeping.change(NAME, lambda record: without(record, lab, ()))
    keeping.change(NAME, lambda record: without(record, lab, (*faults, HEALTHY)))
    keeping.keep(NAME, {lab: row})


def without(record: Record, lab: str, but: Collection[str]) -> Record:
    """Return a record without the faults of a lab, ``but`` these."""
    rows = {
        name: row
        for name, row in record.rows.items()
        if not isinstance(row, LiesRow) or row.lab != lab or row.fault in but
    }
    return Record(record.name, record.origins, rows)


def keep(lab: str, fault: str, row: dict[str, Any]) -> None:
    """Write the row of one fault."""
    keeping.keep(NAME, {f"{lab} {fault}": {"lab": lab, "fault": fault, **row}})


def row(
    where: str, seen: Look, asked: list[Question], changed: list[Cell], tools: dict[str, Any]
) -> dict[str, Any]:
    """Return the row of one fault."""
    return {
        "where": where,
        "changed": len(changed),
        "truth": packed(seen, asked),
        "asked_alone": seen.asked_alone,
        "silent_alone": seen.sampled,
        "referee_s": seen.seconds,
        "load": round(os.getloadavg()[0], 2),
        "tools": tools,
    }


def packed(seen: Look, asked: list[Question]) -> str:
    """Return the truth of all cells in their order, as ``12r 3a``: reached, astray, nobody."""
    return runs(seen.truth[cell][0] for cell in order_of(asked))


def lab_rows(record: Record) -> dict[str, LiesLabRow]:
    """Return the rows of a record that are about labs, by lab."""
    return {name: row for name, row in record.rows.items() if isinstance(row, LiesLabRow)}


def fault_rows(record: Record, lab: str) -> dict[str, LiesRow]:
    """Return a lab's rows by fault, as the record has them: by name."""
    rows = (row for row in record.rows.values() if isinstance(row, LiesRow) and row.lab == lab)
    return {row.fault: row for row in rows}
