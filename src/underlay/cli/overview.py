"""Which verbs there are: the files of cli/verbs/, read without importing any of them.

A verb says itself to which group of ``--help`` it belongs (``GROUP``), where in it (``ORDER``),
and what it does (the first line of its command's docstring). Importing 25 verbs to list them
would cost half a second; only the beginnings of their files are parsed, which takes 20 ms.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "verbs"
GROUPS = ("Labs", "Running labs", "Faults", "Workshops", "Your machines", "Files", "This machine")
COMMAND = "command"
QUOTES = '"""'


@dataclass(frozen=True)
class Entry:
    """A verb as ``--help`` lists it. Within its group, verbs are sorted by ``order``."""

    name: str
    group: str
    order: int
    summary: str


def is_verb(word: str) -> bool:
    """Whether ``word`` is the name of a verb."""
    return word in {file.stem for file in _files()}


def entries() -> list[Entry]:
    """Return all verbs in the order of ``--help``."""
    found = [_entry(file) for file in _files()]
    return sorted(found, key=lambda e: (GROUPS.index(e.group), e.order, e.name))


def summaries() -> dict[str, str]:
    """Return every verb with its one-line summary, in the order of ``--help``."""
    return {entry.name: entry.summary for entry in entries()}


def verb_lines() -> list[str]:
    """Return the lines of ``--help`` that list the verbs, an empty line before each group."""
    lines = []
    group = ""
    for entry in entries():
        if entry.group != group:
            group = entry.group
            lines += ["", f"{group}:"]
        lines.append(f"  {entry.name:<10} {entry.summary}")
    return lines


def _files() -> list[Path]:
    return [file for file in FOLDER.glob("*.py") if file.stem != "__init__"]


def _entry(file: Path) -> Entry:
    tree = ast.parse(_beginning(file.read_text(encoding="utf-8")))
    values: dict[str, object] = {}
    summary = ""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            values |= {t.id: node.value.value for t in node.targets if isinstance(t, ast.Name)}
        elif isinstance(node, ast.FunctionDef) and node.name == COMMAND:
            summary = (ast.get_docstring(node) or "").partition("\n")[0]
    group, order = values.get("GROUP"), values.get("ORDER")
    if group not in GROUPS or not isinstance(order, int) or not summary:
        wanted = f"GROUP (one of {', '.join(GROUPS)}), ORDER and a {COMMAND} with a docstring"
        raise LookupError(f"{file}: a verb needs {wanted}")
    return Entry(file.stem, str(group), order, summary)


def _beginning(text: str) -> str:
    """Return ``text`` up to the end of the command's docstring, which is whole Python, too.

    What follows is two thirds of the code, and nothing that is asked for here.
    """
    command = text.find(f"\ndef {COMMAND}(")
    opening = text.find(QUOTES, command)
    closing = text.find(QUOTES, opening + len(QUOTES))
    return text if -1 in (command, opening, closing) else text[: closing + len(QUOTES)]
