"""What the records of looking for unplanned ways amount to, without any frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from underlay.expect import Prediction
from underlay.expect.unplanned import Planned, planned
from underlay.lint.read import read_lab
from underlay.observe.on_node.unplanned import WORD
from underlay.observe.unplanned import Looked, looked
from underlay.plan import make_plan

LABS = Path(__file__).resolve().parents[3] / "labs"


def answered(wanted: Planned, end: str, address: str, mac: str) -> Looked:
    """Return what is found where ``end`` was told by ARP that ``mac`` has ``address``."""
    rows: list[list[Any]] = []
    for point in wanted.points:
        told = [[address, mac]] if point.end == end else []
        rows.append([point.number, WORD, 1, {"control": True, "answers": told}])
    return looked(wanted, {"core-01": {"probes": rows}}, {})


def test_the_mac_of_a_dummy_is_its_kernels_choice_and_another_end_s_is_not() -> None:
    """Measured: the children of an internal ipvlan network have it, and no plan can know it."""
    wanted = planned(Prediction(make_plan(read_lab(LABS / "internal.yml"))))
    asker = next(point for point in wanted.points if point.end == "ip-1a")
    other = next(point for point in wanted.points if point.end == "mac-1a")
    assert asker.neighbour in asker.questions
    assert not answered(wanted, "ip-1a", asker.neighbour, "5e:e3:b1:cd:63:ba").found
    (found,) = answered(wanted, "ip-1a", asker.neighbour, other.mac).found
    assert (found.kind, found.end) == ("other-mac", "mac-1a")
