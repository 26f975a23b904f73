"""How outcomes of a lab's cells are written in the records of docs/proof."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from underlay.proof.records.content import of_prediction

# Where an unreachable cell stopped is kept, too: often a rule says no more than that.
SIGNS = {
    "reachable": "r",
    "unreachable": "u",
    "no_neighbour": "h",
    "no_answer": "a",
    "no_route": "o",
    "refused": "f",
    "not_sent": "s",
    "not_measured": "n",
}
WORDS = {sign: word for word, sign in SIGNS.items()}


def of_lab(lab: Path) -> dict[str, str]:
    """Return what a row of the lab file ``lab`` says of it: its digest, and its prediction's."""
    return {"file": digest(lab), "prediction": of_prediction(lab)}


def digest(lab: Path) -> str:
    """Return what tells whether the lab file ``lab`` is still the one that was proven."""
    return hashlib.sha256(lab.read_bytes()).hexdigest()[:16]


def digest_of_values(cells: Iterable[tuple[Any, ...]]) -> str:
    """Return what tells whether the same was seen in all cells of kind ``value`` of a lab.

    Each cell is its source, destination, check, family and what was seen, a text or a list.
    """
    text = json.dumps(sorted(json.dumps(cell) for cell in cells))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def packed(outcomes: Iterable[str]) -> str:
    """Return the observed words of a lab's cells, in the matrix's order, as ``12r 3u 1r``."""
    return " ".join(f"{len(list(run))}{SIGNS[word]}" for word, run in groupby(outcomes))


def unpacked(text: str) -> list[str]:
    """Return the words that ``packed`` wrote as ``text``."""
    return [WORDS[run[-1]] for run in text.split() for _ in range(int(run[:-1]))]
