"""Whether programs that were told to end do so."""

from __future__ import annotations

import time
from pathlib import Path


def ends(pid: int) -> bool:
    """Whether a process that was told to end is gone soon, or waits but for its parent."""
    status = Path(f"/proc/{pid}/status")
    for _ in range(100):
        try:
            if "State:\tZ" in status.read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False
