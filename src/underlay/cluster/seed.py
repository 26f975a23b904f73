"""The NoCloud seed: how a node's rendered files reach cloud-init on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.cluster.bundle import program
from underlay.cluster.process import run
from underlay.storage import temporary

if TYPE_CHECKING:
    from pathlib import Path

# What cloud-config/user-data.yml.j2 looks for beside the seed.
PROGRAM_FILE = "node"


def make_seed(files: Path, output: Path) -> None:
    """Write the NoCloud seed ISO of one node from its rendered ``files`` folder.

    Beside the three files of a seed it holds the node program, so that an image
    needn't be built anew when the program changes.
    """
    names = ("user-data", "meta-data", "network-config")
    # Of its own: seeds of several nodes may be made beside one another, all at once.
    with temporary.folder("seed") as own:
        started = own / PROGRAM_FILE
        started.write_bytes(program())
        run(
            ["xorrisofs", "-quiet", "-volid", "cidata", "-joliet", "-rock", "-output", str(output),
             *(str(files / name) for name in names), str(started)],
            deadline=60,
        )  # fmt: skip
