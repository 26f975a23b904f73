"""The verb ``faults``: the catalogue of what can be wrong."""

from __future__ import annotations

from dataclasses import fields

from rich.table import Table

from underlay.cli.console import out, print_document
from underlay.cli.options import AsJson

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
        table = Table("fault", "layer", "what is wrong", box=None, pad_edge=False)
        there = [entry for entry in known if entry.stage == stage]
        for entry in there:
            table.add_row(entry.id, entry.layer, entry.title)
        out.print(f"{stage}: {len(there)} faults", style="bold")
        out.print(table)
        out.print()
