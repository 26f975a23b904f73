"""What was seen, as a table: a line for each check, and one for each value that differs."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from underlay.report.matrix import DIFFERS
from underlay.report.page import count

if TYPE_CHECKING:
    from underlay.expect import Value
    from underlay.report.page import Page
    from underlay.verdict import Cell, Verdict

VALUES_SHOWN = 3
DIFFERENCES_SHOWN = 12


def value_table(verdict: Verdict, page: Page) -> None:
    """Append the table of ``verdict``'s cells of kind value to ``page``, if there are any."""
    checks: dict[str, list[Cell]] = defaultdict(list)
    for cell in verdict.values:
        checks[cell.label].append(cell)
    if not checks:
        return
    page.text.append("\nWhat was seen\n", "bold")
    wide = max(map(len, checks))
    for label, cells in checks.items():
        fine = sum(cell.measured and not cell.differs for cell in cells)
        head = f"{label:<{wide}}  {fine} of {count(len(cells), 'cell')} as expected"
        page.line(f"{head}: {_common(cells)}", indent=wide + 4, first="  ")
    differing = [cell for cell in verdict.values if cell.differs]
    for cell in differing[:DIFFERENCES_SHOWN]:
        page.line(
            f"{cell.label} {cell.source} → {cell.destination}: expected "
            f"{words(cell.expected)}, observed {words(cell.observed)}",
            DIFFERS.style,
            2,
            DIFFERS.text(page.ascii_only),
        )
        page.line(f"Expected so because: {cell.because}", indent=4)
        page.line(cell.reference, "dim", 6)
    if len(differing) > DIFFERENCES_SHOWN:
        page.line(f"and {count(len(differing) - DIFFERENCES_SHOWN, 'cell')} more", indent=4)


def words(value: Value) -> str:
    """Return a value as people read it."""
    if isinstance(value, str):
        return value
    return ", ".join(value) or "nobody"


def _common(cells: list[Cell]) -> str:
    """Name the values that were seen most often, and how often."""
    seen = Counter(words(cell.observed) for cell in cells if cell.measured)
    shown = [f"{value} ({number})" for value, number in seen.most_common(VALUES_SHOWN)]
    rest = len(seen) - len(shown)
    return "; ".join(shown) + (f"; and {count(rest, 'other value')}" if rest else "")
