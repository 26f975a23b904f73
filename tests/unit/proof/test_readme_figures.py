"""The figures in the README are those that `bench --json` has left in docs/proof."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from underlay.proof.bench.bench import ratios
from underlay.proof.bench.figures import FIGURES
from underlay.proof.records.keeping import read
from underlay.proof.records.schema import BenchRow
from underlay.storage.paths import root


def measured() -> dict[str, BenchRow]:
    """Return what was measured, in the order of the figures."""
    rows = read("bench").rows
    return {figure.name: rows[figure.name] for figure in FIGURES if figure.name in rows}


def rows() -> Iterator[str]:
    """Yield the table's rows: what was timed, its median, the least and the most, the aim."""
    for row in measured().values():
        aim = f"{row.aim:g} s" if row.aim else ""
        spread = "" if row.runs == 1 else f"{_rounded(row.min)}–{_rounded(row.max)} s"
        yield f"| {row.what} | {_rounded(row.median)} s | {spread} | {aim} |"


def table(readme: str) -> list[str]:
    """Return the rows of the README's table of figures, without its head."""
    lines = readme.splitlines()
    start = lines.index("| What | Median | Least and most | Aim |") + 2
    return list(itertools.takewhile(lambda line: line.startswith("|"), lines[start:]))


def _rounded(seconds: float) -> str:
    return (
        f"{seconds:.2f}"
        if seconds < 1
        else f"{seconds:.1f}"
        if seconds < 100
        else f"{seconds:,.0f}"
    )


def test_the_readme_has_the_measured_figures() -> None:
    readme = (root() / "README.md").read_text(encoding="utf-8")
    # Neither one less than recorded, nor one more.
    assert table(readme) == list(rows()), "\n".join(rows())
    found = ratios({name: row.median for name, row in measured().items()})
    for name, value in found.items():
        assert value is None or f"{value:,.1f} times" in readme, name


def test_the_readme_says_how_busy_the_machine_was() -> None:
    """Each figure has its own load, where it was looked at."""
    readme = (root() / "README.md").read_text(encoding="utf-8")
    loads = [row.load for row in measured().values() if row.load is not None]
    least, most = min(load.before for load in loads), max(load.before for load in loads)
    said = f"{least:.1f} to {most:.1f}" if most > least else f"{least:.1f}"
    words = f"at load averages of {said}"
    assert words in " ".join(readme.split()), words


def test_what_is_recorded_is_what_bench_measures() -> None:
    """A figure may be younger than the record; the record holds none that there isn't.

    A stale one may have meant something else, which its row and the README still say.
    """
    rows, names = read("bench").rows, {figure.name: figure.what for figure in FIGURES}
    assert set(rows) <= set(names)
    fresh = {name: row.what for name, row in rows.items() if not row.stale}
    assert fresh == {name: names[name] for name in fresh}
