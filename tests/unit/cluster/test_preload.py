"""The library that linux.uml is started with does in a program what its sources say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from underlay.cluster.providers.uml.preload import preload

TESTS = Path(__file__).with_name("preloaded.py")
DEADLINE = 240


def test_what_it_does_in_a_program_that_is_started_with_it() -> None:
    words = [sys.executable, "-P", "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", TESTS]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        words,
        env={**inherited, "LD_PRELOAD": str(preload())},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written = TESTS.read_text(encoding="utf-8").count("\ndef test_")
    counted = re.findall(r"(\d+) (?:passed|skipped)", done.stdout)
    assert sum(map(int, counted)) == written, done.stdout
