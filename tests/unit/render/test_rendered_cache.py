"""The cache of rendered files is bounded, and never takes away what was just asked for."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from underlay import render


def test_only_old_entries_beyond_the_bound_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "KEPT", 1)
    for name, age in (("new", 0), ("recent", render.RECENT / 2), ("old", 2 * render.RECENT)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    render._forget_oldest(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "recent"}
