"""That lint finds errors in a lab: said of one that is only looked at, refused before a check."""

from __future__ import annotations

import shlex
from itertools import chain
from typing import TYPE_CHECKING

from underlay.cli.console import err
from underlay.errors import BadInput, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.lint import Loaded


def tell_errors(loaded: Loaded, named: str) -> None:
    """Say on stderr that lint finds errors in the lab, if it does; ``named`` is as typed."""
    from underlay.errors import count

    if loaded.errors:
        found = f"lint finds {count(len(loaded.errors), 'error')} in the lab"
        err.print(f"{found}: underlay lint {shlex.quote(named)}")


def refuse_wrong(labs: Sequence[Loaded], what: str) -> None:
    """Raise BadInput where lint finds errors in each of ``labs``: nothing of them can be measured.

    They are told as ``lint`` prints them. Where it finds none in one of several labs, that one can.
    """
    if not labs or not all(loaded.errors for loaded in labs):
        return
    from underlay.errors import count

    found = list(chain.from_iterable(loaded.errors for loaded in labs))
    told = "\n\n".join(map(str, found))
    head = f"lint finds {count(len(found), 'error')} in {what}, so nothing was started"
    which = listed(f"{one.id} ({one.file}:{one.line})" for one in found)
    first = shlex.quote(str(labs[0].file))
    hint = f"mend the file, then run `underlay lint {first}`"
    if len(labs) == 1 and labs[0].can_be_forced:
        hint += f"\nunderlay up {first} --force  starts it all the same, for `underlay check`"
    raise BadInput(f"{head}: {which}", detail=f"\n{told}", hint=hint)
