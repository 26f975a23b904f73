"""Containers that run on nodes and that no plan knows, as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from underlay.errors import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.cluster.beyond import Stranger
    from underlay.report.page import Page
    from underlay.verdict import Verdict

SHOWN = 8
BECAUSE = (
    "Somebody started it by hand, or a file of yours starts more than was read in it: its cells"
    " are in no matrix, and its addresses may be others' as well."
)
BY_FILE = (
    "A file of yours starts it, and the plan has none of its networks: its cells are in no matrix."
    " `underlay import -v` says why, by file and line."
)
# How a node says that a Compose file's project or a unit started a container.
_FILES = ("docker compose, project ", "podman, unit ")


def strangers_document(verdict: Verdict) -> dict[str, Any]:
    """Return the containers as JSON values; none where nobody looked for any."""
    return {"strangers": [asdict(one) for one in verdict.strangers or ()]}


def strangers_section(verdict: Verdict, page: Page) -> None:
    """Append the containers to ``page``, if there are any."""
    found = verdict.strangers or ()
    if not found:
        return
    page.text.append("\nRuns, not planned\n", "bold")
    page.line(f"{count(len(found), 'container')} that no plan knows", "yellow", 4, "  !")
    for one in found[:SHOWN]:
        page.line(described(one), indent=6, first="    ")
    if len(found) > SHOWN:
        page.line(f"and {len(found) - SHOWN} more, in --json", indent=4, first="    ")
    page.line(because(found), indent=4, first="    ")
    page.text.append(f"      underlay exec {found[0].node} -- {found[0].runtime} ps\n", "dim")


def because(found: Sequence[Stranger]) -> str:
    """Say how it comes that they run: by files of the user's, or else that somebody did it."""
    return BY_FILE if all(one.by.startswith(_FILES) for one in found) else BECAUSE


def described(one: Stranger) -> str:
    """Say in a line which container runs where, and who started it."""
    return f"{one.node}: {one.name} runs {one.image}, started by {one.by}"
