"""What a complete test run leaves in the repository: which commit was proven, and how."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from underlay.cluster import checkout
from underlay.storage.paths import root

if TYPE_CHECKING:
    from pathlib import Path

    from underlay.cli.layers import Layer


def write_proof(results: list[Layer]) -> Path:
    """Write ``docs/proof/tests.json`` about a complete run and return its path.

    ``dirty`` says whether the checkout held changes that the commit doesn't;
    other proofs, which the same run may write, don't count.
    """
    path = root() / "docs" / "proof" / "tests.json"
    proof = {
        "commit": checkout.commit(root()) or "unknown",
        "dirty": checkout.dirty(root()),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "kernel": platform.release(),
            "processors": os.cpu_count(),
            "python": platform.python_version(),
        },
        "layers": [result.document() for result in results],
        "passed": sum(result.passed for result in results),
        "failed": sum(result.failed for result in results),
        "skipped": sum(result.skipped for result in results),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(proof, indent=2) + "\n", encoding="utf-8")
    return path
