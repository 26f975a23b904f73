"""The generated pages say what the code says; `--update-golden` rewrites them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

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
