"""The JSON Schema of lab files for editors: what the models say, said as editors expect it.

Editors complete keys, show texts and mark mistakes by it. It is made from the
models, and what it refuses, reading a lab refuses too (but for an empty value of a
key that may be left out). What only the whole lab tells, such as overlapping subnets
and names that lead nowhere, is left to ``lint``.
"""

from __future__ import annotations

from typing import Any

from underlay.drivers import DRIVERS
from underlay.lab import Lab
from underlay.lab.model import FORMATS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ALIAS, NAME = "master", "parent"
# What a lab says, or its fleet's files do: where its entries are in the schema, and their model.
NEEDED = {
    "segments": ("additionalProperties", "Segment"),
    "networks": ("additionalProperties", "Network"),
    "containers": ("items", "Containers"),
}
# JSON Schema has no format for networks; a pattern tells at least their shape.
NETWORK6 = r"^[0-9a-fA-F:.]+/[0-9]+$"
NETWORK = r"^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+/[0-9]+$"
SHAPES = {
    "ipv4network": {"pattern": NETWORK},
    "ipv4": {"format": "ipv4"},
    "ipv6network": {"pattern": NETWORK6},
    "ipv6": {"format": "ipv6"},
}


def editor_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a lab file as JSON values."""
    made = Lab.model_json_schema()
    models: dict[str, Any] = made["$defs"]
    models["Network"] = _network(models["Network"])
    models["Statement"] = _statement(models["Statement"])
    schema = _plain(made)
    schema["properties"]["nodes"] = _in_short(schema)
    schema |= _needed(schema)
    return {"$schema": DIALECT, "title": "Underlay lab", **_without(schema, "title")}


def _needed(schema: dict[str, Any]) -> dict[str, Any]:
    """What has to be said, but where a fleet may say it: keys are laid over those of its files."""
    whole = {}
    for key, (inside, model) in NEEDED.items():
        entry = schema["$defs"][model]
        needed = {word: entry.pop(word) for word in ("required", "oneOf") if word in entry}
        whole[key] = {inside: needed}
    without = [key for key in schema["required"] if key not in NEEDED]
    return {
        "required": without,
        "if": {"not": {"required": ["fleet"]}},
        "then": {"required": [*NEEDED], "properties": whole},
    }


def _network(model: dict[str, Any]) -> dict[str, Any]:
    """``parent`` beside CNI's word for it, one way to say where the network sits, and its modes."""
    properties: dict[str, Any] = {}
    for key, value in model["properties"].items():
        if key == ALIAS:
            properties[NAME] = value
            properties[key] = {**value, "description": f"CNI's word for {NAME}."}
        else:
            properties[key] = value
    places: list[dict[str, Any]] = [{"required": [key]} for key in ("segment", NAME, ALIAS)]
    modes = [
        {
            "if": {"properties": {"driver": {"const": driver}}, "required": ["driver"]},
            "then": {"properties": {"mode": _mode(driver)}},
        }
        for driver in DRIVERS
    ]
    # An internal network may say where it would sit, but doesn't have to.
    places.append(
        {
            "properties": {"internal": {"const": True}},
            "required": ["internal"],
            "not": {"anyOf": [*places]},
        }
    )
    return {**model, "properties": properties, "oneOf": places, "allOf": modes}


def _statement(model: dict[str, Any]) -> dict[str, Any]:
    """Between ends, or about the whole lab, which is said alone."""
    others = [{"required": [key]} for key in model["properties"] if key != "unplanned"]
    alone = {"required": ["unplanned"], "not": {"anyOf": others}}
    between = {"required": model["required"], "not": {"required": ["unplanned"]}}
    return {**_without(model, "required"), "oneOf": [between, alone]}


def _mode(driver: str) -> dict[str, Any] | bool:
    """What ``mode`` takes beside ``driver``; False where it has none."""
    one = DRIVERS[driver]
    return {"enum": [*one.modes], "default": one.default_mode} if one.modes else False


def _in_short(schema: dict[str, Any]) -> dict[str, Any]:
    """``nodes: 3`` is short for ``nodes: {count: 3}``, and a list is short for its names."""
    nodes, full = schema["properties"]["nodes"], schema["$defs"]["Nodes"]
    keys = full["properties"]
    beside = [{"required": ["names", key]} for key in ("count", "prefix")]
    full["not"] = {"anyOf": beside}
    options = [keys["count"], keys["names"], {"$ref": nodes["$ref"]}]
    return {**_without(nodes, "$ref"), "anyOf": options}


def _plain(value: Any) -> Any:
    """Leave out what helps no editor, and say in the description what a value looks like."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    value = _without_null(value)
    kind = value.get("format", "")
    format_words, format_keys = FORMATS.get(kind, ""), SHAPES.get(kind, {})
    expected = value.get("expected") or format_words
    # pydantic's titles are the keys once more; a key of that name holds no text.
    left_out = [
        key for key in ("title", "format", "expected", "such") if isinstance(value.get(key), str)
    ]
    plain = {key: _plain(entry) for key, entry in _without(value, *left_out).items()}
    if format_words:
        plain |= format_keys
    if isinstance(value.get("description"), str):
        plain["description"] = value["description"].replace("``", "`")
    if expected:
        text = plain.get("description", "")
        plain["description"] = f"{text} Takes {expected}." if text else f"Takes {expected}."
    return plain


def _without_null(value: dict[str, Any]) -> dict[str, Any]:
    """Make a key that may be left out look like one: null is only how the models say so."""
    options = value.get("anyOf")
    if options is None or {"type": "null"} not in options:
        return value
    (option,) = [entry for entry in options if entry != {"type": "null"}]
    kept = _without(value, "anyOf", *(["default"] if value.get("default") is None else []))
    return {**option, **kept}


def _without(value: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: entry for key, entry in value.items() if key not in keys}
