"""A connection to Docker's Engine. It is apart, as most nodes have no use for HTTP."""

from __future__ import annotations

import http.client
import socket


class Engine(http.client.HTTPConnection):
    """A connection to the unix socket at ``path``, which waits ``patience`` s for an answer."""

    def __init__(self, path: str, patience: float) -> None:
        super().__init__("docker", timeout=patience)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
