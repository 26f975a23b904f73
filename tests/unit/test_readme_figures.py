"""The figures in the README are those that `bench --json` has left in docs/proof."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from proof import file
from underlay.paths import root


def rows(document: dict[str, Any]) -> Iterator[str]:
    """Yield the table's rows: what was timed, its median, the least and the most, the aim."""
    for result in document["results"]:
        aim = f"{result['aim']:g} s" if result["aim"] else ""
        spread = (
            "" if result["runs"] == 1 else f"{_rounded(result['min'])}–{_rounded(result['max'])} s"
        )
        yield f"| {result['what']} | {_rounded(result['median'])} s | {spread} | {aim} |"


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
    missing = [row for row in rows(document) if row not in readme]
    assert not missing, "\n".join(rows(document))
    for name in ("libvirt_ratio", "ssh_ping_ratio"):
        assert f"{document[name]:,.1f} times" in readme
