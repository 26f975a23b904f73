"""What is started for a measurement doesn't hear what the terminal tells its command."""

from __future__ import annotations

import os

from underlay.cluster.access import piped


def test_a_probes_session_is_its_own_and_ends_with_its_standard_input() -> None:
    process = piped(["cat"])
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    said, _ = process.communicate(b"words", timeout=10)
    assert (said, process.returncode) == (b"words", 0)
