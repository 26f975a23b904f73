"""Holds what --json printed against the schema of its kind."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from underlay.report.documents.schemas import schema_of


def problems(kind: str, document: Any, *, closed: bool = True) -> list[str]:
    """Return what isn't as the schema says; ``closed`` refuses fields that it doesn't name."""
    # As it is printed: a tuple is a list then.
    printed = json.loads(json.dumps(document))
    return [
        f"{error.json_path}: {error.message[:200]}"
        for top in _validator(kind, closed).iter_errors(printed)
        for error in (min(top.context, key=lambda e: -len(e.path)) if top.context else top,)
    ]


@cache
def _validator(kind: str, closed: bool) -> Draft202012Validator:
    schema = schema_of(kind)
    return Draft202012Validator(_closed(schema) if closed else schema)


def _closed(schema: Any) -> Any:
    """Return ``schema`` with no fields but those that it names, wherever it names any."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    # Fields may have any name, also that of a word of JSON Schema.
    inner = {
        key: {name: _closed(value) for name, value in one.items()}
        if key in ("properties", "$defs")
        else _closed(one)
        for key, one in schema.items()
    }
    return {**inner, "additionalProperties": False} if "properties" in inner else inner
