"""A lab that boots an image of the user's own, and what doctor says of such an image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.images import change, marked
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout, Lab, written
from cluster.small_lab import small_lab

PROFILES = ["lean", "full"]
MARK = "/etc/made-by-its-user"


@pytest.fixture(scope="module")
def own(here: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an image that a user has made: Underlay's, with a file of the user's own in it."""
    return marked(tmp_path_factory.mktemp("own") / "own.ext4", MARK, "mine\n")


@pytest.fixture(params=PROFILES)
def own_lab(copy: Checkout, own: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Return the lab of that image, not up, with a node of a profile."""
    lean, more = request.param == "lean", "image: {path: own.ext4}\n"
    text = small_lab("own-image", 1, count=2, lean=lean, more=more)
    with written(copy, own.parent, "own-image", text) as lab:
        yield lab


@pytest.mark.all
def test_nodes_boot_it_and_the_matrix_is_proven(own_lab: Lab) -> None:
    before = interfaces()
    done = own_lab.up()
    assert done.code == 0, str(done)
    assert own_lab.shell("core-01", f"cat {MARK}") == "mine\n"
    own_lab.check().prove_green()
    done = own_lab.down()
    assert done.code == 0, str(done)
    prove_nothing_is_left(own_lab.checkout, before)


def test_doctor_finds_what_an_image_lacks(here: Checkout, own: Path) -> None:
    done = here.underlay("doctor", "--image", str(own), "--json")
    assert done.code == 0, str(done)
    change(own, "rm /usr/bin/crun")
    done = here.underlay("doctor", "--image", str(own))
    assert done.code == 3, str(done)
    assert "no /usr/bin/crun" in done.out, str(done)
