"""The library that cloud-init and probes are started with on nodes, compiled and preloaded here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from underlay.cluster.image.build import compile_pieces

ASKED = """
import os, subprocess
print(os.environ.get("LD_PRELOAD"), any("pieces" in line for line in open("/proc/self/maps")))
child = ["grep", "-c", "pieces", "/proc/self/maps"]
print(subprocess.run(child, capture_output=True, text=True).stdout.strip())
"""


def test_it_is_in_the_program_that_it_is_preloaded_into_and_in_no_other(tmp_path: Path) -> None:
    library = tmp_path / "pieces.so"
    library.write_bytes(compile_pieces())
    for preload, found in ((str(library), "True"), ("", "False")):
        done = subprocess.run(
            [sys.executable, "-I", "-c", ASKED],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "LD_PRELOAD": preload} if preload else None,
        )
        assert done.stderr == ""
        assert done.stdout.split() == ["None", found, "0"]
