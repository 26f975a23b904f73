"""What rows depend on, by content: digests of parts of the code, and of what a lab is predicted.

Comments, docstrings and the layout of Python don't count: a commit that changes nothing else has
changed nothing that could be measured.
"""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from underlay.expect import Prediction
from underlay.lint.read import read_lab
from underlay.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LENGTH = 12

# The parts of the repository that rows depend on, each a name for files and folders.
PARTS: dict[str, tuple[str, ...]] = {
    "probe": ("src/underlay/observe",),
    "model": ("src/underlay/expect", "src/underlay/drivers", "src/underlay/plan"),
    "verdict": ("src/underlay/verdict.py",),
    "nodes": ("ansible", "cloud-config", "image"),
    "faults": ("src/underlay/faults", "src/underlay/proof/explain.py"),
    "reading": ("src/underlay/lab", "src/underlay/lint", "src/underlay/fleet"),
    "cluster": ("src/underlay/cluster",),
    "rendering": ("src/underlay/render.py", "vagrant"),
    "storage": ("src/underlay/storage",),
}
# The part of which a lab sees no more than what it is predicted.
MODEL = "model"
MEASURED = ("probe", MODEL, "verdict", "nodes")

# What the rows of each record depend on. Where it is a lab's, its file does too.
DEPENDS: dict[str, tuple[str, ...]] = {
    "labs": MEASURED,
    "recipes": MEASURED,
    "mutations": (*MEASURED, "reading"),
    "libvirt": MEASURED,
    "random-labs": MEASURED,
    "green": (*MEASURED, "faults"),
    "faults": (*MEASURED, "faults"),
    "lies": (*MEASURED, "faults"),
    "alone": MEASURED,
    "fuzz": ("reading",),
    "memory-full": ("nodes",),
    "memory-lean": ("nodes",),
    "bench": (*MEASURED, "cluster", "rendering"),
    "growth": (*MEASURED, "cluster", "rendering"),
    "soak": ("cluster", "probe", "storage"),
    # Each says of which commit it is, and is of no use for any other.
    "tests": (),
    "durations": (),
}
# What says nothing to a program.
PROSE = (".md",)
# The first line of a file may look like a comment and mean something, as #!/bin/sh does.
COMMENT = b"#"
# What of an expectation is told to people.
TOLD = ("because", "reference")


def paths(parts: Iterable[str]) -> tuple[str, ...]:
    """Return the files and folders of ``parts``."""
    return tuple(path for part in parts for path in PARTS[part])


def digests(root: Path, parts: Iterable[str]) -> dict[str, str]:
    """Return the digest of each of ``parts`` as it lies in ``root``."""
    return {part: _digest(root, PARTS[part]) for part in parts}


def of_prediction(lab: Path) -> str:
    """Return the digest of what the lab file ``lab`` plans and what is predicted of it.

    Raises BadInput where the lab can't be read.
    """
    plan = make_plan(read_lab(lab))
    prediction = Prediction(plan)
    said = [
        {key: value for key, value in asdict(wanted).items() if key not in TOLD}
        for wanted in (*prediction.reach, *prediction.values)
    ]
    text = json.dumps([json.loads(plan.to_json()), said], sort_keys=True)
    return _short(text.encode())


def meaning(name: str, content: bytes) -> bytes:
    """Return what of a file called ``name`` may change what is measured."""
    if name.endswith(PROSE):
        return b""
    if name.endswith(".py"):
        return _code(content)
    first, *rest = content.splitlines() or [b""]
    lines = (line.rstrip() for line in rest if not line.lstrip().startswith(COMMENT))
    return b"\n".join([first, *filter(None, lines)])


def _code(content: bytes) -> bytes:
    """Python's own tree of ``content``, without docstrings; the bytes where it is no Python."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return content
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree).encode()


def _digest(root: Path, names: Iterable[str]) -> str:
    files = [file for name in names for file in _files(root / name)]
    said = {
        file.relative_to(root).as_posix(): meaning(file.name, file.read_bytes()) for file in files
    }
    return _short(repr(sorted(said.items())).encode())


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] if path.is_file() else []
    found = [file for file in path.rglob("*") if file.is_file()]
    return [file for file in found if "__pycache__" not in file.parts]


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:LENGTH]
