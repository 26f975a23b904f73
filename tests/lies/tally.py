"""Compares what tools said with what the referee saw, cell by cell and fault by fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from lies.questions import Cell, Question
from lies.referee import NOBODY, REACHED
from lies.tools import FINE, NO_WORD, Said

RIGHT = "right"
FINE_ASTRAY = "says fine, packets go astray"
BROKEN_FINE = "says broken, packets arrive"
BROKEN_UNASKED = "says broken, couldn't ask"
SILENT = "no word"
NO_MATTER = "says broken, the referee sees no change"
WORTHS = (RIGHT, FINE_ASTRAY, BROKEN_FINE, BROKEN_UNASKED, SILENT)
WRONG = (FINE_ASTRAY, BROKEN_FINE, BROKEN_UNASKED)


def of_cell(word: str, truth: str, *, asked: bool = True) -> str:
    """Return what a tool's word about a cell is worth.

    Where nobody is there to ask, it is right to say nothing; to say broken is right only of who
    did ask. A tool that has no word for what it could have asked tells no lie, but nothing either.
    """
    if word == FINE:
        return RIGHT if truth == REACHED else FINE_ASTRAY
    if word == NO_WORD:
        return RIGHT if truth == NOBODY else SILENT
    if truth == REACHED:
        return BROKEN_FINE
    if not asked or truth == NOBODY:
        return BROKEN_UNASKED
    return RIGHT


def of_lab(verdict: str, changed: int, beyond: int = 0) -> str:
    """Return what a tool's verdict on the whole lab is worth, ``changed`` cells being other ones
    than on the healthy lab. ``beyond`` are a tool's findings in what the referee doesn't ask.
    """
    if verdict == NO_WORD:
        return SILENT
    if verdict == FINE:
        return FINE_ASTRAY if changed else RIGHT
    if changed:
        return RIGHT
    return NO_MATTER if beyond else BROKEN_FINE


def kept(question: Question, healthy: Mapping[Cell, str]) -> bool:
    """Whether who writes tests would keep this one: it passes on the healthy lab."""
    source, destination, family = question.pair
    return question.together and all(
        healthy[source, destination, word, family] == REACHED for word in ("icmp", "tcp")
    )


def changes(truth: Mapping[Cell, str], healthy: Mapping[Cell, str]) -> list[Cell]:
    """Return the cells that aren't as they are on the healthy lab."""
    return [cell for cell in healthy if truth.get(cell) != healthy[cell]]


def row(said: Said, truth: Mapping[Cell, str], changed: list[Cell]) -> dict[str, Any]:
    """Return what is written down of a tool under a fault.

    ``words`` has a letter for each cell of ``truth`` in its order: fine, broken, no word, or - for
    what the tool doesn't ask. ``wrong`` are the cells of which it said what isn't so.
    """
    worths = {
        cell: of_cell(word, truth[cell], asked=cell not in said.not_asked)
        for cell, word in said.cells.items()
        if cell in truth
    }
    counts = Counter(worths.values())
    return {
        "seconds": said.seconds,
        "says": said.verdict,
        "worth": of_lab(said.verdict, len(changed), said.beyond),
        "blind": bool(changed) and not any(cell in said.cells for cell in changed),
        "beyond": said.beyond,
        "cells": {worth: counts[worth] for worth in WORTHS if counts[worth]},
        "words": runs(said.cells.get(cell, "-")[0] for cell in truth),
        "wrong": [[*cell, worth] for cell, worth in worths.items() if worth in WRONG],
    }


def runs(letters: Iterable[str]) -> str:
    """Return letters with how often each comes in a row before it, as ``12r 3a``."""
    return " ".join(f"{len(list(run))}{letter}" for letter, run in groupby(letters))


def unpacked(text: str) -> str:
    """Return the letters that ``runs`` wrote as ``text``."""
    return "".join(run[-1] * int(run[:-1]) for run in text.split())
