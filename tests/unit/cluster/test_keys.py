"""A lab's login key: kept in the cache, copied into the state folder, closed to others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from underlay.cluster.ssh import key_file, lab_key


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("underlay.storage.paths.home", lambda: tmp_path / "home")


def test_a_second_start_has_the_same_key(tmp_path: Path) -> None:
    first = lab_key("small")
    private = key_file("small").read_text()
    shutil.rmtree(tmp_path / "home")
    assert lab_key("small") == first
    assert key_file("small").read_text() == private


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    lab_key("small")
    found = [key_file("small"), *(tmp_path / "cache").rglob("keys/small")]
    assert [file.stat().st_mode & 0o077 for file in found] == [0, 0]


def test_half_a_pair_is_made_anew(tmp_path: Path) -> None:
    first = lab_key("small")
    shutil.rmtree(tmp_path / "home")
    (tmp_path / "cache" / "underlay" / "keys" / "small").unlink()
    assert lab_key("small") != first
