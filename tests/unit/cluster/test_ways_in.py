"""The ways into a lab: a login key closed to others, and commands out of Ctrl-C's reach."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from underlay.cluster.access import FIND, piped
from underlay.cluster.node_files import PROGRAM_FILE, program
from underlay.cluster.ssh import key_file, lab_key
from underlay.lab import Runtime


def test_a_probes_session_is_its_own_and_ends_with_its_standard_input() -> None:
    process = piped(["cat"])
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    said, _ = process.communicate(b"words", timeout=10)
    assert (said, process.returncode) == (b"words", 0)


@pytest.mark.parametrize("runtime", get_args(Runtime))
def test_the_node_program_is_asked_for_a_container_of_any_runtime(
    runtime: str, tmp_path: Path
) -> None:
    """The program and the shell are the nodes' own; there is no container on this machine."""
    node_program = tmp_path / "node"
    node_program.write_bytes(program())
    find = FIND.replace(PROGRAM_FILE, str(node_program)).replace("RUNTIME", runtime)
    words = ["sh", "-c", find.replace("NAME", "underlay-nobody")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("0\n", "", 0)


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
