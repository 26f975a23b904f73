"""Runs on a node: a web server in each container, for tools that ask one; all end with stdin.

Where a namespace was made anew, its server is started again. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from pathlib import Path

from underlay.observe.on_node.namespaces import Missing, enter, opened

EVERY = 0.5  # s between looks at the namespaces
QUIET = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)


def main(task):
    spec = json.loads(task)
    folder = Path(spec["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text("here\n", encoding="ascii")
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    servers = {}
    try:
        look(spec, servers, home)
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        while not select.select([0], [], [], EVERY)[0] or os.read(0, 4096):
            look(spec, servers, home)
    finally:
        for process, _ in servers.values():
            process.kill()
            process.wait()
    return 0


def look(spec, servers, home):
    for name, kind in spec["spaces"]:
        try:
            own = opened(name, kind, "")
        except (Missing, OSError):
            continue
        identity = os.fstat(own).st_ino
        before = servers.get(name)
        if before and before[1] == identity and before[0].poll() is None:
            os.close(own)
            continue
        if before:
            with contextlib.suppress(OSError):
                before[0].kill()
            before[0].wait()
        enter(own)
        try:
            words = ["busybox", "httpd", "-f", "-p", str(spec["port"]), "-h", spec["folder"]]
            servers[name] = subprocess.Popen(words, **QUIET), identity
        finally:
            enter(home)
            os.close(own)
