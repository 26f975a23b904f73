"""Draws the pictures of ``growth.md`` from docs/proof/growth.json, by matplotlib.

    PYTHONPATH=src python docs/plots.py

It is to be run where the record was made anew; ``tests/unit/docs/test_plots.py`` tells that.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from underlay.proof.records.keeping import read
from underlay.proof.records.schema import GrowthRow

PICTURES = Path(__file__).resolve().parent / "pictures"
# The way whose cells grow with nothing else but containers: the same nodes, one protocol.
OVER_CELLS = "containers"
# They are read on white and on black, as the site has two colour schemes.
INK, MEASURED, STRAIGHT = "#808080", "#1b7fbd", "#b0b0b0"
INCHES = (6.4, 3.2)
mpl.rcParams |= {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "underlay",  # the same figures draw the same bytes
    "font.family": "sans-serif",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color"), INK),
}


def main() -> None:
    """Write a picture for each way that was measured, and one over the cells of ``OVER_CELLS``."""
    rows = read("growth").rows
    for name, row in rows.items():
        sizes = [step.size for step in row.steps]
        draw(name, sizes, row, PICTURES / f"growth-{name}.svg")
    row = rows[OVER_CELLS]
    draw("cells", [step.cells or 0 for step in row.steps], row, PICTURES / "growth-cells.svg")


def draw(name: str, sizes: list[int], row: GrowthRow, file: Path) -> None:
    """Draw the steps of a ``row`` over ``sizes`` into ``file``, and a line from first to last.

    What each step cost stands beside its point.
    """
    seconds = [step.processor_s for step in row.steps]
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(sizes[:: len(sizes) - 1], seconds[:: len(seconds) - 1], "--", color=STRAIGHT, lw=1)
    axes.plot(sizes, seconds, "o-", color=MEASURED)
    for size, second in zip(sizes, seconds, strict=True):
        place = {"xytext": (0, 6), "textcoords": "offset points", "ha": "right", "fontsize": 8}
        axes.annotate(f"{second:.2f}", (size, second), **place)
    axes.set(xlabel=name, ylabel="processor seconds", xlim=(0, None), ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, transparent=True, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
