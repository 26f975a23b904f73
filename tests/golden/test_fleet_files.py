"""The rendered files of a fleet's hosts, byte for byte, without what its own files make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.render import render
from underlay.storage import paths

GOLDEN = Path(__file__).parent / "files" / "fleet-mixed"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdvbGRlbmdvbGRlbmdvbGRlbmdvbGRlbmdvbGRl golden"
# One host of each kind of runtime, and the files of a seed but for the name.
FILES = [
    f"{node}/{name}"
    for node in ("core-01", "core-02", "core-03")
    for name in ("network-config", "node.json", "user-data")
]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the rendered files of a fleet, as its user names it from the root."""
    folder = tmp_path_factory.mktemp("rendered") / "fleet"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(paths.root())
        render(make_plan(read_lab(Path("tests/fleets/mixed/lab.yml"))), KEY, folder)
    return folder


@pytest.mark.parametrize("file", FILES)
def test_file(file: str, rendered: Path, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / file, (rendered / file).read_text(encoding="utf-8"))
