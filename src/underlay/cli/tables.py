"""Tables of what people read: without a frame, and with every word whole."""

from __future__ import annotations

from rich.table import Table


def table(*heads: str) -> Table:
    """Return an empty table with these heads.

    Where it is wider than the terminal, a word goes on in the next line: an address that is cut
    can't be copied.
    """
    made = Table(box=None, pad_edge=False)
    for head in heads:
        made.add_column(head, overflow="fold")
    return made
