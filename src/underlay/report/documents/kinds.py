"""What kinds of documents there are, each with its version, and how a document says which it is.

A version counts up where a program that reads the older one could go wrong by the newer: a field
went, means something else, or has a value of another kind. A new field is none of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# By the verb that prints it; ``report --format json`` prints what ``check`` does. ``error`` is
# printed in place of any other, and ``version`` by ``underlay --version --json``.
VERSIONS = {
    "bench": 1,
    "break": 1,
    "bundle": 1,
    "capture": 1,
    "check": 1,
    "converge": 1,
    "demo": 1,
    "diff": 1,
    "doctor": 1,
    "down": 1,
    "env": 2,
    "error": 1,
    "explain": 1,
    "faults": 1,
    "forward": 1,
    "hosts": 1,
    "image": 1,
    "import": 1,
    "labs": 1,
    "lint": 1,
    "mend": 1,
    "predict": 1,
    "render": 1,
    "soak": 1,
    "status": 1,
    "survey": 1,
    "switch": 1,
    "test": 1,
    "trace": 1,
    "up": 1,
    "version": 1,
    "watch": 1,
    "workshop": 1,
}


def name_of(kind: str) -> str:
    """Return what a document of ``kind`` is called in itself."""
    return f"underlay {kind}"


def stamped(kind: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``document`` with what it is and the version of that before everything else.

    Raises KeyError for a kind that has no schema.
    """
    return {"document": name_of(kind), "version": VERSIONS[kind], **document}
