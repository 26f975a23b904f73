"""The statements of what is wanted that aren't as before, for people and as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from underlay.errors import count
from underlay.expect.intent import reasons
from underlay.report.wanted import because_lines, word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.proof.difference.statements import StatementChange
    from underlay.report.page import Page

SIGNS = {"went": "-", "changed": "~", "came": "+"}


def statement_changes_section(changes: Iterable[StatementChange], page: Page) -> None:
    """Append a line for each statement that isn't as before, and why one is lost."""
    changes = tuple(changes)
    if changes:
        page.text.append("\nStatements that differ\n", "bold")
    for change in changes:
        style = "bold red" if change.loses else ("green" if change.what == "came" else "yellow")
        page.line(change_words(change), style, 4, f"  {SIGNS[change.what]}")
        because_lines(loss_reasons(change), page)


def change_words(change: StatementChange) -> str:
    """Return in words what became of a statement, and whether the new lab keeps the old one."""
    old, new = change.old, change.new
    if old and new:
        said = f"line {old.line}, line {new.line}: {old.text} is now {new.text}"
    elif old:
        said = f"line {old.line}, only before: {old.text}"
    else:
        assert new is not None
        said = f"line {new.line}, only now: {new.text}"
    return f"{said}{_would_words(change)}"


def _would_words(change: StatementChange) -> str:
    one = change.would
    if one is None:
        return ""
    if not one.cells:
        return ", of which no cell is left"
    if one.word == "kept":
        return ", which the new lab would keep"
    how = f"by {len(one.broken)} of {count(len(one.cells), 'cell')}"
    return f", which the new lab breaks {how}{'' if change.loses else ', as the old one did'}"


def loss_reasons(change: StatementChange) -> list[tuple[str, str]]:
    """Return why the new lab is against a statement that isn't there any more, as ``reasons``."""
    if not change.loses or change.would is None:
        return []
    return reasons(change.would.statement.never, change.would.broken)


def statement_changes_document(changes: Iterable[StatementChange]) -> list[dict[str, Any]]:
    """Return the statements that aren't as before as JSON values."""
    return [
        {
            "change": change.what,
            "old": change.old.text if change.old else None,
            "new": change.new.text if change.new else None,
            "old_line": change.old.line if change.old else None,
            "new_line": change.new.line if change.new else None,
            "before": change.before or None,
            "would": word(change.would) if change.would else None,
        }
        for change in changes
    ]
