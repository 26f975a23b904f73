"""The verb ``faults``: the catalogue of what can be wrong."""

from __future__ import annotations

from dataclasses import fields

from underlay.cli.console import out, print_document
from underlay.cli.options import AsJson
from underlay.cli.tables import table

GROUP = "Faults"
ORDER = 10


def command(
    as_json: AsJson = False,
) -> None:
    """List the faults that Underlay knows, by the stage at which they show.

    `file`: lint finds it in a lab file. `boot`: `up` fails and says why. `running`:
    `break` brings it about on a running lab, and `explain` recognises it, however
    it came about.

    Example:
      underlay faults
      underlay faults --json
    """
    from underlay.faults import Entry
    from underlay.faults.entries import entries

    known = entries()
    if as_json:
        keys = [field.name for field in fields(Entry)]
        rows = [{key: getattr(entry, key) for key in keys} for entry in known]
        print_document("faults", {"faults": rows})
        return
    for stage in ("running", "boot", "file"):
        shown = table("fault", "layer", "what is wrong")
        there = [entry for entry in known if entry.stage == stage]
        for entry in there:
            shown.add_row(entry.id, entry.layer, entry.title)
        out.print(f"{stage}: {len(there)} faults", style="bold")
        out.print(shown)
        out.print()
