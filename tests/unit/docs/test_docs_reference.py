"""The generated pages say what the code says; `--update-golden` rewrites them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated

import pytest
from pydantic import BaseModel, TypeAdapter
from ruamel.yaml import YAML

from underlay import lint
from underlay.lab import Lab

DOCS = Path(__file__).resolve().parents[3] / "docs"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = load()


@pytest.mark.parametrize("page", REFERENCE.PAGES)
def test_page_is_what_the_code_says(page: str, golden: Callable[[Path, str], None]) -> None:
    golden(DOCS / page, REFERENCE.PAGES[page]())


def test_every_key_has_a_meaning() -> None:
    lacking = [
        f"{model.__name__}.{name}"
        for model in REFERENCE.MODELS
        for name, field in model.model_fields.items()
        if not (field.description or "").endswith(".")
    ]
    assert lacking == []


BASE = {
    "name": "small",
    "nodes": 2,
    "segments": {"lan": {"subnet": "192.168.70.0/24"}},
    "networks": {"lannet": {"driver": "macvlan", "segment": "lan", "subnet": "10.1.1.0/24"}},
    "containers": [{"networks": ["lannet"]}],
}


@pytest.mark.parametrize("model", REFERENCE.MODELS, ids=lambda model: model.__name__)
def test_every_section_has_an_example_that_is_a_lab(model: type[BaseModel], tmp_path: Path) -> None:
    yaml = YAML(typ="safe")
    piece = yaml.load(REFERENCE.EXAMPLES[model])
    file = tmp_path / "small.yml"
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump({**BASE, **piece}, stream)
    if "image" in piece:
        Lab.model_validate({**BASE, **piece})
    else:
        assert [str(f) for f in lint.load(file).findings if f.severity == "error"] == []


def test_every_form_that_messages_show_is_one_that_the_key_takes() -> None:
    for model in REFERENCE.MODELS:
        for name, field in model.model_fields.items():
            extra = field.json_schema_extra
            if isinstance(extra, dict) and "such" in extra:
                value = YAML(typ="safe").load(str(extra["such"]))
                kind = Annotated[(field.annotation, *field.metadata, field)]
                assert TypeAdapter(kind).validate_python(value), name
