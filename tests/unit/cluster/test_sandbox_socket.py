"""The sandbox's socket takes in all nodes of a large lab at once."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from underlay.cluster.providers.uml.holder import Handler, Server
from underlay.cluster.providers.uml.sandbox import REQUEST_DEADLINE


def test_forty_nodes_call_before_anybody_is_answered(tmp_path: Path) -> None:
    path = str(tmp_path / "holder")
    with ExitStack() as stack:
        stack.enter_context(Server(path, Handler))  # listens; nothing is served yet
        for _ in range(40):
            caller = stack.enter_context(socket.socket(socket.AF_UNIX))
            caller.settimeout(REQUEST_DEADLINE)
            caller.connect(path)
