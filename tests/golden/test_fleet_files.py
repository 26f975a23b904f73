"""The rendered files of a fleet's hosts, byte for byte, without what its own files make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from golden_files import FLEET, Rendered

GOLDEN = Path(__file__).parent / "files" / FLEET
# One host of each kind of runtime, and the files of a seed but for the name.
FILES = [
    f"{node}/{name}"
    for node in ("core-01", "core-02", "core-03")
    for name in ("network-config", "node.json", "user-data")
]


@pytest.mark.parametrize("file", FILES)
def test_file(file: str, rendered: Rendered, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / file, (rendered(FLEET) / file).read_text(encoding="utf-8"))
