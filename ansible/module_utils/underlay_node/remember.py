"""What the program made of this node so far: it removes nothing else."""

from __future__ import annotations

import json

from .commands import write

# On a file system that a reboot empties, as a reboot ends what is remembered.
RECORD = "/run/underlay/applied.json"


class Record:
    """The node.json that was applied last, what its containers were made from, what failed.

    ``filters`` are the packet filters in force, by their files' names, and ``notes`` say what of
    the user's own files was put aside, and why.
    """

    def __init__(
        self,
        node: dict,
        containers: dict[str, dict],
        failed: list[str] | None = None,
        filters: dict[str, str] | None = None,
        notes: list[str] | None = None,
    ) -> None:
        self.node = node
        self.containers = containers
        self.failed = failed or []
        self.filters = {} if filters is None else filters
        self.notes = notes or []

    def write(self) -> None:
        """Write the record, so that an interrupted run is taken up where it ended."""
        held = {"node": self.node, "containers": self.containers, "failed": self.failed}
        write(RECORD, json.dumps({**held, "filters": self.filters, "notes": self.notes}))


def recall() -> Record:
    """Return what was written last; an empty record on a node that was never made."""
    try:
        with open(RECORD, encoding="utf-8") as file:
            said = json.load(file)
    except FileNotFoundError:
        return Record({}, {})
    held = (said.get(key) for key in ("failed", "filters", "notes"))
    return Record(said["node"], said["containers"], *held)
