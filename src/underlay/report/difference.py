"""What changes between two labs, as text for a terminal."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Literal

from underlay.errors import count
from underlay.expect import asked_as
from underlay.lab.text import quoted
from underlay.proof.difference.keys import NOTHING
from underlay.report.found_errors import new_found_section
from underlay.report.page import Page
from underlay.report.proven import proven_section
from underlay.report.statement_changes import statement_changes_section
from underlay.report.terminal import PAIRS_SHOWN, VALUES_SHOWN, plain, value_text
from underlay.report.wanted import wanted_section

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.text import Text

    from underlay.expect import End, Value
    from underlay.proof.difference.blocks import Block, Group, Outcome
    from underlay.proof.difference.cells import Change, Difference, What
    from underlay.proof.difference.keys import KeyChange
    from underlay.proof.difference.results import LabDifference

Verb = Literal["go", "come"]

LONGEST_VALUE = 80
LONGEST_TEXT = 50
HANG = 4
ENDS_NAMED = 12
MOVED_SHOWN = 6
SIGNS = {"lost": "-", "gained": "+", "changed": "~", "came": " ", "went": " "}
ONLY = {"came": "are there only now", "went": "were there only before"}
STYLES = {"lost": "bold red", "gained": "green", "changed": "yellow", "came": "", "went": ""}
# A word of YAML that needs no quotes, and what would then be no text.
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@*-]+")
_NO_TEXT = re.compile(r"[-+0-9.]+|0[ox].*|true|false|null|~", re.IGNORECASE)


def difference_text(
    results: Sequence[LabDifference], *, width: int = 100, ascii_only: bool = False
) -> Text:
    """Return all differences as one text whose prose is wrapped at ``width`` columns.

    Of several labs, those without a difference are only counted.
    """
    page = Page(width, ascii_only)
    several = len(results) > 1
    for result in results:
        if several and not worth_showing(result):
            continue
        _of_lab(result, page)
        page.text.append("\n" if several else "")
    if several:
        page.line(all_in_a_line(results), "bold")
    return plain(page)


def worth_showing(result: LabDifference) -> bool:
    """Whether there is anything to say of one of several labs."""
    otherwise = result.proof is not None and result.proof.exit_code
    judged = result.breaks_intent or result.new_errors
    return bool(result.any or result.keys or judged or otherwise)


def all_in_a_line(results: Sequence[LabDifference]) -> str:
    """Return how many of several labs differ, and what that comes to."""
    differ = sum(result.any for result in results)
    head = f"{count(len(results), 'lab')}: {len(results) - differ} as before, {differ} not"
    broken = sum(one.word != "kept" for result in results for one in result.intent)
    if broken:
        head += f", {count(broken, 'statement')} not kept"
    errors = sum(result.new_errors for result in results)
    if errors:
        head += f", {count(errors, 'error')} of lint only now"
    if not differ:
        return head
    gone = sum(change.what != "came" for result in results for change in result.statements)
    if gone:
        head += f", {count(gone, 'statement')} gone or changed"
    numbers = {what: sum(r.counts[what] for r in results) for what in ("lost", "changed", "gained")}
    return f"{head}: {', '.join(f'{number} {what}' for what, number in numbers.items())}"


def names_of(result: LabDifference) -> tuple[str, str]:
    """Return how the old and the new file are called, nothing for one that isn't there."""
    old, new = result.pair.old, result.pair.new
    return old.text.file if old else "", new.text.file if new else ""


def sum_of(result: LabDifference) -> str:
    """Return in a line how many cells there are, and how many aren't as before."""
    counts = result.counts
    words = [f"{counts[what]} {what}" for what in ("lost", "changed", "gained")]
    there = counts["came"] + counts["went"]
    if there:
        words.append(f"{there} others only before or only now")
    return f"{count(result.cells, 'cell')}: {result.same} as before, {', '.join(words)}"


def _of_lab(result: LabDifference, page: Page) -> None:
    old, new = names_of(result)
    difference = result.difference
    if difference is None:
        head = f"{old} is gone" if old else f"{new} is new"
        page.line(f"{head}: {sum_of(result)}", STYLES["lost"] if old else STYLES["gained"])
        new_found_section(result.errors, new, page)
        wanted_section(result.intent, page, result.intent_before)
        statement_changes_section(result.statements, page)
        return
    page.line(f"{old} → {new}", "bold")
    page.line(sum_of(result))
    new_found_section(result.errors, new, page)
    _keys(result.keys, page)
    wanted_section(result.intent, page, result.intent_before)
    statement_changes_section(result.statements, page)
    # What is lost comes first, however much else there is.
    _groups(result, page, lost=True)
    _ends(result, "go", page)
    _groups(result, page, lost=False)
    _values(difference, page)
    _ends(result, "come", page)
    _moved(difference, page)
    if result.proof is not None:
        proven_section(result.proof, page)


def _keys(keys: Iterable[KeyChange], page: Page) -> None:
    lines = [key_words(key) for key in keys]
    page.text.append("\nKeys that differ\n" if lines else "\nNo key differs\n", "bold")
    for line in lines:
        page.line(line, indent=2, hang=HANG)


def key_words(key: KeyChange) -> str:
    """Return a key with its values before and now, and its lines in both files."""
    return f"{key.path or 'the file'}: {changed_words(key)} ({lines_words(key)})"


def changed_words(key: KeyChange) -> str:
    """Return the values of a key, before and now."""
    return f"{yaml_words(key.old)} -> {yaml_words(key.new)}"


def lines_words(key: KeyChange) -> str:
    """Return on which lines a key stands, in words."""
    old, new = _line_of(key.old_file, key.old_line), _line_of(key.new_file, key.new_line)
    if key.old_line and key.new_line:
        return f"{old}, {new}"
    return f"{new}, only now" if key.new_line else f"{old}, only before"


def _line_of(file: str, line: int) -> str:
    """Return a line of the lab file, or of a host's own file."""
    return f"{file}:{line}" if file else f"line {line}"


def yaml_words(value: Any) -> str:
    """Return a value of a lab file in one line as YAML has it; one that is too long in words."""
    words = "nothing" if value is NOTHING else yaml_flow(value)
    if len(words) <= LONGEST_VALUE:
        return words
    return yaml_flow(f"{value[:LONGEST_TEXT]}…") if isinstance(value, str) else quoted(value)


def yaml_flow(value: Any) -> str:
    """Return a value of a lab file in one line as YAML has it, however long that is."""
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{yaml_flow(key)}: {yaml_flow(one)}" for key, one in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(yaml_flow, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not _NO_TEXT.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def title(group: Group) -> str:
    """Return what became of a group's cells, in words."""
    cells = count(group.cells, "cell")
    if group.what in ("came", "went"):
        return f"{cells} that {ONLY[group.what]}, unreachable"
    as_before = ", unreachable as before" if group.what == "changed" else ""
    return f"{group.what}: {cells}{as_before}"


def outcome_words(outcome: Outcome) -> str:
    """Return what is expected, where it stops and by which rule, without the reason."""
    if not outcome.rule:
        return "there is no such cell"
    stop = f", {outcome.stop}" if outcome.stop else ""
    return f"{'reachable' if outcome.reachable else 'unreachable'}{stop} ({outcome.rule})"


def block_words(block: Block) -> str:
    """Return between which networks a block's cells are, and how many of them changed."""
    where = f", {block.where}" if block.where else ""
    by = f" by {' '.join(block.protocols)}" if block.protocols else ""
    number = "all " if block.whole and block.of > 1 else ""
    of = count(block.of, "cell") if block.whole else f"{len(block.changes)} of {block.of} cells"
    return f"{block.source} → {block.destination}{where}: {number}{of}{by}"


def pairs_words(block: Block) -> list[str]:
    """Return whose cells changed, where not all of a block did; few lines for many."""
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for change in block.changes:
        label = asked_as(change.cell.protocol, change.cell.family)
        pairs[change.source, change.destination].append(label)
    sources = list(dict.fromkeys(source for source, _ in pairs))
    destinations = list(dict.fromkeys(destination for _, destination in pairs))
    if len(pairs) > 1 and len(sources) == 1:
        return [f"from {sources[0]} to {_some(destinations)}"]
    if len(pairs) > 1 and len(destinations) == 1:
        return [f"to {destinations[0]} from {_some(sources)}"]
    shown = list(pairs.items())
    rest = 0
    if len(shown) > PAIRS_SHOWN + 1:
        rest = len(shown) - PAIRS_SHOWN
        shown = shown[:PAIRS_SHOWN]
    lines = [f"{source} → {there}  {' '.join(labels)}" for (source, there), labels in shown]
    return [*lines, f"and {count(rest, 'pair')} more"] if rest else lines


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:PAIRS_SHOWN])
    rest = len(names) - PAIRS_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown


def by_keys(result: LabDifference, group: Group) -> str:
    """Say which keys make a group's cells what they are; nothing where that isn't known."""
    if result.group_keys is None:
        return ""
    keys = result.group_keys[result.groups.index(group)]
    words = ", ".join(f"{key.path} ({lines_words(key)})" for key in keys.alone)
    if not keys.together:
        return words
    return f"{words}; some only by several keys together" if words else "several keys together"


def _groups(result: LabDifference, page: Page, *, lost: bool) -> None:
    """Append what becomes of cells whose ends stay: of those that are lost, or of the others."""
    for group in result.groups:
        if group.stays and lost == (group.what == "lost"):
            _group(group, by_keys(result, group), page)


def _group(group: Group, keys: str, page: Page) -> None:
    sign, style = SIGNS[group.what], STYLES[group.what]
    page.text.append("\n")
    page.line(title(group), style, 2, sign)
    for block in group.blocks:
        page.line(block_words(block), indent=4, hang=HANG)
        for line in [] if block.whole else pairs_words(block):
            page.line(line, indent=6, hang=HANG)
    if group.before.rule:
        page.line(_with_reason(group.before, group.now.reachable), "", 10, "  before")
    if group.now.rule:
        page.line(_with_reason(group.now, not group.now.reachable), "", 10, "  now")
    decides = group.now if group.now.rule else group.before
    page.line(decides.reference, "dim", 10)
    if keys:
        page.line(keys, "", 10, "  by key", HANG)


def _with_reason(outcome: Outcome, reason: bool) -> str:
    """Return an outcome in words; why something is reachable is told where nothing else decides."""
    further = f" And {outcome.further} alike." if outcome.further else ""
    return f"{outcome_words(outcome)}{f': {outcome.because}{further}' if reason else ''}"


def value_changes(difference: Difference) -> dict[str, list[Change]]:
    """Return the cells of kind value that have another value, by how they are asked."""
    checks: dict[str, list[Change]] = defaultdict(list)
    for change in difference.changes:
        if change.cell.kind == "value" and change.what == "changed":
            checks[asked_as(change.cell.protocol, change.cell.family)].append(change)
    return dict(checks)


def value_words(changes: Iterable[Change]) -> str:
    """Name what most of the cells had and have: their values, or of lists what is new or gone."""
    pairs = Counter(
        _value_change(change.old.value, change.new.value)
        for change in changes
        if change.old and change.new
    )
    shown = [f"{words} ({number})" for words, number in pairs.most_common(VALUES_SHOWN)]
    rest = len(pairs) - len(shown)
    return "; ".join(shown) + (f"; and {count(rest, 'other')}" if rest else "")


def _value_change(old: Value, new: Value) -> str:
    if isinstance(old, str) or isinstance(new, str):
        return f"{value_text(old)} → {value_text(new)}"
    gone = ", ".join(one for one in old if one not in new)
    more = ", ".join(one for one in new if one not in old)
    return " and ".join([f"without {gone}"] * bool(gone) + [f"with {more}"] * bool(more))


def _values(difference: Difference, page: Page) -> None:
    checks = value_changes(difference)
    others: Counter[What] = Counter(
        change.what
        for change in difference.changes
        if change.cell.kind == "value" and change.what != "changed"
    )
    if not checks and not others:
        return
    page.text.append("\nWhat is to be seen\n", "bold")
    wide = max(map(len, checks), default=0)
    for label, changes in checks.items():
        words = f"{count(len(changes), 'cell')} changed: {value_words(changes)}"
        page.line(words, "yellow", wide + 4, f"~ {label}")
    only: tuple[tuple[What, str], ...] = (("went", "only before"), ("came", "only now"))
    for what, words in only:
        if others[what]:
            page.line(f"{count(others[what], 'cell')} {words}", indent=2, first="  ")


def ends_words(ends: Iterable[End]) -> str:
    """Name ends with their nodes, the first of many."""
    named = [f"{end.name} ({end.node})" if end.kind == "container" else end.name for end in ends]
    rest = len(named) - ENDS_NAMED
    shown = ", ".join(named[:ENDS_NAMED])
    return f"{shown} and {rest} more" if rest > 0 else shown


def moved_words(old: End, new: End) -> str:
    """Say what of an end that stays is another: its name, node, network or addresses."""
    parts = [
        (f"was {old.name}", old.name != new.name),
        (f"{old.node} → {new.node}", old.node != new.node),
        (f"{old.network} → {new.network}", old.network != new.network),
        (f"{old.address or 'none'} → {new.address or 'none'}", old.address != new.address),
        (f"{old.address6 or 'none'} → {new.address6 or 'none'}", old.address6 != new.address6),
    ]
    return f"{new.name}: {', '.join(words for words, differs in parts if differs)}"


def ends_that(result: LabDifference, verb: Verb) -> tuple[tuple[End, ...], list[Group]]:
    """Return the ends that come or go, and what becomes of the cells with them, losses first."""
    difference = result.difference
    if difference is None:
        return (), []
    ends = difference.come if verb == "come" else difference.go
    whats = ("gained", "came") if verb == "come" else ("lost", "went")
    return ends, [group for group in result.groups if not group.stays and group.what in whats]


def _ends(result: LabDifference, verb: Verb, page: Page) -> None:
    ends, groups = ends_that(result, verb)
    if not ends:
        return
    page.text.append(f"\nEnds that {verb}: {len(ends)}\n", "bold")
    page.line(ends_words(ends), indent=2, first="  ")
    for group in groups:
        _group_of_ends(group, page)


def _moved(difference: Difference, page: Page) -> None:
    moved = difference.moved
    if not moved:
        return
    page.text.append(
        f"\nEnds that stay under another address, node or name: {len(moved)}\n", "bold"
    )
    for old, new in moved[:MOVED_SHOWN]:
        page.line(moved_words(old, new), indent=2, first="  ")
    if len(moved) > MOVED_SHOWN:
        page.line(f"and {len(moved) - MOVED_SHOWN} more", indent=2, first="  ")


def _group_of_ends(group: Group, page: Page) -> None:
    """Append what becomes of cells of ends that come or go; of unreachable ones only how many."""
    sign, style = SIGNS[group.what], STYLES[group.what]
    for words in of_ends_words(group):
        page.line(words, style, 4, f"  {sign}", HANG)


def of_ends_words(group: Group) -> list[str]:
    """Return what becomes of a group's cells, which are of ends that come or go."""
    if group.what in ("came", "went"):
        outcome = group.now if group.now.rule else group.before
        return [f"{count(group.cells, 'cell')} {outcome_words(outcome)}"]
    outcome = group.now if group.what == "gained" else group.before
    return [f"{block_words(block)} {outcome_words(outcome)}" for block in group.blocks]
