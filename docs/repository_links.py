"""Shows links to the repository's files, which lead out of the site, as plain names on the site."""

from __future__ import annotations

import re
from typing import Any

OUTWARD = re.compile(r"\[(`[^`]+`)\]\((?:\.\./)+(?:src|tests|labs|ansible)/[^)]*\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return ``markdown`` with such links replaced by their text; mkdocs calls it for each page."""
    return OUTWARD.sub(r"\1", markdown)
