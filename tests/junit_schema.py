"""JUnit's XML held against the schema of those who read it.

What reads schemas takes a third of a second to import: only tests that need it do.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xmlschema

FILE = Path(__file__).parent / "unit" / "report" / "junit.xsd"


def prove_valid(text: str) -> None:
    """Raise XMLSchemaValidationError where ``text`` isn't as the schema says."""
    _schema().validate(text)


@cache
def _schema() -> xmlschema.XMLSchema:
    import xmlschema

    return xmlschema.XMLSchema(FILE)
