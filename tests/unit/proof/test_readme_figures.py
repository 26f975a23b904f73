"""The figures in the README are those that `bench --json` has left in docs/proof."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from proof import file
from underlay.proof.bench.figures import FIGURES
from underlay.storage.paths import root


def rows(document: dict[str, Any]) -> Iterator[str]:
    """Yield the table's rows: what was timed, its median, the least and the most, the aim."""
    for result in document["results"]:
        aim = f"{result['aim']:g} s" if result["aim"] else ""
        spread = (
            "" if result["runs"] == 1 else f"{_rounded(result['min'])}–{_rounded(result['max'])} s"
        )
        yield f"| {result['what']} | {_rounded(result['median'])} s | {spread} | {aim} |"


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
    document = json.loads(file("bench").read_text())
    readme = (root() / "README.md").read_text(encoding="utf-8")
    # Neither one less than recorded, nor one more.
    assert table(readme) == list(rows(document)), "\n".join(rows(document))
    ratios = {name: value for name, value in document.items() if name.endswith("_ratio")}
    assert ratios.keys() >= {"libvirt_ratio", "ssh_ping_ratio"}
    for name, value in ratios.items():
        assert value is None or f"{value:,.1f} times" in readme, name


def test_what_is_recorded_is_what_bench_measures() -> None:
    """A figure may be younger than the record; the record holds none that there isn't."""
    document = json.loads(file("bench").read_text())
    texts = {figure.name: figure.what for figure in FIGURES}
    recorded = {result["name"]: result["what"] for result in document["results"]}
    assert recorded == {name: what for name, what in texts.items() if name in recorded}
