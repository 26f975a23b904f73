"""The figures in the README are those that `bench` has recorded; --update-golden writes them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import datetime

import pytest

from underlay.proof.bench.bench import ratios
from underlay.proof.bench.figures import FIGURES
from underlay.proof.records.keeping import read
from underlay.proof.records.schema import BenchRow, Load
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
        old = f", as of {datetime.fromisoformat(row.date):%-d %B %Y}" if row.stale else ""
        yield f"| {row.what}{old} | {_rounded(row.median)} s | {spread} | {aim} |"


def table(readme: str) -> tuple[int, list[str]]:
    """Return the number of the first row of the README's table of figures, and its rows."""
    lines = readme.splitlines()
    start = lines.index("| What | Median | Least and most | Aim |") + 2
    return start, list(itertools.takewhile(lambda line: line.startswith("|"), lines[start:]))


def _rounded(seconds: float) -> str:
    return (
        f"{seconds:.2f}"
        if seconds < 1
        else f"{seconds:.1f}"
        if seconds < 100
        else f"{seconds:,.0f}"
    )


def test_the_readme_has_the_measured_figures(pytestconfig: pytest.Config) -> None:
    file = root() / "README.md"
    readme = file.read_text(encoding="utf-8")
    start, found = table(readme)
    # Neither one less than recorded, nor one more.
    if found != list(rows()) and pytestconfig.getoption("update_golden"):
        lines = readme.splitlines()
        lines[start : start + len(found)] = rows()
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        pytest.fail("the table of figures is written anew")
    assert found == list(rows()), "\n".join(rows())
    quotients = ratios({name: row.median for name, row in measured().items()})
    for name, value in quotients.items():
        assert value is None or f"{value:,.1f} times" in readme, name


def busy(rows: Iterable[BenchRow]) -> str:
    """Say between which loads the figures were measured, and of how many nobody looked.

    Before a figure is what else the machine did; after it also what the figure itself has left,
    and what came meanwhile: a machine may be quiet before and not after.
    """
    rows = list(rows)
    loads = [row.load for row in rows if row.load is not None]
    before, after = [load.before for load in loads], [load.after for load in loads]
    words = f"at load averages of {_between(before)} before a figure and {_between(after)} after it"
    unseen = len(rows) - len(loads)
    return f"{words} (of {unseen} none is known" if unseen else words


def _between(loads: list[float]) -> str:
    least, most = f"{min(loads):.1f}", f"{max(loads):.1f}"
    return least if least == most else f"{least} to {most}"


def test_the_readme_says_how_busy_the_machine_was() -> None:
    """Each figure has its own load, where it was looked at."""
    readme = (root() / "README.md").read_text(encoding="utf-8")
    words = busy(measured().values())
    assert words in " ".join(readme.split()), words


def test_a_machine_that_was_busy_only_afterwards_is_said_to_have_been_busy() -> None:
    row = next(row for row in measured().values() if row.load is not None)
    quiet = row.model_copy(update={"load": Load(before=0.5, after=0.5)})
    busier = row.model_copy(update={"load": Load(before=0.5, after=24.18)})
    unseen = row.model_copy(update={"load": None})
    assert busy([quiet]) == "at load averages of 0.5 before a figure and 0.5 after it"
    assert busy([quiet, busier]).endswith("0.5 before a figure and 0.5 to 24.2 after it")
    assert busy([busier, unseen]).endswith("after it (of 1 none is known")


def test_what_is_recorded_is_what_bench_measures() -> None:
    """A figure may be younger than the record; the record holds none that there isn't.

    A stale one may have meant something else, which its row and the README still say.
    """
    rows, names = read("bench").rows, {figure.name: figure.what for figure in FIGURES}
    assert set(rows) <= set(names)
    fresh = {name: row.what for name, row in rows.items() if not row.stale}
    assert fresh == {name: names[name] for name in fresh}
