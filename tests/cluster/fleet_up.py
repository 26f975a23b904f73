"""A fleet of tests/fleets that is up, with archives of its user's images if need be."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.running import Checkout, Lab

FLEETS = Path(__file__).parents[1] / "fleets"


@contextmanager
def fleet_up(
    copy: Checkout, folder: Path, which: str, prepare: Callable[[Path], object] = lambda _: None
) -> Iterator[Lab]:
    """Yield the lab of the fleet ``which``, copied below ``folder``; it is down after the block.

    ``prepare`` is handed the copy before the lab starts.
    """
    own = folder / which
    shutil.copytree(FLEETS / which, own)
    prepare(own)
    lab = Lab(copy, f"fleet-{which}", own / "lab.yml")
    done = lab.up()
    if done.code:
        pytest.fail(str(done), pytrace=False)
    yield lab
    done = copy.underlay("down", "--all")
    assert done.code == 0, str(done)
