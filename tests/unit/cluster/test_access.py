"""How commands are started in a lab: out of the terminal's reach, and inside containers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from underlay.cluster.access import FIND, piped
from underlay.cluster.bundle import PROGRAM_FILE, program
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
