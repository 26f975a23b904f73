"""What is said of cells that differ: values alone, without the catalogue of faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from underlay.faults import Cell, Finding, Sureness


@dataclass(frozen=True)
class Cause:
    """One finding that was kept: how sure it is, and the differing cells that it accounts for.

    It is proven where the evidence proves it and every cell that it must change differs.
    """

    finding: Finding
    sureness: Sureness
    cells: tuple[Cell, ...]

    @property
    def where(self) -> str:
        """The node, container or switch, and the device."""
        return str(self.finding.place)


@dataclass(frozen=True)
class Doubted:
    """A rule of the prediction that unexplained cells contradict, with what it says, and who."""

    rule: str
    because: str
    reference: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Explanation:
    """The causes, the likeliest first, and what none of them accounts for.

    ``ruled_out`` are the titles of faults that were looked for and aren't there, by layer:
    nothing is ruled out where it could not be seen. ``not_borne_out`` is what was found, but
    would change other cells than those that differ.
    ``suspects`` are places that all unexplained cells pass and no working one does.
    ``unseen`` says what could not be looked into, and why. ``doubted`` are the rules that may not
    hold here, as unexplained cells were measured otherwise than these say: most cells first.
    ``lab`` and ``file`` are what commands name: the running lab, and the file that it is from.
    ``counts`` says that something was found which isn't understood but counts packets: asking all
    cells again, and looking again, would tell whether it counts theirs. ``keep_by`` is empty where
    the lab stays up; where it is ended before anybody reads this, the command that leaves it up.
    """

    causes: tuple[Cause, ...]
    unexplained: tuple[Cell, ...]
    ruled_out: dict[str, tuple[str, ...]]
    suspects: tuple[str, ...]
    unseen: dict[str, str]
    not_borne_out: tuple[str, ...] = ()
    doubted: tuple[Doubted, ...] = ()
    lab: str = ""
    file: str = ""
    counts: bool = False
    keep_by: str = ""


# What there is to say of a lab in which every cell is as expected.
NOTHING = Explanation((), (), {}, (), {})
