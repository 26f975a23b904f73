"""What ssh's ProxyCommand runs: connects standard input and output to a node's port.

``proxy.py STATE ADDRESS PORT``. The sandbox is looked up by identity at every
connection, so that an old ssh_config can never lead into a stranger's process.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))


def main() -> None:
    """Become ``nc`` inside the sandbox; exit 1 with a sentence where the lab isn't up."""
    from underlay.cluster.providers.uml.sandbox import find

    state, address, port = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    sandbox = find(state)
    if sandbox is None:
        sys.exit(f"the lab {state.name} is not up")
    command = sandbox.enter(["busybox", "nc", address, port])
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
