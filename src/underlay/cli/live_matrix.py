"""A lab's matrix that stays on the terminal while it is measured again and again.

What changed scrolls by above it, as lines that stay; the matrix itself is drawn anew in its place.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.text import Text

from underlay.cli.console import out
from underlay.errors import count
from underlay.expect import ends
from underlay.report.matrix import matrix
from underlay.report.terminal import page_form, plain_text, summary_line
from underlay.report.watched import FEW, clock, lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.plan import Plan
    from underlay.proof.watched import Measurement

FLASHES = 3
FLASH = 0.25  # s that a changed cell is shown in one way and then in the other
# Without colour nothing flashes: a line below says what changed as well.
MARK, QUIET_MARK = "reverse", "underline"


class LiveMatrix:
    """The matrix of the last measurement, with a line about what happens now; see ``shown``."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._now = "measuring"
        self._last: tuple[Measurement, Plan] | None = None

    def tell(self, what: str) -> None:
        """Say that ``what`` is what happens now."""
        self._now = what
        self._draw()

    def show(self, measurement: Measurement, plan: Plan) -> None:
        """Draw what was measured of the lab of ``plan``, and log what changed."""
        self._last = measurement, plan
        _, ascii_only = page_form(out)
        for line in lines(measurement, ascii_only=ascii_only, most=FEW):
            self._live.console.print(line)
        self._draw()

    def pause(self, seconds: float) -> None:
        """Wait, and have what changed flash meanwhile."""
        until = time.monotonic() + seconds
        flashing = self._last is not None and self._last[0].changes and not out.no_color
        self._now = "waiting"
        for number in range(2 * FLASHES if flashing else 0):
            self._draw(lit=number % 2 == 0)
            time.sleep(max(0.0, min(FLASH, until - time.monotonic())))
        self._draw()
        time.sleep(max(0.0, until - time.monotonic()))

    def note(self, text: str) -> None:
        """Leave a line in the log."""
        self._live.console.print(text)

    def _draw(self, *, lit: bool = True) -> None:
        if self._last is None:
            self._live.update(Text(f"{self._now} …", "dim"), refresh=True)
            return
        measurement, plan = self._last
        width, ascii_only = page_form(out)
        head = summary_line(measurement.verdict)
        number = f"measurement {measurement.number} at {clock(measurement)}"
        head.append(f"{measurement.verdict.lab}: {number} · {self._now} · Ctrl-C ends\n", "dim")
        drawn = _matrix(measurement, plan, width, ascii_only=ascii_only, lit=lit)
        # What doesn't fit on the screen is cut at the end.
        shown = Group(plain_text(head) if ascii_only else head, drawn)
        self._live.update(shown, refresh=True)


def _matrix(
    measurement: Measurement, plan: Plan, width: int, *, ascii_only: bool, lit: bool
) -> Text:
    verdict = measurement.verdict
    asked = {name for cell in verdict.reach for name in (cell.source, cell.destination)}
    of = [end for end in ends(plan) if end.name in asked]
    changed = {(one.now.source, one.now.destination) for one in measurement.changes}
    return matrix(
        verdict,
        of,
        width=width,
        ascii_only=ascii_only,
        marked=changed if lit else (),
        mark=QUIET_MARK if out.no_color else MARK,
    )


@contextmanager
def shown() -> Iterator[LiveMatrix]:
    """Draw on the terminal for as long as the block lasts; what was drawn last stays there."""
    with Live(console=out, auto_refresh=False, vertical_overflow="ellipsis") as live:
        yield LiveMatrix(live)


def ended(measured: int, changed: int, seconds: float) -> str:
    """Return how much was measured, and how much of it changed, in a line."""
    of = f"{count(measured, 'measurement')}, {count(changed, 'change')}"
    return f"{of} in {seconds:.0f} s"
