"""The verdict for people: the matrix, one line that sums it up, what differs, what was seen."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from rich.text import Text

from underlay.errors import count
from underlay.expect import FAMILIES
from underlay.report.intent import intent_words
from underlay.report.live import live_section, unsized_words
from underlay.report.matrix import DIFFERS, MIXED, NOT_MEASURED, matrix, sign_of
from underlay.report.page import Page
from underlay.report.strangers import strangers_section
from underlay.report.unplanned import unplanned_section
from underlay.report.wanted import wanted_section

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from rich.console import Console

    from underlay.expect import End, Value
    from underlay.verdict import Cell, Verdict

# Columns that a page's prose has at most: longer lines are hard to read.
PAGE_WIDTH = 100
PAIRS_SHOWN = 5
ENDS_SHOWN = 4
STOPS = {
    "no_route": "there was no route to send it by",
    "not_sent": "nothing left the source",
    "no_neighbour": "nobody answered ARP",
    "no_answer": "no answer came",
    "refused": "it was refused",
}
_MEASURING = ("start", "probe", "collect")
VALUES_SHOWN = 3
DIFFERENCES_SHOWN = 12


def ascii_only(encoding: str | None) -> bool:
    """Return whether a stream of this encoding cannot show the report's signs."""
    try:
        "●◐✗→".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def page_form(console: Console) -> tuple[int, bool]:
    """Return the columns that a page has on ``console``, and whether it is ``ascii_only`` there."""
    return min(console.width, PAGE_WIDTH), ascii_only(console.encoding)


def report(
    verdict: Verdict,
    ends: Sequence[End],
    *,
    width: int = 100,
    ascii_only: bool = False,
    wide: bool = False,
) -> Text:
    """Return the whole report as one text whose prose is wrapped at ``width`` columns.

    Print it with ``soft_wrap=True``: lines of the matrix must not be wrapped again.
    """
    page = Page(width, ascii_only)
    page.text.append("rows ask, columns answer\n\n", "dim")
    page.text.append_text(matrix(verdict, ends, width=width, ascii_only=ascii_only, wide=wide))
    page.text.append("\n\n")
    summary = verdict.summary
    summary_line(verdict, page.text)
    _families(verdict, page)
    _mixed(verdict, page)
    wanted_section(verdict.intent, page, measured=True)
    _owners(verdict, page)
    _differences(verdict, page)
    _value_table(verdict, page)
    not_measured_section(verdict, page)
    live_section(verdict, page)
    unplanned_section(verdict, page)
    strangers_section(verdict, page)
    # On a red check these sentences would only push the facts off the screen.
    if not summary.differs:
        _reasons(verdict, page)
    return plain(page)


def plain(page: Page) -> Text:
    """Return the text of ``page``, without arrows and dots where only ASCII can be printed."""
    return plain_text(page.text) if page.ascii_only else page.text


def plain_text(text: Text) -> Text:
    """Return ``text`` with what ASCII has in the place of arrows and dots."""
    text.plain = text.plain.translate({ord("→"): ">", ord("·"): "-"})
    return text


def summary_line(verdict: Verdict, text: Text | None = None) -> Text:
    """Append the line that sums the verdict up to ``text``, and return it."""
    text = Text() if text is None else text
    summary = verdict.summary
    fine = verdict.exit_code == 0
    text.append(f"{summary.cells} cells: ", "bold")
    text.append(f"{summary.as_expected} as expected", "green" if fine else "")
    text.append(", ")
    text.append(f"{summary.differs} differ", "bold red" if summary.differs else "")
    text.append(", ")
    text.append(
        f"{summary.not_measured} not measured", "bold yellow" if summary.not_measured else ""
    )
    seconds = sum(verdict.timings.get(phase, 0) for phase in _MEASURING)
    if summary.unplanned:
        text.append(", ")
        text.append(f"{summary.unplanned} unplanned", "bold yellow")
    if wanted := intent_words(verdict):
        text.append(", ")
        text.append(wanted, "green" if fine else "bold red" if summary.statements_broken else "")
    if sizes := unsized_words(verdict):
        text.append(", ")
        text.append(sizes, "bold yellow")
    if summary.left_out:
        by = f" by {verdict.left_out_by}" if verdict.left_out_by else ""
        text.append(f", {summary.left_out} left out{by}")
    text.append(f" · {seconds:.1f} s\n" if seconds else "\n")
    if summary.stopped_elsewhere:
        of = f"{summary.stopped_elsewhere} of those that differ are unreachable as expected"
        text.append(f"{of}, but stopped elsewhere\n")
    if summary.leaks:
        text.append(f"{summary.leaks} got no answer, as expected, but the request arrived\n")
    if summary.lost:
        text.append(f"{count(summary.lost, 'packet')} lost, and resent with success\n")
    return text


def _families(verdict: Verdict, page: Page) -> None:
    """Say how many cells are of each family, where there are two: the matrix doesn't show it."""
    told = []
    for family in FAMILIES:
        cells = [cell for cell in verdict.cells if cell.family == family]
        fine = sum(cell.measured and not cell.differs for cell in cells)
        told += [f"{fine} of {count(len(cells), 'cell')} as expected"] if cells else []
    if len(told) > 1:
        parts = zip(FAMILIES, told, strict=True)
        page.line(", ".join(f"IPv{family}: {words}" for family, words in parts))


def _mixed(verdict: Verdict, page: Page) -> None:
    """Say which protocols reach where a sign of the matrix stands for some of each."""
    pairs: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in verdict.reach:
        pairs[cell.source, cell.destination].append(cell)
    mixed_line(
        (
            (cell.label, cell.destination, cell.observed == "reachable")
            for cells in pairs.values()
            if sign_of(cells) is MIXED
            for cell in cells
        ),
        page,
    )


def mixed_line(told: Iterable[tuple[str, str, bool]], page: Page) -> None:
    """Append a line about pairs that some protocols reach: label, destination, whether it does."""
    asked: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for label, destination, reaches in told:
        asked[label].append((destination, reaches))
    words = []
    for label, cells in asked.items():
        reached = [destination for destination, reaches in cells if reaches]
        lost = [destination for destination, reaches in cells if not reaches]
        words.append(f"{label} {len(reached)} of {len(cells)}")
        if reached and lost:
            whole = not set(lost) & set(reached)
            words[-1] += _named("to", reached) or (_named("not to", lost) if whole else "")
    if words:
        line = f"reachable of some of each: {', '.join(words)}"
        page.line(line, indent=2, first=MIXED.text(page.ascii_only))


def _named(words: str, ends: list[str]) -> str:
    """Return the few ``ends`` in brackets, or nothing where they are many."""
    names = list(dict.fromkeys(ends))
    return f" ({words} {', '.join(names)})" if len(names) <= ENDS_SHOWN else ""


def _differences(verdict: Verdict, page: Page) -> None:
    groups = _grouped(
        verdict.reach,
        lambda cell: (
            cell.expected,
            cell.observed,
            cell.stopped_at,
            bool(cell.answered_by),
            cell.expected_stop if cell.elsewhere else "",
            cell.leaks,
        ),
        lambda cell: cell.differs,
    )
    for cells in groups:
        one = cells[0]
        what = f"expected {one.expected}, observed {one.observed}"
        if one.elsewhere:
            what = "unreachable as expected, but not where expected: "
            what += f"{one.stopped_at} instead of {one.expected_stop}"
        elif one.leaks:
            what = "no answer, as expected, but the request arrived"
        elif one.answered_by:
            what += ": somebody else answered"
        elif one.stopped_at:
            what += f": {STOPS[one.stopped_at]} ({one.stopped_at})"
        sign = DIFFERS.text(page.ascii_only)
        page.text.append("\n")
        page.line(f"{count(len(cells), 'cell')}: {what}", DIFFERS.style, 2, sign)
        _pairs(cells, page)
        arrived = sum(cell.arrived for cell in cells)
        if one.observed == "unreachable" and arrived:
            page.line(f"The request itself arrived in {arrived} of them.", indent=4)
        for reason in _distinct(cell.reason for cell in cells):
            page.line(f"At the source: {reason}.", indent=4)
        for because in _distinct(f"{cell.because}\n{cell.reference}" for cell in cells):
            sentence, _, reference = because.partition("\n")
            page.line(f"Expected so because: {sentence}", indent=4)
            page.line(reference, "dim", 6)


def _owners(verdict: Verdict, page: Page) -> None:
    owners: dict[str, list[str]] = defaultdict(list)
    counted: dict[str, int] = defaultdict(int)
    for rivals in verdict.rivals:
        owners[rivals.address] += [rivals.meant, rivals.answered_by]
        counted[rivals.address] += rivals.cells
    page.text.append("\n" if owners else "")
    for address, names in owners.items():
        several = sorted(set(names))
        wrong = count(counted[address], "cell")
        page.line(
            f"{address} has {len(several)} owners: {', '.join(several)}. In {wrong} another "
            "than the one meant answered.",
            "bold",
        )


def not_measured_section(verdict: Verdict, page: Page) -> None:
    """Append the cells that were not measured, by the reason."""
    for cells in _grouped(verdict.cells, lambda cell: cell.reason, lambda cell: not cell.measured):
        page.text.append("\n")
        page.line(
            f"{count(len(cells), 'cell')} not measured: {cells[0].reason}",
            NOT_MEASURED.style,
            2,
            NOT_MEASURED.text(page.ascii_only),
        )
        _pairs(cells, page)


def _reasons(verdict: Verdict, page: Page) -> None:
    """People learn here why a node cannot reach its own macvlan child."""
    told = [
        (cell.because, cell.expected_stop, cell.reference)
        for cell in verdict.reach
        if cell.expected == "unreachable"
    ]
    reasons_section(told, page, "Why cells are expected to be unreachable")


def reasons_section(told: Iterable[tuple[str, str, str]], page: Page, title: str) -> None:
    """Append why cells are to be unreachable: for each its because, its stop, its reference."""
    groups: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for one in told:
        groups[one[0]].append(one)
    if not groups:
        return
    page.text.append(f"\n{title}\n", "bold")
    for cells in sorted(groups.values(), key=len, reverse=True):
        because, stop, reference = cells[0]
        page.line(f"{because} ({stop})", indent=7, first=f"{len(cells):>5}")
        page.line(reference, "dim", 7)


def _pairs(cells: Sequence[Cell], page: Page) -> None:
    """List who could not reach whom, a few of many."""
    protocols: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for cell in cells:
        protocols[cell.source, cell.destination, cell.answered_by].append(cell.label)
    shown = list(protocols.items())
    rest = 0
    if len(shown) > PAIRS_SHOWN + 1:
        rest = sum(len(names) for _, names in shown[PAIRS_SHOWN:])
        shown = shown[:PAIRS_SHOWN]
    wide = max(len(f"{source} → {destination}") for (source, destination, _), _ in shown)
    for (source, destination, by), names in shown:
        page.text.append(f"    {f'{source} → {destination}':<{wide}}  {' '.join(names)}")
        page.text.append(f"  answered by {by}\n" if by else "\n")
    if rest:
        page.text.append(f"    and {count(rest, 'cell')} alike\n")


def _grouped(
    cells: Iterable[Cell], key: Callable[[Cell], Hashable], wanted: Callable[[Cell], bool]
) -> list[list[Cell]]:
    groups: dict[Hashable, list[Cell]] = defaultdict(list)
    for cell in cells:
        if wanted(cell):
            groups[key(cell)].append(cell)
    return sorted(groups.values(), key=len, reverse=True)


def _distinct(words: Iterable[str]) -> list[str]:
    return [word for word in dict.fromkeys(words) if word][:3]


def _value_table(verdict: Verdict, page: Page) -> None:
    """Append the table of ``verdict``'s cells of kind value to ``page``, if there are any."""
    checks: dict[str, list[Cell]] = defaultdict(list)
    for cell in verdict.values:
        checks[cell.label].append(cell)
    if not checks:
        return
    page.text.append("\nWhat was seen\n", "bold")
    wide = max(map(len, checks))
    for label, cells in checks.items():
        fine = sum(cell.measured and not cell.differs for cell in cells)
        head = f"{label:<{wide}}  {fine} of {count(len(cells), 'cell')} as expected"
        seen = common_values(cell.observed for cell in cells if cell.measured)
        page.line(f"{head}: {seen}", indent=wide + 4, first="  ")
    differing = [cell for cell in verdict.values if cell.differs]
    for cell in differing[:DIFFERENCES_SHOWN]:
        page.line(
            f"{cell.label} {cell.source} → {cell.destination}: expected "
            f"{value_text(cell.expected)}, observed {value_text(cell.observed)}",
            DIFFERS.style,
            2,
            DIFFERS.text(page.ascii_only),
        )
        page.line(f"Expected so because: {cell.because}", indent=4)
        page.line(cell.reference, "dim", 6)
    if len(differing) > DIFFERENCES_SHOWN:
        page.line(f"and {count(len(differing) - DIFFERENCES_SHOWN, 'cell')} more", indent=4)


def value_text(value: Value) -> str:
    """Return a value as people read it."""
    if isinstance(value, str):
        return value
    return ", ".join(value) or "nobody"


def common_values(values: Iterable[Value]) -> str:
    """Name the values that are there most often, and how often."""
    seen = Counter(value_text(value) for value in values)
    shown = [f"{value} ({number})" for value, number in seen.most_common(VALUES_SHOWN)]
    rest = len(seen) - len(shown)
    return "; ".join(shown) + (f"; and {count(rest, 'other value')}" if rest else "")
