"""The JSON Schema of lab files: what it takes, what it refuses, and what it tells an editor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from underlay import cli
from underlay.lab import Lab
from underlay.lab.editor_schema import editor_schema
from underlay.storage import paths

LABS = sorted((paths.root() / "labs").rglob("*.yml"))
ERRORS = paths.root() / "tests" / "golden" / "errors"
VALIDATOR = Draft202012Validator(editor_schema())


def read(file: Path) -> Any:
    return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))


def changed(key: str, value: object, place: tuple[str | int, ...] = ()) -> Any:
    """Return the default lab with one key changed, at the top or in ``place``."""
    lab = read(paths.root() / "labs" / "coreos.yml")
    inner = lab
    for step in place:
        inner = inner[step]
    inner[key] = value
    return lab


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(editor_schema())


def test_the_verb_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == editor_schema()


@pytest.mark.parametrize("file", LABS, ids=lambda file: file.stem)
def test_shipped_labs_are_taken(file: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(read(file))] == []


@pytest.mark.parametrize(
    "lab",
    [
        changed("nodes", 3),
        changed("nodes", {"count": 2, "memory": 768}),
        changed("on", ["core-01"], ("containers", 0)),
        changed("mode", "l3s", ("networks", "ipnet")),
    ],
)
def test_other_ways_of_writing_are_taken(lab: Any) -> None:
    assert VALIDATOR.is_valid(lab)
    Lab.model_validate(lab)


def test_both_words_for_the_parent_are_taken() -> None:
    for word in ("parent", "master"):
        lab = changed(word, "eth1", ("networks", "lannet"))
        del lab["networks"]["lannet"]["segment"]
        assert VALIDATOR.is_valid(lab)
        Lab.model_validate(lab)


@pytest.mark.parametrize(
    "name",
    [
        "both-parents", "count-not-whole", "driver-misspelt", "file-name", "key-misspelt",
        "list-expected", "master-and-parent", "missing-keys", "mode-misspelt", "mode-of-ipvlan",
        "mode-of-macvlan", "neither-parent", "spoken-boolean",
    ],
)  # fmt: skip
def test_mistakes_within_a_key_are_refused(name: str) -> None:
    assert not VALIDATOR.is_valid(read(ERRORS / f"{name}.yml"))


def test_every_key_has_a_text() -> None:
    schema = editor_schema()
    models = {"lab": schema, **schema["$defs"]}
    lacking = [
        f"{model}.{key}"
        for model, content in models.items()
        for key, value in content["properties"].items()
        if not value.get("description", "").endswith(".")
    ]
    assert lacking == []
