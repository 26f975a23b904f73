"""A run as JUnit XML, for whatever shows tests: a suite per pair of networks, a case per source.

A case fails where a cell of its source differs, with the cause where one is known. What wasn't
measured is an error, and never skipped: it is no pass. Statements of what is wanted are a suite of
their own, and so is, where it counts, what nobody planned.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from underlay.errors import count
from underlay.expect.intent import broken_words
from underlay.report.after import lines
from underlay.report.cell_words import asked, became, networks
from underlay.report.live import warmth
from underlay.report.pasted import commands, ended_words
from underlay.report.results import ended_early
from underlay.report.run import choice_words
from underlay.report.strangers import because, described
from underlay.report.unplanned import KINDS, cause

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from underlay.expect.intent import Judged
    from underlay.faults import Cell as Name
    from underlay.proof.explanation import Cause, Explanation
    from underlay.proof.result import LabResult
    from underlay.proof.runs.schema import Event, Run, SavedLab
    from underlay.report.run import Told
    from underlay.verdict import Cell

NAME = "underlay check"
CELLS_SHOWN = 20
LINES_SHOWN = 12
# What XML 1.0 can't hold, whichever way it is written (2.2, Char).
NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Suites(JUnitXml):  # type: ignore[misc]
    """All suites, without an attribute that Jenkins' schema has for single ones alone.

    Its xunit-plugin refuses a file by types/model/xsd/junit-10.xsd. What is assigned here stays an
    attribute of the object.
    """

    skipped = 0


def junit_text(told: Told) -> str:
    """Return a run as JUnit XML; one that ended early has an error that says so."""
    run = told.run
    page = _Suites(NAME)
    named: list[tuple[str, list[TestCase]]] = []
    for lab in run.labs:
        result = told.results.by_lab[lab.lab]
        named += [*_cells(lab, result), *_wanted(lab, result), *_not_planned(lab, result)]
        named += [(f"{lab.lab}: after {one.event}", _after(one)) for one in lab.after]
    if early := ended_early(run):
        detail = run.error.detail if run.error else ""
        named.append((NAME, [_case("the run comes to its end", Error(_xml(early)), detail)]))
    for name, cases in named:
        page.add_testsuite(_suite(run, choice_words(told), _xml(name), cases))
    page.update_statistics()
    page.time = round(run.seconds, 3)
    stream = io.BytesIO()
    page.write(stream)
    return stream.getvalue().decode() + "\n"


def _suite(run: Run, chosen: str, name: str, cases: Sequence[TestCase]) -> TestSuite:
    suite = TestSuite(name)
    suite.timestamp = run.began.partition("+")[0]
    # They stand before the cases: the schemas of some readers have an order.
    for part, version in run.stands_on.items():
        suite.add_property(part, _xml(version))
    if chosen:
        suite.add_property("chosen", _xml(chosen))
    for lab in run.labs:
        if lab.live is not None and name.startswith(lab.lab):
            suite.add_property("tables", _xml(warmth(lab.live)))
    for case in cases:
        case.classname = name
    suite.add_testcases(cases)
    return suite


def _cells(lab: SavedLab, result: LabResult) -> Iterator[tuple[str, list[TestCase]]]:
    """Yield the name and the cases of each pair of networks; an error where there is no cell."""
    network_of = networks(lab.ends)
    pairs: dict[tuple[str, str], dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in result.verdict.cells:
        pair = (
            network_of.get(cell.source, ""),
            network_of.get(cell.destination, cell.destination),
        )
        pairs[pair][cell.source].append(cell)
    # All cells are asked at once: a case has its share of the time, and cases add up to it.
    share = result.verdict.timings.get("measure", 0.0) / max(1, len(result.verdict.cells))
    for (source, destination), sources in pairs.items():
        cases = [_of_source(name, cells, result) for name, cells in sources.items()]
        for case, cells in zip(cases, sources.values(), strict=True):
            case.time = round(share * len(cells), 4)
        yield f"{lab.lab}: {source} → {destination}", cases
    if not result.verdict.cells:
        why = result.error.message if result.error else "it has no cell"
        yield lab.lab, [_case("its cells", Error(_xml(f"not measured: {why}"), "not measured"))]


def _after(event: Event) -> list[TestCase]:
    """Return a case for each node's turn, which fails where cells didn't heal after it.

    An event that didn't come to its end has an error beside them.
    """
    cases = []
    if event.error:
        cases.append(
            _case("it comes to its end", Error(_xml(event.error.message)), event.error.detail)
        )
    for node in event.nodes:
        never = [one for one in node.silent if one.healed is None]
        outcome: Failure | Error | None = None
        if never:
            words = f"{count(len(never), 'cell')} silent and not healed within {event.limit:.0f} s"
            outcome = Failure(_xml(words), "not healed")
        elif node.unknown:
            words = f"{count(node.unknown, 'cell')} not asked meanwhile"
            outcome = Error(_xml(words), "not measured")
        told = [f"{one.source} → {one.destination}" for one in never[:CELLS_SHOWN]]
        cases.append(_case(node.node, outcome, "\n".join([*told, *lines(event)])))
    return cases


def _of_source(source: str, cells: Sequence[Cell], result: LabResult) -> TestCase:
    """Return the case of one source within a pair of networks."""
    broken = [cell for cell in cells if cell.differs]
    unknown = [cell for cell in cells if not cell.measured]
    wrong = broken + unknown
    if not wrong:
        return _case(source)
    causes = _causes(result.explanation, wrong)
    head = "; ".join(f"{one.finding.fault.title} ({one.where})" for one in causes)
    lines = _cell_lines(wrong)
    for one in causes:
        lines += ["", *_cause_lines(result.explanation, one)]
    if broken:
        words = f"{count(len(broken), 'cell')} of {len(cells)} differ: {head or 'no cause found'}"
        return _case(source, Failure(_xml(words), "differs"), "\n".join(lines))
    why = result.error.message if result.error else head or unknown[0].reason
    words = f"{count(len(unknown), 'cell')} of {len(cells)} not measured: {why}"
    lines += ["", result.error.detail] if result.error and result.error.detail else []
    return _case(source, Error(_xml(words), "not measured"), "\n".join(lines))


def _case(name: str, outcome: Failure | Error | None = None, text: str = "") -> TestCase:
    case = TestCase(_xml(name))
    if outcome is not None:
        outcome.text = _xml(text)
        case.result = [outcome]
    return case


def _causes(explanation: Explanation | None, cells: Iterable[Cell]) -> list[Cause]:
    wanted = {_name(cell) for cell in cells}
    causes = explanation.causes if explanation else ()
    return [cause for cause in causes if not wanted.isdisjoint(cause.cells)]


def _name(cell: Cell) -> Name:
    return cell.source, cell.destination, str(cell.protocol), cell.family


def _cell_lines(cells: Sequence[Cell]) -> list[str]:
    lines = [f"{asked(cell)}: {became(cell)}" for cell in cells[:CELLS_SHOWN]]
    rest = len(cells) - len(lines)
    lines += [f"and {count(rest, 'cell')} more"] if rest else []
    reasons = dict.fromkeys(f"{one.because} ({one.reference})" for one in cells if one.differs)
    return lines + [f"Expected so because: {reason}" for reason in reasons]


def _cause_lines(explanation: Explanation | None, one: Cause) -> list[str]:
    fault = one.finding.fault
    lines = [
        f"Cause: {fault.title} ({fault.id}), {one.where}, {one.sureness}",
        fault.cause,
    ]
    for proof in one.finding.proofs:
        lines += [f"{proof.node}: {proof.command}", *(f"  {line}" for line in proof.lines)]
    lines = lines[:LINES_SHOWN]
    cures = commands(explanation, one) if explanation else []
    lines += ["Cure:", *(f"  {line}" for line in cures or [one.finding.cure])]
    ended = ended_words(explanation) if explanation else ""
    return [*lines, fault.reference, *filter(None, [ended])]


def _wanted(lab: SavedLab, result: LabResult) -> Iterator[tuple[str, list[TestCase]]]:
    """Yield the lab's statements, a case for each; nothing where there are none."""
    if result.verdict.intent:
        yield f"{lab.lab}: what is wanted", [_of_statement(one) for one in result.verdict.intent]


def _of_statement(one: Judged[Cell]) -> TestCase:
    name = f"line {one.statement.line}: {one.statement.text}"
    if one.word == "broken":
        words = f"broken by {len(one.broken)} of {count(len(one.cells), 'cell')}"
        said = f"{words}: {broken_words(one.statement.never, one.broken)}"
        if one.told:
            said = f"broken by {count(one.ways, 'way')} that nobody planned"
        text = "\n".join(_cell_lines([*one.broken, *one.untold]))
        return _case(name, Failure(_xml(said), "broken"), text)
    if one.word == "not measured":
        why = f"{len(one.untold)} of {count(len(one.cells), 'cell')} not measured"
        said = why if one.cells else one.why or "no cell of this lab is about it"
        if one.told:
            said = "what nobody planned was not looked for at every end"
        text = "\n".join(_cell_lines(one.untold))
        return _case(name, Error(_xml(said), "not measured"), text)
    return _case(name)


def _not_planned(lab: SavedLab, result: LabResult) -> Iterator[tuple[str, list[TestCase]]]:
    """Yield what nobody planned, where that counts: a case for each way, and for who is blind."""
    verdict = result.verdict
    if not verdict.strict or not verdict.cells:
        return
    cases = []
    for one in verdict.unplanned:
        words = f"{KINDS[one.kind].one}, heard by {', '.join(one.heard_by)}"
        text = f"{KINDS[one.kind].because} {cause(one)}\n{KINDS[one.kind].reference}"
        name = f"{one.end} {one.interface} {one.address}, {one.kind}"
        cases.append(_case(name, Failure(_xml(words), one.kind), text))
    for other in verdict.strangers or ():
        words = f"it runs, and no plan knows it: {described(other)}"
        name = f"{other.node} {other.runtime} {other.name}"
        cases.append(_case(name, Failure(_xml(words), "stranger"), because((other,))))
    if verdict.looked is None:
        cases.append(_case("all ends", Error("it was not looked for", "not measured")))
    for end, why in verdict.looked.blind if verdict.looked else ():
        said = f"it could not look: {why}"
        cases.append(_case(f"{end} looks", Error(_xml(said), "not measured")))
    yield f"{lab.lab}: what nobody planned", cases or [_case("all ends")]


def _xml(words: str) -> str:
    """Return ``words`` without what no XML can hold."""
    return NO_XML.sub("\ufffd", words)
