"""Tests that run once for each cell: which cells there are is predicted, and nothing is up yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from underlay.errors import UnderlayError
from underlay.expect import asked_as
from underlay.pytest_plugin.matrix import chosen_keys

if TYPE_CHECKING:
    from underlay.pytest_plugin.matrix import Key
    from underlay.pytest_plugin.session import Session

LIKE = "@pytest.mark.cells('web* -> db', without='guest*', protocol='tcp', family=4)"
KEYWORDS = {"without", "protocol", "family"}


def parametrise(metafunc: pytest.Metafunc, mark: pytest.Mark, session: Session) -> None:
    """Have the test run once for each cell that its marker chooses, in the matrix's order.

    What is wrong with the marker is an error of the collection, with file and line of the test. A
    lab that can't be read is told when all is collected, for all tests at once.
    """
    place = "{}:{}".format(*_place(metafunc))
    if "cell" not in metafunc.fixturenames:
        pytest.fail(f"{place}: it has the marker cells, and no argument `cell`", pytrace=False)
    wrong = sorted(set(mark.kwargs) - KEYWORDS)
    if wrong or not all(isinstance(one, str) for one in mark.args):
        what = f"the marker cells has no {wrong[0]}" if wrong else "ends are texts"
        pytest.fail(f"{place}: {what}\nhint: {LIKE}", pytrace=False)
    try:
        prediction = session.lab.prediction
    except UnderlayError:
        return
    try:
        keys = chosen_keys(prediction, mark.args, **mark.kwargs)
    except UnderlayError as error:
        hint = f"\nhint: {error.hint}" if error.hint else ""
        words = f"{place}: {error.message}{hint}"
        raise pytest.fail.Exception(words, pytrace=False) from None
    metafunc.parametrize("cell", keys, ids=list(map(readable, keys)), indirect=True)


def readable(key: Key) -> str:
    """Return a cell's name in a test's, such as ``web-1a->db-2a-tcp:5432``."""
    source, destination, protocol, family = key
    return f"{source}->{destination}-{asked_as(protocol, 4 if family == 4 else 6)}"


def _place(metafunc: pytest.Metafunc) -> tuple[str, int]:
    path, line, _ = metafunc.definition.location
    return path, (line or 0) + 1
