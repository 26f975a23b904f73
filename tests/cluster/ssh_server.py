"""A machine's ssh server, as far as Ansible needs one: commands and sftp, for one key.

``python ssh_server.py FOLDER PORT`` listens on the loopback of the network namespace that it is
in, which it takes up. FOLDER holds ``host_key`` and ``authorized_keys``; ``ready`` appears there.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncssh


async def command(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Run what the client asks for, as sshd does: by the user's shell, in its home."""
    child = await asyncio.create_subprocess_exec(
        "sh", "-c", process.command or "exit 0",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path.home(),
    )  # fmt: skip
    feeding = asyncio.create_task(copied(process.stdin, child.stdin))
    await asyncio.gather(copied(child.stdout, process.stdout), copied(child.stderr, process.stderr))
    code = await child.wait()
    feeding.cancel()
    process.exit(code)


async def copied(source: Any, sink: Any) -> None:
    """Copy all of ``source`` to ``sink``, and end a pipe that a program reads."""
    while data := await source.read(1 << 16):
        sink.write(data)
        await sink.drain()
    if isinstance(sink, asyncio.StreamWriter):
        sink.close()


async def serve(folder: Path, port: int) -> None:
    """Listen for ever."""
    await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[str(folder / "host_key")],
        authorized_client_keys=str(folder / "authorized_keys"),
        process_factory=command,
        sftp_factory=True,
        encoding=None,
    )
    (folder / "ready").touch()
    await asyncio.Event().wait()


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=30)
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
