"""The verb ``image``: what nodes boot."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from underlay.cli.console import out, print_json, progress
from underlay.errors import BadInput


def command(
    action: Annotated[str, typer.Argument(help="`show` or `build`.")] = "show",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document on stdout.")
    ] = False,
) -> None:
    """Build the nodes' image, or show what is cached.

    The image is named by the hash of all that goes into it and is built on first
    need, by mmdebstrap from this system's own Debian mirror, without root or KVM.

    Example:
      underlay image
      underlay image build
    """
    from underlay.cluster import image

    if action not in ("show", "build"):
        raise BadInput(f"there is no action {action!r}", hint="underlay image show|build")
    began = time.monotonic()
    current = image.current()
    if action == "build" and not current.exists:
        with progress("building the image") as running:
            image.ensure(running.step)
    size = current.disk.stat().st_blocks * 512 if current.exists else 0
    if as_json:
        print_json(
            {
                "key": current.key,
                "built": current.exists,
                "folder": str(current.folder),
                "bytes": size,
                "seconds": round(time.monotonic() - began, 3),
            }
        )
        return
    words = f"built, {size >> 20} MiB on disk" if current.exists else "not built yet"
    out.print(f"image {current.key}: {words}")
    out.print(f"folder: {current.folder}")
    if not current.exists:
        out.print("next: underlay image build", style="dim")
