"""Pictures of shipped labs, word for word, in the formats that no other program has a part in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from underlay.lint import load
from underlay.report.topology.dot import dot_text
from underlay.report.topology.drawing import picture_of
from underlay.report.topology.drawio import drawio_text
from underlay.report.topology.mermaid import mermaid_text
from underlay.report.topology.picture import Picture
from underlay.storage.paths import root

GOLDEN = Path(__file__).parent / "graph"
LABS = (
    "coreos",
    "basics-vlan",
    "bond",
    "overlay-vxlan",
    "router-external",
    "scale-100",
    "trunk-native",
    "two-networks-ipvlan",
)


def picture(lab: str) -> Picture:
    return picture_of(load(root() / "labs" / f"{lab}.yml").plan)


@pytest.mark.parametrize("lab", LABS)
def test_mermaid(lab: str, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / f"{lab}.mmd", mermaid_text(picture(lab)))


@pytest.mark.parametrize("lab", ["bond", "scale-100"])
def test_dot(lab: str, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / f"{lab}.dot", dot_text(picture(lab)))


@pytest.mark.parametrize("lab", ["bond", "two-networks-ipvlan"])
def test_drawio(lab: str, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / f"{lab}.drawio", drawio_text(picture(lab)))
