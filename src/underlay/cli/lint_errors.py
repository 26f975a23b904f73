"""That lint finds errors in a lab which is only looked at: said on stderr, without a judgement."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from underlay.cli.console import err

if TYPE_CHECKING:
    from underlay.lint import Loaded


def tell_errors(loaded: Loaded, named: str) -> None:
    """Say on stderr that lint finds errors in the lab, if it does; ``named`` is as typed."""
    from underlay.report.page import count

    if loaded.errors:
        found = f"lint finds {count(len(loaded.errors), 'error')} in the lab"
        err.print(f"{found}: underlay lint {shlex.quote(named)}")
