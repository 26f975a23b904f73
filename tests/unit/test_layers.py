"""The shape of the code: what lies at the top, who may import whom, what has a docstring."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
MODULES = sorted(SOURCE.rglob("*.py"))

# From left to right, the line of data: a module may import what stands before its own group.
# A package's modules belong to the package's group.
ORDER = (
    "underlay",
    "errors",
    "storage",
    "drivers",
    "lab",
    "plan",
    "fleet",
    "lint",
    "expect",
    "render",
    "cluster",
    "observe",
    "verdict",
    "faults",
    "proof",
    "report",
    "workshop",
    "cli",
    "pytest_plugin",
    "__main__",
)
RANK = {name: rank for rank, name in enumerate(ORDER)}


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def group_of(module: str) -> str:
    """`underlay.cluster.image.build` belongs to `cluster`, `underlay` itself to `underlay`."""
    return [*module.split("."), module][1]


def imports_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and full name of every import from this project, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            pytest.fail(f"line {node.lineno}: relative imports hide the direction")
        elif isinstance(node, ast.ImportFrom) and node.module == "underlay":
            inside = [a.name for a in node.names if not a.name.startswith("__")]
            names = [f"underlay.{name}" for name in inside]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "underlay":
                yield node.lineno, name


def overridden() -> set[str]:
    """Return the methods of a fault, which its classes in the catalogue override."""
    tree = ast.parse((SOURCE / "underlay/faults/fault.py").read_text(encoding="utf-8"))
    found = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Fault")
    return {method.name for method in found.body if isinstance(method, ast.FunctionDef)}


def public_definitions(tree: ast.Module) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """Yield module-level names, and methods of public classes, that don't start with `_`."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name.startswith("_"):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    yield method


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    own = group_of(name_of(path))
    assert own in RANK, f"{own} has no place in ORDER, at the top of this file"
    for line, name in imports_of(ast.parse(path.read_text(encoding="utf-8"))):
        other = group_of(name)
        assert other in RANK, f"{path}:{line}: {other} has no place in ORDER"
        assert RANK[other] <= RANK[own], f"{path}:{line}: {own} must not import {name}"


def test_the_listing_is_the_line_of_data() -> None:
    # A folder that has gone may have left what Python compiled there.
    here = {path.relative_to(SOURCE / "underlay").parts[0].removesuffix(".py") for path in MODULES}
    assert here - {"__init__"} == set(ORDER) - {"underlay"}


def graph() -> dict[str, set[str]]:
    """Return the modules of this project that each of them imports, wherever the import stands."""
    names = {name_of(path) for path in MODULES}
    found: dict[str, set[str]] = {}
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found[name_of(path)] = here = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                here |= {alias.name for alias in node.names} & names
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                here |= (inner & names) or ({node.module} & names)
    return found


def test_a_plan_is_read_without_any_third_party_import() -> None:
    # Each ssh to a User Mode Linux node starts this, in a python without site-packages.
    proxy = Path("src/underlay/cluster/providers/uml/proxy.py").resolve()
    folder = Path("no-such-lab").resolve()
    said = subprocess.run(
        [sys.executable, "-I", "-S", str(proxy), str(folder), "192.0.2.1", "22"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "ModuleNotFoundError" not in said.stderr


def test_no_circles_of_files() -> None:
    """Not even by an import within a function, or one that is for types alone."""
    sorter = TopologicalSorter(graph())
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_public_names_have_docstrings(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path} has no docstring"
    known = overridden() if path.parent.name == "catalogue" else set()
    lacking = [
        f"{path}:{node.lineno}: {node.name}"
        for node in public_definitions(tree)
        if not ast.get_docstring(node) and node.name not in known
    ]
    assert not lacking, f"without docstring: {', '.join(lacking)}"
