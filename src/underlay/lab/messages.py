"""Puts pydantic's findings about a lab into words: where, what was found, and what was expected.

What is expected comes from the models' own JSON schema, so that no second list of
keys, ranges and words can drift from the first.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from underlay.drivers import DRIVERS
from underlay.errors import did_you_mean, nearest
from underlay.lab import Lab
from underlay.lab.editor_schema import NEEDED
from underlay.lab.model import FORMATS
from underlay.lab.slips import names_meant, protocol_meant, slip_in
from underlay.lab.statement import MUST, NEVER, PROTOCOL
from underlay.lab.text import LabText, Place, Problem, quoted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# CNI's word, which the schema has, and ours, which the documentation has.
ALIASES = {"master": "parent"}

SPOKEN_BOOLEANS = {
    **dict.fromkeys(("yes", "on", "true", "1", "y"), "true"),
    **dict.fromkeys(("no", "off", "false", "0", "n"), "false"),
}


def schema_problems(text: LabText) -> list[Problem]:
    """Return what the models say against ``text.data``; empty where it is a Lab."""
    try:
        Lab.model_validate(text.data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        return [problem for detail in details for problem in _told(text, detail, details)]
    return []


def one_of(choices: list[str]) -> str:
    """Return ``choices`` as an expectation: the one there is, or ``one of`` them."""
    return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"


def _told(text: LabText, detail: ErrorDetails, details: list[ErrorDetails]) -> Iterator[Problem]:
    kind, steps = detail["type"], detail["loc"]
    if kind == "missing":
        place, key = _place(text, steps[:-1]), str(steps[-1])
        if not _is_misspelt(key, place, details):
            expected = f"{ALIASES.get(key, key)}: {_expected(_schema((*place, key)))}"
            at_key = bool(place)
            yield text.problem(place, f"no {key!r}", expected, at_key=at_key, id="missing-key")
    elif kind == "extra_forbidden":
        yield _unknown_key(text, steps)
    elif steps and steps[-1] == "[key]":
        place = _place(text, steps[:-1])
        found = f"the name {quoted(place[-1])}"
        hint = did_you_mean(_as_word(place[-1]))
        expected = _expected(_key_schema(place[:-1]))
        yield text.problem(place, found, expected, hint, at_key=True, id="bad-name")
    elif (place := _place(text, steps)) and _is_statement(place, detail["input"]):
        yield _no_statement(text, place, detail["input"])
    else:
        schema = _modes(text, place) or _schema(place)
        value = detail["input"]
        hint = _hint(value, schema) or _statements_hint(place, value)
        yield text.problem(place, quoted(value), _expected(schema), hint)


def _statements_hint(place: Place, value: object) -> str:
    """Return what helps with a value below ``expect`` that is none, or nothing."""
    if place == ("expect",) and value is None:
        return "write statements below it, or leave the key out"
    if place[:1] == ("expect",) and place[2:] in (("from",), ("to",)) and isinstance(value, str):
        near = names_meant(value)
        return did_you_mean(f"'{near}'" if near and near != value else "")
    return ""


def _is_statement(place: Place, value: object) -> bool:
    return len(place) == 2 and place[0] == "expect" and isinstance(value, str)


def _no_statement(text: LabText, place: Place, said: str) -> Problem:
    """Name all that is wrong with a statement in one line, and the nearest one that is right."""
    slip = slip_in(said)
    found = f"{' and '.join(slip.found)} in {quoted(said)}" if said.strip() else quoted(said)
    expected = f"{_expected(_resolved(_in_one_line()))}, with {'; '.join(slip.expected)}"
    return text.problem(place, found, expected, did_you_mean(slip.nearest and f"'{slip.nearest}'"))


def _in_one_line() -> dict[str, Any]:
    """Return the schema of a statement in one line."""
    options: list[dict[str, Any]] = _schema(("expect", 0))["oneOf"]
    return options[0]


def _modes(text: LabText, place: Place) -> dict[str, Any]:
    """A mode's schema, narrowed to the driver beside it; nothing for any other place."""
    if place[:1] != ("networks",) or place[2:] != ("mode",):
        return {}
    driver = text.data["networks"][place[1]].get("driver")
    known = isinstance(driver, str) and driver in DRIVERS
    return {"enum": DRIVERS[driver].modes} if known else {}


def _unknown_key(text: LabText, steps: tuple[int | str, ...]) -> Problem:
    place, key = _place(text, steps[:-1]), str(steps[-1])
    steps = (*place, key)
    choices = _keys(place)
    if key in choices:
        # Known, but given under both of its names: pydantic takes one, and finds one over.
        found = "both parent and master"
        return text.problem(steps, found, "one of them", at_key=True, id="unknown-key")
    spot = text.spot(steps)
    around = text.problem(place, f"the key {quoted(key)}", one_of(choices))
    hint = did_you_mean(nearest(key, [*choices, *ALIASES] if "parent" in choices else choices))
    if key in ("port", "ports") and place[:1] == ("expect",):
        said = text.data["expect"][place[1]][key]
        hint = f"write tcp: {said if isinstance(said, (int, str)) else 'PORT'}, or udp"
    if _has_direction(place, key):
        beside = text.data["expect"][place[1]][key]
        port = isinstance(beside, int) and not isinstance(beside, bool)
        near = slip_in(f"{key} {'tcp:' if port else ''}{'' if beside is None else beside}").nearest
        said = f": '{near}'" if near and not isinstance(beside, (dict, list)) else ""
        hint = f"write it in one line, without the colon{said}"
    where = (spot.file, spot.line, spot.column, around.where)
    return Problem(*where, around.found, around.expected, hint, "unknown-key")


def _has_direction(place: Place, key: str) -> bool:
    """Whether a key is rather a statement in one line, with a colon in it."""
    return place[:1] == ("expect",) and any(f" {sign} " in f" {key} " for sign in (MUST, NEVER))


def _is_misspelt(key: str, place: Place, details: list[ErrorDetails]) -> bool:
    """Whether an unknown key beside it is ``key`` with a slip: then one message is enough."""
    unknown = [d["loc"] for d in details if d["type"] == "extra_forbidden"]
    beside = [str(steps[-1]) for steps in unknown if steps[:-1] == place]
    if any(_has_direction(place, str(steps[-1])) and steps[:2] == place for steps in unknown):
        return True
    # What a fleet's files say isn't missing where the fleet is what is misspelt.
    meant = (key, "fleet") if not place and key in NEEDED else (key,)
    return any(nearest(word, _keys(place)) in meant for word in beside)


def _place(text: LabText, steps: tuple[int | str, ...]) -> Place:
    """Leave out the steps that only pydantic knows, such as the branch of a union."""
    place: Place = ()
    for step in steps:
        if (*place, step) in text.values:
            place = (*place, step)
    return place


@cache
def _root() -> dict[str, Any]:
    return Lab.model_json_schema()


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow references, and leave null out of what a key may be."""
    while "$ref" in schema:
        schema = _root()["$defs"][schema["$ref"].rpartition("/")[2]]
    options = [o for o in schema.get("anyOf", ()) if o.get("type") != "null"]
    if len(options) != 1:
        return schema
    # What a key looks like is said at the key, also where it may be left out.
    beside = {"such": schema["such"]} if "such" in schema else {}
    return {**_resolved(options[0]), **beside}


def _schema(place: Place) -> dict[str, Any]:
    schema = _resolved(_root())
    for step in place:
        if isinstance(step, int):
            if schema.get("title") == "Nodes":
                schema = _resolved(schema["properties"]["names"])
            lists = [o for o in schema.get("oneOf", [schema]) if "items" in o]
            schema = _resolved(lists[0]["items"] if lists else {})
            continue
        schema = _mapping(schema)
        spelt = {v: k for k, v in ALIASES.items()}.get(step, step)
        named = schema.get("properties", {})
        anything: dict[str, Any] = next(iter(schema.get("patternProperties", {}).values()), {})
        schema = _resolved(named.get(spelt, named.get(step, anything)))
    return schema


def _mapping(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the mapping that ``schema`` takes, where it also takes a list of them."""
    options = [_resolved(option) for option in schema.get("oneOf", ())]
    named = {"properties", "patternProperties"}
    return next((option for option in options if named & option.keys()), schema)


def _key_schema(place: Place) -> dict[str, Any]:
    schema: dict[str, Any] = _schema(place).get("propertyNames", {})
    return schema


def _keys(place: Place) -> list[str]:
    return [ALIASES.get(key, key) for key in _mapping(_schema(place)).get("properties", {})]


def _expected(schema: dict[str, Any]) -> str:
    """Return in words what ``schema`` takes."""
    kind = schema.get("type")
    if "enum" in schema:
        return one_of([str(choice) for choice in schema["enum"]])
    if "oneOf" in schema:
        return _either(schema)
    if kind == "integer":
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    if kind == "boolean":
        return "true or false"
    if "format" in schema:
        return FORMATS[schema["format"]]
    if "properties" in schema:
        count = schema["properties"]["count"] if schema.get("title") == "Nodes" else None
        short = f"{_expected(count)}, a list of names, or " if count else ""
        return f"{short}a mapping of {', '.join(_property_names(schema))}"
    if kind in ("array", "object"):
        least, most = schema.get("minItems"), schema.get("maxItems")
        least, most = least or schema.get("minProperties"), most or schema.get("maxProperties")
        what = "list" if kind == "array" else "mapping"
        such = f", such as {schema['such']}" if "such" in schema else ""
        of = _resolved(schema.get("items", {})).get("enum")
        such += f": {', '.join(of)}" if of else ""
        if most and least:
            return f"a {what} of {least if least == most else f'{least} to {most}'}{such}"
        return f"a {what} of at {f'most {most}' if most else f'least {least}'}{such}"
    if "const" in schema:
        return str(schema["const"])
    return str(schema.get("expected") or "text")


def _either(schema: dict[str, Any]) -> str:
    """Return in words what a key takes that has a short form."""
    options = [_resolved(option) for option in schema["oneOf"]]
    short = next((option for option in options if option.get("type") != "array"), options[0])
    if short.get("expected") and any("items" in option for option in options):
        return f"{_expected(short)}, or a list of such"
    if "properties" in short:
        return f"{_expected(short)}, or a list of such"
    mapping = _mapping(schema)
    if mapping is not schema:
        return f"{_expected(short)}, or {_expected(mapping)}"
    return "all, a node's name, or a list of names"


def _property_names(schema: dict[str, Any]) -> list[str]:
    return [ALIASES.get(key, key) for key in schema["properties"]]


def _hint(value: object, schema: dict[str, Any]) -> str:
    """Return the nearest value that would do, as a hint, or nothing."""
    kind = schema.get("type")
    if schema.get("title") == "Nodes":
        return _hint(value, schema["properties"]["count"])
    if "enum" in schema:
        with_port = re.fullmatch(r"(tcp|udp):([0-9]{1,5})", str(value))
        if with_port and with_port[1] in schema["enum"]:
            return f"write protocol: {with_port[1]}, port: {with_port[2]}"
        return did_you_mean(nearest(value, [str(choice) for choice in schema["enum"]]))
    if kind == "integer":
        return _whole_number(value, schema)
    if kind == "string" and isinstance(value, str) and "%" in value:
        return _without_zone(value)
    if kind == "boolean":
        return did_you_mean(SPOKEN_BOOLEANS.get(str(value).lower(), ""))
    if schema.get("format") == "ipv4network":
        return _network(value)
    if schema.get("format") == "ipv4":
        address = str(value).partition("/")[0]
        return did_you_mean(address if address != value and _is_address(address) else "")
    if kind == "array" and isinstance(value, str):
        return did_you_mean(f"[{value}]" if _as_word(value) == value else "")
    if kind == "string" and isinstance(value, str) and schema.get("pattern") == f"^{PROTOCOL}$":
        return did_you_mean(protocol_meant(value))
    words = (_schema(place) for place in (("name",), ("nodes", "names", 0)))
    if kind == "string" and schema.get("pattern") in {word["pattern"] for word in words}:
        return did_you_mean(_as_word(value))
    return ""


def _whole_number(value: object, schema: dict[str, Any]) -> str:
    low, high = int(schema["minimum"]), int(schema["maximum"])
    if isinstance(value, bool):
        return ""
    if isinstance(value, str):
        digits = re.fullmatch(r"[0-9]{1,6}", value)
        return f"write {value} without quotes" if digits and low <= int(value) <= high else ""
    if not isinstance(value, (int, float)) or math.isnan(value):
        return ""
    return did_you_mean(str(round(min(max(value, low), high))))


def _network(value: object) -> str:
    if not isinstance(value, str):
        return ""
    with_prefix = value if "/" in value else f"{value}/24"
    try:
        network = ipaddress.ip_network(with_prefix, strict=False)
    except ValueError:
        return ""
    if network.version != 4:
        return "IPv6 networks stand at subnet6"
    return did_you_mean(str(network))


def _without_zone(value: str) -> str:
    """Return what is left of an IPv6 address or subnet without ``%`` and the interface."""
    plain = re.sub(r"%[^/]*", "", value)
    try:
        ipaddress.IPv6Interface(plain)
    except ValueError:
        return ""
    return f"{did_you_mean(plain)} a zone, such as %eth1, is for one node only"


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _as_word(value: object) -> str:
    """Return the word that ``value`` becomes in small letters and hyphens, or nothing."""
    word = re.sub(r"[^a-z0-9]+", "-", str(value).lower())
    return word.lstrip("-0123456789")[:20].strip("-")
