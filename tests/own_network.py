"""Programs of tests that run in a network namespace of their own, as root in there."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from underlay.storage import paths


def printed(script: str, *words: str, mounts: bool = False) -> Any:
    """Run Python's ``script`` with ``words``, fail unless it succeeds, and return its JSON.

    With ``mounts`` it has a mount namespace as well, which ip(8) needs to name others.
    """
    done = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--net", *(["--mount"] if mounts else [])),
            *(sys.executable, "-P", "-c", script, *words),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PYTHONPATH": str(paths.root() / "src"), "PATH": paths.programs()},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
