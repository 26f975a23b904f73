"""``underlay doctor``: whether this machine can run labs, and if not, what would mend it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from underlay.cli.console import out, print_document, progress
from underlay.cluster.providers import DEFAULT, NAMES
from underlay.cluster.providers import provider as by_name
from underlay.cluster.requirements.machine import CHECKS, Row, package_rows
from underlay.errors import EXIT_INFRASTRUCTURE, BadInput, did_you_mean, nearest

if TYPE_CHECKING:
    from rich.console import Console

GROUP = "This machine"
ORDER = 10


def command(
    image: Annotated[
        Path | None,
        typer.Option("--image", metavar="FILE", help="Look into an image of your own instead."),
    ] = None,
    provider: Annotated[
        str, typer.Option(help="Also check what this provider needs: libvirt.")
    ] = DEFAULT,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of text.")
    ] = False,
) -> None:
    """Check that this machine can run labs, or an image what labs need of it.

    Each row says what was looked at and what was found; a row that fails also says
    what is needed and how to get it. Sandboxes, bridges and taps are really made,
    and removed again. With --image the rows are about a root file system that a lab
    names by its key `image`, which is read without root. Exits with 0 where every row
    is well, and with 3 otherwise.

    Example:
      underlay doctor
      underlay doctor --provider libvirt
      underlay doctor --image my-root.ext4
      underlay doctor --json
    """
    if provider not in NAMES:
        raise BadInput(
            f"there is no provider {provider!r}, expected one of {', '.join(NAMES)}",
            hint=did_you_mean(nearest(provider, NAMES)),
        )
    with progress(f"looking into {image.name}" if image else "looking at this machine"):
        rows = _image_rows(image) if image else examine()
        if not image:
            rows += by_name(provider).requirements()
    if as_json:
        print_document("doctor", document(rows))
    else:
        well = "this image can be a node" if image else "this machine can run labs"
        show(rows, out, well)
    if not all(row.ok for row in rows):
        raise typer.Exit(EXIT_INFRASTRUCTURE)


def examine() -> list[Row]:
    """Return every row about this machine, in the order in which they are shown."""
    rows = [*package_rows()]
    for check in CHECKS:
        row = check()
        if row is not None:
            rows.append(row)
    return rows


def _image_rows(image: Path) -> list[Row]:
    from underlay.cluster.requirements import own_image

    return own_image.examine(image)


def document(rows: list[Row]) -> dict[str, object]:
    """Return what ``--json`` prints about ``rows``."""
    return {"ok": all(row.ok for row in rows), "rows": [asdict(row) for row in rows]}


def show(rows: list[Row], console: Console, well: str = "this machine can run labs") -> None:
    """Print ``rows`` for people: failures with their cure, then one line that sums up."""
    width = max(len(row.what) for row in rows)
    for row in rows:
        mark = Text("  ok  ", style="green") if row.ok else Text(" FAIL ", style="bold red")
        console.print(Text.assemble(mark, f"{row.what:<{width}}  {row.found}"))
        if not row.ok:
            for label, text in (("needed", row.needed), ("fix", row.fix)):
                console.print(f"{'':6}{'':{width}}  {label}: {text}")
    failed = sum(not row.ok for row in rows)
    console.print()
    console.print(f"{failed} of {len(rows)} rows fail" if failed else well)
