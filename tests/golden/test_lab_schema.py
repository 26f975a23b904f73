"""The JSON Schema that lies beside the shipped labs is the one that the models make."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from underlay.lab.editor_schema import editor_schema
from underlay.storage import paths


def test_schema_beside_the_labs(golden: Callable[[Path, str], None]) -> None:
    text = json.dumps(editor_schema(), indent=2, ensure_ascii=False) + "\n"
    golden(paths.root() / "labs" / "lab.schema.json", text)
