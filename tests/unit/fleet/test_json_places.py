"""The places in a JSON text are those that YAML's reader finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from underlay.fleet.json_places import places_in
from underlay.lab.text import text_of
from underlay.storage import paths

FILES = sorted(
    path
    for folder in ("examples", "tests/golden/files", "tests/golden/errors")
    for path in (paths.root() / folder).rglob("*")
    if path.suffix in (".conf", ".conflist", ".json") and path.is_file()
)
TEXTS = [
    '{"a": 1, "b": {"c": [1, "x", {"d": null}]}, "e": []}',
    '{"a": {"b": 1}, "a": {"c": 2}}',
    '[\n  {"name": "x\\"y, {z}"},\n  true\n]',
    "{}",
    ' "word" ',
    '{"a": -1.5e3,\r\n "b": "\\u00e4"}',
]


def is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("text", [*TEXTS, *(f.read_text() for f in FILES if is_json(f))])
def test_keys_and_values_stand_where_yaml_finds_them(text: str) -> None:
    ours, yaml = places_in("x", text), text_of("x", text.replace("\t", " "))
    assert ours.keys == yaml.keys
    assert ours.values == yaml.values


def test_there_are_files_to_compare() -> None:
    assert sum(map(is_json, FILES)) > 20


def test_what_is_nested_without_end_has_no_places() -> None:
    assert places_in("x", "[" * 40 + "]" * 40).values == {}
    assert places_in("x", "[" * 100_000 + "]" * 100_000).values == {}
