"""What makes a node a lab's: its rendered files, and the node program that applies them."""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from typing import TYPE_CHECKING

from underlay.errors import Infrastructure
from underlay.plan import NET_D
from underlay.storage import paths

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "underlay_node"
# Where the program is on a node, for its boot and for whoever asks it something.
PROGRAM_FILE = "/usr/libexec/underlay/node"
START = """\
import sys
from underlay_node.command_line import main
sys.exit(main(sys.argv[1:]))
"""
# The folders of a node's rendered files, and where they belong on the node. What lies
# beside them, the seed, is cloud-init's alone.
TARGETS = {
    "net.d": NET_D,
    "docker": "/etc/underlay/docker",
    "podman": "/etc/containers/networks",
}
NODE_FILE = "/etc/underlay/node.json"
# A zip file's dates start here; the same program is the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


@cache
def program() -> bytes:
    """Return the node program as a file that a node's Python runs as it is (zipapp)."""
    folder = paths.root() / "ansible" / "module_utils" / PROGRAM
    made = io.BytesIO()
    made.write(b"#!/usr/bin/python3\n")
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as archive:
        texts = {f"{PROGRAM}/{path.name}": path.read_text() for path in folder.glob("*.py")}
        for name, text in sorted({**texts, "__main__.py": START}.items()):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), text, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def bundle(files: Path) -> dict[str, str]:
    """Return path on the node → content, from the folder of one node's rendered ``files``.

    Raises Infrastructure where they aren't those that node.json lists.
    """
    found = {NODE_FILE: (files / "node.json").read_text(encoding="utf-8")}
    for name, target in TARGETS.items():
        for path in sorted((files / name).glob("*")):
            found[f"{target}/{path.name}"] = path.read_text(encoding="utf-8")
    listed = json.loads(found[NODE_FILE])["files"]
    if set(listed) != set(found):
        raise Infrastructure(
            f"{files} does not hold the files that its node.json lists",
            detail="\n".join(sorted(set(listed) ^ set(found))),
            hint="underlay down  and  underlay up  render them anew",
        )
    return found
