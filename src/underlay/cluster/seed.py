"""The NoCloud seed: how a node's rendered files reach cloud-init on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.cluster.process import run

if TYPE_CHECKING:
    from pathlib import Path


def make_seed(files: Path, output: Path) -> None:
    """Write the NoCloud seed ISO of one node from its rendered ``files`` folder."""
    names = ("user-data", "meta-data", "network-config")
    run(
        ["xorrisofs", "-quiet", "-volid", "cidata", "-joliet", "-rock", "-output", str(output),
         *(str(files / name) for name in names)],
        deadline=60,
    )  # fmt: skip
